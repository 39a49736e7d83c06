package xmlrpc

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func blank(b []byte) bool { return len(trim(b)) == 0 }

func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// isName takes all letters beyond ASCII for such as may be in names: no name that we
// know has them.
func isName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '-' || c == '_' || c == ':' || c >= utf8.RuneSelf
}

// reference returns the character that a reference at the beginning of b is for, and the
// length of the reference: 0 if it is none.
func reference(b []byte) (r rune, n int) {
	const longest = len("&#x0010FFFF;")
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if end < 0 {
		return 0, 0
	}
	switch name := string(b[1:end]); name {
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "amp":
		return '&', end + 1
	case "apos":
		return '\'', end + 1
	case "quot":
		return '"', end + 1
	default:
		r, ok := numeric(name)
		if !ok {
			return 0, 0
		}
		return r, end + 1
	}
}

// numeric returns the character of a reference such as #60 or #x3c.
func numeric(name string) (rune, bool) {
	digits, ok := strings.CutPrefix(name, "#")
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 31)
	return rune(n), ok && err == nil && isChar(rune(n))
}

// isChar reports whether XML can have a character.
func isChar(r rune) bool {
	if r < ' ' {
		return r == '\t' || r == '\n' || r == '\r'
	}
	return utf8.ValidRune(r) && r != 0xFFFE && r != 0xFFFF
}

// allowed reports whether b is UTF-8 of characters that XML can have.
func allowed(b []byte) bool {
	for i := 0; i < len(b); {
		if c := b[i]; c >= ' ' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || !isChar(r) {
			return false
		}
		i += n
	}
	return true
}

// fromLatin1 returns the UTF-8 of text in ISO-8859-1.
func fromLatin1(b []byte) []byte {
	text := make([]byte, 0, len(b)+len(b)/8)
	for _, c := range b {
		text = utf8.AppendRune(text, rune(c))
	}
	return text
}

// oneLineEnd makes all ends of lines \n, in place (XML 1.0, section 2.11).
func oneLineEnd(b []byte) []byte {
	first := bytes.IndexByte(b, '\r')
	if first < 0 {
		return b
	}
	to := b[:first]
	for i, c := range b[first:] {
		switch {
		case c != '\r':
			to = append(to, c)
		case !bytes.HasPrefix(b[first+i+1:], []byte("\n")):
			to = append(to, '\n')
		}
	}
	return to
}
