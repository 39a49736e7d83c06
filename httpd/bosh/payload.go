package bosh

import (
	"bytes"
	"errors"
	"io"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// item is what Open or Read returns: a header if there is one, else the rest.
type item struct {
	header *stanza.Header
	in     stanza.Incoming
	err    error
}

// size returns what an item counts in the queue.
func (i *item) size() int { return i.in.Size + itemSize }

// payload calls f with each element of the body. Elements without a namespace are of that
// of clients (XEP-0206, section 2). The limits are those of an element, and the elements
// in all of them count together.
func (x *reader) payload(limits xmlstream.Limits, f func(*xmlstream.Element) error) error {
	rest := bytes.Trim(x.buf[x.rest:], space)
	if x.body.empty {
		if len(rest) > 0 {
			return errBody("something follows")
		}
		return nil
	}
	inner, ok := x.body.inner(rest)
	if ok && len(inner) == 0 {
		return nil
	}
	if ok { // most have one element
		if e, err := x.parser.Parse(inner, stanza.NSClient, limits); err == nil {
			return f(e)
		}
	}
	return x.body.children(rest, limits, f)
}

const space = " \t\r\n"

// inner returns what stands before the end tag, if that is the last thing in b.
func (x *body) inner(b []byte) ([]byte, bool) {
	b, ok := bytes.CutSuffix(b, []byte(">"))
	b, ok2 := bytes.CutSuffix(bytes.TrimRight(b, space), x.name)
	b, ok3 := bytes.CutSuffix(b, []byte("</"))
	return b, ok && ok2 && ok3
}

// children is payload for any body. rest is what follows the start tag.
func (x *body) children(rest []byte, limits xmlstream.Limits, f func(*xmlstream.Element) error) error {
	src := &source{head: x.opening(), rest: rest}
	scan := xmlstream.NewScanner(src, limits)
	defer scan.Discard()
	if _, err := scan.Header(); err != nil {
		return err
	}
	for elements := 0; ; {
		e, err := scan.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if elements += e.Elements; limits.Elements > 0 && elements > limits.Elements {
			return &xmlstream.SyntaxError{Kind: xmlstream.TooManyElements, Msg: "more elements than allowed"}
		}
		if err := f(e); err != nil {
			return err
		}
	}
	if len(src.rest) > 0 || scan.Buffered() > 0 {
		return errBody("something follows")
	}
	return nil
}

// opening returns the start tag of a stream that has the payload for children.
func (x *body) opening() []byte {
	b := append([]byte{'<'}, x.name...)
	b = append(b, " xmlns='"+stanza.NSClient+"'"...)
	for _, d := range x.prefixes {
		if len(d.Prefix) > 0 {
			b = append(b, ' ')
			b = append(b, d.Raw...)
		}
	}
	return append(b, '>')
}

// source reads a body for a scanner.
type source struct{ head, rest []byte }

// Ready implements xmlstream.ReadyReader.
func (s *source) Ready() bool { return true }

func (s *source) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	if len(s.rest) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// newItem takes over an element.
func newItem(e *xmlstream.Element, jids *stanza.JIDCache) (i item) {
	i.in.Size = len(e.Raw)
	if isStanza(e) {
		i.in.Stanza, i.err = stanza.FromElement(e, jids)
	} else {
		i.in.Nonza, i.err = stanza.ElementFrom(e)
	}
	return i
}

// isStanza says whether an element is a stanza.
func isStanza(e *xmlstream.Element) bool {
	switch string(e.Name.Local) {
	case "message", "presence", "iq":
		return string(e.Name.Space) == stanza.NSClient
	}
	return false
}

// conditionOf returns what a client is told of a body that is wrong.
func conditionOf(err error) condition {
	var s *xmlstream.SyntaxError
	if err == errTooLarge || errors.As(err, &s) && s.Kind.Condition() == string(stanza.StreamPolicyViolation) {
		return policyViolation
	}
	return badRequest
}
