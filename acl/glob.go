package acl

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// glob is a compiled shell pattern. It matches whole names, by characters and
// not by bytes.
type glob []globPart

type globPart struct {
	op     globOp
	char   rune        // of globChar
	ranges []runeRange // of globClass and globNotClass
}

type globOp uint8

const (
	globChar     globOp = iota
	globAny             // ?
	globStar            // *
	globClass           // [abc], [a-z]
	globNotClass        // [!abc]
)

type runeRange struct{ first, last rune }

// compileGlob reads a pattern of *, ?, [abc], [a-z] and [!x]. A ] that comes
// first in brackets and a - that comes first or last stand for themselves, as
// does a backslash everywhere.
func compileGlob(s string) (glob, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("a glob must be UTF-8")
	}
	var g glob
	for s != "" {
		switch s[0] {
		case '*':
			// Two stars in a row mean no more than one.
			if n := len(g); n == 0 || g[n-1].op != globStar {
				g = append(g, globPart{op: globStar})
			}
			s = s[1:]
		case '?':
			g = append(g, globPart{op: globAny})
			s = s[1:]
		case '[':
			part, rest, err := compileClass(s[1:])
			if err != nil {
				return nil, err
			}
			g, s = append(g, part), rest
		default:
			c, n := utf8.DecodeRuneInString(s)
			g = append(g, globPart{op: globChar, char: c})
			s = s[n:]
		}
	}
	return g, nil
}

// compileClass reads what follows a [ and returns what follows its ].
func compileClass(s string) (part globPart, rest string, err error) {
	part.op = globClass
	switch {
	case s != "" && s[0] == '!':
		part.op = globNotClass
		s = s[1:]
	case s != "" && s[0] == '^':
		// Shells disagree about it, so nobody shall have to guess.
		return globPart{}, "", errors.New("[^ has no agreed meaning in a glob; write [!x] for any character but x")
	}
	for first := true; ; first = false {
		if s == "" {
			return globPart{}, "", errors.New("[ has no closing ]; write [[] for the character itself")
		}
		if s[0] == ']' && !first {
			return part, s[1:], nil
		}
		lo, n := utf8.DecodeRuneInString(s)
		hi := lo
		s = s[n:]
		if len(s) > 1 && s[0] == '-' && s[1] != ']' {
			hi, n = utf8.DecodeRuneInString(s[1:])
			s = s[1+n:]
		}
		if hi < lo {
			return globPart{}, "", fmt.Errorf("the range %c-%c runs backwards", lo, hi)
		}
		part.ranges = append(part.ranges, runeRange{lo, hi})
	}
}

// match reports whether the pattern matches the whole of s. It takes at most
// len(g)*len(s) steps: after a mismatch only the last star tries again, because
// whatever an earlier one could still take, the last one can take as well.
func (g glob) match(s string) bool {
	i := 0           // next part
	star := -1       // last star passed
	var retry string // what is left of s when that star takes one character more
	for i < len(g) || s != "" {
		if i < len(g) && g[i].op == globStar {
			star, retry = i, s
			i++
			continue
		}
		if i < len(g) && s != "" {
			if c, n := utf8.DecodeRuneInString(s); g[i].matches(c) {
				i, s = i+1, s[n:]
				continue
			}
		}
		if star < 0 || retry == "" {
			return false
		}
		_, n := utf8.DecodeRuneInString(retry)
		retry = retry[n:]
		i, s = star+1, retry
	}
	return true
}

// matches reports whether a part that is not a star matches a character.
func (p *globPart) matches(c rune) bool {
	switch p.op {
	case globChar:
		return c == p.char
	case globAny:
		return true
	case globClass, globNotClass:
		for _, r := range p.ranges {
			if r.first <= c && c <= r.last {
				return p.op == globClass
			}
		}
		return p.op == globNotClass
	case globStar:
	}
	return false
}
