package c2s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// stream is one connection of a client. Its states run in one goroutine, which
// also reads.
type stream struct {
	l *listener
	t stanza.Transport

	neg        *negotiation // nil once the resource is bound
	domain     string       // virtual host, of the stream header
	lang       string       // of the stream header
	jid        stanza.JID   // zero, after login the bare JID, then the full one
	mechanism  string       // of SASL
	complained bool         // of an error of Router.Route

	x       atomic.Pointer[session] // nil until the client asks for a resource
	holds   bool                    // the turn of x
	closing sync.WaitGroup          // whoever else closes t, or ends the session

	xmppstream.Place[*stream] // among the listener's
}

// serve runs a stream on t, from the stream header on, and closes t.
func (l *listener) serve(ctx context.Context, t stanza.Transport) (err error) {
	s := &stream{l: l, t: t}
	l.streams.Add(s)
	ended := error(xmppstream.ErrPanic) // unless the states come to an end of their own
	defer func() {
		l.streams.Remove(s)
		err = s.end(ctx, ended)
	}()
	ended = s.run(ctx)
	return nil
}

// state is one phase of a stream; it returns the next one. An error ends the
// stream; io.EOF is the client's own end of it.
type state func(ctx context.Context) (state, error)

func (s *stream) run(ctx context.Context) error {
	s.start()
	next, err := s.login(ctx)
	for err == nil {
		next, err = next(ctx)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// login runs the states until the client has its resource, in a goroutine that
// ends then: the stack that a handshake and a login need is not kept for as long
// as the session lives.
func (s *stream) login(ctx context.Context) (next state, err error) {
	err = netserve.Aside(func() (err error) {
		for next = s.open; err == nil && s.neg != nil; {
			next, err = next(ctx)
		}
		return err
	})
	return next, err
}

// start sets the bounds for the time before the login.
func (s *stream) start() {
	s.neg = new(negotiation)
	o := &s.l.o
	if o.NegotiationTimeout > 0 {
		s.neg.deadline = time.Now().Add(o.NegotiationTimeout)
		_ = s.t.SetReadDeadline(s.neg.deadline)
		_ = s.t.SetWriteDeadline(s.neg.deadline)
	}
	s.t.SetLimits(stanza.Limits{Bytes: o.PreAuthMaxStanzaSize, Elements: o.PreAuthMaxStanzaElements})
	s.shape()
}

// shape limits the client's rate to what the rule says of what is known of it.
func (s *stream) shape() {
	if r := s.l.o.Shaper; r != nil {
		s.t.SetRate(r.Rate(s.subject(s.jid)))
	}
}

// subject describes the client as j to access and shaper rules.
func (s *stream) subject(j stanza.JID) acl.Subject {
	sub := acl.Subject{Host: s.domain, IP: s.t.Peer().Addr.Addr().Unmap()}
	if !j.IsZero() {
		sub.User, sub.Server, sub.Resource = j.Local(), j.Domain(), j.Resource()
	}
	return sub
}

func (s *stream) info() stanza.SessionInfo {
	return stanza.SessionInfo{JID: s.jid, Sink: s.x.Load(), Peer: s.t.Peer(), Mechanism: s.mechanism}
}

// end ends a stream for the reason that its states ended with, and the session
// with it unless that can be resumed. It returns the reason, nil if the client
// closed the stream in order or went on with another one.
func (s *stream) end(ctx context.Context, cause error) (err error) {
	x := s.x.Load()
	if x == nil || x.jid.IsZero() {
		defer s.closing.Wait()
		return s.report(s.endUnbound(ctx, x, cause))
	}
	over := true
	defer func() { // after a panic, too
		s.closing.Wait()
		if over {
			_ = x.out.Close(nil) // it waits for what has begun
		}
		_ = s.t.Close(xmppstream.Reason(err)) // in case that the outbox has it no more
	}()
	err, over = s.leave(ctx, x, cause)
	return err
}

// leave ends what a stream has to do with its session, and reports whether that
// is over. The error is what end returns.
func (s *stream) leave(ctx context.Context, x *session, err error) (_ error, over bool) {
	if x.m != nil {
		if !s.holds {
			s.seize(x)
		}
		defer s.yield(x)
		if x.on != s { // the client has resumed its session elsewhere
			return nil, false
		}
		if isLost(err) && s.detach(ctx, x, err) {
			return s.user(fmt.Errorf("session waits to be resumed: %w", err)), false
		}
	}
	err = s.reason(ctx, x, err)
	if x.end(s) { // else somebody has kicked it
		x.finish(context.WithoutCancel(ctx), s.l, s.info(), err)
	}
	return s.report(err), true
}

// endUnbound ends a stream without a resource. x may be nil.
func (s *stream) endUnbound(ctx context.Context, x *session, err error) error {
	if x != nil {
		_ = x.out.Close(nil)
		x.out.Abandon()
	}
	if err != nil && ctx.Err() != nil && xmppstream.Reason(err) == nil {
		err = xmppstream.ErrShutdown
	}
	_ = s.t.Close(xmppstream.Reason(err))
	return err
}

// isLost reports whether a stream ended because its connection did: not in
// order, and not for something that was wrong in it.
func isLost(err error) bool { return err != nil && !errors.As(err, new(*stanza.StreamError)) }

// reason returns why a session ends. One that was kicked, or could not be
// written to, reads an error after that: the first is the reason. But a panic is
// to be found in the log.
func (s *stream) reason(ctx context.Context, x *session, err error) error {
	werr := x.out.Err()
	reason := x.out.Reason()
	switch {
	case reason != nil && !errors.As(werr, new(*netserve.PanicError)):
		return reason
	case werr != nil && xmppstream.Reason(werr) == nil:
		return fmt.Errorf("writing to the client: %w", werr)
	case werr != nil:
		return werr
	case isLost(err) && ctx.Err() != nil:
		return xmppstream.ErrShutdown
	}
	return err
}

// report completes an error for the log.
func (s *stream) report(err error) error {
	if s.neg != nil && s.neg.failed != nil {
		if err == nil {
			return fmt.Errorf("login failed: %w", s.neg.failed)
		}
		return fmt.Errorf("%w, after a failed login: %w", err, s.neg.failed)
	}
	if err != nil && s.neg == nil {
		return s.user(err)
	}
	return err
}

// user makes an error one of the client's, whom the log then names.
func (s *stream) user(err error) error { return &netserve.UserError{User: s.jid.String(), Err: err} }
