package stun

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun"
)

// pairs makes an allocation with the next higher port reserved.
func (c *testClient) pairs() (relay netip.AddrPort, token stun.Setter) {
	c.r.t.Helper()
	m := c.does(stun.MethodAllocate, udp, portPair)
	c.r.wantSuccess(m)
	v, err := m.Get(stun.AttrReservationToken)
	if err != nil || len(v) != 8 {
		c.r.t.Fatalf("RESERVATION-TOKEN: got %x, %v", v, err)
	}
	return address(c.r.t, m, stun.AttrXORRelayedAddress), attr{stun.AttrReservationToken, append([]byte(nil), v...)}
}

func TestReservation(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, d := r.client(), r.client()
		relay, token := c.pairs()
		if relay.Port()%2 != 0 {
			t.Errorf("got port %d, want an even one", relay.Port())
		}
		if got := r.srv.Stats().Reservations; got != 1 {
			t.Errorf("got %d reservations, want 1", got)
		}
		time.Sleep(29 * time.Second)
		if got, want := d.allocates(token), netip.AddrPortFrom(relay.Addr(), relay.Port()+1); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		r.wantError(r.client().does(stun.MethodAllocate, udp, token), 508) // it is good once
		if got := r.srv.Stats().Reservations; got != 0 {
			t.Errorf("got %d reservations, want 0", got)
		}
		p := r.peer("8.8.8.8:4000")
		d.permits(p.addr())
		d.indicates(p.addr(), "hello")
		p.wants(netip.AddrPortFrom(relay.Addr(), relay.Port()+1), "hello")
	})
}

func TestReservationExpires(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		_, token := r.client().pairs()
		time.Sleep(31 * time.Second)
		if n := r.relays.count(); n != 1 {
			t.Errorf("%d sockets are open, want 1", n)
		}
		r.wantError(r.client().does(stun.MethodAllocate, udp, token), 508)
	})
}

// A reservation counts as an allocation of who made it.
func TestReservationQuota(t *testing.T) {
	o := turnOptions()
	o.MaxAllocations = 2
	inMemory(t, o, func(r *rig) {
		_, token := r.client().pairs()
		late := r.client()
		r.wantError(late.does(stun.MethodAllocate, udp), 486)
		late.allocates(token)
		r.wantError(r.client().does(stun.MethodAllocate, udp), 486)
	})
	inMemory(t, o, func(r *rig) {
		_, token := r.client().pairs()
		at := netip.MustParseAddr("198.51.100.8")
		for i := range 2 {
			r.clientAt(netip.AddrPortFrom(at, uint16(1+i))).allocates()
		}
		r.wantError(r.clientAt(netip.AddrPortFrom(at, 3)).does(stun.MethodAllocate, udp, token), 486)
		r.clientAt(netip.MustParseAddrPort("198.51.100.9:1")).allocates(token)
		r.client().allocates() // the owner has room again
	})
	o.MaxAllocations = 1
	inMemory(t, o, func(r *rig) {
		r.wantError(r.client().does(stun.MethodAllocate, udp, portPair), 508)
		r.client().allocates()
	})
}

func TestMaxReservations(t *testing.T) {
	o := turnOptions()
	o.MaxAllocations = 10 * maxReservations
	inMemory(t, o, func(r *rig) {
		for range maxReservations {
			c := r.client()
			c.pairs()
			r.wantSuccess(c.does(stun.MethodRefresh, seconds(0)))
			time.Sleep(time.Millisecond)
		}
		if got := r.srv.Stats(); got.Reservations != maxReservations || got.Allocations != 0 {
			t.Errorf("got %+v, want %d reservations", got, maxReservations)
		}
		c := r.client()
		r.wantError(c.does(stun.MethodAllocate, udp, portPair), 508)
		c.allocates()
		if n := r.relays.count(); n != maxReservations+1 {
			t.Errorf("%d sockets are open, want %d", n, maxReservations+1)
		}
		time.Sleep(31 * time.Second)
		if n := r.relays.count(); n != 1 {
			t.Errorf("%d sockets are open, want 1", n)
		}
	})
}
