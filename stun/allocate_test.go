package stun

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/stun"
)

func TestAllocate(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c := r.client()
		m := c.does(stun.MethodAllocate, udp)
		r.wantSuccess(m)
		if got := address(t, m, stun.AttrXORRelayedAddress); got.Addr() != relay4 {
			t.Errorf("XOR-RELAYED-ADDRESS: got %v, want one of %v", got, relay4)
		}
		if got := address(t, m, stun.AttrXORMappedAddress); got != c.addr() {
			t.Errorf("XOR-MAPPED-ADDRESS: got %v, want %v", got, c.addr())
		}
		if got := lifetime(t, m); got != 10*time.Minute {
			t.Errorf("LIFETIME: got %v, want 10m", got)
		}
		if got, _ := m.Get(stun.AttrSoftware); string(got) != "Tidewaiter" {
			t.Errorf("SOFTWARE: got %q, want %q", got, "Tidewaiter")
		}
		if got := r.srv.Stats(); got.Allocations != 1 || got.Refused != 0 {
			t.Errorf("stats: got %+v, want one allocation and nothing refused", got)
		}
	})
}

// What an Allocate request may ask for, and what it gets (RFC 8656, section 7.2).
func TestAllocateErrors(t *testing.T) {
	token := attr{stun.AttrReservationToken, make([]byte, 8)}
	only4 := turnOptions()
	only4.IPv6Address = netip.Addr{}
	redirect := turnOptions()
	redirect.AlternateServer = netip.MustParseAddrPort("192.0.2.77:3478")
	redirect6 := turnOptions()
	redirect6.AlternateServer = netip.MustParseAddrPort("[2001:db8::7]:3478")
	fragment := map[bool]int{true: 0, false: 420}[hasDontFragment]
	tests := []struct {
		name  string
		o     Options
		attrs []stun.Setter
		want  int
	}{
		{"no fragments", turnOptions(), []stun.Setter{udp, attr{stun.AttrDontFragment, nil}}, fragment},
		{"nothing special", turnOptions(), []stun.Setter{udp}, 0},
		{"no transport", turnOptions(), nil, 400},
		{"malformed transport", turnOptions(), []stun.Setter{attr{stun.AttrRequestedTransport, []byte{17}}}, 400},
		{"TCP relay for a UDP client", turnOptions(), []stun.Setter{attr{stun.AttrRequestedTransport, []byte{6, 0, 0, 0}}}, 442},
		{"unknown transport", turnOptions(), []stun.Setter{attr{stun.AttrRequestedTransport, []byte{132, 0, 0, 0}}}, 442},
		{"malformed lifetime", turnOptions(), []stun.Setter{udp, attr{stun.AttrLifetime, []byte{1}}}, 400},
		{"IPv4", turnOptions(), []stun.Setter{udp, wantIPv4}, 0},
		{"IPv6", turnOptions(), []stun.Setter{udp, wantIPv6}, 0},
		{"IPv6 without an address", only4, []stun.Setter{udp, wantIPv6}, 440},
		{"unknown family", turnOptions(), []stun.Setter{udp, attr{stun.AttrRequestedAddressFamily, []byte{3, 0, 0, 0}}}, 440},
		{"malformed family", turnOptions(), []stun.Setter{udp, attr{stun.AttrRequestedAddressFamily, []byte{1}}}, 400},
		{"both families", turnOptions(), []stun.Setter{udp, alsoIPv6}, 0},
		{"both families, one missing", only4, []stun.Setter{udp, alsoIPv6}, 0},
		{"additional IPv4", turnOptions(), []stun.Setter{udp, attr{0x8000, []byte{1, 0, 0, 0}}}, 400},
		{"requested and additional", turnOptions(), []stun.Setter{udp, wantIPv4, alsoIPv6}, 400},
		{"even port", turnOptions(), []stun.Setter{udp, evenPort}, 0},
		{"malformed even port", turnOptions(), []stun.Setter{udp, attr{stun.AttrEvenPort, nil}}, 400},
		{"even port of both families", turnOptions(), []stun.Setter{udp, evenPort, alsoIPv6}, 0},
		{"pair", turnOptions(), []stun.Setter{udp, portPair}, 0},
		{"pair of both families", turnOptions(), []stun.Setter{udp, portPair, alsoIPv6}, 400},
		{"unknown token", turnOptions(), []stun.Setter{udp, token}, 508},
		{"malformed token", turnOptions(), []stun.Setter{udp, attr{stun.AttrReservationToken, make([]byte, 7)}}, 400},
		{"token and even port", turnOptions(), []stun.Setter{udp, token, evenPort}, 400},
		{"token and family", turnOptions(), []stun.Setter{udp, token, wantIPv4}, 400},
		{"token and additional family", turnOptions(), []stun.Setter{udp, token, alsoIPv6}, 400},
		{"unknown attribute", turnOptions(), []stun.Setter{udp, attr{0x7ff1, nil}}, 420},
		{"unknown attribute that need not be understood", turnOptions(), []stun.Setter{udp, attr{0xfff1, nil}}, 0},
		{"another server", redirect, []stun.Setter{udp}, 300},
		{"another server of another family", redirect6, []stun.Setter{udp}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, tt.o, func(r *rig) {
				r.wantError(r.client().does(stun.MethodAllocate, tt.attrs...), tt.want)
				if got := r.srv.Stats().Allocations; (got == 1) != (tt.want == 0) {
					t.Errorf("got %d allocations", got)
				}
			})
		})
	}
}

func TestAllocateUnknownAttributes(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		m := r.client().does(stun.MethodAllocate, udp, attr{0x7ff1, nil}, attr{0x7ff2, []byte("x")}, attr{0x7ff1, nil})
		r.wantError(m, 420)
		if got, _ := m.Get(stun.AttrUnknownAttributes); string(got) != "\x7f\xf1\x7f\xf2" {
			t.Errorf("UNKNOWN-ATTRIBUTES: got %x, want 7ff17ff2", got)
		}
	})
}

func TestAlternateServer(t *testing.T) {
	o := turnOptions()
	o.AlternateServer = netip.MustParseAddrPort("192.0.2.77:5000")
	inMemory(t, o, func(r *rig) {
		m := r.client().does(stun.MethodAllocate, udp)
		r.wantError(m, 300)
		var a stun.AlternateServer
		if err := a.GetFrom(m); err != nil || a.IP.String() != "192.0.2.77" || a.Port != 5000 {
			t.Errorf("ALTERNATE-SERVER: got %v, %v, want 192.0.2.77:5000", &a, err)
		}
	})
}

func TestAllocateLifetime(t *testing.T) {
	o := turnOptions()
	o.MaxLifetime = 30 * time.Minute
	tests := []struct {
		name  string
		attrs []stun.Setter
		want  time.Duration
	}{
		{"none", nil, 10 * time.Minute},
		{"zero", []stun.Setter{seconds(0)}, 10 * time.Minute},
		{"short", []stun.Setter{seconds(60)}, 10 * time.Minute},
		{"longer", []stun.Setter{seconds(1200)}, 20 * time.Minute},
		{"too long", []stun.Setter{seconds(7200)}, 30 * time.Minute},
		{"longest", []stun.Setter{seconds(1<<32 - 1)}, 30 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, o, func(r *rig) {
				m := r.client().does(stun.MethodAllocate, append([]stun.Setter{udp}, tt.attrs...)...)
				r.wantSuccess(m)
				if got := lifetime(t, m); got != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
				time.Sleep(tt.want - time.Second)
				if got := r.srv.Stats().Allocations; got != 1 {
					t.Errorf("a second before its end: got %d allocations, want 1", got)
				}
				time.Sleep(time.Second + time.Millisecond)
				if got := r.srv.Stats().Allocations; got != 0 {
					t.Errorf("after its end: got %d allocations, want 0", got)
				}
			})
		})
	}
}

// A request that comes again gets the same answer; another one is refused (RFC 8656,
// sections 5 and 7.2).
func TestAllocateAgain(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c := r.client()
		request := c.signs(stun.MethodAllocate, udp, portPair)
		first := c.exchange(request)
		r.wantSuccess(first)
		time.Sleep(5 * time.Second)
		second := c.exchange(request)
		if !slices.Equal(first.Raw, second.Raw) {
			t.Errorf("the same request: got %x, want %x", second.Raw, first.Raw)
		}
		r.wantError(c.does(stun.MethodAllocate, udp), 437)
		if got := r.srv.Stats().Allocations; got != 1 {
			t.Errorf("got %d allocations, want 1", got)
		}
	})
}

func TestDualAllocation(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		m := r.client().does(stun.MethodAllocate, udp, alsoIPv6)
		r.wantSuccess(m)
		list := addresses(t, m, stun.AttrXORRelayedAddress)
		if len(list) != 2 || list[0].Addr() != relay4 || list[1].Addr() != relay6 {
			t.Errorf("XOR-RELAYED-ADDRESS: got %v, want one of %v and one of %v", list, relay4, relay6)
		}
		if m.Contains(0x8001) {
			t.Error("got ADDRESS-ERROR-CODE")
		}
	})
	o := turnOptions()
	o.IPv6Address = netip.Addr{}
	inMemory(t, o, func(r *rig) {
		m := r.client().does(stun.MethodAllocate, udp, alsoIPv6)
		r.wantSuccess(m)
		if list := addresses(t, m, stun.AttrXORRelayedAddress); len(list) != 1 {
			t.Errorf("XOR-RELAYED-ADDRESS: got %v, want one", list)
		}
		v, _ := m.Get(0x8001)
		if len(v) < 4 || v[0] != 2 || v[2]&7 != 4 || v[3] != 40 {
			t.Errorf("ADDRESS-ERROR-CODE: got %x, want 440 for IPv6", v)
		}
	})
}

func TestAllocateFull(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		r.relays.full = true
		c := r.client()
		r.wantError(c.does(stun.MethodAllocate, udp), 508)
		r.wantError(c.does(stun.MethodAllocate, udp, alsoIPv6), 508)
		r.wantError(c.does(stun.MethodAllocate, udp, portPair), 508)
		r.relays.full = false
		c.allocates()
	})
}

func TestMaxAllocations(t *testing.T) {
	o := turnOptions()
	o.MaxAllocations = 3
	inMemory(t, o, func(r *rig) {
		var all []*testClient
		for range o.MaxAllocations {
			c := r.client()
			c.allocates()
			all = append(all, c)
		}
		late := r.client()
		r.wantError(late.does(stun.MethodAllocate, udp), 486)
		other := r.clientAt(netip.MustParseAddrPort("198.51.100.8:1000"))
		other.allocates()
		r.wantSuccess(all[1].does(stun.MethodRefresh, seconds(0)))
		late.allocates()
	})
}

// Clients at the ends of tunnels get nothing (RFC 8656, section 21.4).
func TestAllocateTunnel(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		for at, want := range map[string]int{"[2001::1]:1": 403, "[2002:c000:201::1]:1": 403, "[2001:db8::1]:1": 0} {
			m := r.clientAt(netip.MustParseAddrPort(at)).does(stun.MethodAllocate, udp)
			if got := code(m); got != want {
				t.Errorf("%s: got %d, want %d", at, got, want)
			}
		}
	})
}

// A client of IPv6 has all addresses of its network, and the quota once: of 64 bits
// the network chooses none (RFC 4291, section 2.5.4).
func TestMaxAllocationsIPv6(t *testing.T) {
	o := turnOptions()
	o.MaxAllocations = 2
	inMemory(t, o, func(r *rig) {
		first := r.clientAt(netip.MustParseAddrPort("[2001:db8:0:1::1]:1000"))
		first.allocates()
		_, token := r.clientAt(netip.MustParseAddrPort("[2001:db8:0:2::1]:1000")).pairs()
		r.clientAt(netip.MustParseAddrPort("[2001:db8:0:1::2]:1000")).allocates()
		late := r.clientAt(netip.MustParseAddrPort("[2001:db8:0:1:ffff::3]:1000"))
		r.wantError(late.does(stun.MethodAllocate, udp), 486)
		r.wantError(late.does(stun.MethodAllocate, udp, token), 486)
		r.wantSuccess(first.does(stun.MethodRefresh, seconds(0)))
		late.allocates(token)
		r.wantError(first.does(stun.MethodAllocate, udp), 486)
	})
}
