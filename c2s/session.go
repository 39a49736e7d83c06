package c2s

import (
	"context"
	"errors"
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// session is a client's resource: what the router knows and others deliver to.
// It has one stream after the other if the client manages it (XEP-0198), else
// just one.
type session struct {
	out *xmppstream.Outbox
	jid stanza.JID // full; zero until it is bound

	events sync.Mutex // calls of Host.Session

	mu       sync.Mutex
	on       *stream  // its connection; nil when it is detached
	m        *managed // nil: not managed
	bound    bool     // the host knows it
	evicting bool     // a goroutine is about to end it
	ended    bool     // somebody does, and nobody else
}

var _ stanza.Confirmer = (*session)(nil)

// Deliver implements stanza.Sink. A client that does not read what is queued
// for it, or does not acknowledge it, loses its session.
func (x *session) Deliver(st *stanza.Stanza) error {
	err := x.out.Deliver(st)
	if errors.Is(err, stanza.ErrQueueFull) {
		x.Kick(&stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "client does not read", Err: err})
	}
	return err
}

// Room returns how many stanzas, and how many bytes of them (Stanza.Size), Deliver
// would take now; math.MaxInt where Options and StreamManagement set no bound,
// and 0 after the end. It is for who has much to deliver at once: more ends the
// session. Others may deliver meanwhile, so leave some room. A session for which
// nothing waits takes one stanza of any size. What the client of a managed stream
// has not acknowledged counts, also while it is detached.
func (x *session) Room() (stanzas, bytes int) { return x.out.Room() }

// Confirm implements stanza.Confirmer.
func (x *session) Confirm(f func()) { x.out.Confirm(f) }

// Kick implements stanza.Sink. What a session has not delivered when a newer one
// takes its resource goes back to the host, which sends it there.
func (x *session) Kick(reason *stanza.StreamError) {
	x.mu.Lock()
	m := x.m
	x.mu.Unlock()
	if m != nil {
		x.mark() // the last acknowledgement
	}
	replaced := reason != nil && reason.Condition == stanza.StreamConflict
	if replaced {
		x.out.Evict(reason)
	} else {
		x.out.Kick(reason)
	}
	if m != nil || replaced {
		x.hurry()
	}
}

// hurry ends a session that was kicked without waiting for its connection: the
// client may be gone.
func (x *session) hurry() {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.m != nil && x.m.away != nil:
		if x.m.away.timer.Stop() {
			go x.expire() // the listener waits for it
		}
	case x.on != nil && x.bound && !x.evicting && !x.ended:
		x.evicting = true
		s := x.on
		s.closing.Go(func() { s.evict(x) })
	}
}

// evict ends a session that was kicked, unless its stream has ended before, or is
// the session's no more. The client's acknowledgements count for as long as the
// last stanzas are being written.
func (s *stream) evict(x *session) {
	mine := false
	x.inTurn(func() { mine = x.end(s) }) // what the client sent before comes to its end
	if !mine {
		return
	}
	ctx := context.WithoutCancel(s.l.ctx)
	info, err := s.info(), s.reason(ctx, x, stanza.ErrClosed)
	s.l.guard(ctx, x, func() {
		defer x.inTurn(func() { x.handBack(ctx, s.l, info, err) })
		x.withdraw(ctx, s.l, err)
	})
}

// inTurn runs f while nothing that the client of a managed stream sent is
// handled. The session was kicked: it stays managed, or not, as it is.
func (x *session) inTurn(f func()) {
	if x.m != nil {
		x.m.turn.take(nil)
		defer x.m.turn.give()
	}
	f()
}

// end reports whether the caller is the one who ends the session, which is on s.
func (x *session) end(s *stream) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.on != s || x.ended {
		return false
	}
	x.ended = true
	return true
}

// Arrived implements xmppstream.Owner.
func (x *session) Arrived(kept []uint64) {
	x.mu.Lock()
	s := x.on
	x.mu.Unlock()
	if s != nil && s.l.h.Session != nil {
		s.l.guard(s.l.ctx, x, func() {
			x.tell(func() { s.l.h.Session.Arrived(s.info(), kept) })
		})
	}
}

// tell calls Host.Session: one call after the other.
func (x *session) tell(f func()) {
	x.events.Lock()
	defer x.events.Unlock()
	f()
}

// isElsewhere reports whether the session has another stream than s.
func (x *session) isElsewhere(s *stream) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.on != nil && x.on != s
}

// finish ends a bound session for err. Its last listener was l. Its connection
// may still be closing.
func (x *session) finish(ctx context.Context, l *listener, info stanza.SessionInfo, err error) {
	defer x.handBack(ctx, l, info, err) // whatever the router does
	x.withdraw(ctx, l, err)
}

// withdraw lets others know that a session is over, and writes what can be
// written.
func (x *session) withdraw(ctx context.Context, l *listener, err error) {
	defer x.out.Drain(xmppstream.Reason(err))
	l.srv.sessions.remove(x)
	l.h.Router.Release(ctx, x.jid, x)
	if x.m != nil {
		x.lastAck(err == nil)
	}
}

// handBack gives the host what the client has not got. If the host fails, nobody
// is told that it is safe.
func (x *session) handBack(ctx context.Context, l *listener, info stanza.SessionInfo, err error) {
	after := x.out.Abandon
	defer func() { after() }()
	if x.m != nil {
		defer x.m.stop()
	}
	if l.h.Session != nil {
		undelivered := x.out.Undelivered()
		x.tell(func() { l.h.Session.Ended(ctx, info, undelivered, err) })
	}
	after = x.out.Settle
}
