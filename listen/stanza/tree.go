package stanza

import (
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
)

// trusted are the limits of what this process has made or checked itself.
var trusted = xmlstream.Limits{Bytes: 1 << 30, Elements: 1 << 30, Depth: 1000, Attrs: 1000}

// ElementFrom makes a tree of a child of a stream. The tree keeps nothing of e.
func ElementFrom(e *xmlstream.Element) (*Element, error) {
	w := e.Walk()
	w.Next()
	return subtree(w), nil
}

// subtree makes a tree of the element whose start tag w is at, and leaves w at
// its end tag.
func subtree(w *xmlstream.Walker) *Element {
	type level struct {
		e    *Element
		text []byte
	}
	path := []level{{e: newElement(&w.Start)}}
	for {
		top := &path[len(path)-1]
		switch w.Next() {
		case xmlstream.AtStart:
			child := newElement(&w.Start)
			top.e.Children = append(top.e.Children, child)
			path = append(path, level{e: child})
		case xmlstream.AtText:
			top.text = append(top.text, w.Text...)
		default:
			top.e.Text = string(top.text)
			if len(path) == 1 {
				return top.e
			}
			path = path[:len(path)-1]
		}
	}
}

func newElement(t *xmlstream.Start) *Element {
	e := &Element{Name: name(t.Name)}
	for _, a := range t.Attrs {
		e.Attrs = append(e.Attrs, Attr{name(a.Name), string(a.Value)})
	}
	return e
}

func name(n xmlstream.Name) Name { return Name{string(n.Space), string(n.Local)} }

// ParseElement reads exactly one element. One without a namespace of its own is
// in none.
func ParseElement(xml string) (*Element, error) {
	e, err := xmlstream.ParseElement([]byte(xml), "", trusted)
	if err != nil {
		return nil, err
	}
	return ElementFrom(e)
}

// Payload returns the first child element as a tree, nil when there is none.
// What has no namespace of its own is in NSClient, whichever stream the stanza
// came by. It fails only for a stanza that breaks the promise of Stanza.Inner.
func (s *Stanza) Payload() (*Element, error) {
	if s.Inner == "" {
		return nil, nil
	}
	e, err := xmlstream.ParseElement(s.AppendTo(nil, NSClient), "", trusted)
	if err != nil {
		return nil, err
	}
	w := e.Walk()
	w.Next() // the start tag of the stanza
	for {
		switch w.Next() {
		case xmlstream.AtStart:
			return subtree(w), nil
		case xmlstream.AtClose:
			return nil, nil
		}
	}
}

// AppendXML appends the element as XML that fits into any stanza: the element
// itself declares its namespace unless that is NSClient or none, and so do its
// children where theirs differs. Prefixes are made up for attributes that need
// one.
func (e *Element) AppendXML(dst []byte) []byte {
	space := e.Name.Space
	if space == "" {
		space = NSClient
	}
	return e.appendXML(dst, NSClient, space)
}

// appendXML appends the element where the default namespace is outer, as one in
// the namespace space.
func (e *Element) appendXML(dst []byte, outer, space string) []byte {
	dst = append(dst, '<')
	dst = append(dst, e.Name.Local...)
	if space != outer {
		dst = appendAttr(dst, " xmlns='", space)
	}
	for i, a := range e.Attrs {
		dst = appendNamed(dst, a, i)
	}
	if e.Text == "" && len(e.Children) == 0 {
		return append(dst, '/', '>')
	}
	dst = append(dst, '>')
	dst = AppendEscaped(dst, e.Text)
	for _, c := range e.Children {
		dst = c.appendXML(dst, space, c.Name.Space)
	}
	dst = append(dst, '<', '/')
	dst = append(dst, e.Name.Local...)
	return append(dst, '>')
}

// appendNamed appends the i-th attribute of an element.
func appendNamed(dst []byte, a Attr, i int) []byte {
	switch a.Name.Space {
	case "":
		dst = append(dst, ' ')
	case xmlstream.NSXML:
		dst = append(dst, " xml:"...)
	default:
		prefix := "a" + strconv.Itoa(i)
		dst = appendAttr(dst, " xmlns:"+prefix+"='", a.Name.Space)
		dst = append(dst, ' ')
		dst = append(dst, prefix...)
		dst = append(dst, ':')
	}
	dst = append(dst, a.Name.Local...)
	return appendAttr(dst, "='", a.Value)
}
