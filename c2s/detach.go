package c2s

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// away is what there is of a session without a stream.
type away struct {
	l     *listener // that waits for its end
	ctx   context.Context
	info  stanza.SessionInfo
	cause error // that ended the stream
	timer *time.Timer
}

// detach leaves the session of a stream whose connection was lost to be
// resumed, and reports whether it can be. The caller holds the turn.
func (s *stream) detach(ctx context.Context, x *session, cause error) bool {
	if x.m.id == "" || ctx.Err() != nil || !x.out.Detach() {
		return false
	}
	if err := x.out.Err(); err != nil {
		cause = err
	}
	x.mark()
	gone := &away{l: s.l, ctx: context.WithoutCancel(ctx), info: s.info(), cause: cause}
	gone.info.Peer.TLS, gone.info.Peer.Certificate = nil, nil // large, and of no use any more
	s.keep(gone.ctx, x, gone.info)
	x.mu.Lock()
	s.l.detached.add(x)
	gone.timer = time.AfterFunc(x.m.wait, x.expire)
	x.on, x.m.away = nil, gone
	x.mu.Unlock()
	switch {
	case ctx.Err() != nil: // the end of the listener may have missed it
		x.Kick(xmppstream.ErrShutdown)
	case x.out.Ending(): // a kick may have
		x.hurry()
	}
	return true
}

// keep gives what the client has not got into the care of the host.
func (s *stream) keep(ctx context.Context, x *session, info stanza.SessionInfo) {
	h := s.l.h.Session
	if h == nil {
		return
	}
	s.l.guard(ctx, x, func() {
		x.tell(func() {
			h.Detached(ctx, info)
			waiting := x.out.Waiting()
			if len(waiting) > 0 && !x.out.Replace(waiting, h.Keep(ctx, info, waiting)) {
				s.complain(ctx, "stanzas of a detached session are not in a store", errKeep)
			}
		})
	})
}

// guard runs what must not keep a session from its end. It reports false after
// a panic.
func (l *listener) guard(ctx context.Context, x *session, f func()) bool {
	err := netserve.Guard(func() error { f(); return nil })
	var p *netserve.PanicError
	if !errors.As(err, &p) {
		return true
	}
	l.log.ErrorContext(ctx, "session panicked", netserve.KeyUser, x.jid.String(), netserve.KeyErr, p, "stack", string(p.Stack))
	return false
}

var errKeep = errors.New("Host.Session.Keep returned a list of another length")

// errExpired is why sessions end that are not resumed.
var errExpired = errors.New("session was not resumed in time")

// expire ends a session that is detached, because its time is over or it was
// kicked.
func (x *session) expire() { x.endDetached(errExpired) }

// endDetached ends a session that is detached, unless it was resumed just in
// time.
func (x *session) endDetached(err error) {
	x.mu.Lock()
	gone := x.m.away
	if gone == nil {
		x.mu.Unlock()
		return
	}
	x.m.away, x.ended = nil, true
	x.mu.Unlock()
	l := gone.l
	defer l.detached.remove(x)
	defer x.out.Close(nil) // it waits for the end of the last connection
	gone.timer.Stop()
	if reason := x.out.Reason(); reason != nil {
		err = reason
	}
	err = fmt.Errorf("%w, without a connection since: %w", err, gone.cause)
	l.srv.sessions.over.add(x.jid, x.m.id, x.m.count())
	if l.guard(gone.ctx, x, func() { x.finish(gone.ctx, l, gone.info, err) }) {
		l.log.InfoContext(gone.ctx, "session has ended without a connection", netserve.KeyUser, x.jid.String(), netserve.KeyErr, err)
	}
}

// waiting are the detached sessions that a listener waits for.
type waiting struct {
	group sync.WaitGroup
	mu    sync.Mutex
	set   map[*session]struct{}
}

func (w *waiting) add(x *session) {
	w.group.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == nil {
		w.set = make(map[*session]struct{})
	}
	w.set[x] = struct{}{}
}

func (w *waiting) remove(x *session) {
	w.mu.Lock()
	delete(w.set, x)
	w.mu.Unlock()
	w.group.Done()
}

func (w *waiting) all() []*session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.set))
}
