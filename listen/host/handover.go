package host

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxHandover is how long the messages to a new session wait for those that the
// one which it has replaced has not delivered.
const MaxHandover = 5 * time.Second

// presenceWait is how long the end of a session that took messages to the
// account waits, in that time, until the new one does so, too.
const presenceWait = 2 * time.Second

// maxPredecessors is the most sessions that one waits for, because each has
// replaced the next before that had ended.
const maxPredecessors = 16

// handover is what a session waits for that has replaced another one of its full
// JID: Ended of that one brings back what it has not delivered, and the client
// gets this before anything newer. It is the first turn in the new session's lane.
//
// What a session has got that took messages to the account is for one that does
// so, too: if there is none, Ended waits a moment for the new one to announce
// that. The announcement waits for Ended, delivers what the store has, and ends
// the turn.
type handover struct {
	turn    *turn         // has come when nobody is waited for any more
	present chan struct{} // closed when the new session takes messages to the account

	mu       sync.Mutex
	from     []predecessor // who has not ended, oldest first; at the end nobody
	announce bool          // the turn is for the announcement to end
	shown    bool          // present is closed
	late     *time.Timer
}

// predecessor is a session that has been replaced.
type predecessor struct {
	sink  stanza.Sink
	took  bool          // messages to the account
	busy  bool          // some were on their way to it
	ended chan struct{} // closed when it has, or lets others go first
}

// succeed makes a session that enters the table wait for the one that it
// replaces, and for those for which that one has waited.
func (s *session) succeed(old *session) {
	from := old.handover.pending()
	for i := range from {
		from[i].ended = make(chan struct{})
	}
	if confirms(old.sink) { // others hold nothing back
		from = append(from, predecessor{old.sink, old.state.Load().takes(), old.lane.busy.Load(), make(chan struct{})})
	}
	if len(from) == 0 {
		return
	}
	s.handover = &handover{
		turn:    &turn{come: make(chan struct{}), open: true},
		present: make(chan struct{}),
		from:    from[max(len(from)-maxPredecessors, 0):],
	}
	s.lane.push(parcel{turn: s.handover.turn})
}

// The methods of a nil handover do what those of one do that is over.

// pending returns those who have not ended.
func (h *handover) pending() []predecessor {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.from)
}

// find returns where in from a session is. h.mu is held.
func (h *handover) find(sink stanza.Sink) int {
	return slices.IndexFunc(h.from, func(p predecessor) bool { return p.sink == sink })
}

// done notes that a session has ended; nil: that nobody is waited for any more.
// It reports whether the turn is to be ended now.
func (h *handover) done(sink stanza.Sink) (end bool) {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.from) == 0 {
		return false
	}
	h.from = slices.DeleteFunc(h.from, func(p predecessor) bool {
		gone := sink == nil || p.sink == sink
		if gone {
			close(p.ended)
		}
		return gone
	})
	if len(h.from) > 0 {
		return false
	}
	if h.late != nil {
		h.late.Stop()
	}
	close(h.turn.come)
	return !h.announce
}

// last lets the others that have not ended come before a session.
func (h *handover) last(sink stanza.Sink) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.find(sink); n >= 0 {
		p := h.from[n]
		close(p.ended)
		p.ended = make(chan struct{})
		h.from = append(slices.Delete(h.from, n, n+1), p)
	}
}

// claim takes the turn for the announcement that the session takes messages to
// the account; nil: it is over.
func (h *handover) claim() *turn {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.from) == 0 {
		return nil
	}
	h.announce = true
	return h.turn
}

// show notes that the session takes messages to the account.
func (h *handover) show() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.shown {
		h.shown = true
		close(h.present)
	}
}

// wait waits until it is the turn of a session that has ended: after those
// before it, and, where needed, when the new session takes messages to the
// account or presenceWait is over. It reports false if that session is not waited
// for.
func (h *handover) wait(ctx context.Context, sink stanza.Sink, needed func(predecessor) bool) bool {
	if h == nil {
		return false
	}
	var late <-chan time.Time
	for {
		h.mu.Lock()
		n := h.find(sink)
		var next <-chan struct{}
		switch {
		case n > 0:
			next = h.from[n-1].ended
		case n == 0 && !h.shown && needed(h.from[0]):
			next = h.present
		}
		h.mu.Unlock()
		if next == nil {
			return n == 0
		}
		if n == 0 && late == nil {
			timer := time.NewTimer(presenceWait)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-next:
		case <-late:
			return true
		case <-h.turn.come:
		case <-ctx.Done():
			return false
		}
	}
}

// await has a session wait for the one that it has replaced, and that was told
// to end: no longer than MaxHandover, and not if that one has nothing.
func (l *Local) await(s, old *session) {
	h := s.handover
	h.mu.Lock()
	if len(h.from) > 0 {
		h.late = time.AfterFunc(MaxHandover, func() { l.giveUp(s) })
	}
	h.mu.Unlock()
	confirm(old.sink, func() {
		kept := l.Offline != nil && l.Offline.Holds(old.jid.Bare(), old.sink)
		if !kept && !old.lane.busy.Load() {
			l.handedOver(s, old.sink)
		}
	})
}

// handedOver ends the wait of a session for one that has ended; nil: for all.
func (l *Local) handedOver(s *session, sink stanza.Sink) {
	if s.handover.done(sink) {
		l.endTurn(s, s.handover.turn)
	}
}

// isOver ends the wait for a session that has ended.
func (l *Local) isOver(info stanza.SessionInfo) {
	for s := l.sessions.find(info.JID); s != nil; {
		l.handedOver(s, info.Sink)
		now := l.sessions.find(info.JID)
		if now == s {
			break
		}
		s = now // it was replaced meanwhile, and waits, too
	}
}

// giveUp ends the wait of a session. What the store has for the others goes to
// whoever asks next.
func (l *Local) giveUp(s *session) {
	if l.Offline != nil {
		for _, p := range s.handover.pending() {
			l.Offline.Lost(s.jid.Bare(), p.sink)
		}
	}
	l.handedOver(s, nil)
}

// heir returns the session that has replaced one which has ended, as soon as it
// can have what that one returns; nil: there is none, or it waits no more. again
// says that another heir, which has been replaced since, has got a part: that
// comes back before the rest.
func (l *Local) heir(ctx context.Context, info stanza.SessionInfo, e *estate, again bool) *session {
	alone := l.taker(info.JID.Bare(), nil) == nil
	needed := func(p predecessor) bool { return alone && p.took && (p.busy || e.kept > 0 || len(e.left) > 0) }
	for s := l.sessions.find(info.JID); s != nil; {
		if again {
			s.handover.last(info.Sink)
		}
		if s.handover.wait(ctx, info.Sink, needed) {
			return s
		}
		now := l.sessions.find(info.JID)
		if now == s {
			break
		}
		s = now // it was replaced meanwhile
	}
	return nil
}
