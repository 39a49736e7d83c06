package stunconformance

import (
	"bytes"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/stun"
)

// pour sends datagrams of 100 bytes from a client, and returns how many bytes a peer
// gets.
func (c *client) pour(p *peer, n int) (got int) {
	for range n {
		c.send(p.addr, bytes.Repeat([]byte{1}, 100))
	}
	for b, ok := receiveAny(p); ok; b, ok = receiveAny(p) {
		got += len(b)
	}
	return got
}

// flood is pour from the peer.
func (c *client) flood(p *peer, n int) (got int) {
	for range n {
		p.send(c.relay, bytes.Repeat([]byte{1}, 100))
	}
	for b := c.nextWithin(c.w.quiet); b != nil; b = c.nextWithin(c.w.quiet) {
		if m, err := decode(b); err == nil {
			v, _ := m.get(atData)
			got += len(v)
		}
	}
	return got
}

// within expects a number of bytes near a rate: headers may be counted or not.
func (w *world) within(what string, got, least, most int) {
	w.t.Helper()
	if got < least || got > most {
		w.t.Errorf("%s: got %d bytes relayed, want %d to %d", what, got, least, most)
	}
}

func rates(allocation, user int) func(*setup) {
	return func(s *setup) { s.options.AllocationRate, s.options.UserRate = allocation, user }
}

var rateRows = []row{
	{"5 of an allocation", rates(2000, 0), func(w *world) {
		a, b, p := w.client(), w.client(), w.peer(peerA.String())
		for _, c := range []*client{a, b} {
			c.allocate()
			c.permit(peerA)
		}
		w.within("to the peer", a.pour(p, 50), 1000, 2200)
		w.within("to the client, at once", a.flood(p, 50), 0, 300)
		w.within("of another allocation", b.pour(p, 50), 1000, 2200)
		w.wait(time.Minute)
		w.within("to the client, later", a.flood(p, 50), 1000, 2200)
		w.wait(10 * time.Second)
		w.ok(a.call(refresh))
	}},
	{"5 of a user", rates(0, 2000), func(w *world) {
		a, b, other, p := w.client(), w.client(), w.client().as("bob"), w.peer(peerA.String())
		for _, c := range []*client{a, b, other} {
			c.allocate()
			c.permit(peerA)
		}
		w.within("of two allocations", a.pour(p, 25)+b.pour(p, 25), 1000, 2500)
		w.within("of another user", other.pour(p, 50), 1000, 2200)
	}},
	{"5 of an address, anonymous", func(s *setup) { rates(0, 2000)(s); s.options.AuthType = stun.AuthAnonymous }, func(w *world) {
		a, b, other, p := w.client(), w.client(), w.clientAt("198.51.100.9:4000"), w.peer(peerA.String())
		for _, c := range []*client{a, b, other} {
			c.allocate()
			c.permit(peerA)
		}
		w.within("of two allocations", a.pour(p, 25)+b.pour(p, 25), 1000, 2500)
		w.within("of another address", other.pour(p, 50), 1000, 2200)
	}},
	{"none", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		w.within("to the peer", c.pour(p, 500), 50000, 50000)
	}},
}

// TestRates is about the bandwidth quota that RFC 8656, section 5, speaks of.
func TestRates(t *testing.T) { play(t, rateRows) }
