package stun

import "sync/atomic"

// Stats are numbers of a Server, of all its sockets together since New.
type Stats struct {
	Allocations  int64 // that live now
	Reservations int64 // of ports, that live now

	RelayedPackets uint64 // from clients to peers, and from peers to clients
	RelayedBytes   uint64 // of data in them, without headers
	Dropped        uint64 // packets of both that were neither relayed nor answered
	Refused        uint64 // requests that were answered by an error, but for challenges
}

// Stats returns the numbers. It does not block.
func (s *Server) Stats() Stats {
	return Stats{
		Allocations:    s.stats.allocations.Load(),
		Reservations:   s.stats.reservations.Load(),
		RelayedPackets: s.stats.packets.Load(),
		RelayedBytes:   s.stats.bytes.Load(),
		Dropped:        s.stats.dropped.Load(),
		Refused:        s.stats.refused.Load(),
	}
}

type counters struct {
	allocations, reservations        atomic.Int64
	packets, bytes, dropped, refused atomic.Uint64
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
