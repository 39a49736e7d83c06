package blocking

import (
	"container/list"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// matcher tells whether an account blocks a peer; nil: it blocks nobody.
type matcher = func(peer stanza.JID) bool

// cache has the lists of the accounts that were asked for last, ready to match:
// who sends much to somebody who is away must not have his list read for each
// stanza. It bounds their number and their size together.
//
// A list that was read before a change and arrives after it is not taken: forget
// marks the reads that are under way. So whoever asks after a change has
// returned hears of it.
type cache struct {
	maxLists, maxBytes int

	mu    sync.Mutex
	lists map[string]*list.Element // by account; their values are of *cached
	used  list.List                // the one used last is in front
	bytes int                      // of all
	reads map[string]*read         // under way, by account; none that is stale
}

type cached struct {
	user   string
	blocks matcher
	bytes  int
}

// read is one or more calls of the store for the list of an account.
type read struct {
	user  string
	calls int
	stale bool // the list has changed since
}

func newCache(maxLists, maxBytes int) *cache {
	return &cache{maxLists: maxLists, maxBytes: maxBytes, lists: make(map[string]*list.Element), reads: make(map[string]*read)}
}

// find returns the list of an account. If it is not known, the caller reads it
// and calls end.
func (c *cache) find(user string) (blocks matcher, ok bool, r *read) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.lists[user]; e != nil {
		c.used.MoveToFront(e)
		return e.Value.(*cached).blocks, true, nil
	}
	if r = c.reads[user]; r == nil {
		r = &read{user: user}
		c.reads[user] = r
	}
	r.calls++
	return nil, false, r
}

// end ends a read that find began, with the list of so many bytes that it gave;
// nil if it failed.
func (c *cache) end(r *read, got *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.calls--; r.calls == 0 && !r.stale {
		delete(c.reads, r.user)
	}
	if got == nil || r.stale || got.bytes > c.maxBytes || c.lists[got.user] != nil {
		return
	}
	c.lists[got.user] = c.used.PushFront(got)
	c.bytes += got.bytes
	for c.used.Len() > c.maxLists || c.bytes > c.maxBytes {
		c.drop(c.used.Back())
	}
}

// forget says that the list of an account has changed.
func (c *cache) forget(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.lists[user]; e != nil {
		c.drop(e)
	}
	if r := c.reads[user]; r != nil {
		r.stale = true
		delete(c.reads, user)
	}
}

// drop removes a list. c.mu is held.
func (c *cache) drop(e *list.Element) {
	old := c.used.Remove(e).(*cached)
	delete(c.lists, old.user)
	c.bytes -= old.bytes
}
