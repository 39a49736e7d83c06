package component

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// stream is one connection of a component. Its states run in one goroutine, which
// also reads. As a sink it is what Events hears of.
type stream struct {
	l    *listener
	ctx  context.Context // of the call that serves it
	t    stanza.Transport
	out  *xmppstream.Outbox
	salt uint64 // of the hashes that share senders among streams

	neg        *negotiation // nil once it has a domain
	modern     bool         // XEP-0225, not XEP-0114
	complained bool         // of an error of Router.Route
	host       stanza.JID   // of the server; modern streams
	domain     string       // of the component; before the login the one that it names
	lang       string       // of the stream header
	login      login
	since      time.Time // when it connected

	closing sync.WaitGroup // whatever else works for it

	mu    sync.Mutex
	seats []*seat // of its domains

	events sync.Mutex // calls of Host.Events

	xmppstream.Place[*stream] // among the listener's
}

var _ stanza.Confirmer = (*stream)(nil)

// serve runs a stream on t, from the stream header on, and closes t.
func (l *listener) serve(ctx context.Context, t stanza.Transport) (err error) {
	s := &stream{l: l, ctx: ctx, t: t, salt: rand.Uint64(), since: time.Now(), out: xmppstream.NewOutbox(&l.out, nil)}
	l.streams.Add(s)
	ended := error(xmppstream.ErrPanic) // unless the states come to an end of their own
	defer func() { err = s.end(ctx, ended) }()
	s.start()
	next, err := s.open(ctx)
	for err == nil {
		next, err = next(ctx)
	}
	if ended = err; err == io.EOF {
		ended = nil
	}
	return nil
}

// start sets the bounds for the time before the login.
func (s *stream) start() {
	s.neg = new(negotiation)
	if timeout := s.l.o.NegotiationTimeout; timeout > 0 {
		s.neg.deadline = s.since.Add(timeout)
		_ = s.t.SetReadDeadline(s.neg.deadline)
		_ = s.t.SetWriteDeadline(s.neg.deadline)
	}
	s.t.SetLimits(stanza.Limits{Bytes: preAuthBytes, Elements: preAuthElements})
}

// shape limits the component's rate to what the rule says of its domain.
func (s *stream) shape() {
	if r := s.l.o.Shaper; r != nil {
		s.t.SetRate(r.Rate(acl.Subject{Server: s.domain, IP: s.t.Peer().Addr.Addr()}))
	}
}

// put queues a stanza for the component.
func (s *stream) put(st *stanza.Stanza) error {
	if s.modern {
		st = st.Recontent(stanza.NSComponent, stanza.NSClient)
	} else {
		st = st.Recontent(stanza.NSClient, stanza.NSComponent)
	}
	return s.out.Deliver(st)
}

// Deliver implements stanza.Sink: the stanza goes to this stream, whoever else
// serves the domain. A component that does not read what is queued for it loses
// its stream.
func (s *stream) Deliver(st *stanza.Stanza) error {
	err := s.put(st)
	if errors.Is(err, stanza.ErrQueueFull) {
		s.out.Evict(unread(err))
	}
	return err
}

// unread is why a stream ends whose queue is full.
func unread(err error) *stanza.StreamError {
	return &stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "component does not read", Err: err}
}

// Room returns how many stanzas, and how many bytes of them (Stanza.Size), Deliver
// would take now, for who has much to deliver at once: more ends the stream.
func (s *stream) Room() (stanzas, bytes int) { return s.out.Room() }

// Confirm implements stanza.Confirmer.
func (s *stream) Confirm(f func()) { s.out.Confirm(f) }

// Kick implements stanza.Sink. What waits for a component whose place another one
// has taken is left for that one.
func (s *stream) Kick(reason *stanza.StreamError) {
	if reason != nil && reason.Condition == stanza.StreamConflict {
		s.out.Evict(reason)
	} else {
		s.out.Kick(reason)
	}
}

// end ends a stream for the reason that its states ended with. It returns what
// there is left to say about that in the log.
func (s *stream) end(ctx context.Context, cause error) error {
	cause = s.reason(ctx, cause)
	reason := xmppstream.Reason(cause)
	s.l.streams.Remove(s)
	defer func() { // after a panic, too
		_ = s.out.Close(nil) // it waits for what has begun
		_ = s.t.Close(reason)
		s.closing.Wait()
	}()
	if s.neg != nil {
		_ = s.t.Close(reason)
	}
	s.leave(reason)
	var p *netserve.PanicError
	switch {
	case errors.Is(cause, errRefused):
		return nil // it has its line already
	case s.neg != nil || errors.As(cause, &p):
		return cause
	}
	s.farewell(ctx, cause)
	return nil
}

// farewell writes the line about the end of a component.
func (s *stream) farewell(ctx context.Context, cause error) {
	args := []any{"domain", s.domain, netserve.KeyPeer, s.t.Peer().Addr.String(), "encrypted", s.t.Peer().TLS != nil, "after", time.Since(s.since)}
	level := slog.LevelInfo
	if cause != nil {
		args = append(args, netserve.KeyErr, cause)
		if ctx.Err() == nil {
			level = slog.LevelWarn
		}
	}
	s.l.log.Log(ctx, level, "component has left", args...)
}

// reason returns why a stream ends. One that was kicked, or could not be written
// to, reads an error after that: the first is the reason. But a panic is to be
// found in the log.
func (s *stream) reason(ctx context.Context, err error) error {
	werr, reason := s.out.Err(), s.out.Reason()
	switch {
	case reason != nil && !errors.As(werr, new(*netserve.PanicError)):
		return reason
	case werr != nil && xmppstream.Reason(werr) == nil:
		return fmt.Errorf("writing to the component: %w", werr)
	case werr != nil:
		return werr
	case err != nil && ctx.Err() != nil && xmppstream.Reason(err) == nil:
		return xmppstream.ErrShutdown
	}
	return err
}

// guard runs what works for a stream in a goroutine of its own; a panic ends the
// stream.
func (s *stream) guard(f func()) {
	err := netserve.Guard(func() error { f(); return nil })
	var p *netserve.PanicError
	if errors.As(err, &p) {
		s.l.log.ErrorContext(s.ctx, "component's stream panicked", "domain", s.domain, netserve.KeyErr, p, "stack", string(p.Stack))
		s.Kick(xmppstream.ErrPanic)
	}
}

// seat returns the stream's seat for a domain, nil if it has none.
func (s *stream) seat(domain string) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.seats {
		if m.g.domain == domain {
			return m
		}
	}
	return nil
}

// domains returns the domains that the stream serves.
func (s *stream) domains() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, m := range s.seats {
		list = append(list, m.g.domain)
	}
	slices.Sort(list)
	return list
}
