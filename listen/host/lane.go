package host

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of what waits for one session outside of the queue of its sink.
const (
	// MaxHeld is the most messages.
	MaxHeld = 10000
	// MaxHeldBytes is the most bytes, but for a single message.
	MaxHeldBytes = 8 << 20
)

// lane keeps the messages to a session in order while some of them have to wait:
// for the store that they go to first, or for what the store has kept before
// them. While it is busy, all messages go through it: those that can be kept are
// kept first, too. Its zero value is empty and not busy.
type lane struct {
	busy atomic.Bool // there are parcels, or one is being delivered

	mu       sync.Mutex // never held while a sink or a host interface is called
	parcels  []parcel
	messages int // of parcels
	bytes    int
	draining bool // somebody works off the parcels
}

// parcel is something in a lane; keep or turn may be nil.
type parcel struct {
	keep   *keep          // that has to be decided first
	turn   *turn          // that has to be over first
	stanza *stanza.Stanza // to deliver; nil: what keep has decided
	done   func()         // of a Receipt, nil for none
}

func (p *parcel) size() int {
	switch {
	case p.stanza != nil:
		return p.stanza.Size()
	case p.keep != nil:
		return p.keep.s.Size()
	}
	return 0
}

// turn lets somebody deliver by himself, without the lane, when everything that
// was in the lane before it has been delivered.
type turn struct {
	come chan struct{} // closed when it has come
	open bool          // come is closed
	over bool
}

// push adds a parcel, unless a bound has been reached.
func (q *lane) push(p parcel) bool {
	size := p.size()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.messages > 0 && p.turn == nil && (q.messages+1 > MaxHeld || q.bytes+size > MaxHeldBytes) {
		return false
	}
	if p.turn == nil {
		q.messages++
		q.bytes += size
	}
	q.parcels = append(q.parcels, p)
	q.busy.Store(true)
	return true
}

// drain delivers what need not wait any longer. It does nothing while somebody
// else does.
func (q *lane) drain(deliver func(parcel)) {
	for begin := true; ; begin = false {
		p, ok := q.next(begin)
		if !ok {
			return
		}
		deliver(p)
	}
}

// next takes out the first parcel; ok is false when there is none that need not
// wait, or when begin finds that somebody else takes them.
func (q *lane) next(begin bool) (p parcel, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if begin && q.draining {
		return parcel{}, false
	}
	q.draining = true
	for q.ready() {
		p = q.parcels[0]
		q.parcels[0] = parcel{}
		q.parcels = q.parcels[1:]
		if p.turn == nil {
			q.messages--
			q.bytes -= p.size()
			return p, true
		}
	}
	q.draining = false
	if len(q.parcels) == 0 {
		q.parcels = nil
		q.busy.Store(false)
	}
	return parcel{}, false
}

// ready reports whether the first parcel need not wait; it opens a turn that has
// come. q.mu is held.
func (q *lane) ready() bool {
	if len(q.parcels) == 0 {
		return false
	}
	p := &q.parcels[0]
	if t := p.turn; t != nil {
		if !t.open {
			t.open = true
			close(t.come)
		}
		return t.over
	}
	return p.keep == nil || p.keep.decided.Load()
}

// before takes out the stored messages whose key is less than a key, wherever
// they stand.
func (q *lane) before(key uint64) (found []parcel) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.parcels = slices.DeleteFunc(q.parcels, func(p parcel) bool {
		if p.keep == nil || p.stanza != nil || !p.keep.decided.Load() {
			return false
		}
		s := p.keep.give
		if s == nil || s.Kept == 0 || s.Kept >= key {
			return false
		}
		q.messages--
		q.bytes -= p.size()
		found = append(found, p)
		return true
	})
	return found
}

// end ends a turn; it may have come or not.
func (q *lane) end(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.over = true
}

// held returns how many messages wait.
func (q *lane) held() int {
	if !q.busy.Load() {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.messages
}
