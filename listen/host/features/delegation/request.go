package delegation

import (
	"context"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/host/features/disco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/forward"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/onbehalf"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// request is one that a component is to answer.
type request struct {
	host    stanza.JID // that has asked the component
	manager stanza.JID // the component
	// asked is what was delegated, without its payload; nil: it was a question of
	// ours.
	asked *stanza.Stanza
	about question
}

// Delegate takes a request (IQ of type get or set) to a virtual host or to an
// account if a component has to answer it, and reports whether it has taken it.
// The answer follows through the Router. To may be zero: the own account. An
// error is a *stanza.Error for who has asked.
// See section 4.3.
func (s *Service) Delegate(ctx context.Context, iq *stanza.Stanza) (taken bool, err error) {
	all := *s.table.Load()
	if len(all) == 0 {
		return false, nil
	}
	to := iq.To
	if to.IsZero() {
		to = iq.From.Bare()
	}
	d := find(all[to.Domain()], iq, to)
	switch {
	case d == nil || !to.IsBare():
		return false, nil
	case d.manager.IsZero():
		return true, &stanza.Error{Condition: stanza.ServiceUnavailable}
	case d.manager.Domain() == iq.From.Domain(), d.manager == onbehalf.Of(ctx): // section 4.3.1
		return false, nil
	}
	return true, s.send(iq, to.DomainOnly(), d.manager)
}

// find returns who is to answer a request, nil for the server itself.
func find(of map[string]*delegated, iq *stanza.Stanza, to stanza.JID) *delegated {
	if d := of[iq.Child.Space]; d != nil && d.concerns(iq) {
		return d
	}
	if to.Local() == "" || iq.Type != stanza.TypeGet || iq.Child.Local != "query" {
		return nil
	}
	switch iq.Child.Space { // section 7.2
	case disco.NSItems:
		return of[NSItems]
	case disco.NSInfo:
		if d := of[NSNodes]; d != nil && hasNode(iq) {
			return d
		}
	}
	return nil
}

// hasNode reports whether a request of service discovery is about a node. This
// server has none of its own.
func hasNode(iq *stanza.Stanza) bool {
	p, err := iq.Payload()
	return err == nil && p != nil && p.Attr("node") != ""
}

// send forwards a request.
func (s *Service) send(iq *stanza.Stanza, host, manager stanza.JID) error {
	asked := &stanza.Stanza{Kind: stanza.IQ, Type: iq.Type, ID: strings.Clone(iq.ID), From: iq.From, To: iq.To}
	waiting := &s.users
	if all := *s.table.Load(); all[iq.From.Domain()] == nil {
		waiting = &s.others
	}
	id, err := waiting.Add(iq.From, asked.Size(), request{host: host, manager: manager, asked: asked}, s.late)
	if err != nil {
		return err
	}
	err = s.router.DeliverToDomain(manager.Domain(), &stanza.Stanza{
		Kind: stanza.IQ, Type: stanza.TypeSet, ID: id, From: host, To: manager,
		Child: element, Inner: forward.Wrap(element, iq),
	})
	if err == nil {
		return nil
	}
	s.log.Debug("component does not take a request", "component", manager, "host", host, "err", err)
	if _, ok := waiting.Take(id, func(request) bool { return true }); !ok {
		return nil // it was answered meanwhile: the component has gone
	}
	return &stanza.Error{Condition: stanza.ServiceUnavailable}
}

// late ends a request that was not answered in time.
func (s *Service) late(r request) {
	s.log.Warn("component does not answer", "component", r.manager, "host", r.host)
	s.refuse(context.Background(), r, stanza.RemoteServerTimeout)
}

// refuse answers a request with an error.
func (s *Service) refuse(ctx context.Context, r request, c stanza.Condition) {
	if r.asked != nil {
		s.reply(ctx, r, r.asked.ErrorReply(&stanza.Error{Condition: c}))
	}
}

// reply sends the answer to a request.
func (s *Service) reply(ctx context.Context, r request, answer *stanza.Stanza) {
	if answer.From.IsZero() {
		answer = answer.WithFrom(r.asked.From.Bare())
	}
	if err := s.router.Route(ctx, answer); err != nil {
		s.log.Warn("answer was lost", "to", answer.To, "component", r.manager, "err", err)
	}
}

// take returns the request to which a stanza is the answer.
func (s *Service) take(answer *stanza.Stanza) (r request, ok bool) {
	for _, t := range s.tables() {
		r, ok = t.Take(answer.ID, func(r request) bool { return r.manager == answer.From && r.host == answer.To })
		if ok {
			break
		}
	}
	return r, ok
}

// Answer takes the answer (IQ of type result or error) to a request that has
// gone to a component, and reports whether it was one.
func (s *Service) Answer(ctx context.Context, answer *stanza.Stanza) bool {
	r, ok := s.take(answer)
	switch {
	case !ok:
		if answer.Child == element {
			s.log.Debug("answer to no request", "from", answer.From, "to", answer.To)
		}
		return false
	case r.asked == nil:
		r.about.learn(answer)
		return true
	case answer.Type == stanza.TypeError:
		s.refuse(ctx, r, stanza.ServiceUnavailable)
		return true
	}
	inner, err := forward.Find(answer, stanza.IQ, element, forward.Element())
	if err == nil && !r.isAnsweredBy(inner) {
		err = errOther
	}
	if err != nil {
		s.log.Warn("component has answered wrongly", "component", r.manager, "host", r.host, "err", err)
		s.refuse(ctx, r, stanza.ServiceUnavailable)
		return true
	}
	c := *inner
	c.From, c.To = r.asked.To, r.asked.From
	s.reply(ctx, r, &c)
	return true
}

var errOther = &stanza.Error{Condition: stanza.BadRequest, Text: "type, id, from or to are not those of an answer"}

// isAnsweredBy reports whether a stanza is an answer. It may leave out whom it
// comes from.
func (r *request) isAnsweredBy(s *stanza.Stanza) bool {
	from := s.From
	switch {
	case from.IsZero():
		from = r.asked.To
	case r.asked.To.IsZero() && from == r.asked.From.Bare():
		from = stanza.JID{}
	}
	return (s.Type == stanza.TypeResult || s.Type == stanza.TypeError) &&
		s.ID == r.asked.ID && s.To == r.asked.From && from == r.asked.To
}
