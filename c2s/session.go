package c2s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// session is one client's stream. Its states run in one goroutine, which also
// reads; Deliver and Kick come from others.
type session struct {
	l   *listener
	t   stanza.Transport
	out *xmppstream.Outbox

	neg        *negotiation // nil once the resource is bound
	domain     string       // virtual host, of the stream header
	lang       string       // of the stream header
	jid        stanza.JID   // zero, after login the bare JID, then the full one
	mechanism  string       // of SASL
	bound      bool
	complained bool // of an error of Router.Route

	early early // what comes before the client knows its address
}

// errPanic is what a session ends with when something panicked in it.
var errPanic = &stanza.StreamError{Condition: stanza.StreamInternalServerError, Err: errors.New("panic")}

// serve runs a session on t, from the stream header on, and closes t.
func (l *listener) serve(ctx context.Context, t stanza.Transport) (err error) {
	s := &session{l: l, t: t, out: xmppstream.NewOutbox(t, xmppstream.OutboxOptions{
		Stanzas: l.o.MaxFSMQueue, Bytes: l.o.MaxQueueBytes, SendTimeout: l.o.SendTimeout,
	})}
	var shutdown sync.WaitGroup
	shutdown.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer shutdown.Done()
		s.Kick(&stanza.StreamError{Condition: stanza.StreamSystemShutdown})
	})
	ended := error(errPanic) // unless the states come to an end of their own
	defer func() {
		if !stop() {
			shutdown.Wait()
		}
		err = s.end(ctx, ended)
	}()
	ended = s.run(ctx)
	return nil
}

// state is one phase of a stream; it returns the next one. An error ends the
// session; io.EOF is the client's own end of the stream.
type state func(ctx context.Context) (state, error)

func (s *session) run(ctx context.Context) (err error) {
	s.start()
	for next := state(s.open); err == nil; {
		next, err = next(ctx)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// start sets the bounds for the time before the login.
func (s *session) start() {
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
func (s *session) shape() {
	if r := s.l.o.Shaper; r != nil {
		s.t.SetRate(r.Rate(s.subject(s.jid)))
	}
}

// subject describes the client as j to access and shaper rules.
func (s *session) subject(j stanza.JID) acl.Subject {
	sub := acl.Subject{Host: s.domain, IP: s.t.Peer().Addr.Addr().Unmap()}
	if !j.IsZero() {
		sub.User, sub.Server, sub.Resource = j.Local(), j.Domain(), j.Resource()
	}
	return sub
}

// end ends a session for the reason that its states ended with, or that it was
// kicked with before. It returns the reason, nil if the client closed the
// stream in order.
func (s *session) end(ctx context.Context, err error) error {
	ctx = context.WithoutCancel(ctx)
	if s.bound {
		s.l.h.Router.Release(ctx, s.jid, s)
	}
	// A session that was kicked, or could not write, reads an error after that:
	// the first is the reason.
	if reason := s.out.Reason(); reason != nil {
		err = reason
	} else if werr := s.out.Err(); werr != nil {
		err = fmt.Errorf("writing to the client: %w", werr)
	}
	_ = s.out.Close(closing(err))
	if s.bound && s.l.h.Session != nil {
		s.l.h.Session.Ended(ctx, s.info(), append(s.out.Undelivered(), s.early.close()...), err)
	}
	return s.report(err)
}

// report completes an error for the log.
func (s *session) report(err error) error {
	if s.neg != nil && s.neg.failed != nil {
		if err == nil {
			return fmt.Errorf("login failed: %w", s.neg.failed)
		}
		return fmt.Errorf("%w, after a failed login: %w", err, s.neg.failed)
	}
	if err != nil && s.bound {
		return fmt.Errorf("session of %s: %w", s.jid, err)
	}
	return err
}

// closing returns what the client is told, nil for no error.
func closing(err error) *stanza.StreamError {
	var reason *stanza.StreamError
	switch {
	case errors.As(err, &reason):
		return reason
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &stanza.StreamError{Condition: stanza.StreamConnectionTimeout}
	}
	return nil
}

func (s *session) info() stanza.SessionInfo {
	return stanza.SessionInfo{JID: s.jid, Peer: s.t.Peer(), Mechanism: s.mechanism}
}

// Deliver implements stanza.Sink. A client that does not read what is queued
// for it loses its session.
func (s *session) Deliver(st *stanza.Stanza) error {
	if taken, err := s.early.add(st, &s.l.o); taken {
		return err
	}
	err := s.out.Deliver(st)
	if errors.Is(err, stanza.ErrQueueFull) {
		s.Kick(&stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "client does not read", Err: err})
	}
	return err
}

// Kick implements stanza.Sink.
func (s *session) Kick(reason *stanza.StreamError) { s.out.Kick(reason) }
