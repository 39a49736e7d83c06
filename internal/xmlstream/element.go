package xmlstream

// The namespaces whose prefixes need no declaration.
// See Namespaces in XML 1.0, section 3.
const (
	NSXML   = "http://www.w3.org/XML/1998/namespace"
	NSXMLNS = "http://www.w3.org/2000/xmlns/"
)

// Name is an expanded name.
type Name struct{ Space, Local []byte }

// Is reports whether n is the name local in the namespace space.
func (n Name) Is(space, local string) bool {
	return string(n.Local) == local && string(n.Space) == space
}

// Attr is one attribute.
type Attr struct {
	Name  Name   // Space is empty for an attribute without prefix
	Value []byte // decoded and normalised
	Raw   []byte // as it was sent: x:a = "1"
}

// Decl is one namespace declaration.
type Decl struct {
	Prefix []byte // empty for the default namespace
	URI    []byte // decoded and normalised
	Raw    []byte // as it was sent: xmlns:x='urn:x'; nil for one of the header
}

// Start is a start tag. Its slices point into the buffer of the scanner: they
// are valid until its next call, and so is the Start itself.
type Start struct {
	Name   Name
	Prefix []byte // of Name as it was sent, empty when there is none
	Attrs  []Attr // in the order in which they were sent, without Decls
	Decls  []Decl // namespace declarations of this tag
}

// Attr returns the value of an attribute and whether it is there; space is ""
// for an attribute without prefix.
func (s *Start) Attr(space, local string) ([]byte, bool) {
	for i := range s.Attrs {
		if a := &s.Attrs[i]; a.Name.Is(space, local) {
			return a.Value, true
		}
	}
	return nil, false
}

// Element is one complete child of a stream. Its slices point into the buffer
// of the scanner: they are valid until its next call, and so is the Element
// itself.
type Element struct {
	Start
	Child    Name   // of the first child element, zero when there is none
	Raw      []byte // the whole element
	Inner    []byte // what stands between the start tag and the end tag
	Children int    // number of child elements
	Elements int    // number of elements at any depth, itself included

	outer []Decl // what the stream header declares
	used  uint64 // which of outer the element uses, by index
}

// Outer returns the default namespace outside of the element, which the stream
// header declares; empty when it declares none.
func (e *Element) Outer() []byte {
	for i := range e.outer {
		if len(e.outer[i].Prefix) == 0 {
			return e.outer[i].URI
		}
	}
	return nil
}

// AppendOuterDecls appends a declaration, with a space before it, for each
// prefix that the element uses and only the stream header declares. In the start
// tag of the element they make it independent of its stream.
func (e *Element) AppendOuterDecls(dst []byte) []byte {
	for i := range e.outer {
		d := &e.outer[i]
		if e.used&(1<<i) == 0 || len(d.Prefix) == 0 {
			continue
		}
		dst = append(dst, " xmlns:"...)
		dst = append(dst, d.Prefix...)
		dst = append(dst, "='"...)
		dst = appendEscaped(dst, d.URI)
		dst = append(dst, '\'')
	}
	return dst
}

// appendEscaped appends a value such that it is read back the same.
func appendEscaped(dst, value []byte) []byte {
	for _, c := range value {
		switch c {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '\'':
			dst = append(dst, "&apos;"...)
		case '\t':
			dst = append(dst, "&#9;"...)
		case '\n':
			dst = append(dst, "&#10;"...)
		case '\r':
			dst = append(dst, "&#13;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
