package ctl

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// A list of texts means the same with commas and as JSON, and what is printed of it has
// as many lines as it has elements.
func FuzzList(f *testing.F) {
	for _, seed := range []string{"", "a", "a\x00b", "a,b\x00c", "[\x00]", "a:b\x00\x1b[2J\n"} {
		f.Add(seed)
	}
	list := command.List{Of: command.Field{Name: "item", Type: command.String}}
	read := func(t *testing.T, word string) []any {
		v, err := value(list, word)
		if err == nil {
			v, err = list.Value(v)
		}
		if err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		return v.([]any)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // JSON cannot say it
		}
		var want []any
		for part := range strings.SplitSeq(s, "\x00") {
			want = append(want, part)
		}
		word, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, string(word)); !slices.Equal(got, want) {
			t.Errorf("JSON: got %q, want %q", got, want)
		}
		if s != "" && !strings.Contains(s, ",") && !strings.HasPrefix(s, "[") {
			if got := read(t, strings.ReplaceAll(s, "\x00", ",")); !slices.Equal(got, want) {
				t.Errorf("commas: got %q, want %q", got, want)
			}
		}
		text := format(list, want)
		if got := strings.Count(text, "\n"); got != len(want) {
			t.Errorf("%q is printed on %d lines, want %d", want, got, len(want))
		}
		if strings.ContainsAny(text, "\x1b\r\x07\x00") {
			t.Errorf("%q is printed as %q, with control characters", want, text)
		}
	})
}

// No word makes a value of another type than its argument has.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{"a:b", "a:1,b:2", `{"a":"x","n":1}`, `[{"a":"x","n":1}]`, "[", "{", "[[[[", ":,:", `[null]`, `{"a":{}}`} {
		f.Add(seed)
	}
	pair := command.Tuple{{Name: "a", Type: command.String}, {Name: "n", Type: command.Integer}}
	types := []command.Type{command.String, command.Integer, pair, command.List{Of: command.Field{Name: "pair", Type: pair}}}
	f.Fuzz(func(t *testing.T, word string) {
		for _, kind := range types {
			v, err := value(kind, word)
			if err != nil {
				continue
			}
			if v, err = kind.Value(v); err == nil {
				_ = format(kind, v)
			}
		}
	})
}
