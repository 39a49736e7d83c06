package s2s

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// serve is the state of a stream that has an outbox. It takes what comes until the
// stream ends.
func (s *stream) serve(context.Context) (state, error) {
	ctx, managed := s.l.routing, s.acks != nil
	if managed {
		ctx = s.acks.receipt.Context(ctx)
	}
	for managed == (s.acks != nil) {
		in, err := s.t.Read()
		if err = s.handle(ctx, in, err); err != nil {
			return nil, err
		}
	}
	return s.serve, nil
}

// handle takes what Read returned.
func (s *stream) handle(ctx context.Context, in stanza.Incoming, err error) error {
	if err != nil && !xmppstream.IsWrongStanza(in, err) {
		if s.isIdle(err) && s.finish() {
			return nil
		}
		return err
	}
	if s.later {
		s.later = false
		p := pair{s.local, s.remote}
		if in.Nonza != nil && in.Nonza.Name == smEnable {
			defer s.adopt(ctx, p)
		} else {
			s.adopt(ctx, p)
		}
	}
	if in.Nonza != nil {
		return s.command(ctx, in.Nonza)
	}
	if s.pairs() == 0 {
		return &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: "authenticate first", Err: err}
	}
	if s.acks != nil {
		if !s.acks.begin() {
			return nil
		}
		defer s.acks.taking.Unlock()
	}
	if err == nil {
		err = s.take(ctx, in.Stanza)
	} else {
		err = s.returns(ctx, in.Stanza, err)
	}
	if err == nil && s.acks != nil {
		s.acks.handled()
	}
	return err
}

// isIdle reports whether Read has failed because nothing has passed for long.
func (s *stream) isIdle(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && s.pairs() > 0
}

// finishTimeout is how long a server may take to end its side of a stream.
const finishTimeout = 5 * time.Second

// finish ends our side of a stream on which nothing has passed for long. What the
// server had sent by then is still taken. It reports false where that is done
// already, or need not be: by stream management the server knows what was taken.
// See RFC 6120, section 4.4.
func (s *stream) finish() bool {
	s.mu.Lock()
	again := s.finished || len(s.releases) > 0 || s.acks != nil
	s.finished = s.finished || !again
	s.mu.Unlock()
	if again || s.broken() != nil {
		return false
	}
	s.t.timeout.Store(0)
	return s.t.SetReadDeadline(time.Now().Add(finishTimeout)) == nil && s.t.Finish() == nil
}

// take passes a stanza on.
func (s *stream) take(ctx context.Context, st *stanza.Stanza) error {
	if st.Lang == "" {
		st.Lang = s.lang
	}
	return s.l.srv.receive(ctx, st, s.proved)
}

// returns answers a stanza that is wrong in itself, by the stream that goes to its
// sender.
func (s *stream) returns(ctx context.Context, st *stanza.Stanza, wrong error) error {
	s.mu.Lock()
	local := s.first.local
	s.mu.Unlock()
	if !s.l.srv.readdress(ctx, st, local, s.proved) {
		return nil
	}
	if err := s.l.srv.admit(st, s.proved); err != nil {
		return err
	}
	if answer := errorFor(st, wrong); answer != nil {
		if err := s.l.back.route(ctx, answer); err != nil {
			s.l.srv.complain(ctx, "sending an error failed", answer, err)
		}
	}
	return nil
}

// readdress sees to it that a stanza which Read refused can be answered though one
// of its addresses is malformed: then it is the domain local that answers. It
// reports false where the sender is not known, and nobody can be told.
func (s *Server) readdress(ctx context.Context, st *stanza.Stanza, local string, allowed func(pair) bool) bool {
	switch {
	case st.From.IsZero() || st.To.IsZero() && !allowed(pair{local, st.From.Domain()}):
		s.complain(ctx, "a stanza was dropped", st, errMalformed)
		return false
	case st.To.IsZero():
		st.To, _ = stanza.NewJID("", local, "")
	}
	return true
}

var errMalformed = errors.New("an address in it is malformed")

// errorFor returns the error that answers a stanza which Read refused; nil if it
// is one that is not answered.
// See RFC 6120, section 8.3.1.
func errorFor(st *stanza.Stanza, wrong error) *stanza.Stanza {
	var e *stanza.Error
	if st.Type == stanza.TypeError || st.Type == stanza.TypeResult || !errors.As(wrong, &e) {
		return nil
	}
	return st.ErrorReply(e)
}

// receive passes on a stanza that came from another server, by whichever stream.
// allowed says which pairs of domains that server has proved. The error is a
// *stanza.StreamError, which ends the stream.
// See RFC 6120, sections 4.9.3.6, 4.9.3.9 and 8.1.
func (s *Server) receive(ctx context.Context, st *stanza.Stanza, allowed func(pair) bool) error {
	if err := s.admit(st, allowed); err != nil {
		return err
	}
	route := s.h.Router.Route
	if !s.h.Domains.Serves(st.To.Domain()) { // any more, such as a component's
		if st = errorFor(st, &stanza.Error{Condition: stanza.ServiceUnavailable}); st == nil {
			return nil
		}
		route = s.out.route
	}
	if err := route(ctx, st); err != nil {
		s.complain(ctx, "routing a stanza failed", st, err)
	}
	return nil
}

// admit says what is wrong with the addresses of a stanza.
func (s *Server) admit(st *stanza.Stanza, allowed func(pair) bool) error {
	if st.From.IsZero() || st.To.IsZero() {
		return misaddressed("stanza without from or to", nil)
	}
	p := pair{st.To.Domain(), st.From.Domain()}
	switch {
	case s.h.Domains.Serves(p.remote): // by now, such as a component's
		return invalidFrom(p.remote + " is a domain of this server")
	case allowed(p) && s.settings.Load().allows(p):
		return nil
	case allowed(p): // the rules have changed
		return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: denied(p)}
	case !s.h.Domains.Serves(p.local):
		return unknownHost(p.local + " is no domain of this server")
	}
	return invalidFrom(p.remote + " may not send to " + p.local + " on this stream")
}

// complain logs an error of the host's, of which servers are told nothing: one a
// second, as they can cause more.
func (s *Server) complain(ctx context.Context, msg string, st *stanza.Stanza, err error) {
	now, last := time.Now().Unix(), s.in.complained.Load()
	if now != last && s.in.complained.CompareAndSwap(last, now) {
		s.log.WarnContext(ctx, msg, keyFrom, st.From.Domain(), keyTo, st.To.Domain(), netserve.KeyErr, err)
	}
}

// command takes an element that is no stanza.
func (s *stream) command(ctx context.Context, e *stanza.Element) error {
	switch e.Name {
	case dbResult, dbVerify:
		return s.dialback(ctx, e)
	case stanza.Name{Space: xmppstream.NSBidi, Local: "bidi"}:
		return s.enableBidi()
	case smEnable:
		return s.enable(e)
	case stanza.Name{Space: xmppstream.NSSM, Local: "resume"}:
		return s.say(smFailed(stanza.FeatureNotImplemented))
	}
	if s.acks != nil && e.Name.Space == xmppstream.NSSM {
		switch e.Name.Local {
		case "r":
			s.acks.answer()
			return nil
		case "a":
			return s.acks.acked(e)
		}
	}
	return xmppstream.Unsupported(e, "server")
}
