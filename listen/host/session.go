package host

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// session is one bound resource.
type session struct {
	jid  stanza.JID
	sink stanza.Sink // tells it from other sessions of this JID
	// These are set when it enters the table.
	account  *account  // that it belongs to
	handover *handover // from the session that it has replaced; nil: it has nothing to wait for

	origin atomic.Pointer[origin]

	// state is nil until the first presence. It is read without mu.
	state atomic.Pointer[availability]
	// flags are what features have marked, and flags of the router.
	flags atomic.Uint32
	// since is when it began or last became unavailable, by table.clock.
	since atomic.Uint64
	lane  lane // of messages

	// catchup changes with mu; nil: it has missed nothing.
	catchup atomic.Pointer[catchup]

	directed map[stanza.JID]uint64 // who was sent directed presence, and when by table.clock
	removal  *removal
	mu       sync.Mutex // of these
	ended    bool       // then nothing changes any more
}

// Flags of the router, beside the marks of the features.
const (
	detached stanza.Mark = 1 << (31 - iota) // the connection is gone, the session waits
	gone                                    // it has left the table
	closed                                  // its sink has said so
)

func (s *session) is(m stanza.Mark) bool { return stanza.Mark(s.flags.Load())&m != 0 }

// mark sets or clears a mark. It returns what was set before; ok is false for a
// session that has left the table.
func (s *session) mark(m stanza.Mark, on bool) (before stanza.Mark, ok bool) {
	for {
		old := s.flags.Load()
		if stanza.Mark(old)&gone != 0 {
			return 0, false
		}
		changed := old &^ uint32(m)
		if on {
			changed = old | uint32(m)
		}
		if s.flags.CompareAndSwap(old, changed) {
			return stanza.Mark(old), true
		}
	}
}

// put gives a stanza to the sink. A session that has ended takes nothing.
func (s *session) put(st *stanza.Stanza) error {
	if s.is(gone | closed) {
		return stanza.ErrClosed
	}
	err := s.sink.Deliver(st)
	if err != nil && errors.Is(err, stanza.ErrClosed) {
		s.flags.Or(uint32(closed))
	}
	return err
}

// availability is the last presence of a session without to, or the end of it.
type availability struct {
	presence *stanza.Stanza // as it goes to the other resources of the account
	priority int            // RFC 6121, section 4.7.2.3
}

// The range of priorities.
const (
	minPriority = -128
	maxPriority = 127
)

func (a *availability) available() bool {
	return a != nil && a.presence.Type != stanza.TypeUnavailable
}

// takes reports whether messages to the bare JID come here.
func (a *availability) takes() bool { return a.available() && a.priority >= 0 }

func (s *session) catchesUp() bool { return s.catchup.Load() != nil }

func (s *session) available() bool { return s.state.Load().available() }

// priority returns the presence priority; ok is false for a session that gets
// no messages sent to the bare JID: one that is not available, has a negative
// priority, or has ended.
func (s *session) priority() (p int, ok bool) {
	a := s.state.Load()
	if !a.takes() || s.is(gone|closed) {
		return 0, false
	}
	return a.priority, true
}

// top is who takes a message to a bare JID: the sessions of one priority.
type top struct {
	priority int
	n        int      // how many
	first    *session // one of them
	detached int      // how many have no connection
}

// highest returns the sessions with the highest priority of at least 0 that is
// less than below.
func highest(list []*session, below int) top {
	t := top{priority: -1}
	for _, s := range list {
		p, ok := s.priority()
		if !ok || p >= below || p < t.priority {
			continue
		}
		if p > t.priority {
			t = top{priority: p, first: s}
		}
		t.n++
		if s.is(detached) {
			t.detached++
		}
	}
	return t
}

// withPriority returns the sessions that have a priority now.
func withPriority(list []*session, p int) []*session {
	var found []*session
	for _, s := range list {
		if now, ok := s.priority(); ok && now == p {
			found = append(found, s)
		}
	}
	return found
}

// anyAvailable reports whether one of the sessions is available.
func anyAvailable(list []*session) bool {
	for _, s := range list {
		if s.available() {
			return true
		}
	}
	return false
}
