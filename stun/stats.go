package stun

import (
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// Stats are numbers of a Server, of all its sockets together since New.
type Stats struct {
	Allocations  int64 // that live now
	Reservations int64 // of ports, that live now

	RelayedPackets uint64 // from clients to peers, and from peers to clients
	RelayedBytes   uint64 // of data in them, without headers
	Dropped        uint64 // packets of both that were neither relayed nor answered
	Refused        uint64 // requests that were answered by an error, but for challenges

	// ReceiveDrops are datagrams that the system had no room for, because they were not
	// read in time: zero where it does not tell (anywhere but on Linux). SendDrops are
	// those that it did not take. Both of sockets for clients, and of relays once they
	// have ended.
	ReceiveDrops, SendDrops uint64
}

// Stats returns the numbers. It does not block.
func (s *Server) Stats() Stats {
	st := Stats{
		Allocations:    s.stats.allocations.Load(),
		Reservations:   s.stats.reservations.Load(),
		RelayedPackets: s.stats.packets.Load(),
		RelayedBytes:   s.stats.bytes.Load(),
		Dropped:        s.stats.dropped.Load(),
		Refused:        s.stats.refused.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.ReceiveDrops, st.SendDrops = s.stats.receiveDrops.Load(), s.stats.sendDrops.Load()
	for l := range s.listeners {
		if l.socket != nil {
			d := l.socket.Drops()
			st.ReceiveDrops += d.Received
			st.SendDrops += d.Sent
		}
	}
	return st
}

type counters struct {
	allocations, reservations        atomic.Int64
	packets, bytes, dropped, refused atomic.Uint64
	receiveDrops, sendDrops          atomic.Uint64 // of sockets that are closed
}

// drop adds what a socket has lost that is closed.
func (c *counters) drop(d datagram.Drops) {
	c.receiveDrops.Add(d.Received)
	c.sendDrops.Add(d.Sent)
}

// tally counts what happens in a batch, so that the readers of several sockets seldom
// touch the same counters.
type tally struct{ packets, bytes, dropped, refused uint64 }

func (t *tally) relay(n int) {
	t.packets++
	t.bytes += uint64(n)
}

// add adds a tally and resets it.
func (c *counters) add(t *tally) {
	if t.packets > 0 {
		c.packets.Add(t.packets)
		c.bytes.Add(t.bytes)
	}
	if t.dropped > 0 {
		c.dropped.Add(t.dropped)
	}
	if t.refused > 0 {
		c.refused.Add(t.refused)
	}
	*t = tally{}
}
