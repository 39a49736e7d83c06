package privilege

import (
	"context"
	"errors"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/forward"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/rawxml"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Message takes a message to a virtual host that has one in the name of somebody
// else, and reports whether it is such a message. A *stanza.Error is for its
// sender.
// See section 5.
func (s *Service) Message(ctx context.Context, m *stanza.Stanza) (taken bool, err error) {
	host := m.To.Domain()
	if !m.To.IsBare() || !hasPrivilege(m) || !s.Offered(host) {
		return false, nil
	}
	if g := s.granted(m.From, host); g == nil || !g.message {
		return true, forbidden("you may not send messages for others here")
	}
	inner, err := forward.Find(m, stanza.Message, element, forward.Element())
	switch {
	case errors.Is(err, forward.ErrNone):
		inner, err = foreign(m)
	case err != nil:
		err = &stanza.Error{Condition: stanza.BadRequest, Text: err.Error()}
	}
	switch {
	case err != nil:
		return true, err
	case inner.From.Domain() != host || !inner.From.IsBare():
		return true, forbidden("the message inside is not from this server or the bare address of a user")
	case inner.To.IsZero() && inner.From.Local() == "":
		return true, &stanza.Error{Condition: stanza.BadRequest, Text: "the message inside has no recipient"}
	}
	if inner.From.Local() == "" && advertises(inner) {
		return true, forbidden("only the server tells components what they may do")
	}
	return true, s.config.Router.Speak(ctx, inner)
}

// foreign returns the message inside if it is in the namespace of the stream of a
// component, as older libraries leave it.
func foreign(m *stanza.Stanza) (*stanza.Stanza, error) {
	inner, err := forward.FindIn(m, stanza.NSComponent, stanza.Message, element, forward.Element())
	if err != nil {
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: err.Error()}
	}
	return inner, nil
}

// advertises reports whether a component would take a message of the server for
// what it is told about its rights (also those of XEP-0355).
func advertises(m *stanza.Stanza) bool {
	found, err := rawxml.Find(m, 1, func(t *xmlstream.Start) bool {
		return t.Name.Is(NS, "privilege") || t.Name.Is("urn:xmpp:delegation:2", "delegation")
	})
	return err != nil || len(found) > 0
}

// hasPrivilege reports whether a message has something for this package.
func hasPrivilege(m *stanza.Stanza) bool {
	if m.Type == stanza.TypeError || !strings.Contains(m.Inner, NS) && !strings.Contains(m.Attrs, NS) {
		return false
	}
	found, err := rawxml.FindAt(m, element)
	return err == nil && len(found) > 0
}
