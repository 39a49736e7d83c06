package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// serve is the state of a component that has its domain. It takes its stanzas
// until the stream ends.
func (s *stream) serve(context.Context) (state, error) {
	ctx := s.l.routing
	for {
		in, err := s.t.Read()
		switch {
		case err == nil && in.Nonza != nil:
			err = xmppstream.Unsupported(in.Nonza, "component")
		case err == nil:
			err = s.take(ctx, in.Stanza)
		case xmppstream.IsWrongStanza(in, err):
			err = s.answerWrong(in.Stanza, err)
		}
		if err != nil {
			return nil, err
		}
	}
}

// take passes a stanza on.
func (s *stream) take(ctx context.Context, st *stanza.Stanza) error {
	if s.modern && s.isBinding(st) {
		return s.rebind(ctx, st)
	}
	if err := s.checkAddresses(st); err != nil {
		return err
	}
	if st.Lang == "" {
		st.Lang = s.lang
	}
	if !s.modern {
		st = st.Recontent(stanza.NSComponent, stanza.NSClient)
	}
	if err := s.l.srv.h.Router.Route(ctx, st); err != nil {
		s.complain(ctx, err)
	}
	return nil
}

// checkAddresses checks that a stanza says where it comes from and goes to, and
// that the component may send from there.
// See XEP-0114, section 3.
func (s *stream) checkAddresses(st *stanza.Stanza) error {
	if st.From.IsZero() || st.To.IsZero() {
		return &stanza.StreamError{Condition: stanza.StreamImproperAddressing, Text: "stanza without from or to"}
	}
	if d := st.From.Domain(); s.l.o.CheckFrom && !s.isOwn(d) {
		return &stanza.StreamError{Condition: stanza.StreamInvalidFrom, Text: fmt.Sprintf("%s is not a domain of this component", xmppstream.Clip(d))}
	}
	return nil
}

// isOwn reports whether a component may send from a domain.
func (s *stream) isOwn(domain string) bool {
	if !s.modern && domain == s.domain {
		return true
	}
	if _, ok := s.l.hosts[domain]; ok && s.mayBind(domain) {
		return true
	}
	return s.modern && s.seat(domain) != nil
}

// answerWrong answers a stanza that is wrong in itself, if it is one that is
// answered.
func (s *stream) answerWrong(st *stanza.Stanza, wrong error) error {
	malformed := errors.Is(wrong, &stanza.Error{Condition: stanza.JIDMalformed}) // and so there is no to
	if !malformed && !(s.modern && s.isBinding(st)) {
		if err := s.checkAddresses(st); err != nil {
			return err
		}
	}
	if st.Type == stanza.TypeError || st.Type == stanza.TypeResult {
		return nil
	}
	var e *stanza.Error
	errors.As(wrong, &e)
	return s.reply(st.ErrorReply(e))
}

// reply queues an answer of ours: not as a stanza, which others would get in the place
// of a stream that ends. A component that has more of them than the queue
// takes loses its stream.
func (s *stream) reply(st *stanza.Stanza) error {
	err := s.out.Send(st.String())
	if errors.Is(err, stanza.ErrQueueFull) {
		s.out.Evict(unread(err))
	}
	if errors.Is(err, stanza.ErrClosed) {
		return nil // Read will say why
	}
	return err
}

// complain logs an error of the router's, of which components are told nothing.
// Only the first in each stream: components can cause more.
func (s *stream) complain(ctx context.Context, err error) {
	if s.complained {
		return
	}
	s.complained = true
	s.l.log.Log(ctx, slog.LevelWarn, "routing a stanza failed", "domain", s.domain, netserve.KeyErr, err)
}
