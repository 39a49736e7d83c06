package host

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of what waits for one session outside of the queue of its sink. While
// the session catches up with the store, a message beyond them that can be stored
// is left there; any other is refused.
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
	draining bool       // somebody works off the parcels
	parcels  []parcel
	messages int // of parcels
	bytes    int
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

// kept returns the stored message of a parcel that need not wait, nil if it has
// none.
func (p *parcel) kept() *stanza.Stanza {
	if p.keep == nil || p.stanza != nil || p.keep.give == nil || p.keep.give.Kept == 0 {
		return nil
	}
	return p.keep.give
}

// turn lets somebody deliver by himself, without the lane, when everything that
// was in the lane before it has been delivered.
type turn struct {
	come chan struct{} // closed when it has come
	open bool          // come is closed, or for somebody else to close
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

// before returns a stored message whose key is less than a key, wherever it
// stands.
func (q *lane) before(key uint64) (p parcel, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.parcels {
		if p.keep == nil || !p.keep.decided.Load() {
			continue
		}
		if s := p.kept(); s != nil && s.Kept < key {
			return p, true
		}
	}
	return parcel{}, false
}

// behind returns how much there is behind a turn that has come, and the next one
// that need not wait for anything else; ok is false if there is none.
func (q *lane) behind(t *turn) (messages, bytes int, next parcel, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.parcels) < 2 || q.parcels[0].turn != t {
		return q.messages, q.bytes, parcel{}, false
	}
	p := q.parcels[1]
	if p.turn != nil || p.keep != nil && !p.keep.decided.Load() {
		return q.messages, q.bytes, parcel{}, false
	}
	return q.messages, q.bytes, p, true
}

// take takes out what before or behind has returned to the one whose turn it is.
func (q *lane) take(p parcel) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.parcels, func(o parcel) bool {
		return o.turn == nil && o.keep == p.keep && o.stanza == p.stanza
	})
	if i >= 0 {
		q.parcels = slices.Delete(q.parcels, i, i+1)
		q.messages--
		q.bytes -= p.size()
	}
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
