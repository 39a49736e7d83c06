package host

import (
	"slices"
	"sync"
	"weak"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxShared is the most messages of an account that are remembered because
// several of its sessions have got them. Of older ones, those that a session
// does not get delivered come to the others once more.
const maxShared = 1024

// shared remembers which messages were delivered to several sessions of an
// account, so that what one of them returns does not come to another one twice.
// It keeps no message alive: one that no queue has any more is forgotten. Its
// zero value is empty.
type shared struct {
	mu   sync.Mutex
	list []sharing // oldest first
}

// sharing is a message, or a copy of it, that sessions have.
type sharing struct {
	s    weak.Pointer[stanza.Stanza]
	have *holders
}

// holders are the sessions that have a message and have not returned it.
type holders struct {
	sessions []*session
}

// add notes that sessions get a message. The slice stays the caller's.
func (h *shared) add(s *stanza.Stanza, to []*session) {
	h.enter(s, &holders{slices.Clone(to)})
}

func (h *shared) enter(s *stanza.Stanza, have *holders) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.list); n == cap(h.list) || n == maxShared {
		h.prune()
	}
	h.list = append(h.list, sharing{weak.Make(s), have})
}

// prune forgets what nobody can return any more, and makes room. h.mu is held.
func (h *shared) prune() {
	live := h.list[:0]
	for _, e := range h.list {
		if e.s.Value() != nil {
			live = append(live, e)
		}
	}
	if len(live) > maxShared/2 && len(h.list) == maxShared {
		live = append(live[:0], live[len(live)-maxShared/2:]...)
	}
	clear(h.list[len(live):])
	h.list = live
	if len(live) > cap(live)/2 {
		h.list = slices.Grow(live, len(live)+8)
	}
}

// remove notes that a session has not taken a message.
func (h *shared) remove(s *stanza.Stanza, t *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if have := h.of(s); have != nil {
		have.sessions = without(have.sessions, t)
	}
}

// of returns who has a message, nil if that is not known. h.mu is held.
func (h *shared) of(s *stanza.Stanza) *holders {
	w := weak.Make(s)
	for i := range h.list {
		if h.list[i].s == w {
			return h.list[i].have
		}
	}
	return nil
}

// alias notes that a copy of a message takes its place.
func (h *shared) alias(s, as *stanza.Stanza) {
	h.mu.Lock()
	have := h.of(s)
	h.mu.Unlock()
	if have != nil {
		h.enter(as, have)
	}
}

// returned notes that a session that has ended returns a message, and reports
// whether another one has it.
func (h *shared) returned(s *stanza.Stanza, by stanza.Sink) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	have := h.of(s)
	if have == nil {
		return false
	}
	for _, t := range have.sessions {
		if t.sink == by {
			have.sessions = without(have.sessions, t)
			break
		}
	}
	return len(have.sessions) > 0
}
