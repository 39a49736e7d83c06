package xmlstream

import (
	"bytes"
	"unicode/utf8"
)

// AppendText appends the character data that raw stands for: references and
// CDATA sections resolved, line ends normalised (XML 1.0, section 2.11). raw is
// text without tags that a Scanner has checked.
func AppendText(dst, raw []byte) []byte {
	for len(raw) > 0 {
		i := bytes.IndexAny(raw, "&<\r")
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		raw = raw[i:]
		switch raw[0] {
		case '&':
			dst, raw = appendReference(dst, raw)
		case '\r':
			dst, raw = append(dst, '\n'), afterLineEnd(raw)
		default: // the only markup in text is CDATA
			n := bytes.Index(raw, cdataEnd)
			dst = appendLines(dst, raw[len(cdataStart):n])
			raw = raw[n+len(cdataEnd):]
		}
	}
	return dst
}

// appendLines appends s with line ends normalised and nothing else.
func appendLines(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\r')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		dst, s = append(dst, '\n'), afterLineEnd(s[i:])
	}
}

// appendValue appends what an attribute value stands for: references resolved,
// white space made spaces (XML 1.0, sections 2.11 and 3.3.3).
func appendValue(dst, raw []byte) []byte {
	for len(raw) > 0 {
		i := bytes.IndexAny(raw, "&\t\n\r")
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		raw = raw[i:]
		switch raw[0] {
		case '&':
			dst, raw = appendReference(dst, raw)
		case '\r':
			dst, raw = append(dst, ' '), afterLineEnd(raw)
		default:
			dst, raw = append(dst, ' '), raw[1:]
		}
	}
	return dst
}

// afterLineEnd returns what follows the CR or CR LF at the start of s.
func afterLineEnd(s []byte) []byte {
	if len(s) > 1 && s[1] == '\n' {
		return s[2:]
	}
	return s[1:]
}

// appendReference appends what the reference at the start of s stands for and
// returns what follows it.
func appendReference(dst, s []byte) (out, rest []byte) {
	n := bytes.IndexByte(s, ';')
	r, _ := referenced(s[1:n])
	return utf8.AppendRune(dst, r), s[n+1:]
}

// referenced returns the character that a reference without '&' and ';' stands
// for; ok is false if it stands for none.
func referenced(ref []byte) (r rune, ok bool) {
	switch string(ref) {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "apos":
		return '\'', true
	case "quot":
		return '"', true
	}
	if len(ref) < 2 || ref[0] != '#' {
		return 0, false
	}
	digits, base := ref[1:], rune(10)
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	if len(digits) == 0 {
		return 0, false
	}
	for _, c := range digits {
		d := digit(c)
		if d >= base || r > utf8.MaxRune {
			return 0, false
		}
		r = r*base + d
	}
	return r, isChar(r)
}

func digit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	}
	return 16
}
