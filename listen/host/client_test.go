package host_test

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// client is a session with a managed stream (XEP-0198), as c2s makes one: what
// it is given waits in a queue until it acknowledges it.
type client struct {
	l    *host.Local
	info stanza.SessionInfo
	// got hears of what is acknowledged, in order; lost of what it never was.
	got, lost func(*stanza.Stanza)

	// Bounds of queue; over them the session ends. 0: none.
	stanzas, bytes int

	mu      sync.Mutex
	full    bool // a bound was reached
	queue   []stanza.Queued
	taken   int // in all
	kept    int // of taken, in the care of a store
	acked   int // of taken
	closed  bool
	waiting []confirmation
}

// confirmation is a call of Confirm that waits.
type confirmation struct {
	upTo int // of taken
	f    func()
}

// join makes a session with a managed stream; presence is XML, "" for none.
func (w *world) join(full, presence string) *client {
	w.Helper()
	c := newClient(w, full)
	if _, err := w.Bind(w.Context(), stanza.Binding{JID: c.info.JID, Sink: c}); err != nil {
		w.Fatalf("Bind(%q): %v", full, err)
	}
	if presence != "" {
		w.send(full, presence)
	}
	return c
}

func newClient(w *world, full string) *client {
	c := &client{l: w.Local, got: func(*stanza.Stanza) {}, lost: func(*stanza.Stanza) {}}
	c.info = stanza.SessionInfo{JID: jid(w.T, full), Sink: c}
	return c
}

func (c *client) Deliver(s *stanza.Stanza) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return stanza.ErrClosed
	}
	if len(c.queue) > 0 && (c.stanzas > 0 && len(c.queue) == c.stanzas || c.bytes > 0 && c.size()+s.Size() > c.bytes) {
		c.full, c.closed = true, true
		return stanza.ErrQueueFull
	}
	c.queue = append(c.queue, stanza.Queued{Stanza: s, Since: time.Now()})
	c.taken++
	return nil
}

// size returns how many bytes are in the queue. c.mu is held.
func (c *client) size() (n int) {
	for _, q := range c.queue {
		n += q.Stanza.Size()
	}
	return n
}

// roomy is a client whose session tells how much it would take.
type roomy struct{ *client }

func (c roomy) Room() (stanzas, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, 0
	}
	stanzas, bytes = math.MaxInt, math.MaxInt
	if c.stanzas > 0 {
		stanzas = c.stanzas - len(c.queue)
	}
	if c.bytes > 0 {
		bytes = max(c.bytes-c.size(), 0)
	}
	return stanzas, bytes
}

// joinBounded makes a session that is bounded and says so.
func (w *world) joinBounded(full, presence string, stanzas, bytes int) *client {
	w.Helper()
	c := newClient(w, full)
	c.stanzas, c.bytes = stanzas, bytes
	c.info.Sink = roomy{c}
	if _, err := w.Bind(w.Context(), stanza.Binding{JID: c.info.JID, Sink: c.info.Sink}); err != nil {
		w.Fatalf("Bind(%q): %v", full, err)
	}
	if presence != "" {
		w.send(full, presence)
	}
	return c
}

func (c *client) Kick(*stanza.StreamError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func (c *client) Confirm(f func()) {
	c.mu.Lock()
	c.waiting = append(c.waiting, confirmation{c.taken, f})
	c.mu.Unlock()
	c.confirm()
}

// confirm calls whoever need not wait any longer.
func (c *client) confirm() {
	c.mu.Lock()
	safe := max(c.acked, c.kept)
	var ready []func()
	c.waiting = slices.DeleteFunc(c.waiting, func(w confirmation) bool {
		if w.upTo <= safe {
			ready = append(ready, w.f)
		}
		return w.upTo <= safe
	})
	c.mu.Unlock()
	for _, f := range ready {
		f()
	}
}

// acknowledge takes the first n of the queue, -1 for all.
func (c *client) acknowledge(n int) {
	c.mu.Lock()
	if n < 0 || n > len(c.queue) {
		n = len(c.queue)
	}
	var kept []uint64
	for _, q := range c.queue[:n] {
		c.got(q.Stanza)
		if q.Stanza.Kept != 0 {
			kept = append(kept, q.Stanza.Kept)
		}
	}
	c.queue = c.queue[n:]
	c.acked += n
	c.mu.Unlock()
	if len(kept) > 0 {
		c.l.Arrived(c.info, kept)
	}
	c.confirm()
}

// detach loses the connection.
func (c *client) detach(w *world) {
	c.l.Detached(w.Context(), c.info)
	c.mu.Lock()
	waiting := slices.Clone(c.queue)
	upTo := c.taken
	c.mu.Unlock()
	kept := c.l.Keep(w.Context(), c.info, waiting)
	c.mu.Lock()
	all := true
	for i, s := range kept {
		c.queue[i].Stanza = s
		all = all && s.Kept != 0
	}
	if all {
		c.kept = upTo
	}
	c.mu.Unlock()
	c.confirm()
}

func (c *client) resume(w *world) { c.l.Resumed(w.Context(), c.info) }

// end ends the session with what it has not acknowledged.
func (c *client) end(w *world) {
	c.Kick(nil)
	c.l.Release(w.Context(), c.info.JID, c.info.Sink)
	c.mu.Lock()
	left := c.queue
	c.queue = nil
	c.mu.Unlock()
	for _, q := range left {
		c.lost(q.Stanza)
	}
	c.l.Ended(w.Context(), c.info, left, nil)
	c.mu.Lock()
	c.acked = c.taken
	c.mu.Unlock()
	c.confirm()
}
