package xmlstream

import (
	"unicode"
	"unicode/utf8"
)

// Classes of bytes.
const (
	cStart byte = 1 << iota // ASCII NameStartChar but ':'
	cName                   // ASCII NameChar but ':'
	cSpace                  // S
	cText                   // in text: neither markup nor in need of a check
	cApos                   // the same in a value between apostrophes
	cQuot                   // the same in a value between quotation marks
)

var class = makeClasses()

func makeClasses() (t [256]byte) {
	for c := range 0x80 {
		b := byte(c)
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_':
			t[c] |= cStart | cName
		case b >= '0' && b <= '9', b == '-', b == '.':
			t[c] |= cName
		case b == ' ', b == '\t', b == '\n', b == '\r':
			t[c] |= cSpace | cText
		}
		if b < ' ' {
			continue
		}
		if b != '<' && b != '&' && b != ']' {
			t[c] |= cText
		}
		if b != '<' && b != '&' && b != '\'' {
			t[c] |= cApos
		}
		if b != '<' && b != '&' && b != '"' {
			t[c] |= cQuot
		}
	}
	return t
}

// isSpace is S of XML 1.0, section 2.3.
func isSpace(c byte) bool { return class[c]&cSpace != 0 }

// skipSpace returns the offset of the first byte from i on that is not S.
func skipSpace(b []byte, i int) int {
	for i < len(b) && class[b[i]]&cSpace != 0 {
		i++
	}
	return i
}

// isChar is Char of XML 1.0, section 2.2.
func isChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// isNameStart reports whether r may begin a name, ':' apart.
func isNameStart(r rune) bool {
	if r < utf8.RuneSelf {
		return class[r]&cStart != 0
	}
	return unicode.Is(nameStart, r)
}

// isNameChar reports whether r may stand in a name, ':' apart.
func isNameChar(r rune) bool {
	if r < utf8.RuneSelf {
		return class[r]&cName != 0
	}
	return unicode.Is(nameStart, r) || unicode.Is(nameOther, r)
}
