package delegation

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Options of namespace delegation; the names in the tags are those of
// mod_delegation. Start from Defaults.
type Options struct {
	// Namespaces are delegated: those of the payload of requests to the server and
	// to accounts. Default: none.
	Namespaces map[string]Namespace `conf:"namespaces"`
}

// Namespace is how one is delegated.
type Namespace struct {
	// Filtering are names of attributes that the payload of a request must have,
	// all of them, or else the server answers itself. Default: none.
	Filtering []string `conf:"filtering"`

	// Access says which components may manage the namespace, asked with their
	// domain as acl.Subject.Server. nil: none, and it is not delegated.
	Access acl.Access `conf:"access"`
}

// Defaults returns the options of a mod_delegation that configures nothing.
func Defaults() Options { return Options{} }

// delegated is a namespace of a virtual host that is delegated.
type delegated struct {
	filtering []string
	manager   stanza.JID // zero: none is connected
	// What the manager has told about the server and about accounts.
	server, accounts nested
}

// concerns reports whether a payload has all attributes that it must have.
func (d *delegated) concerns(iq *stanza.Stanza) bool {
	if len(d.filtering) == 0 {
		return true
	}
	p, err := iq.Payload()
	if err != nil || p == nil {
		return false
	}
	for _, name := range d.filtering {
		if !slices.ContainsFunc(p.Attrs, func(a stanza.Attr) bool { return a.Name == stanza.Name{Local: name} }) {
			return false
		}
	}
	return true
}

// same reports whether two delegate the same to the same component.
func (d *delegated) same(o *delegated) bool {
	return o != nil && d.manager == o.manager && slices.Equal(d.filtering, o.filtering)
}

// appendXML appends what tells a component that it manages a namespace.
// See section 4.2.
func (d *delegated) appendXML(dst []byte, namespace string) []byte {
	dst = append(dst, "<delegated namespace='"...)
	dst = stanza.AppendEscaped(dst, namespace)
	if len(d.filtering) == 0 {
		return append(dst, "'/>"...)
	}
	dst = append(dst, "'>"...)
	for _, name := range d.filtering {
		dst = append(dst, "<attribute name='"...)
		dst = stanza.AppendEscaped(dst, name)
		dst = append(dst, "'/>"...)
	}
	return append(dst, "</delegated>"...)
}
