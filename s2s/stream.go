package s2s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// stream is one connection that another server has opened. Its states run in one
// goroutine, which also reads.
type stream struct {
	l *listener
	t transport

	neg           *negotiation // nil once what is written goes through out
	local, remote string       // domains of the stream header; "" where it has none
	id            string       // of our header
	lang          string       // of the stream header
	authenticated bool         // by SASL, as remote
	old           bool         // from before XMPP 1.0: no features
	bidi          bool         // the server wants stanzas of ours on it
	requests      int          // of dialback, before a pair is proved
	later         bool         // the pair of SASL is to be adopted with the next element
	acks          *acks        // nil: not managed

	verdicts verdicts

	mu       sync.Mutex
	out      *xmppstream.Outbox // nil at first
	first    pair               // that was proved
	more     map[pair]struct{}  // the others
	pending  []pending          // keys that are being checked
	releases []func()           // of pairs that were adopted
	over     bool               // no pair is added any more
	finished bool               // our side has ended, as nothing had passed for long
	logged   bool               // why it ends
	checks   sync.WaitGroup
	closing  sync.WaitGroup // whoever else ends it

	xmppstream.Place[*stream] // among the listener's
}

// serve runs the stream of a connection, from its header on, and closes it. It
// logs failures itself, as it knows whose they are.
func (l *listener) serve(ctx context.Context, c net.Conn) error {
	s := &stream{l: l}
	s.t.TCP = xmppstream.NewTCP(c, xmppstream.TCPOptions{Namespace: stanza.NSServer, Heard: s.t.passed})
	if !l.peers.take(s.addr(), use{streams: 1}, use{streams: l.o.MaxStreamsPerIP}) {
		l.failed(ctx, "connection refused", netserve.KeyPeer, s.peer(), netserve.KeyErr, errTooMany)
		_ = s.t.Close(errTooMany)
		return nil
	}
	l.streams.Add(s)
	l.srv.in.streams.Add(1)
	ended := error(xmppstream.ErrPanic) // unless the states come to an end of their own
	defer func() {
		l.streams.Remove(s)
		s.end(ctx, ended)
	}()
	ended = s.run(ctx)
	return nil
}

var errTooMany = &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too many streams from this address"}

// state is one phase of a stream; it returns the next one. An error ends the
// stream; io.EOF is the server's own end of it.
type state func(ctx context.Context) (state, error)

func (s *stream) run(ctx context.Context) error {
	s.start()
	next, err := s.negotiation(ctx)
	for err == nil {
		next, err = next(ctx)
	}
	return err
}

// negotiation runs the states until all goes through the outbox, in a goroutine
// that ends then: the stack that a handshake needs is not kept for as long as the
// stream lives.
func (s *stream) negotiation(ctx context.Context) (next state, err error) {
	err = netserve.Aside(func() (err error) {
		for next = s.open; err == nil && s.neg != nil; {
			next, err = next(ctx)
		}
		return err
	})
	return next, err
}

// start sets the bounds for the time before a pair is proved.
func (s *stream) start() {
	s.neg = new(negotiation)
	o := &s.l.o
	if o.NegotiationTimeout > 0 {
		s.neg.deadline = time.Now().Add(o.NegotiationTimeout)
		_ = s.t.SetReadDeadline(s.neg.deadline)
		_ = s.t.SetWriteDeadline(s.neg.deadline)
	}
	s.t.SetLimits(stanza.Limits{Bytes: o.PreAuthMaxStanzaSize, Elements: o.PreAuthMaxStanzaElements})
	s.shape("", "")
}

// shape limits the server's rate to what the rule says of a pair of domains; ""
// are those that are not known.
func (s *stream) shape(local, remote string) {
	if r := s.l.o.Shaper; r != nil {
		s.t.SetRate(r.Rate(acl.Subject{Server: remote, Host: local, IP: s.addr()}))
	}
}

// attach makes the outbox, through which everything is written from now on.
func (s *stream) attach() error {
	out := xmppstream.NewOutbox(&s.l.out, nil)
	if err := s.t.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	s.neg = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = out
	return out.Attach(&s.t, &s.l.out, "")
}

// end ends a stream for the reason that its states ended with. What others had
// queued is theirs again before the connection is closed.
func (s *stream) end(ctx context.Context, cause error) {
	s.mu.Lock()
	s.over = true
	for _, c := range s.pending {
		c.cancel()
	}
	s.mu.Unlock()
	reason := s.reason(ctx, cause)
	defer s.forget()
	defer s.closing.Wait()
	defer func() { _ = s.t.Close(reason) }() // in case that the outbox has it no more
	if s.out == nil {
		return
	}
	if s.acks != nil {
		s.acks.end(cause == io.EOF)
	}
	s.out.Drain(reason)
	s.checks.Wait() // until then they may adopt
	for _, release := range s.releases {
		_ = s.guard(context.WithoutCancel(ctx), release)
	}
	_ = s.out.Close(nil)
}

// forget gives back what the stream was counted for.
func (s *stream) forget() {
	s.l.peers.take(s.addr(), use{streams: -1}, use{})
	n := &s.l.srv.in
	n.streams.Add(-1)
	if pairs := s.pairs(); pairs > 0 {
		n.authenticated.Add(-1)
		n.pairs.Add(-int64(pairs))
	}
}

// reason logs why a stream ends, and returns what the server is told of it: nil
// for nothing but the end.
func (s *stream) reason(ctx context.Context, cause error) *stanza.StreamError {
	if cause == xmppstream.ErrPanic { // the log has it from elsewhere
		return xmppstream.ErrPanic
	}
	if s.finished {
		return nil
	}
	idle := s.isIdle(cause)
	if err := s.broken(); err != nil {
		cause, idle = err, false
	}
	if cause == io.EOF || cause == xmppstream.ErrShutdown || idle || s.isLogged() {
		return nil
	}
	s.l.failed(ctx, "connection failed", append(s.about(s.local, s.remote), netserve.KeyErr, s.complete(cause))...)
	return xmppstream.Reason(cause)
}

// broken returns what ended the outbox, which is the reason for what Read returned
// after that; nil if nothing did.
func (s *stream) broken() error {
	if s.out == nil {
		return nil
	}
	if reason := s.out.Reason(); reason != nil {
		return reason
	}
	if err := s.out.Err(); err != nil {
		return fmt.Errorf("writing to the server: %w", err)
	}
	return nil
}

// complete adds to an error the last login that failed.
func (s *stream) complete(err error) error {
	if s.neg != nil && s.neg.failed != nil {
		return errors.Join(err, s.neg.failed)
	}
	return err
}

// about returns what the log says of whose line it is.
func (s *stream) about(local, remote string) []any {
	args := []any{netserve.KeyPeer, s.peer()}
	if remote != "" {
		args = append(args, keyFrom, remote)
	}
	if local != "" {
		args = append(args, keyTo, local)
	}
	return args
}

// guard runs f, in which nothing that panics ends more than it has to.
func (s *stream) guard(ctx context.Context, f func()) (err error) {
	err = netserve.Guard(func() error { f(); return nil })
	if p := (*netserve.PanicError)(nil); errors.As(err, &p) {
		s.l.log.ErrorContext(ctx, "stream panicked", append(s.about(s.local, s.remote), netserve.KeyErr, err, "stack", string(p.Stack))...)
	}
	return err
}

func (s *stream) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

func (s *stream) isLogged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logged
}

func (s *stream) addr() netip.Addr { return s.t.Peer().Addr.Addr() }

// peer returns the address of the server as the log has it.
func (s *stream) peer() string {
	p := s.t.Peer()
	if !p.Addr.IsValid() {
		return p.Name
	}
	return p.Addr.String()
}
