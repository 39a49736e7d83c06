package stun

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/turn/v2"
)

// listensOnLoopback runs a server on a real listener, for the time of a test.
func listensOnLoopback(t testing.TB, change func(o *Options)) (*Server, netip.AddrPort) {
	t.Helper()
	o := turnOptions()
	o.IPv4Address, o.IPv6Address = localhost, netip.Addr{}
	o.Whitelist = []netip.Prefix{netip.PrefixFrom(localhost, 8)}
	if change != nil {
		change(&o)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := New(Host{Accounts: new(fakeAccounts)})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Listen(ctx, ln, o) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != context.Canceled {
			t.Errorf("Listen: got %v, want %v", err, context.Canceled)
		}
		if s := srv.Stats(); s.Allocations != 0 {
			t.Errorf("after the end: got %d allocations", s.Allocations)
		}
	})
	return srv, ln.Addr().(*net.TCPAddr).AddrPort()
}

// pionTCP returns a client of somebody else's making.
func pionTCP(t testing.TB, at netip.AddrPort) *turn.Client {
	t.Helper()
	conn, err := net.Dial("tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: at.String(), TURNServerAddr: at.String(), Conn: turn.NewSTUNConn(conn),
		Username: user, Password: password, Realm: realm,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		_ = conn.Close()
	})
	return c
}

// echoes is a peer that sends back what it gets.
func echoes(t testing.TB) *net.TCPListener {
	t.Helper()
	ln, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(localhost, 0)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln
}

// dials connects an allocation to a peer, by the DialWithConn of turn.Client's.
func dials[C net.Conn](t *testing.T, dial func(net.Conn, string, string) (C, error), server netip.AddrPort, p net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", server.String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(conn, "tcp4", p.Addr().String())
	if err != nil {
		_ = conn.Close()
		t.Fatal(err)
	}
	return c
}

func roundTrip(t *testing.T, c net.Conn, n int) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	want := bytes.Repeat([]byte("0123456789abcdef"), n/16)
	sent := make(chan error, 1)
	go func() { _, err := c.Write(want); sent <- err }()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("round trip of %d bytes: %v, the same: %t", n, err, bytes.Equal(got, want))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestPionTCP(t *testing.T) {
	_, at := listensOnLoopback(t, nil)
	client := pionTCP(t, at)
	a, err := client.AllocateTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	dialed := dials(t, a.DialWithConn, at, echoes(t))
	defer dialed.Close()
	roundTrip(t, dialed, 16)
	roundTrip(t, dialed, 4<<20)

	if err := client.CreatePermission(net.TCPAddrFromAddrPort(netip.AddrPortFrom(localhost, 1))); err != nil {
		t.Fatal(err)
	}
	calling, err := net.Dial("tcp4", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer calling.Close()
	accepted, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		_, _ = io.Copy(accepted, accepted)
		_ = accepted.Close()
	}()
	roundTrip(t, calling, 1<<20)
	_ = calling.(*net.TCPConn).CloseWrite()
	if _, err := calling.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: got %v, want io.EOF", err)
	}
	<-echoed
}

// A peer sees the address that it would be told.
func TestRelayConnectsFromItsAddress(t *testing.T) {
	_, at := listensOnLoopback(t, nil)
	a, err := pionTCP(t, at).AllocateTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for range 2 {
		p, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		c := dials(t, a.DialWithConn, at, p)
		defer c.Close()
		seen, err := p.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer seen.Close()
		if got, want := seen.RemoteAddr().String(), a.Addr().String(); got != want {
			t.Errorf("peer sees %s, want %s", got, want)
		}
	}
}

// All ports of the range are used, and no more.
func TestRelayPorts(t *testing.T) {
	const least = 49152
	_, at := listensOnLoopback(t, func(o *Options) {
		o.MinPort, o.MaxPort, o.MaxAllocations = least, least+2, 100
	})
	taken := make(map[int]bool)
	for i := range 4 {
		a, err := pionTCP(t, at).AllocateTCP()
		if i == 3 {
			if err == nil {
				t.Errorf("got a relay at %v, want 508", a.Addr())
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		port := a.Addr().(*net.TCPAddr).Port
		if taken[port] || port < least || port > least+2 {
			t.Errorf("got port %d, which is taken or out of range", port)
		}
		taken[port] = true
		if other, err := net.Listen("tcp4", a.Addr().String()); err == nil {
			_ = other.Close()
			t.Errorf("port %d of a relay can be taken by somebody else", port)
		}
	}
}

// Relayed data of UDP goes over a connection, in both directions.
func TestPionUDPOverTCP(t *testing.T) {
	_, at := listensOnLoopback(t, nil)
	a, err := pionTCP(t, at).Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	p := listen(t)
	b := make([]byte, 1500)
	for _, n := range []int{5, 6, 7, 8, 1000} { // the client keeps smaller ones to itself
		want := bytes.Repeat([]byte("x"), n)
		if _, err := a.WriteTo(want, p.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		got, from, err := p.ReadFrom(b)
		if err != nil || !bytes.Equal(b[:got], want) || from.String() != a.LocalAddr().String() {
			t.Fatalf("peer got %d bytes from %v, %v, want %d from %v", got, from, err, n, a.LocalAddr())
		}
		if _, err := p.WriteTo(want, from); err != nil {
			t.Fatal(err)
		}
		if got, _, err = a.ReadFrom(b); err != nil || !bytes.Equal(b[:got], want) {
			t.Fatalf("client got %d bytes, %v, want %d", got, err, n)
		}
	}
}

// bursting are peers whose connections panic when they are read.
type bursting struct{ *fakeStreamRelays }

func (b bursting) Connect(ctx context.Context, network string, relay, peer netip.AddrPort) (net.Conn, error) {
	c, err := b.fakeStreamRelays.Connect(ctx, network, relay, peer)
	return burstingConn{c}, err
}

type burstingConn struct{ net.Conn }

func (burstingConn) Read([]byte) (int, error) { panic("ouch") }

// A panic in one direction ends the other.
func TestDataPanic(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		r.srv.h.Relays = bursting{r.tcp}
		c := r.stream()
		c.allocates(tcp)
		data, _ := c.bound()
		data.wantsEnd(true)
	})
}
