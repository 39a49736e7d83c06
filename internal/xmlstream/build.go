package xmlstream

// fillStart fills in the start tag t, the last one checked in the window b or
// that of the whole element.
func (c *checker) fillStart(b []byte, t *tag, s *Start) {
	uri, _ := c.resolve(b, t.name.prefix(b))
	s.Name = Name{c.uri(b, uri), t.name.local(b)}
	s.Prefix = t.name.prefix(b)
	s.Decls = s.Decls[:0]
	for _, d := range c.decls[len(c.decls)-t.decls:] {
		s.Decls = append(s.Decls, Decl{d.prefix.of(b), c.uri(b, d.uri), d.raw.of(b)})
	}
	s.Attrs = s.Attrs[:0]
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.isDecl(b) {
			continue
		}
		out := Attr{Name: Name{Local: a.name.local(b)}, Raw: b[a.name.off : a.value.end+1]}
		if a.name.colon != 0 {
			out.Name.Space = c.uri(b, a.space)
		}
		out.Value = a.value.of(b)
		if !a.plain {
			from := len(c.scratch)
			c.scratch = appendValue(c.scratch, out.Value)
			out.Value = c.scratch[from:]
		}
		s.Attrs = append(s.Attrs, out)
	}
}

// fillElement fills in the element that was checked in the window b.
func (c *checker) fillElement(b []byte, e *Element) {
	c.fillStart(b, &c.top, &e.Start)
	e.Child = Name{}
	if c.children > 0 {
		e.Child = Name{c.uri(b, c.childURI), c.child.local(b)}
	}
	e.Raw, e.Inner = b, c.inner.of(b)
	e.Children, e.Elements = c.children, c.elements
	e.outer, e.used = c.outer, c.used
}
