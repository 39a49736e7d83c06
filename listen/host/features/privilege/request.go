package privilege

import (
	"context"
	"errors"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/forward"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/onbehalf"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/rawxml"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Request returns the name of the payload of the requests that HandleIQ answers.
func Request() stanza.Name { return request }

// asked is a request that a component has made in the name of a user.
type asked struct {
	component stanza.JID
	outer     string // id of what the component has sent
	user      stanza.JID
	inner     string     // id of the request, as the component knows it
	to        stanza.JID // who has to answer it
}

func (a *asked) size() int {
	return len(a.outer) + len(a.inner) + len(a.component.String()) + len(a.user.String()) + len(a.to.String())
}

// HandleIQ makes a request in the name of a user. The answer to it follows. Who
// may not do that gets forbidden, whether or not there is such a user.
// See section 6.
func (s *Service) HandleIQ(ctx context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	g := s.granted(iq.From, iq.To.Domain())
	if g == nil || len(g.iq) == 0 {
		return nil, forbidden("you may not make requests for others here")
	}
	if iq.To.Local() == "" || !iq.To.IsBare() {
		return nil, forbidden("this is not the bare address of a user")
	}
	inner, err := forward.Find(iq, stanza.IQ, request)
	switch {
	case errors.Is(err, forward.ErrNone):
		return nil, forbidden("there is no request in the namespace jabber:client")
	case err != nil:
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: err.Error()}
	case inner.Type != iq.Type:
		return nil, forbidden("the requests are not of the same type")
	case !inner.From.IsZero() && inner.From != iq.To:
		return nil, forbidden("the request is from somebody else")
	case !g.iq[inner.Child.Space].includes(inner.Type):
		return nil, forbidden("you may not make this request for others")
	case inner.To.IsFull() && inner.To.Bare() == iq.To:
		return nil, forbidden("only the server speaks to resources for their account")
	}
	return nil, s.request(ctx, iq, inner)
}

// request sends a request in the name of a user.
func (s *Service) request(ctx context.Context, iq, inner *stanza.Stanza) error {
	a := asked{
		component: iq.From, outer: strings.Clone(iq.ID),
		user: iq.To, inner: strings.Clone(inner.ID), to: inner.To,
	}
	if a.to.IsZero() {
		a.to = a.user
	}
	id, err := s.waiting.Add(a.component, a.size(), a, s.late)
	if err != nil {
		return err
	}
	c := *inner
	c.ID, c.From, c.To = id, a.user, a.to
	err = s.config.Router.Speak(onbehalf.With(ctx, a.component), &c)
	if err != nil {
		if _, ok := s.waiting.Take(id, func(asked) bool { return true }); !ok {
			return nil // it has been answered
		}
	}
	return err
}

// Answer takes the answer (IQ of type result or error) to a request that was made
// in the name of a user, and reports whether it was one.
// See section 6.3.
func (s *Service) Answer(_ context.Context, answer *stanza.Stanza) bool {
	a, ok := s.waiting.Take(answer.ID, func(a asked) bool { return a.user == answer.To && a.to == answer.From })
	if !ok {
		return false
	}
	c := *answer
	c.ID = a.inner
	s.answer(&a, answer.Type, forward.Wrap(element, &c)+errorOf(answer))
	return true
}

// errorOf returns the error of an answer as XML, "" for none.
func errorOf(answer *stanza.Stanza) string {
	if answer.Type != stanza.TypeError {
		return ""
	}
	found, err := rawxml.Find(answer, 1, func(t *xmlstream.Start) bool { return t.Name.Is(stanza.NSClient, "error") })
	if err != nil || len(found) == 0 {
		return string((&stanza.Error{Condition: stanza.UndefinedCondition}).AppendXML(nil))
	}
	return found[0].XML()
}

// late ends a request that was not answered in time.
func (s *Service) late(a asked) {
	s.answer(&a, stanza.TypeError, string((&stanza.Error{Condition: stanza.RemoteServerTimeout}).AppendXML(nil)))
}

// answer answers a component.
func (s *Service) answer(a *asked, typ, inner string) {
	err := s.config.Router.DeliverToDomain(a.component.Domain(), &stanza.Stanza{
		Kind: stanza.IQ, Type: typ, ID: a.outer, From: a.user, To: a.component, Child: element, Inner: inner,
	})
	if err != nil {
		s.log.Warn("component does not take an answer", "component", a.component, "user", a.user, "err", err)
	}
}
