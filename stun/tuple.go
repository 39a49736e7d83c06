package stun

import (
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// client is the transport of a 5-tuple, seen from its server's end.
type client interface {
	// address is where the client is seen.
	address() netip.AddrPort

	// key tells the client apart from the others of its listener: they may share an
	// address where that is not of the internet.
	key() netip.AddrPort

	// isStream says that ChannelData is padded.
	isStream() bool

	// send sends one message, and does not block: it says whether there is room for
	// it. Where the transport is one of datagrams the message goes into out, and may
	// be changed once that is flushed; nil: it is sent at once.
	send(out *datagram.Outbox, message []byte) bool
}

// tuples has the allocations of a listener by the keys of their clients: the other
// parts of the 5-tuple are the same for all of them.
type tuples struct {
	mu       sync.Mutex
	byClient map[netip.AddrPort]*allocation
	closed   bool
}

// get returns the allocation of a client; nil if it has none.
func (t *tuples) get(client netip.AddrPort) *allocation {
	t.mu.Lock()
	a := t.byClient[client]
	t.mu.Unlock()
	return a
}

// add says whether there is room for an allocation: its client has no other, and the
// listener goes on.
func (t *tuples) add(a *allocation) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := a.client.key()
	if t.closed || t.byClient[from] != nil {
		return false
	}
	if t.byClient == nil {
		t.byClient = make(map[netip.AddrPort]*allocation)
	}
	t.byClient[from] = a
	return true
}

func (t *tuples) remove(a *allocation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from := a.client.key(); t.byClient[from] == a {
		delete(t.byClient, from)
	}
}

func (t *tuples) all() []*allocation {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.byClient))
}

// close closes all allocations; there will be no more.
func (t *tuples) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, a := range t.all() {
		a.close()
	}
}
