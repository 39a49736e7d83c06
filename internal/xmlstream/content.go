package xmlstream

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// content checks text from b[i] on and returns the offset of the next '<', or of
// the first byte that cannot be judged before more arrive.
func (c *checker) content(b []byte, i int) int {
	from := i
	for {
		if c.cdata {
			if i = c.section(b, i); i < 0 || c.cdata {
				break
			}
		}
		short := min(i+shortText, len(b))
		for i < short && class[b[i]]&cText != 0 {
			i++
		}
		if i == short {
			i = longText(b, i)
		}
		if i >= len(b) || b[i] == '<' {
			break
		}
		n := c.special(b, i)
		if n < 0 {
			i = bad
		}
		if n <= 0 {
			break
		}
		i = n
	}
	c.work += max(i, from) - from
	return i
}

// shortText is how much text is looked at byte by byte: most is short.
const shortText = 32

// longText returns the offset of the first byte from i on that is not cText. It
// looks at eight bytes at once.
func longText(b []byte, i int) int {
	for {
		for len(b)-i >= 8 {
			if odd := notPlain(binary.LittleEndian.Uint64(b[i:])); odd != 0 {
				i += bits.TrailingZeros64(odd) / 8
				break
			}
			i += 8
		}
		// White space is below ' ' and yet plain.
		if i >= len(b) || class[b[i]]&cText == 0 {
			return i
		}
		i++
	}
}

// notPlain returns a word whose lowest bit that is set lies in the first byte of
// w, the lowest, that is below ' ', beyond ASCII, '<', '&' or ']'; 0 if none is.
// A byte minus another borrows from the next one only if it is the smaller:
// whatever is set by mistake lies above what is set rightly.
func notPlain(w uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	lt, amp, bracket := w^('<'*ones), w^('&'*ones), w^(']'*ones)
	return ((w-' '*ones)&^w | (lt-ones)&^lt | (amp-ones)&^amp | (bracket-ones)&^bracket | w) & high
}

// special checks what begins at b[i], where something else stands than a plain
// character.
func (c *checker) special(b []byte, i int) int {
	switch x := b[i]; {
	case x >= utf8.RuneSelf:
		return c.runes(b, i)
	case x == '&':
		return c.reference(b, i)
	case x == '\t', x == '\n', x == '\r':
		return i + 1
	case x == ']': // in text only
		return c.brackets(b, i)
	case x == '<': // in values only
		return c.fail(NotWellFormed, i, "'<' in an attribute value")
	}
	return c.fail(NotWellFormed, i, "character is not allowed in XML")
}

// brackets checks the ']' at b[i], which must not begin "]]>".
// See XML 1.0, section 2.4.
func (c *checker) brackets(b []byte, i int) int {
	rest := b[i:min(i+len(cdataEnd), len(b))]
	switch {
	case len(rest) == len(cdataEnd) && string(rest) == "]]>":
		return c.fail(NotWellFormed, i, "\"]]>\" in text")
	case len(rest) < len(cdataEnd) && string(rest) == "]]>"[:len(rest)]:
		return more
	}
	return i + 1
}

// runes checks the characters beyond ASCII that begin at b[i].
func (c *checker) runes(b []byte, i int) int {
	from := i
	for i < len(b) && b[i] >= utf8.RuneSelf {
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			if utf8.FullRune(b[i:]) {
				return c.fail(UnsupportedEncoding, i, "invalid UTF-8")
			}
			if i == from {
				return more
			}
			return i
		case r == 0xFFFE || r == 0xFFFF:
			return c.fail(NotWellFormed, i, "character is not allowed in XML")
		}
		i += n
	}
	return i
}

// reference checks the reference at b[i].
// See XML 1.0, section 4.1.
func (c *checker) reference(b []byte, i int) int {
	for j := i + 1; j < len(b); j++ {
		x := b[j]
		if x == ';' {
			return c.referenced(b, i, j)
		}
		if class[x]&cName == 0 && x < utf8.RuneSelf && (x != '#' || j != i+1) {
			return c.fail(NotWellFormed, i, "'&' without a reference")
		}
		if j-i >= maxReference-1 {
			return c.fail(RestrictedXML, i, "reference is too long")
		}
	}
	return more
}

// referenced checks the reference from b[i], '&', to b[end], ';'.
func (c *checker) referenced(b []byte, i, end int) int {
	name := b[i+1 : end]
	if _, ok := referenced(name); ok {
		return end + 1
	}
	if len(name) > 0 && (class[name[0]]&cStart != 0 || name[0] >= utf8.RuneSelf) {
		return c.fail(RestrictedXML, i, "entity is not one of the predefined")
	}
	return c.fail(NotWellFormed, i, "reference to no character")
}

// sectionStart checks the "<!" at b[i], of which only "<![CDATA[" is allowed.
func (c *checker) sectionStart(b []byte, i int) int {
	rest := b[i:min(i+len(cdataStart), len(b))]
	if len(c.open) == 0 || !bytes.HasPrefix(cdataStart, rest) {
		return c.fail(RestrictedXML, i, "comment, document type or other declaration")
	}
	if len(rest) < len(cdataStart) {
		return more
	}
	c.cdata = true
	return i + len(cdataStart)
}

// section checks a CDATA section from b[i] on, which is within it. It returns
// the offset after its end and clears c.cdata, or the offset of the first byte
// that cannot be judged before more arrive.
func (c *checker) section(b []byte, i int) int {
	for i < len(b) {
		x := b[i]
		switch {
		case x == ']':
			rest := b[i:min(i+len(cdataEnd), len(b))]
			if string(rest) == "]]>" {
				c.cdata = false
				return i + len(cdataEnd)
			}
			if len(rest) < len(cdataEnd) && string(rest) == "]]>"[:len(rest)] {
				return i
			}
			i++
		case x >= utf8.RuneSelf:
			n := c.runes(b, i)
			if n < 0 {
				return bad
			}
			if n == more {
				return i
			}
			i = n
		case x < ' ' && class[x]&cSpace == 0:
			return c.fail(NotWellFormed, i, "character is not allowed in XML")
		default:
			i++
		}
	}
	return i
}

// between rejects the text at b[0], which stands between the children of a
// stream.
func (c *checker) between(b []byte) int {
	r, n := c.char(b, 0)
	switch {
	case n <= 0:
		return n
	case !isChar(r):
		return c.fail(NotWellFormed, 0, "character is not allowed in XML")
	}
	return c.fail(BadFormat, 0, "text between the children of the stream")
}
