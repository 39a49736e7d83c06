package stanza

import "unicode/utf8"

// escapes holds what stands for the characters that cannot stand for themselves
// both in text and in attribute values. A space means that the byte begins a
// character that has to be looked at.
var escapes = makeEscapes()

func makeEscapes() (t [256]string) {
	for c := range t {
		if c < ' ' || c >= utf8.RuneSelf {
			t[c] = " "
		}
	}
	t['&'], t['<'], t['>'], t['\''], t['"'] = "&amp;", "&lt;", "&gt;", "&apos;", "&quot;"
	t['\t'], t['\n'], t['\r'] = "&#9;", "&#10;", "&#13;" // literal ones become spaces in values
	return t
}

// AppendEscaped appends s with the five characters escaped that XML reserves;
// the result fits text and both forms of attribute value. What XML cannot say,
// control characters and broken UTF-8, becomes U+FFFD.
func AppendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		esc, n := escapes[s[i]], 1
		if esc == " " {
			esc, n = beyondASCII(s[i:])
		}
		if esc != "" {
			dst = append(dst, s[start:i]...)
			dst = append(dst, esc...)
			start = i + n
		}
		i += n
	}
	return append(dst, s[start:]...)
}

// beyondASCII returns what stands for the character at the start of s, "" if it
// stands for itself, and its length.
func beyondASCII(s string) (esc string, n int) {
	r, n := utf8.DecodeRuneInString(s)
	if r < ' ' || r == utf8.RuneError && n == 1 || r == 0xFFFE || r == 0xFFFF {
		return "\uFFFD", n
	}
	return "", n
}
