package component

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// nsBind is the namespace of hostname binding.
// See XEP-0225, section 4.
const nsBind = "urn:xmpp:component:0"

const (
	// maxHostnames is how many hostnames one stream may bind.
	maxHostnames = 1000
	// maxRefusals is how many refused hostnames end a stream that has none:
	// RFC 6120, section 7.7.3, wants between five and ten retries for resources.
	maxRefusals = 7
)

// isBinding reports whether a stanza asks for a hostname, or gives one back.
func (s *stream) isBinding(iq *stanza.Stanza) bool {
	return iq.Kind == stanza.IQ && iq.Type == stanza.TypeSet && iq.Child.Space == nsBind && (iq.To.IsZero() || iq.To == s.host)
}

// bind waits for the component to ask for its first hostname. Nothing else is
// allowed before.
func (s *stream) bind(ctx context.Context) (state, error) {
	in, err := s.t.Read()
	switch {
	case err != nil && !xmppstream.IsWrongStanza(in, err):
		return nil, err
	case in.Nonza != nil:
		return nil, xmppstream.Unsupported(in.Nonza, "component")
	case err != nil || !s.isBinding(in.Stanza) || in.Stanza.Child.Local != "bind":
		return nil, s.refuse(ctx, s.domain, "stanza before a hostname is bound")
	}
	name, err := s.bindHostname(ctx, in.Stanza)
	if err == nil {
		return s.serve, s.attach(ctx, bound(in.Stanza, name).String())
	}
	if err := s.write([]byte(in.Stanza.ErrorReply(s.bindError(err)).String())); err != nil {
		return nil, err
	}
	if s.neg.failures++; s.neg.failures < maxRefusals {
		return s.bind, nil
	}
	return nil, &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too many refused hostnames"}
}

// rebind answers a request of a component that has a hostname already.
func (s *stream) rebind(ctx context.Context, iq *stanza.Stanza) error {
	switch iq.Child.Local {
	case "bind":
		name, err := s.bindHostname(ctx, iq)
		if err != nil {
			return s.reply(iq.ErrorReply(s.bindError(err)))
		}
		if err := s.reply(bound(iq, name)); err != nil {
			return err
		}
		s.tell(Events.Connected, name)
		return nil
	case "unbind":
		if err := s.unbindHostname(iq); err != nil {
			return s.reply(iq.ErrorReply(s.bindError(err)))
		}
		return s.reply(iq.Result(""))
	}
	return s.reply(iq.ErrorReply(&stanza.Error{Condition: stanza.FeatureNotImplemented}))
}

// bound returns the answer to a request for a hostname.
func bound(iq *stanza.Stanza, name string) *stanza.Stanza {
	b := stanza.AppendEscaped([]byte("<bind xmlns='"+nsBind+"'><hostname>"), name)
	return iq.Result(string(b) + "</hostname></bind>")
}

// bindHostname gives the stream a hostname: the one that it asks for, or that of its
// login.
func (s *stream) bindHostname(ctx context.Context, iq *stanza.Stanza) (string, error) {
	name, err := s.hostname(iq)
	if err != nil {
		return "", err
	}
	if name == "" {
		name = s.domain
	}
	switch {
	case !s.mayBind(name):
		return "", &stanza.Error{Condition: stanza.NotAllowed}
	case len(s.domains()) >= maxHostnames:
		return "", &stanza.Error{Condition: stanza.ResourceConstraint, Text: "too many hostnames"}
	}
	return name, s.join(ctx, []string{name})
}

// mayBind reports whether a component may serve a domain: one for which it might
// have logged in with what it has shown.
func (s *stream) mayBind(domain string) bool {
	if s.login.leaf != nil {
		return s.l.certified(s.login.leaf, domain)
	}
	return s.l.isSameSecret(s.domain, domain)
}

// unbindHostname gives a hostname back. What is queued for the component is still
// written; what comes then waits for that, and goes to others.
func (s *stream) unbindHostname(iq *stanza.Stanza) error {
	name, err := s.hostname(iq)
	if err != nil {
		return err
	}
	m := s.seat(name)
	if m == nil || !m.g.retire(m) {
		return &stanza.Error{Condition: stanza.ItemNotFound}
	}
	s.Confirm(func() { s.closing.Go(func() { s.guard(func() { s.unbound(m) }) }) })
	return nil
}

// unbound gives up a seat of a stream that goes on.
func (s *stream) unbound(m *seat) {
	s.events.Lock() // first, or else it might be bound again, and Connected be told before
	s.mu.Lock()
	s.seats = without(s.seats, m)
	s.mu.Unlock()
	m.g.finish(m, func(first bool) {
		defer s.events.Unlock()
		if first {
			s.tellLocked(Events.Disconnected, m.g.domain)
		}
	})
}

// hostname returns the canonical form of the hostname in a request, "" if there is
// none.
func (s *stream) hostname(iq *stanza.Stanza) (string, error) {
	p, err := iq.Payload()
	if err != nil {
		return "", err
	}
	e := p.Child(nsBind, "hostname")
	if e == nil || e.Text == "" {
		return "", nil
	}
	j, err := stanza.ParseJID(e.Text)
	switch {
	case err != nil || j.Local() != "":
		return "", &stanza.Error{Condition: stanza.BadRequest, Text: "hostname is no domain"}
	case j.IsFull():
		return "", &stanza.Error{Condition: stanza.NotAllowed, Text: "hostnames have no resource here"}
	}
	return j.Domain(), nil
}

// bindError returns what a component is told of an error.
func (s *stream) bindError(err error) *stanza.Error {
	var e *stanza.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.As(err, new(*joinError)) {
		return &stanza.Error{Condition: stanza.Conflict}
	}
	s.complain(s.ctx, err)
	return &stanza.Error{Condition: stanza.InternalServerError}
}
