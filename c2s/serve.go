package c2s

import (
	"cmp"
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// serve is the state of a client that has its resource. It takes its stanzas
// until the stream ends.
func (s *stream) serve(context.Context) (state, error) {
	ctx, x := s.l.routing, s.x.Load()
	managed := x.m != nil
	if managed {
		ctx = x.m.receipt.Context(ctx)
	}
	for {
		in, err := s.t.Read()
		var next state
		if managed {
			next, err = s.handleManaged(ctx, x, in, err)
		} else {
			next, err = s.handle(ctx, x, in, err)
		}
		if next != nil || err != nil {
			return next, err
		}
	}
}

// handle takes what Read returned.
func (s *stream) handle(ctx context.Context, x *session, in stanza.Incoming, err error) (state, error) {
	switch {
	case x.out.Ending():
		return nil, s.unheard(x, in, err)
	case err == nil && in.Nonza != nil:
		return s.command(x, in.Nonza)
	case err == nil:
		return nil, s.take(ctx, in.Stanza)
	case xmppstream.IsWrongStanza(in, err):
		return nil, s.refuse(ctx, in.Stanza, err)
	}
	return nil, err
}

// errUnheard says that something was not taken, but acknowledgements still are.
var errUnheard = errors.New("session is ending")

// unheard takes what comes after Kick, while the queue is still being written. It
// is not heard any more, as the address may be another session's, but for
// acknowledgements.
func (s *stream) unheard(x *session, in stanza.Incoming, err error) error {
	switch {
	case x.m == nil || err != nil && !xmppstream.IsWrongStanza(in, err):
		return cmp.Or(err, stanza.ErrClosed)
	case in.Nonza != nil && in.Nonza.Name == stanza.Name{Space: xmppstream.NSSM, Local: "a"}:
		return x.acked(in.Nonza)
	}
	return errUnheard
}

// take stamps a stanza with its sender and language and passes it on.
// See RFC 6120, sections 4.7.4, 8.1.5 and 10.3.
func (s *stream) take(ctx context.Context, st *stanza.Stanza) error {
	if err := s.stamp(st); err != nil {
		return err
	}
	if st.Lang == "" {
		st.Lang = s.lang
	}
	if st.IsRequest() && s.isServer(st.To) {
		return s.answer(ctx, st)
	}
	if err := s.l.h.Router.Route(ctx, st); err != nil {
		s.complain(ctx, "routing a stanza failed", err)
	}
	return nil
}

// stamp sets the sender of a stanza. A client may name itself, with or without
// the resource, and nobody else.
// See RFC 6120, section 8.1.2.1.
func (s *stream) stamp(st *stanza.Stanza) error {
	if !st.From.IsZero() && st.From != s.jid && st.From != s.jid.Bare() {
		return &stanza.StreamError{Condition: stanza.StreamInvalidFrom}
	}
	st.From = s.jid
	return nil
}

// isServer reports whether to is where the server answers for the account or
// for itself.
// See RFC 6120, sections 10.3.3 and 10.5.1 to 10.5.3.
func (s *stream) isServer(to stanza.JID) bool {
	return to.IsZero() || to == s.jid.Bare() || s.isHost(to)
}

// answer answers a request to the server or to the own account.
func (s *stream) answer(ctx context.Context, iq *stanza.Stanza) error {
	switch {
	case iq.Child == stanza.Name{Space: xmppstream.NSSession, Local: "session"} && iq.Type == stanza.TypeSet:
		return s.reply(iq.Result("")) // of RFC 3921; it has no effect
	case iq.Child == stanza.Name{Space: xmppstream.NSBind, Local: "bind"}:
		// One stream has one resource: RFC 6120, section 7.7.2.
		return s.replyError(ctx, iq, &stanza.Error{Condition: stanza.NotAllowed})
	case s.l.h.IQ == nil:
		return s.replyError(ctx, iq, &stanza.Error{Condition: stanza.ServiceUnavailable})
	}
	answer, err := s.l.h.IQ.HandleIQ(ctx, iq, s.t.Peer())
	if err != nil {
		return s.replyError(ctx, iq, err)
	}
	if answer == nil {
		return nil
	}
	return s.reply(answer)
}

// refuse answers a stanza that is wrong in itself, if it is one that is
// answered.
func (s *stream) refuse(ctx context.Context, st *stanza.Stanza, wrong error) error {
	if err := s.stamp(st); err != nil || isAnswer(st) {
		return err
	}
	return s.replyError(ctx, st, wrong)
}

func (s *stream) replyError(ctx context.Context, st *stanza.Stanza, err error) error {
	return s.reply(st.ErrorReply(s.stanzaError(ctx, err)))
}

// reply queues an answer of ours. A client that has more of them than the queue
// takes loses its session.
func (s *stream) reply(st *stanza.Stanza) error {
	err := s.x.Load().Deliver(st)
	if errors.Is(err, stanza.ErrClosed) {
		return nil // Read will say why
	}
	return err
}

// stanzaError returns what a client is told of an error of the host's.
func (s *stream) stanzaError(ctx context.Context, err error) *stanza.Error {
	var e *stanza.Error
	if errors.As(err, &e) {
		return e
	}
	s.complain(ctx, "a request failed", err)
	return &stanza.Error{Condition: stanza.InternalServerError}
}

// complain logs an error of the host's, of which clients are told nothing. Only
// the first in each session: clients can cause more.
func (s *stream) complain(ctx context.Context, msg string, err error) {
	if s.complained {
		return
	}
	s.complained = true
	s.l.log.WarnContext(ctx, msg, netserve.KeyUser, s.jid.String(), netserve.KeyErr, err)
}
