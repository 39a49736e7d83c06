package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestPost(t *testing.T) {
	tests := []struct {
		name    string
		command string
		body    string
		status  int
		want    string
	}{
		{"none", "connected_users_number", "{}", 200, "7"},
		{"line end", "connected_users_number", "\n", 200, "7"},
		{"nothing", "connected_users_number", "", 400, `"Missing POST data"`},
		{"no JSON", "connected_users_number", "x", 400, malformed},
		{"one too many", "connected_users_number", `{"x":1}`, 400, `"unknown argument \"x\"; connected_users_number has none"`},
		{"integer", "echo_integer", `{"v":-5}`, 200, "-5"},
		{"largest", "echo_integer", `{"v":2147483647}`, 200, "2147483647"},
		{"huge", "echo_integer", `{"v":` + strings.Repeat("9", 10_000) + `}`, 400, `"argument v: want an integer, got a number that is too large"`},
		{"exponent", "echo_integer", `{"v":1e400}`, 400, `"argument v: want an integer, got something else"`},
		{"fraction", "echo_integer", `{"v":1.5}`, 400, `"argument v: want an integer, got something else"`},
		{"digits in a text", "echo_integer", `{"v":"5"}`, 400, `"argument v: want an integer, got a string"`},
		{"string", "echo_string", `{"v":"h\u00e9 \"<\n"}`, 200, `"hé \"\u003c\n"`},
		{"number for a string", "echo_string", `{"v":5}`, 400, `"argument v: want a string, got a number"`},
		{"nothing for a string", "echo_string", `{"v":null}`, 400, `"argument v: want a string, got nothing"`},
		{"missing", "echo_string", `{}`, 400, `"argument v is missing"`},
		{"twice", "echo_string", `{"v":"a","v":"a"}`, 400, `"duplicate argument \"v\""`},
		{"list", "echo_strings", `{"v":["a","b"]}`, 200, `["a","b"]`},
		{"empty list", "echo_strings", `{"v":[]}`, 200, `[]`},
		{"no list", "echo_strings", `{}`, 200, `[]`},
		{"one for a list", "echo_strings", `{"v":"a"}`, 200, `["a"]`},
		{"number for a list", "echo_integers", `{"v":5}`, 200, `[5]`},
		{"other one for a list", "echo_integers", `{"v":"5"}`, 400, `"argument v: element 0: want an integer, got a string"`},
		{"object for a list", "echo_strings", `{"v":{"a":"b"}}`, 400, `"argument v: want a list, got a structure"`},
		{"boolean for a list", "echo_strings", `{"v":true}`, 400, `"argument v: want a list, got a boolean"`},
		{"nothing for a list", "echo_strings", `{"v":null}`, 400, `"argument v: want a list, got nothing"`},
		{"tuple", "echo_tuple", `{"v":{"groups":["y","x"],"jid":"a","nick":"n"}}`, 200, `{"jid":"a","nick":"n","groups":["x","y"]}`},
		{"part of a tuple missing", "echo_tuple", `{"v":{"jid":"a","nick":"n"}}`, 400, `"argument v: groups is missing"`},
		{"pairs", "echo_seats", `{"v":[{"user":"a","number":1}]}`, 200, `[{"user":"a","number":1}]`},
		{"pairs as an object", "echo_seats", `{"v":{"b":2,"a":1}}`, 200, `[{"user":"a","number":1},{"user":"b","number":2}]`},
		{"no pairs as an object", "echo_seats", `{"v":{}}`, 200, `[]`},
		{"pairs of another type", "echo_seats", `{"v":{"a":"1"}}`, 400, `"argument v: element 0: number: want an integer, got a string"`},
		{"object for other tuples", "echo_tuples", `{"v":{"jid":"a","nick":"n","groups":[]}}`, 400, `"argument v: want a list, got a structure"`},
		{"old name", "registered_users", `{"server":"one.test"}`, 200, `["ana","cy","one.test"]`},
		{"both names", "registered_users", `{"server":"a","host":"b"}`, 400, `"unknown argument \"server\"; registered_users has host"`},
		{"list by the old name", "add", `{"user":"a","group":["x"]}`, 200, `["x"]`},
		{"one for a list by the old name", "add", `{"user":"a","group":"x"}`, 200, `["x"]`},
		{"no list by either name", "add", `{"user":"a"}`, 200, `[]`},
		{"list by both names", "add", `{"user":"a","group":["x"],"groups":["y"]}`, 400, `"unknown argument \"group\"; add has user, groups"`},
	}
	h := handler(t, everybody)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, do(h, request(http.MethodPost, tt.command, tt.body)), tt.status, tt.want)
		})
	}
	t.Run("the query does not count", func(t *testing.T) {
		check(t, do(h, request(http.MethodPost, "echo_string?v=a&x=y", `{"v":"b"}`)), 200, `"b"`)
	})
}

func TestGet(t *testing.T) {
	tests := []struct {
		name   string
		path   string
		status int
		want   string
	}{
		{"none", "connected_users_number", 200, "7"},
		{"empty query", "connected_users_number?", 200, "7"},
		{"string", "echo_string?v=h%C3%A9+x", 200, `"hé x"`},
		{"digits for a string", "echo_string?v=5", 200, `"5"`},
		{"digits", "echo_integer?v=-5", 200, "-5"},
		{"letters", "echo_integer?v=five", 400, `"argument v: want an integer, got something else"`},
		{"huge", "echo_integer?v=99999999999999999999", 400, `"argument v: want an integer, got a number that is too large"`},
		{"one for a list", "echo_strings?v=a", 200, `["a"]`},
		{"no list", "echo_strings", 200, `[]`},
		{"digits for a list", "echo_integers?v=5", 200, `[5]`},
		{"twice", "echo_strings?v=a&v=b", 400, `"duplicate argument \"v\""`},
		{"twice by an escape", "echo_string?v=a&%76=b", 400, `"duplicate argument \"v\""`},
		{"missing", "echo_string", 400, `"argument v is missing"`},
		{"one too many", "echo_string?v=a&x=b", 400, `"unknown argument \"x\"; echo_string has v"`},
		{"name alone", "connected_users_number?x", 400, `"unknown argument \"x\"; connected_users_number has none"`},
		{"old name", "registered_users?server=one.test", 200, `["ana","cy","one.test"]`},
		{"not UTF-8", "echo_string?v=%ff", 400, `"400 Bad Request"`},
		{"name not UTF-8", "echo_string?%ff=a", 400, `"400 Bad Request"`},
		{"bad escape", "echo_string?v=%zz", 400, `"400 Bad Request"`},
		{"semicolon", "echo_string?v=a;x=b", 400, `"400 Bad Request"`},
		{"text for a tuple", "echo_tuple?v=a", 400, `"argument v: want a structure, got a string"`},
	}
	h := handler(t, everybody)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, do(h, request(http.MethodGet, tt.path, "")), tt.status, tt.want)
		})
	}
	t.Run("the body does not count", func(t *testing.T) {
		check(t, do(h, request(http.MethodGet, "echo_string?v=a", `{"v":"b"}`)), 200, `"a"`)
	})
}
