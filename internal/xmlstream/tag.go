package xmlstream

import "unicode/utf8"

// startTag checks the start tag at b[i] and opens its element.
func (c *checker) startTag(b []byte, i int) int {
	n := c.tag(b, i)
	if n <= 0 {
		return n
	}
	return c.opened(b, n)
}

// tag checks the start tag at b[i] up to the meaning of its names.
func (c *checker) tag(b []byte, i int) int {
	c.attrs = c.attrs[:0]
	name, i := c.name(b, i+1)
	if i <= 0 {
		return i
	}
	if string(name.of(b)) == "xmlns" {
		return c.fail(NotWellFormed, int(name.off), "element named xmlns")
	}
	c.tagName = name
	for {
		if i >= len(b) {
			return more
		}
		switch x := b[i]; {
		case x == '>':
			c.tagEmpty = false
			return i + 1
		case x == '/':
			if i+1 >= len(b) {
				return more
			}
			if b[i+1] != '>' {
				return c.fail(NotWellFormed, i, "'/' within a tag")
			}
			c.tagEmpty = true
			return i + 2
		case class[x]&cSpace == 0:
			return c.fail(NotWellFormed, i, "no white space before an attribute")
		}
		if i = skipSpace(b, i+1); i >= len(b) {
			return more
		}
		if b[i] == '>' || b[i] == '/' {
			continue
		}
		if i = c.attribute(b, i); i <= 0 {
			return i
		}
	}
}

// opened takes note of an element whose start tag, which ends before b[i], has
// just been checked.
func (c *checker) opened(b []byte, i int) int {
	name, depth, before := c.tagName, len(c.open), len(c.decls)
	if c.elements++; c.elements > c.lim.Elements {
		return c.fail(TooManyElements, int(name.off), "more elements than allowed")
	}
	if depth >= c.lim.Depth {
		return c.fail(TooDeep, int(name.off), "elements nested deeper than allowed")
	}
	if (len(c.attrs) > 0 || name.colon != 0) && !c.names(b) {
		return bad
	}
	switch {
	case depth == 0:
		c.top.name, c.top.decls, c.topEmpty = name, len(c.decls), c.tagEmpty
		c.attrs, c.top.attrs = c.top.attrs, c.attrs
		c.inner = span{int32(i), int32(i)}
	case depth == 1:
		if c.children++; c.children == 1 {
			c.child = name
			c.childURI, _ = c.resolve(b, name.prefix(b))
		}
	}
	if !c.tagEmpty {
		c.open = append(c.open, open{name.span, int32(before)})
	} else if depth > 0 {
		c.decls = c.decls[:before]
	}
	return i
}

// endTag checks the end tag at b[i] and closes its element, or the stream.
func (c *checker) endTag(b []byte, i int) int {
	name := c.stream
	if len(c.open) > 0 {
		name = c.open[len(c.open)-1].name.of(b)
	}
	got := b[i+2:]
	if len(got) <= len(name) {
		if string(got) != string(name[:len(got)]) {
			return c.fail(NotWellFormed, i, "end tag does not match the start tag")
		}
		return more
	}
	if len(name) == 0 || string(got[:len(name)]) != string(name) {
		return c.fail(NotWellFormed, i, "end tag does not match the start tag")
	}
	end := len(name)
	if got[end] != '>' {
		if end = skipSpace(got, end); end >= len(got) {
			return more
		}
		if got[end] != '>' {
			return c.fail(NotWellFormed, i, "end tag does not match the start tag")
		}
	}
	c.closed(i)
	return i + 2 + end + 1
}

// closed takes note of an end tag that begins at offset i.
func (c *checker) closed(i int) {
	n := len(c.open) - 1
	switch {
	case n < 0:
		c.ended = true
		return
	case n == 0:
		c.inner.end = int32(i) // the declarations stay: they belong to the result
	default:
		c.decls = c.decls[:c.open[n].decls]
	}
	c.open = c.open[:n]
}

// attribute checks the attribute at b[i].
func (c *checker) attribute(b []byte, i int) int {
	if len(c.attrs) >= c.lim.Attrs {
		return c.fail(TooManyAttrs, i, "more attributes than allowed")
	}
	name, i := c.name(b, i)
	if i <= 0 {
		return i
	}
	if b[i] != '=' {
		if i = skipSpace(b, i); i >= len(b) {
			return more
		}
		if b[i] != '=' {
			return c.fail(NotWellFormed, i, "attribute without a value")
		}
	}
	if i = skipSpace(b, i+1); i >= len(b) {
		return more
	}
	quote, mask := b[i], cApos
	switch quote {
	case '\'':
	case '"':
		mask = cQuot
	default:
		return c.fail(NotWellFormed, i, "value without quotes")
	}
	i++
	end, plain := i, true
	for {
		for end < len(b) && class[b[end]]&mask != 0 {
			end++
		}
		if end >= len(b) {
			return more
		}
		if b[end] == quote {
			break
		}
		n := c.special(b, end)
		if n <= 0 {
			return n
		}
		plain = plain && b[end] >= utf8.RuneSelf
		end = n
	}
	c.attrs = append(c.attrs, attr{name: name, value: span{int32(i), int32(end)}, plain: plain})
	return end + 1
}

// name checks the qualified name at b[i] and returns the offset after it, which
// is within the window. See Namespaces in XML 1.0, section 4.
func (c *checker) name(b []byte, i int) (qname, int) {
	q := qname{span: span{off: int32(i)}}
	for {
		if i >= len(b) {
			return q, more
		}
		if class[b[i]]&cStart == 0 {
			n := c.nameRune(b, i, isNameStart)
			if n <= 0 {
				return q, n
			}
			i = n
		}
		for {
			for i < len(b) && class[b[i]]&cName != 0 {
				i++
			}
			if i >= len(b) {
				return q, more
			}
			if b[i] < utf8.RuneSelf {
				break
			}
			n := c.nameRune(b, i, isNameChar)
			if n <= 0 {
				return q, n
			}
			i = n
		}
		if b[i] != ':' {
			q.end = int32(i)
			return q, i
		}
		if q.colon != 0 {
			return q, c.fail(NotWellFormed, i, "two colons in a name")
		}
		q.colon = int32(i)
		i++
	}
}

// nameRune checks the character of a name at b[i] against allowed.
func (c *checker) nameRune(b []byte, i int, allowed func(rune) bool) int {
	r, n := c.char(b, i)
	if n > 0 && !allowed(r) {
		return c.fail(NotWellFormed, i, "character is not allowed in a name")
	}
	return n
}

// char decodes the character at b[i] and returns the offset after it.
func (c *checker) char(b []byte, i int) (rune, int) {
	r, n := utf8.DecodeRune(b[i:])
	if r == utf8.RuneError && n == 1 {
		if !utf8.FullRune(b[i:]) {
			return r, more
		}
		return r, c.fail(UnsupportedEncoding, i, "invalid UTF-8")
	}
	return r, i + n
}
