package stanza

// Attr is one attribute of an Element, its value unescaped.
type Attr struct {
	Name  Name // Space is "" for an attribute without prefix
	Value string
}

// Element is a small tree of XML: for nonzas and for the payloads that a host
// answers itself. Messages between users never become one.
type Element struct {
	Name     Name
	Attrs    []Attr     // without namespace declarations
	Children []*Element // child elements in order
	Text     string     // character data directly below the element, joined
}

// Attr returns the value of an attribute without prefix, "" when absent.
func (e *Element) Attr(local string) string {
	for i := range e.Attrs {
		if e.Attrs[i].Name.Space == "" && e.Attrs[i].Name.Local == local {
			return e.Attrs[i].Value
		}
	}
	return ""
}

// Child returns the first child of this name, nil when there is none.
func (e *Element) Child(space, local string) *Element {
	for _, c := range e.Children {
		if c.Name.Local == local && c.Name.Space == space {
			return c
		}
	}
	return nil
}
