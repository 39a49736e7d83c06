package stun

import (
	"testing"
	"time"

	"github.com/pion/stun"
)

func TestRefresh(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c := r.client()
		c.allocates()
		for _, tt := range []struct {
			attrs []stun.Setter
			want  time.Duration
		}{
			{nil, 10 * time.Minute},
			{[]stun.Setter{seconds(1)}, 10 * time.Minute},
			{[]stun.Setter{seconds(1800)}, 30 * time.Minute},
			{[]stun.Setter{seconds(7200)}, time.Hour},
			{[]stun.Setter{seconds(600)}, 10 * time.Minute},
		} {
			m := c.does(stun.MethodRefresh, tt.attrs...)
			r.wantSuccess(m)
			if got := lifetime(t, m); got != tt.want {
				t.Errorf("LIFETIME: got %v, want %v", got, tt.want)
			}
			time.Sleep(9 * time.Minute)
		}
		time.Sleep(time.Minute - time.Second)
		if got := r.srv.Stats().Allocations; got != 1 {
			t.Errorf("a second before its end: got %d allocations, want 1", got)
		}
		time.Sleep(2 * time.Second)
		if got := r.srv.Stats().Allocations; got != 0 {
			t.Errorf("after its end: got %d allocations, want 0", got)
		}
		r.wantError(c.does(stun.MethodRefresh), 437)
		c.allocates()
	})
}

func TestRefreshErrors(t *testing.T) {
	tests := []struct {
		name  string
		attrs []stun.Setter
		want  int
	}{
		{"malformed lifetime", []stun.Setter{attr{stun.AttrLifetime, []byte{0}}}, 400},
		{"malformed family", []stun.Setter{attr{stun.AttrRequestedAddressFamily, []byte{1}}}, 400},
		{"its family", []stun.Setter{wantIPv4}, 0},
		{"another family", []stun.Setter{wantIPv6}, 443},
		{"end of another family", []stun.Setter{wantIPv6, seconds(0)}, 443},
		{"unknown family", []stun.Setter{attr{stun.AttrRequestedAddressFamily, []byte{3, 0, 0, 0}}}, 443},
		{"unknown attribute", []stun.Setter{attr{0x7ff1, nil}}, 420},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, turnOptions(), func(r *rig) {
				c := r.client()
				c.allocates()
				r.wantError(c.does(stun.MethodRefresh, tt.attrs...), tt.want)
				if got := r.srv.Stats().Allocations; got != 1 {
					t.Errorf("got %d allocations, want 1", got)
				}
			})
		})
	}
}

func TestRefreshZero(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, p := r.client(), r.peer("8.8.8.8:4000")
		relay := c.allocates()
		c.permits(p.addr())
		m := c.does(stun.MethodRefresh, seconds(0))
		r.wantSuccess(m)
		if got := lifetime(t, m); got != 0 {
			t.Errorf("LIFETIME: got %v, want 0", got)
		}
		p.sends(relay, "hello")
		c.wantsNothing()
		c.indicates(p.addr(), "hello")
		p.wantsNothing()
		r.wantError(c.does(stun.MethodRefresh, seconds(0)), 437)
		if n := r.relays.count(); n != 0 {
			t.Errorf("%d sockets of relays are open, want 0", n)
		}
	})
}

// The relays of a dual allocation have each a life of their own (RFC 8656, section 8).
func TestRefreshDual(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, p4, p6 := r.client(), r.peer("8.8.8.8:4000"), r.peer("[2001:4860::8]:4000")
		m := c.does(stun.MethodAllocate, udp, alsoIPv6)
		r.wantSuccess(m)
		relays := addresses(t, m, stun.AttrXORRelayedAddress)
		r.wantSuccess(c.binds(0x4000, p4.addr()))
		r.wantSuccess(c.binds(0x4001, p6.addr()))
		c.channels(0x4000, "four")
		p4.wants(relays[0], "four")
		c.channels(0x4001, "six")
		p6.wants(relays[1], "six")

		r.wantSuccess(c.does(stun.MethodRefresh, wantIPv4, seconds(0)))
		c.channels(0x4000, "four")
		p4.wantsNothing()
		r.wantError(c.does(stun.MethodCreatePermission, peer(p4.addr())), 443)
		r.wantError(c.binds(0x4002, p4.addr()), 443)
		r.wantError(c.does(stun.MethodRefresh, wantIPv4), 443)
		c.channels(0x4001, "six")
		p6.wants(relays[1], "six")
		r.wantSuccess(c.does(stun.MethodRefresh, wantIPv6, seconds(0)))
		r.wantError(c.does(stun.MethodRefresh), 437)
	})
	inMemory(t, turnOptions(), func(r *rig) { // one expires, the other was refreshed
		c := r.client()
		r.wantSuccess(c.does(stun.MethodAllocate, udp, alsoIPv6))
		time.Sleep(5 * time.Minute)
		r.wantSuccess(c.does(stun.MethodRefresh, wantIPv6))
		time.Sleep(6 * time.Minute)
		if n := r.relays.count(); n != 1 {
			t.Errorf("%d relays are open, want 1", n)
		}
		r.wantError(c.does(stun.MethodRefresh, wantIPv4), 443)
		r.wantSuccess(c.does(stun.MethodRefresh))
		time.Sleep(11 * time.Minute)
		if n := r.srv.Stats().Allocations; n != 0 {
			t.Errorf("got %d allocations, want 0", n)
		}
	})
}
