// Package forward puts stanzas into others and takes them out again (XEP-0297).
package forward

import (
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/rawxml"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NS is the namespace of the element forwarded.
const NS = "urn:xmpp:forward:0"

// Element returns the name of the element that has a stanza in it.
func Element() stanza.Name { return stanza.Name{Space: NS, Local: "forwarded"} }

// Wrap returns XML of an element in which s is forwarded.
func Wrap(in stanza.Name, s *stanza.Stanza) string {
	b := make([]byte, 0, s.Size()+len(in.Space)+2*len(in.Local)+128)
	b = append(b, '<')
	b = append(b, in.Local...)
	b = append(b, " xmlns='"...)
	b = stanza.AppendEscaped(b, in.Space)
	b = append(b, "'><forwarded xmlns='"+NS+"'>"...)
	b = s.AppendTo(b, stanza.NSClient)
	b = append(b, "</forwarded></"...)
	b = append(b, in.Local...)
	return string(append(b, '>'))
}

// What Find says when there is not one stanza.
var (
	ErrNone    = errors.New("no stanza is inside")
	ErrSeveral = errors.New("more than one stanza is inside")
)

// Find returns the stanza of a kind that stands in another one, in its own
// namespace (stanza.NSClient) and at a path of elements, the first being a child
// of s. It shares no memory with s. Errors: ErrNone, ErrSeveral, and why what
// stands there is no stanza.
func Find(s *stanza.Stanza, kind stanza.Kind, path ...stanza.Name) (*stanza.Stanza, error) {
	return FindIn(s, stanza.NSClient, kind, path...)
}

// FindIn is Find for a stanza in another content namespace.
func FindIn(s *stanza.Stanza, space string, kind stanza.Kind, path ...stanza.Name) (*stanza.Stanza, error) {
	path = append(path[:len(path):len(path)], stanza.Name{Space: space, Local: kind.String()})
	found, err := rawxml.FindAt(s, path...)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrNone
	case len(found) > 1:
		return nil, ErrSeveral
	}
	inner, err := parse(found[0].XML())
	if err != nil {
		return nil, fmt.Errorf("the stanza inside: %w", err)
	}
	return inner, nil
}

// parse reads a stanza that says itself in which namespace it is.
func parse(xml string) (*stanza.Stanza, error) {
	e, err := xmlstream.ParseElement([]byte(xml), "", xmlstream.Limits{
		Bytes: 1 << 30, Elements: 1 << 30, Depth: 1000, Attrs: 1000, // it was checked when it came
	})
	if err != nil {
		return nil, err
	}
	return stanza.FromElement(e, nil)
}
