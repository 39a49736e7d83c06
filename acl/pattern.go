package acl

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// pattern matches one part of a name. The zero pattern matches nothing.
type pattern struct {
	op   patternOp
	text string // as written, names in their canonical form
	re   *regexp.Regexp
	glob glob
}

type patternOp uint8

const (
	matchNothing patternOp = iota
	matchExact
	matchRegexp
	matchGlob
	matchLocal // any local virtual host
)

func exactPattern(name string) pattern { return pattern{op: matchExact, text: name} }

func regexpPattern(s string) (pattern, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return pattern{}, regexpError(s, err)
	}
	return pattern{op: matchRegexp, text: s, re: re}, nil
}

func globPattern(s string) (pattern, error) {
	g, err := compileGlob(s)
	if err != nil {
		return pattern{}, fmt.Errorf("bad glob %q: %w", s, err)
	}
	return pattern{op: matchGlob, text: s, glob: g}, nil
}

// match reports whether a known name matches. An unknown one never does.
func (p *pattern) match(name string, set *Set) bool {
	if name == "" {
		return false
	}
	switch p.op {
	case matchExact:
		return name == p.text
	case matchRegexp:
		return p.re.MatchString(name)
	case matchGlob:
		return p.glob.match(name)
	case matchLocal:
		return set.IsLocal(name)
	case matchNothing:
	}
	return false
}

// regexpError explains why an expression does not compile. What PCRE has and
// RE2 lacks gets its name and a way out.
func regexpError(s string, err error) error {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("bad regular expression %q: %w", s, err)
	}
	if name, remedy := missingInRE2(e); name != "" {
		return fmt.Errorf("bad regular expression %q: %s is %s, which RE2 syntax does not have; %s", s, e.Expr, name, remedy)
	}
	if e.Expr == "" {
		return fmt.Errorf("bad regular expression %q: %s", s, e.Code)
	}
	return fmt.Errorf("bad regular expression %q: %s: %s", s, e.Code, e.Expr)
}

// missingInRE2 names the construct of PCRE that RE2 refused and says what to
// write in its place; "" for plain mistakes.
func missingInRE2(e *syntax.Error) (name, remedy string) {
	// By the beginning of what RE2 complains about.
	for _, c := range [...]struct{ begin, name, remedy string }{
		{"(?=", "look-ahead", "write several conditions in one access rule entry, all of which must match"},
		{"(?!", "negative look-ahead", "write a deny entry for what must not match before the allow entry"},
		{"(?<=", "look-behind", "match the text before as part of the expression"},
		{"(?<!", "negative look-behind", "write a deny entry for what must not match before the allow entry"},
		{"(?>", "an atomic group", "write (?:…)"},
		{"(?|", "a branch reset group", "write (?:…)"},
		{"(?#", "a comment", "leave it out"},
		{"(?(", "a conditional group", "write the alternatives as (?:a|b)"},
		{"(?P", "a back-reference or recursion", "write the repeated text out"},
		{"(?R", "recursion", "write the nesting out"},
		{"(?&", "recursion", "write the nesting out"},
		{"(?'", "a named group in quotes", "write (?P<name>…)"},
		{"(?x", "the extended flag", "write the expression without blanks"},
		{`\k`, "a back-reference", "write the alternatives out"},
		{`\g`, "a back-reference", "write the alternatives out"},
		{`\Z`, "an end anchor", `write $ or \z`},
		{`\G`, "an anchor to the last match", `write ^ or \A`},
		{`\K`, "a match reset", "leave it out"},
		{`\R`, "any line break", `write (?:\r\n|[\n\v\f\r])`},
		{`\h`, "horizontal space", `write [ \t]`},
		{`\X`, "a grapheme cluster", "write ."},
		{`\N`, "any character but a line break", "write ."},
		{`\e`, "the escape character", `write \x1b`},
		{`\c`, "a control character", `write \x and two hexadecimal digits`},
		{`\u`, "a character by its number", `write \x{…} with hexadecimal digits`},
	} {
		if strings.HasPrefix(e.Expr, c.begin) {
			return c.name, c.remedy
		}
	}
	if digit(strings.TrimPrefix(e.Expr, `\`)) && e.Code == syntax.ErrInvalidEscape {
		return "a back-reference", "write the alternatives out"
	}
	if s, ok := strings.CutPrefix(e.Expr, "(?"); ok && digit(strings.TrimLeft(s, "+-")) {
		return "recursion", "write the nesting out"
	}
	if e.Code == syntax.ErrInvalidRepeatOp && strings.HasSuffix(e.Expr, "+") {
		return "a possessive quantifier", "leave the second + out"
	}
	return "", ""
}

// digit reports whether s begins with a digit.
func digit(s string) bool { return s != "" && '0' <= s[0] && s[0] <= '9' }
