package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

func TestParse(t *testing.T) {
	type m = map[string]any
	many := "[" + strings.Repeat("0,", maxValues-2) + "0]"
	tests := []struct {
		name string
		in   string
		want m
		err  string
	}{
		{"empty", "{}", m{}, ""},
		{"line end", "\n", m{}, ""},
		{"blanks", " \t\r\n{ \t\r\n} \t\r\n", m{}, ""},
		{"all types", `{"a":"x","b":-1.5e+3,"c":true,"d":false,"e":null,"f":[1,"y",[]],"g":{"h":{}}}`, m{"a": "x", "b": json.Number("-1.5e+3"), "c": true,
			"d": false, "e": nil, "f": []any{json.Number("1"), "y", []any{}}, "g": m{"h": m{}}}, ""},
		{"blanks between", "{ \"a\" : [ 1 , 2 ] , \"b\" : { } }", m{"a": []any{json.Number("1"), json.Number("2")}, "b": m{}}, ""},
		{"empty name", `{"":1}`, m{"": json.Number("1")}, ""},
		{"escapes", `{"a\n":"\"\\\/\b\f\n\r\t\u0041\u00e9\uD83D\ude00x"}`, m{"a\n": "\"\\/\b\f\n\r\tAé😀x"}, ""},
		{"NUL", `{"a":"\u0000"}`, m{"a": "\x00"}, ""},
		{"delete", "{\"a\":\"\x7f\"}", m{"a": "\x7f"}, ""},
		{"huge number", `{"a":` + strings.Repeat("9", 10_000) + `}`, m{"a": json.Number(strings.Repeat("9", 10_000))}, ""},
		{"zero", `{"a":-0,"b":0.0,"c":0e0}`, m{"a": json.Number("-0"), "b": json.Number("0.0"), "c": json.Number("0e0")}, ""},
		{"as deep as may be", `{"a":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + `}`, m{"a": nested(maxDepth - 1)}, ""},
		{"objects side by side", `{"a":[` + strings.Repeat("{},", 99) + `{}]}`, m{"a": repeated(m{}, 100)}, ""},
		{"as many values as may be", `{"a":` + many + `}`, m{"a": repeated(json.Number("0"), maxValues-1)}, ""},

		{"nothing", "", nil, "Invalid JSON input"},
		{"blank", " ", nil, "Invalid JSON input"},
		{"two line ends", "\n\n", nil, "Invalid JSON input"},
		{"array", "[]", nil, "Invalid JSON input"},
		{"scalar", "1", nil, "Invalid JSON input"},
		{"null", "null", nil, "Invalid JSON input"},
		{"not closed", `{"a":1`, nil, "Invalid JSON input"},
		{"ends after a name", `{"a"`, nil, "Invalid JSON input"},
		{"ends after a colon", `{"a":`, nil, "Invalid JSON input"},
		{"ends in a text", `{"a":"x`, nil, "Invalid JSON input"},
		{"ends in an escape", `{"a":"\`, nil, "Invalid JSON input"},
		{"ends after an escape", `{"a":"\n`, nil, "Invalid JSON input"},
		{"ends in a number of UTF-16", `{"a":"\u00`, nil, "Invalid JSON input"},
		{"ends in a word", `{"a":tru`, nil, "Invalid JSON input"},
		{"something after it", `{}{}`, nil, "Invalid JSON input"},
		{"text after it", "{}x", nil, "Invalid JSON input"},
		{"NUL after it", "{}\x00", nil, "Invalid JSON input"},
		{"byte order mark", "\ufeff{}", nil, "Invalid JSON input"},
		{"UTF-16", "{\x00}\x00", nil, "Invalid JSON input"},
		{"comma at the end", `{"a":1,}`, nil, "Invalid JSON input"},
		{"comma at the end of an array", `{"a":[1,]}`, nil, "Invalid JSON input"},
		{"comma at the beginning", `{,"a":1}`, nil, "Invalid JSON input"},
		{"comma at the beginning of an array", `{"a":[,1]}`, nil, "Invalid JSON input"},
		{"no comma", `{"a":1"b":2}`, nil, "Invalid JSON input"},
		{"no comma in an array", `{"a":[1 2]}`, nil, "Invalid JSON input"},
		{"no colon", `{"a"1}`, nil, "Invalid JSON input"},
		{"wrong bracket", `{"a":[1}}`, nil, "Invalid JSON input"},
		{"name that is no text", `{1:1}`, nil, "Invalid JSON input"},
		{"other quotes", `{'a':1}`, nil, "Invalid JSON input"},
		{"comment", `{/**/}`, nil, "Invalid JSON input"},
		{"word", `{"a":yes}`, nil, "Invalid JSON input"},
		{"word in capitals", `{"a":True}`, nil, "Invalid JSON input"},
		{"NaN", `{"a":NaN}`, nil, "Invalid JSON input"},
		{"plus", `{"a":+1}`, nil, "Invalid JSON input"},
		{"minus alone", `{"a":-}`, nil, "Invalid JSON input"},
		{"zero before", `{"a":01}`, nil, "Invalid JSON input"},
		{"point before", `{"a":.5}`, nil, "Invalid JSON input"},
		{"point after", `{"a":5.}`, nil, "Invalid JSON input"},
		{"no exponent", `{"a":5e}`, nil, "Invalid JSON input"},
		{"sign of an exponent", `{"a":5e+}`, nil, "Invalid JSON input"},
		{"hexadecimal", `{"a":0x5}`, nil, "Invalid JSON input"},
		{"control character", "{\"a\":\"\n\"}", nil, "Invalid JSON input"},
		{"control character after an escape", "{\"a\":\"\\n\n\"}", nil, "Invalid JSON input"},
		{"unknown escape", `{"a":"\x41"}`, nil, "Invalid JSON input"},
		{"underscore", `{"a":"\u00_1"}`, nil, "Invalid JSON input"},
		{"sign", `{"a":"\u+041"}`, nil, "Invalid JSON input"},
		{"first half alone", `{"a":"\ud83d"}`, nil, "Invalid JSON input"},
		{"first half and a letter", `{"a":"\ud83d\u0041"}`, nil, "Invalid JSON input"},
		{"second half alone", `{"a":"\ude00"}`, nil, "Invalid JSON input"},
		{"second half first", `{"a":"\ude00\ud83d"}`, nil, "Invalid JSON input"},
		{"not UTF-8", "{\"a\":\"\xff\"}", nil, "Invalid JSON input"},
		{"overlong", "{\"a\":\"\xc0\x80\"}", nil, "Invalid JSON input"},
		{"half of UTF-16 in UTF-8", "{\"a\":\"\xed\xa0\xbd\"}", nil, "Invalid JSON input"},
		{"twice", `{"a":1,"b":2,"a":1}`, nil, `duplicate argument "a"`},
		{"twice by an escape", `{"a":1,"\u0061":1}`, nil, `duplicate argument "a"`},
		{"twice inside", `{"a":{"b":1,"b":2}}`, nil, `duplicate argument "b"`},
		{"too deep", `{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, nil, "arrays and objects are more than 32 deep"},
		{"bomb", `{"a":` + strings.Repeat("[", 1<<20), nil, "arrays and objects are more than 32 deep"},
		{"bomb of objects", strings.Repeat(`{"a":`, 1<<18), nil, "arrays and objects are more than 32 deep"},
		{"too many values", `{"b":0,"a":` + many + `}`, nil, "there are more than 10000 values"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse([]byte(tt.in))
			if !reflect.DeepEqual(got, tt.want) || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("got %.200v and %v, want %.200v and %q", got, err, tt.want, tt.err)
			}
		})
	}
}

func nested(depth int) any {
	v := []any{}
	for range depth - 1 {
		v = []any{v}
	}
	return v
}

func repeated(v any, n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = v
	}
	return list
}

// A name that stands twice may be long; what is said of it is not.
func TestLongNames(t *testing.T) {
	long := `"` + strings.Repeat("x", 10_000) + `":1`
	if _, err := parse([]byte("{" + long + "," + long + "}")); err == nil || len(err.Error()) > 200 {
		t.Errorf("got %v, want a short error", err)
	}
}

// FuzzBody compares with encoding/json, which takes more than we do, and sends arguments
// that a command takes once more.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		"{}", "\n", `{"v":["a","b"]}`, `{"v":{"a":1}}`, `{"v":"x"}`, `{"s":"\ud83d\ude00","n":-12,"v":[{"name":"a","value":1}],"t":{"jid":"a","nick":"","groups":[]}}`,
		`{"s":"x","n":1,"v":{"a":1,"b":2},"t":{"jid":"","nick":"b","groups":["x"]}}`, `{"a":1,"a":2}`, `{"a":[[[[]]]]}`, `{"a":1e999}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	c := command.Command{Name: "all", Args: []command.Field{
		field("s", command.String), {Name: "n", Old: "o", Type: command.Integer}, field("v", settings), field("t", contact),
	}}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parse(b)
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var want map[string]any
		wantErr := d.Decode(&want)
		switch {
		case err == nil && string(b) == "\n":
		case err == nil && (wantErr != nil || !reflect.DeepEqual(got, want)):
			t.Fatalf("got %v, want %v and %v", got, want, wantErr)
		case isInvalid(err) && json.Valid(b) && want != nil && utf8.Valid(b) && !bytes.Contains(b, []byte(`\u`)):
			t.Fatalf("refused %q, which is an object", b)
		}
		if err != nil {
			return
		}
		shape(&c, got)
		a, err := c.Arguments(got)
		if err != nil {
			return
		}
		again, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		values, err := parse(again)
		if err != nil {
			t.Fatalf("%v of %s", err, again)
		}
		shape(&c, values)
		if b, err := c.Arguments(values); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("got %v and %v the second time, want %v", b, err, a)
		}
	})
}

func isInvalid(err error) bool { return err != nil && err.Error() == invalid().Error() }
