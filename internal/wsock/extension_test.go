package wsock

import (
	"net/http"
	"strings"
	"testing"
)

func fields(values ...string) http.Header { return http.Header{"Sec-Websocket-Extensions": values} }

// See RFC 6455, section 9.1.
func TestParseExtensions(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
		want   string // as show writes it
		ok     bool
	}{
		{"none", nil, "", true},
		{"one", []string{"foo"}, "foo", true},
		{"several", []string{"foo, bar; baz=2"}, "foo|bar;baz=2", true},
		{"in two fields", []string{"foo", "bar; baz=2"}, "foo|bar;baz=2", true},
		{"parameters", []string{"mux; max-channels=4; flow-control, deflate-stream"}, "mux;max-channels=4;flow-control|deflate-stream", true},
		{"white space", []string{" \tfoo\t;\ta = b , bar "}, "foo;a=b|bar", true},
		{"empty elements", []string{", foo,, bar ,"}, "foo|bar", true},
		{"quoted", []string{`foo; a="b"; c="\d\e"`}, "foo;a=b;c=de", true},
		{"empty field", []string{""}, "", false},
		{"commas alone", []string{" , ,"}, "", false},
		{"no name", []string{"; a=b"}, "", false},
		{"no parameter", []string{"foo;"}, "", false},
		{"no value", []string{"foo; a="}, "", false},
		{"empty quotes", []string{`foo; a=""`}, "", false},
		{"no token in quotes", []string{`foo; a="b c"`}, "", false},
		{"quotes without end", []string{`foo; a="b`}, "", false},
		{"text behind quotes", []string{`foo; a="b"c`}, "", false},
		{"two words", []string{"foo bar"}, "", false},
		{"separators", []string{"foo/1"}, "", false},
		{"one of two is wrong", []string{"foo", "="}, "", false},
	} {
		list, ok := parseExtensions(fields(c.fields...))
		if got := show(list); ok != c.ok || ok && got != c.want {
			t.Errorf("%s: got %q, %t, want %q, %t", c.name, got, ok, c.want, c.ok)
		}
	}
}

func show(list []extension) string {
	var s []string
	for _, e := range list {
		text := e.name
		for _, p := range e.params {
			if text += ";" + p.name; p.has {
				text += "=" + p.value
			}
		}
		s = append(s, text)
	}
	return strings.Join(s, "|")
}

// What is read is written and read as the same, and what is answered is an extension that
// was offered, once.
func FuzzExtensions(f *testing.F) {
	for _, s := range []string{
		"permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=10, permessage-deflate",
		`foo; a="b\c", bar`, ";=,", "a;b=c;b", "permessage-deflate; server_max_window_bits=15; client_no_context_takeover",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		list, ok := parseExtensions(fields(field))
		if !ok {
			return
		}
		text := show(list)
		again, ok := parseExtensions(fields(strings.ReplaceAll(text, "|", ","))) // a | may be part of a token
		if !strings.Contains(field, "|") && (!ok || show(again) != text) {
			t.Fatalf("%q: got %q and then %q, %t", field, text, show(again), ok)
		}
		answer := acceptDeflate(list)
		if answer == "" {
			return
		}
		if got, ok := parseExtensions(fields(answer)); !ok || len(got) != 1 || got[0].name != "permessage-deflate" || !strings.Contains(field, got[0].name) {
			t.Fatalf("%q: got the answer %q", field, answer)
		}
	})
}
