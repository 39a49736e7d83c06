package stun

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/stun"
)

func TestCreatePermission(t *testing.T) {
	at := func(s string) stun.Setter { return peer(netip.MustParseAddrPort(s)) }
	o := turnOptions()
	o.MaxPermissions = 3
	tests := []struct {
		name  string
		attrs []stun.Setter
		want  int
	}{
		{"one", []stun.Setter{at("8.8.8.8:1")}, 0},
		{"without port", []stun.Setter{at("8.8.8.8:0")}, 0},
		{"several", []stun.Setter{at("8.8.8.8:1"), at("8.8.4.4:1"), at("1.1.1.1:1")}, 0},
		{"one several times", []stun.Setter{at("8.8.8.8:1"), at("8.8.8.8:2"), at("8.8.8.8:3"), at("8.8.8.8:4")}, 0},
		{"too many", []stun.Setter{at("8.8.8.8:1"), at("8.8.4.4:1"), at("1.1.1.1:1"), at("1.0.0.1:1")}, 508},
		{"none", nil, 400},
		{"empty address", []stun.Setter{attr{stun.AttrXORPeerAddress, nil}}, 400},
		{"malformed address", []stun.Setter{attr{stun.AttrXORPeerAddress, []byte{0, 1, 2, 3, 4, 5}}}, 400},
		{"unknown family", []stun.Setter{attr{stun.AttrXORPeerAddress, []byte{0, 3, 2, 3, 4, 5, 6, 7}}}, 400},
		{"one of two malformed", []stun.Setter{at("8.8.8.8:1"), attr{stun.AttrXORPeerAddress, []byte{0}}}, 400},
		{"another family", []stun.Setter{at("[2001:4860::8]:1")}, 443},
		{"one of two of another family", []stun.Setter{at("8.8.8.8:1"), at("[2001:4860::8]:1")}, 443},
		{"loopback", []stun.Setter{at("127.0.0.1:1")}, 403},
		{"one of two on loopback", []stun.Setter{at("8.8.8.8:1"), at("127.0.0.1:1")}, 403},
		{"private", []stun.Setter{at("10.0.0.1:1")}, 403},
		{"unknown attribute", []stun.Setter{at("8.8.8.8:1"), attr{0x7ff1, nil}}, 420},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, o, func(r *rig) {
				c, p := r.client(), r.peer("8.8.8.8:4000")
				relay := c.allocates()
				r.wantError(c.does(stun.MethodCreatePermission, tt.attrs...), tt.want)
				c.indicates(p.addr(), "hello")
				if tt.want == 0 {
					p.wants(relay, "hello")
				} else {
					p.wantsNothing() // all or nothing
				}
			})
		})
	}
}

func TestPermissionExpires(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, p := r.client(), r.peer("8.8.8.8:4000")
		relay := c.allocates(seconds(3600))
		c.permits(p.addr())
		for range 2 {
			time.Sleep(5*time.Minute - time.Second)
			c.indicates(p.addr(), "hello") // does not prolong it
			p.wants(relay, "hello")
			p.sends(relay, "hello")
			c.wantsIndication(p.addr(), "hello")
			c.permits(p.addr())
		}
		time.Sleep(5*time.Minute + time.Second)
		c.indicates(p.addr(), "hello")
		p.wantsNothing()
		p.sends(relay, "hello")
		c.wantsNothing()
	})
}

func TestMaxPermissions(t *testing.T) {
	o := turnOptions()
	inMemory(t, o, func(r *rig) {
		c := r.client()
		c.allocates(seconds(3600))
		number := func(i int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 8, 8, byte(i)}), 1) }
		for i := range o.MaxPermissions {
			c.permits(number(i))
		}
		r.wantError(c.does(stun.MethodCreatePermission, peer(number(100))), 508)
		r.wantError(c.binds(0x4000, number(100)), 508)
		c.permits(number(1)) // is prolonged
		time.Sleep(4 * time.Minute)
		c.permits(number(2))
		time.Sleep(2 * time.Minute)
		for i := range o.MaxPermissions - 1 { // all but one are over
			c.permits(number(100 + i))
		}
		r.wantError(c.does(stun.MethodCreatePermission, peer(number(50))), 508)
		a := r.srv.only(t)
		if n := len(a.permissions); n != o.MaxPermissions {
			t.Errorf("got %d permissions, want %d", n, o.MaxPermissions)
		}
	})
}

// only returns the allocation that there is.
func (s *Server) only(t *testing.T) *allocation {
	t.Helper()
	for l := range s.listeners {
		for _, a := range l.tuples.all() {
			return a
		}
	}
	t.Fatal("no allocation")
	return nil
}

// One address over and over costs little more than once: a request of 64 KiB must not
// hold up the reader of a socket.
func BenchmarkPermitTwice(b *testing.B) {
	set := &settings{Options: turnOptions()}
	for i := range 1000 {
		set.Blacklist = append(set.Blacklist, netip.PrefixFrom(netip.AddrFrom4([4]byte{9, 9, byte(i >> 8), byte(i)}), 32))
	}
	a := &allocation{l: &listener{srv: New(Host{})}}
	a.relays[ipv4] = &relay{a: a, addr: netip.AddrPortFrom(relay4, 49152)}
	peers := slices.Repeat([]netip.AddrPort{netip.MustParseAddrPort("8.8.8.8:1")}, 5000)
	for b.Loop() {
		if code := a.permit(set, peers, time.Now()); code != 0 {
			b.Fatalf("got %d", code)
		}
	}
}
