package carbons

import (
	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/rawxml"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Received returns the copy for the resource to of a message that its account
// has received. Copies for other resources of the account differ in To alone.
// See XEP-0280, section 7.
func Received(s *stanza.Stanza, to stanza.JID) *stanza.Stanza { return wrap("received", s, to) }

// Sent returns the copy for the resource to of a message that its account has
// sent. Copies for other resources of the account differ in To alone.
// See XEP-0280, section 8.
func Sent(s *stanza.Stanza, to stanza.JID) *stanza.Stanza { return wrap("sent", s, to) }

// wrap forwards s by XEP-0297, in a message of the same type.
func wrap(name string, s *stanza.Stanza, to stanza.JID) *stanza.Stanza {
	b := make([]byte, 0, s.Size()+2*len(name)+128)
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, " xmlns='"+NS+"'><forwarded xmlns='urn:xmpp:forward:0'>"...)
	b = s.AppendTo(b, stanza.NSClient)
	b = append(b, "</forwarded></"...)
	b = append(b, name...)
	b = append(b, '>')
	return &stanza.Stanza{
		Kind: stanza.Message, Type: s.Type, From: to.Bare(), To: to,
		Child: stanza.Name{Space: NS, Local: name}, Inner: string(b),
	}
}

// IsCopy reports whether s is one that Received or Sent has made: only the
// server speaks for the account itself to the account's resources. Whoever
// cannot deliver a copy drops it: the message has gone its own way.
func IsCopy(s *stanza.Stanza) bool {
	return s.Child.Space == NS && (s.Child.Local == "received" || s.Child.Local == "sent") &&
		s.Kind == stanza.Message && s.From.IsBare() && s.From == s.To.Bare()
}

// PassesForCopy reports whether clients would take a message from their account
// for a copy: one of its children is of this protocol.
// See XEP-0280, section 11.
func PassesForCopy(s *stanza.Stanza) bool {
	found, err := rawxml.Find(s, 1, func(t *xmlstream.Start) bool {
		return t.Name.Is(NS, "received") || t.Name.Is(NS, "sent")
	})
	return err != nil || len(found) > 0
}
