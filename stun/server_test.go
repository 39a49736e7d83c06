package stun

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Options that contradict one another, or this machine, are errors that name them.
func TestOptionErrors(t *testing.T) {
	tests := []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"ports", func(o *Options) { o.MinPort, o.MaxPort = 2000, 1999 }, "turn_max_port: 1999 is less than turn_min_port, 2000"},
		{"no lowest port", func(o *Options) { o.MinPort = 0 }, "turn_min_port"},
		{"no highest port", func(o *Options) { o.MaxPort = 65536 }, "turn_max_port"},
		{"realm", func(o *Options) { o.AuthRealm = "" }, "auth_realm"},
		{"long realm", func(o *Options) { o.AuthRealm = strings.Repeat("r", 128) }, "auth_realm: want at most 127 characters"},
		{"authentication", func(o *Options) { o.AuthType = "both" }, "auth_type: want user or anonymous"},
		{"allocations", func(o *Options) { o.MaxAllocations = 0 }, "turn_max_allocations"},
		{"permissions", func(o *Options) { o.MaxPermissions = 0 }, "turn_max_permissions"},
		{"lifetime", func(o *Options) { o.MaxLifetime = time.Minute }, "turn_max_lifetime: want at least 10m0s, got 1m0s"},
		{"rate", func(o *Options) { o.AllocationRate = -1 }, "turn_allocation_rate"},
		{"rate of users", func(o *Options) { o.UserRate = -1 }, "turn_user_rate"},
		{"IPv6 as IPv4", func(o *Options) { o.IPv4Address = netip.IPv6Loopback() }, "turn_ipv4_address"},
		{"IPv4 as IPv6", func(o *Options) { o.IPv6Address = netip.MustParseAddr("127.0.0.1") }, "turn_ipv6_address"},
		{"not of this machine", func(o *Options) { o.IPv4Address = netip.MustParseAddr("192.0.2.200") }, "turn_ipv4_address: listen udp4 192.0.2.200:0"},
		{"IPv6 not of this machine", func(o *Options) { o.IPv6Address = netip.MustParseAddr("2001:db8::200") }, "turn_ipv6_address"},
		{"another server without port", func(o *Options) { o.AlternateServer = netip.MustParseAddrPort("192.0.2.1:0") }, "turn_alternate_server"},
		{"name", func(o *Options) { o.ServerName = strings.Repeat("ü", 128) }, "server_name: want at most 127 characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Defaults()
			o.UseTURN = true
			tt.change(&o)
			pc := listentest.NewPacketConn()
			err := New(Host{}).ListenPacket(t.Context(), pc, o)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s…", err, tt.want)
			}
			if tt.name == "name" {
				return
			}
			o.UseTURN = false // then it does not matter
			_ = pc.Close()
			if err := New(Host{}).ListenPacket(t.Context(), pc, o); err != nil {
				t.Errorf("without TURN: got %v, want nil", err)
			}
		})
	}
}

// A socket that is closed ends at once, with all that its clients have.
func TestClosedSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, turnOptions())
		for range 5 {
			r.client().pairs()
		}
		_ = r.pc.Close()
		if err := <-r.done; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		r.wantsEmpty()
		r.stop(nil)
	})
}

func TestCancelledBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		why := errors.New("why")
		stop(why)
		if err := New(Host{}).ListenPacket(ctx, listentest.NewPacketConn(), Defaults()); err != why {
			t.Errorf("got %v, want %v", err, why)
		}
	})
}

func TestUpdate(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		update := func(change func(o *Options)) {
			t.Helper()
			o := turnOptions()
			change(&o)
			if err := r.srv.Update(r.pc.LocalAddr(), o); err != nil {
				t.Fatal(err)
			}
		}
		c, p, q := r.client(), r.peer("8.8.8.8:4000"), r.peer("8.8.4.4:4000")
		relay := c.allocates()
		r.wantSuccess(c.binds(0x4000, p.addr()))
		c.permits(q.addr())

		update(func(o *Options) { o.MaxAllocations = 1 })
		r.wantError(r.client().does(stun.MethodAllocate, udp), 486)

		update(func(o *Options) { o.Blacklist = []netip.Prefix{netip.MustParsePrefix("8.8.8.0/24")} })
		c.channels(0x4000, "hello")
		p.wantsNothing()
		p.sends(relay, "hello")
		c.wantsNothing()
		c.indicates(q.addr(), "hello")
		q.wants(relay, "hello")
		r.wantError(c.binds(0x4000, p.addr()), 403)

		update(func(o *Options) { o.AllocationRate = 1 })
		c.indicates(q.addr(), "hello")
		q.wants(relay, "hello")
		c.indicates(q.addr(), "hello")
		q.wantsNothing()

		// An allocation that was made by a user stays his.
		update(func(o *Options) { o.AuthType = AuthAnonymous })
		r.wantSuccess(c.does(stun.MethodRefresh))
		r.wantSuccess(r.client().asks(stun.MethodAllocate, udp))
		r.wantError(c.asks(stun.MethodRefresh), 401)

		update(func(o *Options) { o.UseTURN = false })
		r.wantError(r.client().asks(stun.MethodAllocate, udp), 405)
		c.indicates(q.addr(), "still")
		time.Sleep(time.Hour)
		if n := r.srv.Stats().Allocations; n != 0 {
			t.Errorf("got %d allocations an hour later, want 0", n)
		}
	})
}

func TestUpdateErrors(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		o := turnOptions()
		o.MinPort, o.MaxPort = 2000, 1999
		if err := r.srv.Update(r.pc.LocalAddr(), o); err == nil || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got %v, want an error about turn_min_port", err)
		}
		r.client().allocates()
		for _, a := range []net.Addr{
			&net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 3479},
			&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 3478},
		} {
			if err := r.srv.Update(a, turnOptions()); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s %v: got %v, want %v", a.Network(), a, err, errors.ErrUnsupported)
			}
		}
	})
}

// Several sockets of a server share quotas, nonces and reservations, and those of one
// address the allocations of clients (RFC 8656, section 5).
func TestSeveralSockets(t *testing.T) {
	o := turnOptions()
	o.MaxAllocations = 2
	inMemory(t, o, func(r *rig) {
		ctx, stop := context.WithCancel(r.t.Context())
		other := &rig{t: t, srv: r.srv, relays: r.relays, accounts: r.accounts, pc: listentest.NewPacketConnAt(netip.MustParseAddrPort("192.0.2.1:3478"))}
		done := make(chan error, 1)
		go func() { done <- r.srv.ListenPacket(ctx, other.pc, o) }()
		synctest.Wait()

		c := r.client()
		_, token := c.pairs()
		moved := other.clientAt(c.addr())
		moved.nonce, moved.key = c.nonce, c.key
		r.wantSuccess(moved.exchange(moved.signs(stun.MethodRefresh)))
		r.wantError(moved.does(stun.MethodAllocate, udp), 437)
		another := other.clientAt(netip.AddrPortFrom(c.addr().Addr(), c.addr().Port()+1000))
		another.nonce, another.key = c.nonce, c.key
		r.wantError(another.does(stun.MethodAllocate, udp), 486)
		another.allocates(token)

		if err := r.srv.Update(r.pc.LocalAddr(), Defaults()); err != nil {
			t.Fatal(err)
		}
		r.wantError(r.client().asks(stun.MethodAllocate), 405)
		r.wantError(other.client().asks(stun.MethodAllocate), 405)
		stop()
		if err := <-done; err != context.Canceled {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if n := r.srv.Stats().Allocations; n != 1 {
			t.Errorf("one socket is closed: got %d allocations, want 1", n)
		}
	})
}

// A host that panics costs the request, and the log says so.
func TestHostPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		pc := listentest.NewPacketConn()
		srv := New(Host{Accounts: new(fakeAccounts), Relays: panics{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		r := &rig{t: t, srv: srv, pc: pc, relays: new(fakeRelays)}
		ctx, stop := context.WithCancelCause(t.Context())
		r.stop, r.done = stop, make(chan error, 1)
		go func() { r.done <- srv.ListenPacket(ctx, pc, turnOptions()) }()
		r.wantError(r.client().does(stun.MethodAllocate, udp), 508)
		r.wantError(r.client().does(stun.MethodAllocate, udp, portPair), 508)
		r.wantSuccess(r.client().asks(stun.MethodBinding))
		r.end()
		if !strings.Contains(log.String(), "panic: ouch") {
			t.Errorf("log: got %q, want the panic", log.String())
		}
	})
}

type panics struct{}

func (panics) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) { panic("ouch") }

// A request that waits for accounts is answered by the options of the day: what Update
// forbids meanwhile is not allowed afterwards.
func TestUpdateDuringLookup(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, d, p := r.client(), r.client(), r.peer("8.8.8.8:4000")
		c.allocates(seconds(3600))
		time.Sleep(keyLife + time.Second)
		c.login()
		d.login()
		release := make(chan struct{})
		r.accounts.mu.Lock()
		r.accounts.hold = func(context.Context) error { <-release; return nil }
		r.accounts.mu.Unlock()
		request, allocate := c.signs(stun.MethodCreatePermission, peer(p.addr())), d.signs(stun.MethodAllocate, udp)
		if m := c.exchange(request); m != nil {
			t.Fatalf("got %d, want no answer yet", code(m))
		}
		if m := d.exchange(allocate); m != nil {
			t.Fatalf("got %d, want no answer yet", code(m))
		}
		o := turnOptions()
		o.MaxAllocations = 1
		o.Blacklist = []netip.Prefix{netip.MustParsePrefix("8.8.8.0/24")}
		if err := r.srv.Update(r.pc.LocalAddr(), o); err != nil {
			t.Fatal(err)
		}
		close(release)
		r.wantError(parse(t, c.reads(), request.TransactionID), 403)
		r.wantError(parse(t, d.reads(), allocate.TransactionID), 486)
		c.indicates(p.addr(), "hello")
		p.wantsNothing()
	})
}

// Users of two realms are two users, though their names are the same.
func TestUsersOfRealms(t *testing.T) {
	srv := New(Host{Accounts: new(fakeAccounts)})
	of := func(realm string) *shaper.Bucket {
		a := &allocation{users: srv.authenticator(realm), user: user}
		return srv.users.enter(a.userKey(), perSecond(1000))
	}
	one, two := of("one.test"), of("two.test")
	if one == two {
		t.Error("got one limit for the users of two realms, want two")
	}
	if of("one.test") != one {
		t.Error("got two limits for one user, want one")
	}
}
