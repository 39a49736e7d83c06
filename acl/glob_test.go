package acl

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestGlob(t *testing.T) {
	tests := []struct {
		glob       string
		match, not []string
	}{
		{"", []string{""}, []string{"a"}},
		{"ana", []string{"ana"}, []string{"", "an", "anna", "xana", "ANA"}},
		{"*", []string{"", "a", "a.b/c"}, nil},
		{"**", []string{"", "a"}, nil},
		{"a*", []string{"a", "ab"}, []string{"", "ba"}},
		{"*a*b*", []string{"ab", "xaxbx", "aab"}, []string{"ba", "a", ""}},
		{"a*b*c", []string{"abc", "abbbc", "aXbXc", "abcabc"}, []string{"ab", "abcd"}},
		{"?", []string{"a", "ж", "\U0001F600"}, []string{"", "ab"}},
		{"a??", []string{"abc"}, []string{"ab", "abcd"}},
		{"[abc]", []string{"a", "c"}, []string{"d", "", "ab"}},
		{"[a-c]x", []string{"ax", "bx", "cx"}, []string{"dx", "-x"}},
		{"[a-cx-z]", []string{"a", "y"}, []string{"d", "-"}},
		{"[!a-c]", []string{"d", "ж", "!"}, []string{"a", ""}},
		{"[!]a]", []string{"b"}, []string{"]", "a"}},
		{"[]a]", []string{"]", "a"}, []string{"b"}},
		{"[a-]", []string{"a", "-"}, []string{"b"}},
		{"[-a]", []string{"a", "-"}, []string{"b"}},
		{"[!-a]", []string{"b"}, []string{"a", "-"}},
		{"[[]", []string{"["}, []string{"]"}},
		{"[a!]", []string{"a", "!"}, []string{"b"}},
		{"[а-я]*", []string{"жук"}, []string{"bug"}},
		{"]", []string{"]"}, []string{""}},
		{"a.c", []string{"a.c"}, []string{"abc"}},
		{`a\*`, []string{`a\`, `a\b`}, []string{"a*"}},
		{`\20`, []string{`\20`}, []string{"20"}},
		{"(a|b)+$", []string{"(a|b)+$"}, []string{"a"}},
	}
	for _, tt := range tests {
		t.Run(tt.glob, func(t *testing.T) {
			g, err := compileGlob(tt.glob)
			if err != nil {
				t.Fatalf("compileGlob: %v", err)
			}
			for _, s := range tt.match {
				if !g.match(s) {
					t.Errorf("%q: got no match, want one", s)
				}
			}
			for _, s := range tt.not {
				if g.match(s) {
					t.Errorf("%q: got a match, want none", s)
				}
			}
		})
	}
}

// TestGlobSteps bounds the work for a pattern that makes careless matchers try
// exponentially many ways.
func TestGlobSteps(t *testing.T) {
	g, err := compileGlob(strings.Repeat("*a", 500) + "*b")
	if err != nil {
		t.Fatal(err)
	}
	if g.match(strings.Repeat("a", 1023)) {
		t.Error("got a match, want none")
	}
}

// FuzzGlob compares with the same pattern written as a regular expression, and
// with path.Match where the two notations agree.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{
		{"bot-*", "bot-7"}, {"[!a-c]?*", "xyz"}, {"a*b*c", "aXbXc"}, {"[]a]", "]"}, {"[", "x"},
		{"[a-]", "-"}, {"*[ж-я]", "жук"}, {"**", ""}, {"[^a]", "b"}, {"?", "\xff"}, {`\*`, `\x`}, {"[!]", "!"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := compileGlob(pattern)
		if err != nil || !utf8.ValidString(name) {
			return
		}
		got := g.match(name)
		if want := globRegexp(t, pattern).MatchString(name); got != want {
			t.Errorf("%q of %q: got %v, want %v", pattern, name, got, want)
		}
		if strings.ContainsAny(pattern, `\^![]`) || strings.Contains(name, "/") {
			return
		}
		if want, err := path.Match(pattern, name); err != nil || got != want {
			t.Errorf("%q of %q: got %v, path.Match says %v, %v", pattern, name, got, want, err)
		}
	})
}

// globRegexp writes a valid glob as a regular expression.
func globRegexp(t *testing.T, pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A(?s:`)
	rs := []rune(pattern)
	for i := 0; i < len(rs); i++ {
		switch rs[i] {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			b.WriteString("[")
			i++
			if rs[i] == '!' {
				b.WriteString("^")
				i++
			}
			for first := true; first || rs[i] != ']'; first = false {
				lo, hi := rs[i], rs[i]
				i++
				if i+1 < len(rs) && rs[i] == '-' && rs[i+1] != ']' {
					hi = rs[i+1]
					i += 2
				}
				b.WriteString(escapeInClass(lo) + "-" + escapeInClass(hi))
			}
			b.WriteString("]")
		default:
			b.WriteString(regexp.QuoteMeta(string(rs[i])))
		}
	}
	b.WriteString(`)\z`)
	re, err := regexp.Compile(b.String())
	if err != nil {
		t.Fatalf("glob %q as a regular expression: %v", pattern, err)
	}
	return re
}

func escapeInClass(r rune) string {
	if strings.ContainsRune(`\]^-[`, r) {
		return `\` + string(r)
	}
	return string(r)
}

// FuzzParser wants conditions whose text, read again, gives the same condition.
func FuzzParser(f *testing.F) {
	for _, s := range []string{"ana@one.test", "^a.*@one.test", "bot-*", "[!x]", "127.0.0.1/8", "::ffff:1.2.3.4", "a@b@c", "(?=x)", `\1`, "[z-a]", ""} {
		f.Add(s, "one.test")
	}
	f.Fuzz(func(t *testing.T, left, right string) {
		p := Parser{names()}
		for _, key := range Keys() {
			if c, err := p.Condition(key, left); err == nil {
				checkCondition(t, p, c)
			} else if err.Error() == "" {
				t.Errorf("%s %q: got an empty error", key, left)
			}
			if c, err := p.Pair(key, left, right); err == nil {
				checkCondition(t, p, c)
			}
		}
		if p, err := ParseCommandPattern(left); err == nil && p.String() != left {
			t.Errorf("command pattern %q: got %q back", left, p)
		}
	})
}

// checkCondition matches a condition against something and reads the texts of
// its parts again.
func checkCondition(t *testing.T, p Parser, c Condition) {
	t.Helper()
	ref := new(Ref)
	ref.Store(&Set{hosts: map[string]struct{}{"one.test": {}}})
	ref.Match([]Condition{c}, jid("ana@one.test/desk").from("::ffff:127.0.0.1"))
	var again Condition
	var err error
	switch {
	case c.key == IP:
		again, err = p.Condition(IP, c.prefix.String())
	case c.user.op != matchNothing && c.server.op != matchLocal:
		again, err = p.Pair(c.key, c.user.text, c.server.text)
	case c.key == SharedGroup && c.server.op != matchNothing:
		again, err = p.Pair(c.key, c.name.text, c.server.text)
	default:
		again, err = p.Condition(c.key, c.user.text+c.name.text+c.server.text)
	}
	if err != nil || again.String() != c.String() {
		t.Errorf("got %v, %v; want %v back", again, err, c)
	}
}
