package stun

import (
	"net/netip"
	"testing"

	"github.com/pion/stun"
)

// A relay is no client: through it a client would have the quota of another address,
// and two relays that are each other's clients would pass a packet on for ever.
func TestRelayIsNoClient(t *testing.T) {
	o := turnOptions()
	o.MaxAllocations = 1
	inMemory(t, o, func(r *rig) {
		c := r.client()
		relay, server := c.allocates(), netip.MustParseAddrPort("192.0.2.1:3478")
		c.permits(server)
		through := func(m *stun.Message) *stun.Message {
			t.Helper()
			c.indicates(server, string(m.Raw))
			in := &stun.Message{Raw: c.reads()}
			if err := in.Decode(); err != nil {
				t.Fatalf("got %x, want a Data indication", in.Raw)
			}
			data, err := in.Get(stun.AttrData)
			if err != nil {
				t.Fatal(err)
			}
			return parse(t, data, m.TransactionID)
		}
		inner := *c
		inner.take(through(c.builds(stun.NewType(stun.MethodAllocate, stun.ClassRequest), udp)))
		if got := code(through(inner.signs(stun.MethodAllocate, udp))); got != 403 {
			t.Errorf("Allocate from relay %v: got %d, want 403", relay, got)
		}
	})
}
