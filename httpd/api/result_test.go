package api

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

func TestResult(t *testing.T) {
	type a = command.Args
	lists := listOf("l", listOf("n", command.Integer))
	tests := []struct {
		name    string
		typ     command.Type
		v       any
		version int
		want    string
	}{
		{"integer", command.Integer, -7, 1, "-7"},
		{"integer of version 0", command.Integer, 7, 0, `{"got":7}`},
		{"string", command.String, "a/b", 1, `"a/b"`},
		{"string of version 0", command.String, "a", 0, `{"got":"a"}`},
		{"code", command.ResCode, true, 1, "0"},
		{"code of version 0", command.ResCode, true, 0, "0"},
		{"unsuccessful", command.ResCode, false, 1, "1"},
		{"text", command.ResTuple, "done", 1, `"done"`},
		{"text of version 0", command.ResTuple, "done", 0, `"done"`},
		{"strings are sorted", listOf("s", command.String), []string{"b", "é", "B", "a", "aa", "a"}, 1, `["B","a","a","aa","b","é"]`},
		{"list of version 0", listOf("s", command.String), []string{"b", "a"}, 0, `["a","b"]`},
		{"integers are sorted", listOf("n", command.Integer), []int{10, 9, -1}, 1, `[-1,9,10]`},
		{"empty list", listOf("n", command.Integer), []int{}, 1, `[]`},
		{"lists of lists", lists, [][]int{{3, 2}, {1}, {}, {2}}, 1, `[[],[1],[2],[2,3]]`},
		{"tuple", contact, a{"jid": "x", "nick": "", "groups": []string{"b", "a"}}, 1, `{"jid":"x","nick":"","groups":["a","b"]}`},
		{"tuple of version 0", contact, a{"jid": "x", "nick": "", "groups": []string{}}, 0, `{"jid":"x","nick":"","groups":[]}`},
		{"tuples are sorted", listOf("c", contact), []a{{"jid": "b", "nick": "", "groups": []string{}}, {"jid": "a", "nick": "", "groups": []string{"z", "b"}}, {"jid": "a", "nick": "", "groups": []string{"a", "c"}}}, 1,
			`[{"jid":"a","nick":"","groups":["a","c"]},{"jid":"a","nick":"","groups":["b","z"]},{"jid":"b","nick":"","groups":[]}]`},
		{"names with values", settings, []a{{"name": "b", "value": 1}, {"name": "a", "value": 2}}, 1, `{"a":2,"b":1}`},
		{"names with values of version 0", settings, []a{{"name": "b", "value": 1}}, 0, `{"b":1}`},
		{"no names", settings, []a{}, 1, `{}`},
		{"name that is there twice", settings, []a{{"name": "a", "value": 1}, {"name": "b", "value": 2}, {"name": "a", "value": 3}}, 1, `{"a":3,"b":2}`},
		{"other pairs", seats, []a{{"user": "b", "number": 1}, {"user": "a", "number": 2}}, 1, `[{"user":"a","number":2},{"user":"b","number":1}]`},
		{"names with lists", listOf("s", command.Tuple{field("name", command.String), field("value", listOf("n", command.Integer))}),
			[]a{{"name": "a", "value": []int{2, 1}}}, 1, `{"a":[1,2]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := tt.typ.Value(tt.v)
			if err != nil {
				t.Fatal(err)
			}
			f := field("got", tt.typ)
			if got := string(appendResult(nil, &f, v, tt.version)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", "é", "\"\\/\b\x00\x1f\x7f", "\xff", "\u2028<>&", "\xed\xa0\x80x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q is %q: %v", s, b, err)
		}
		if utf8.ValidString(s) && got != s {
			t.Fatalf("got %q, want %q", got, s)
		}
	})
}
