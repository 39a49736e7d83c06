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

	mu sync.Mutex
	on *stream  // its connection; nil when it is detached
	m  *managed // nil: not managed
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

// Confirm implements stanza.Confirmer.
func (x *session) Confirm(f func()) { x.out.Confirm(f) }

// Kick implements stanza.Sink.
func (x *session) Kick(reason *stanza.StreamError) {
	x.mu.Lock()
	m := x.m
	x.mu.Unlock()
	if m != nil {
		x.mark() // the last acknowledgement
	}
	x.out.Kick(reason)
	if m != nil {
		x.hurry()
	}
}

// Arrived implements xmppstream.Owner.
func (x *session) Arrived(kept []uint64) {
	x.mu.Lock()
	s := x.on
	x.mu.Unlock()
	if s != nil && s.l.h.Session != nil {
		x.tell(func() { s.l.h.Session.Arrived(s.info(), kept) })
	}
}

// tell calls Host.Session: one call after the other.
func (x *session) tell(f func()) {
	x.events.Lock()
	defer x.events.Unlock()
	f()
}

// finish ends a bound session for err. Its last listener was l.
func (x *session) finish(ctx context.Context, l *listener, info stanza.SessionInfo, err error) {
	defer x.out.Settle()
	l.srv.sessions.remove(x)
	l.h.Router.Release(ctx, x.jid, x)
	if x.m != nil {
		x.lastAck(err == nil)
		defer x.m.stop()
	}
	_ = x.out.Close(closing(err))
	if l.h.Session != nil {
		undelivered := x.out.Undelivered()
		x.tell(func() { l.h.Session.Ended(ctx, info, undelivered, err) })
	}
}
