package xmlstream

// decl is a namespace declaration within an element.
type decl struct {
	prefix span // empty for the default namespace
	uri    ref
	raw    span
}

// ref says where the name of a namespace is kept.
type ref struct {
	span
	in place
}

type place uint8

const (
	nowhere   place = iota // no namespace
	inWindow               // as it stands in the window
	inScratch              // decoded, in checker.scratch
	inOuter                // in checker.outer, at index off
	inXML                  // the one of the prefix xml
)

var nsXML = []byte(NSXML)

func (c *checker) uri(b []byte, r ref) []byte {
	switch r.in {
	case inWindow:
		return r.of(b)
	case inScratch:
		return r.of(c.scratch)
	case inOuter:
		return c.outer[r.off].URI
	case inXML:
		return nsXML
	}
	return nil
}

// resolve finds the declaration of a prefix, an empty one being the default
// namespace.
func (c *checker) resolve(b, prefix []byte) (ref, bool) {
	c.lookups++
	for i := len(c.decls) - 1; i >= 0; i-- {
		if d := &c.decls[i]; string(d.prefix.of(b)) == string(prefix) {
			return d.uri, true
		}
	}
	for i := range c.outer {
		if string(c.outer[i].Prefix) == string(prefix) {
			c.used |= 1 << i
			return ref{span{off: int32(i)}, inOuter}, true
		}
	}
	if string(prefix) == "xml" {
		return ref{in: inXML}, true
	}
	return ref{}, len(prefix) == 0
}

// names checks the names of the tag at hand: the declarations among its attributes,
// that prefixes are declared, and that no attribute comes twice.
// See Namespaces in XML 1.0, sections 3, 5 and 6.3.
func (c *checker) names(b []byte) bool {
	prefixed := 0
	for i := range c.attrs {
		a := &c.attrs[i]
		for j := range i {
			if string(c.attrs[j].name.of(b)) == string(a.name.of(b)) {
				c.fail(NotWellFormed, int(a.name.off), "attribute comes twice")
				return false
			}
		}
		if a.name.colon != 0 && string(a.name.prefix(b)) != "xmlns" {
			prefixed++
		} else if b[a.name.off] == 'x' && !c.declare(b, a) {
			return false
		}
	}
	if c.tagName.colon != 0 {
		if _, ok := c.known(b, c.tagName); !ok {
			return false
		}
	}
	if prefixed == 0 {
		return true
	}
	return c.prefixedAttrs(b, prefixed)
}

// known finds the declaration of the prefix of a name.
func (c *checker) known(b []byte, name qname) (ref, bool) {
	prefix := name.prefix(b)
	uri, ok := c.resolve(b, prefix)
	if !ok || string(prefix) == "xmlns" {
		c.fail(NotWellFormed, int(name.off), "prefix is not declared")
		return ref{}, false
	}
	return uri, true
}

// prefixedAttrs checks the n attributes with a prefix that are no declarations.
func (c *checker) prefixedAttrs(b []byte, n int) bool {
	for i := range c.attrs {
		a := &c.attrs[i]
		if a.isDecl(b) || a.name.colon == 0 {
			continue
		}
		var ok bool
		if a.space, ok = c.known(b, a.name); !ok {
			return false
		}
		if n > 1 && c.twice(b, i) {
			c.fail(NotWellFormed, int(a.name.off), "attribute comes twice under two prefixes")
			return false
		}
	}
	return true
}

// twice reports whether an attribute before the i-th has its expanded name.
// Prefixes were looked up already: here, for each pair, it would take too long.
func (c *checker) twice(b []byte, i int) bool {
	a := &c.attrs[i]
	for j := range i {
		o := &c.attrs[j]
		if o.name.colon == 0 || o.isDecl(b) || string(o.name.local(b)) != string(a.name.local(b)) {
			continue
		}
		if a.space == o.space || string(c.uri(b, a.space)) == string(c.uri(b, o.space)) {
			return true
		}
	}
	return false
}

// isDecl reports whether a is a namespace declaration.
func (a *attr) isDecl(b []byte) bool {
	if a.name.colon == 0 {
		return string(a.name.of(b)) == "xmlns"
	}
	return string(a.name.prefix(b)) == "xmlns"
}

// declare puts a into scope if it is a namespace declaration.
func (c *checker) declare(b []byte, a *attr) bool {
	if !a.isDecl(b) {
		return true
	}
	d := decl{uri: ref{a.value, inWindow}, raw: span{a.name.off, a.value.end + 1}}
	if a.name.colon != 0 {
		d.prefix = span{a.name.colon + 1, a.name.end}
	}
	if !a.plain {
		from := len(c.scratch)
		c.scratch = appendValue(c.scratch, a.value.of(b))
		d.uri = ref{span{int32(from), int32(len(c.scratch))}, inScratch}
	}
	if msg := checkDecl(d.prefix.of(b), c.uri(b, d.uri)); msg != "" {
		c.fail(NotWellFormed, int(a.name.off), msg)
		return false
	}
	if len(c.decls) >= maxScope {
		c.fail(TooManyPrefixes, int(a.name.off), "too many namespace declarations in scope")
		return false
	}
	c.decls = append(c.decls, d)
	return true
}

// declared returns the size of the declarations in scope, written anew.
func (c *checker) declared(b []byte) (size int) {
	for _, d := range c.decls {
		size += len(" xmlns:=''") + len(d.prefix.of(b)) + len(appendEscaped(nil, c.uri(b, d.uri)))
	}
	return size
}

// checkDecl says what is wrong with a declaration, "" if nothing is.
// See Namespaces in XML 1.0, section 3.
func checkDecl(prefix, uri []byte) string {
	switch {
	case string(prefix) == "xmlns":
		return "prefix xmlns must not be declared"
	case string(prefix) == "xml":
		if string(uri) != NSXML {
			return "prefix xml means another namespace"
		}
	case string(uri) == NSXML, string(uri) == NSXMLNS:
		return "namespace belongs to another prefix"
	case len(uri) == 0 && len(prefix) != 0:
		return "prefix is declared as no namespace"
	}
	return ""
}
