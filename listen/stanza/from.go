package stanza

import (
	"errors"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
)

// FromElement makes a stanza of a child of a stream. The stanza keeps nothing of
// e. jids may be nil.
//
// A *StreamError means that the stream has to end: a prefix on the stanza, a
// namespace other than the content namespace of the stream (any of the three for
// an element without a stream around it), an element that is no stanza, an invalid
// "from" on a client's stream, and on a server's a "from" or "to" that is not there.
//
// An *Error means that this stanza is refused. It comes together with the stanza
// as far as that could be understood, for ErrorReply; one of type error or
// result is dropped instead. Addresses that are invalid are zero then. On streams
// that many users share they do not end the stream, as RFC 6120, section 4.9.3.7,
// allows: what is an address depends on the version of Unicode.
//
// An unknown type of a message becomes normal.
//
// See RFC 6120, sections 4.9.3, 8.1, 8.2.3 and 8.3; RFC 6121, sections 4.7.1
// and 5.2.2.
func FromElement(e *xmlstream.Element, jids *JIDCache) (*Stanza, error) {
	kind, err := stanzaKind(e)
	if err != nil {
		return nil, err
	}
	s := &Stanza{Kind: kind}
	copyText(s, e)
	typeErr := s.setType(e)
	if err := s.setAddresses(e, jids); err != nil {
		if end := (*StreamError)(nil); errors.As(err, &end) {
			return nil, err
		}
		return s, err
	}
	if typeErr != nil {
		return s, typeErr
	}
	return s, checkIQ(s, e)
}

func stanzaKind(e *xmlstream.Element) (Kind, error) {
	var kind Kind
	switch string(e.Name.Local) {
	case "message":
		kind = Message
	case "presence":
		kind = Presence
	case "iq":
		kind = IQ
	}
	outer := e.Outer()
	switch {
	case kind == 0, !isContent(e.Name.Space), len(outer) > 0 && string(outer) != string(e.Name.Space):
		return 0, &StreamError{Condition: StreamUnsupportedStanzaType}
	case len(e.Prefix) > 0:
		return 0, &StreamError{Condition: StreamBadNamespacePrefix}
	}
	return kind, nil
}

// isContent reports whether space is a content namespace.
func isContent(space []byte) bool {
	return string(space) == NSClient || string(space) == NSServer || string(space) == NSComponent
}

// copyText sets the fields that are text of the element: pieces of one string.
func copyText(s *Stanza, e *xmlstream.Element) {
	id, _ := e.Attr("", "id")
	lang, _ := e.Attr(xmlstream.NSXML, "lang")
	var buf [128]byte
	outer := e.AppendOuterDecls(buf[:0])
	child := e.Child.Space
	inherits := len(child) == 0 && e.Children == 0 || string(child) == string(e.Name.Space)
	if inherits {
		child = nil
	}

	size := len(id) + len(lang) + len(outer) + len(child) + len(e.Child.Local) + len(e.Inner)
	forOtherAttrs(e, func(raw []byte) { size += 1 + len(raw) })
	var b strings.Builder
	b.Grow(size)
	b.Write(id)
	b.Write(lang)
	b.Write(child)
	b.Write(e.Child.Local)
	from := b.Len()
	forOtherAttrs(e, func(raw []byte) {
		b.WriteByte(' ')
		b.Write(raw)
	})
	b.Write(outer)
	attrs := b.Len() - from
	b.Write(e.Inner)

	rest := b.String()
	cut := func(n int) (piece string) {
		piece, rest = rest[:n], rest[n:]
		return piece
	}
	s.ID = cut(len(id))
	s.Lang = cut(len(lang))
	s.Child.Space = cut(len(child))
	s.Child.Local = cut(len(e.Child.Local))
	s.Attrs = cut(attrs)
	s.Inner = rest
	if inherits && e.Children > 0 {
		s.Child.Space = NSClient
	}
}

// forOtherAttrs calls f with what stands in the start tag besides the attributes
// that are fields of Stanza and the default namespace, which is that of the
// stanza.
func forOtherAttrs(e *xmlstream.Element, f func(raw []byte)) {
	for i := range e.Decls {
		if d := &e.Decls[i]; len(d.Prefix) > 0 {
			f(d.Raw)
		}
	}
	for i := range e.Attrs {
		a := &e.Attrs[i]
		switch local := string(a.Name.Local); {
		case len(a.Name.Space) == 0 && (local == "to" || local == "from" || local == "id" || local == "type"):
		case local == "lang" && string(a.Name.Space) == xmlstream.NSXML:
		default:
			f(a.Raw)
		}
	}
}

// setType sets the type, one of the constants.
func (s *Stanza) setType(e *xmlstream.Element) error {
	value, ok := e.Attr("", "type")
	if !ok && s.Kind != IQ {
		return nil
	}
	for _, t := range s.Kind.types() {
		if string(value) == t {
			s.Type = t
			return nil
		}
	}
	if s.Kind == Message {
		s.Type = TypeNormal
		return nil
	}
	return &Error{Condition: BadRequest, Text: "unknown type"}
}

// types lists the values of the type attribute.
func (k Kind) types() []string {
	switch k {
	case Message:
		return messageTypes[:]
	case Presence:
		return presenceTypes[:]
	}
	return iqTypes[:]
}

var (
	messageTypes  = [...]string{TypeChat, TypeGroupchat, TypeNormal, TypeHeadline, TypeError}
	presenceTypes = [...]string{TypeUnavailable, TypeSubscribe, TypeSubscribed, TypeUnsubscribe, TypeUnsubscribed, TypeProbe, TypeError}
	iqTypes       = [...]string{TypeGet, TypeSet, TypeResult, TypeError}
)

func (s *Stanza) setAddresses(e *xmlstream.Element, jids *JIDCache) error {
	from, hasFrom := e.Attr("", "from")
	to, hasTo := e.Attr("", "to")
	client := string(e.Name.Space) == NSClient
	if string(e.Name.Space) == NSServer && (len(from) == 0 || len(to) == 0) {
		return &StreamError{Condition: StreamImproperAddressing, Text: "stanza without from or to"}
	}
	var err, wrong error
	if hasFrom {
		if s.From, err = jids.Parse(from); err != nil && client {
			return &StreamError{Condition: StreamInvalidFrom, Err: err}
		} else if err != nil {
			wrong = &Error{Condition: JIDMalformed, Text: "from is no address"}
		}
	}
	if hasTo {
		if s.To, err = jids.Parse(to); err != nil {
			wrong = &Error{Condition: JIDMalformed}
		}
	}
	return wrong
}

// checkIQ checks the rules of RFC 6120, section 8.2.3.
func checkIQ(s *Stanza, e *xmlstream.Element) error {
	switch {
	case s.Kind != IQ:
		return nil
	case s.ID == "":
		return &Error{Condition: BadRequest, Text: "iq without id"}
	case s.IsRequest() && e.Children != 1:
		return &Error{Condition: BadRequest, Text: "a request has exactly one child element"}
	}
	return nil
}

// Parse reads one stanza, as a client would send it; its namespace may be left
// out. Errors: *StreamError and *Error as of FromElement; others say that xml is
// not one well-formed element.
func Parse(xml string) (*Stanza, error) {
	e, err := xmlstream.ParseElement([]byte(xml), NSClient, trusted)
	if err != nil {
		return nil, err
	}
	return FromElement(e, nil)
}
