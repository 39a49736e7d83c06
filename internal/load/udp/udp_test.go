package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// take makes a socket on 127.0.0.1, connected to remote if that is valid.
func take(t *testing.T, remote netip.AddrPort) (*Socket, netip.AddrPort) {
	t.Helper()
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	var conn *net.UDPConn
	var err error
	if remote.IsValid() {
		conn, err = net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(remote))
	} else {
		conn, err = net.ListenUDP("udp4", local)
	}
	if err != nil {
		t.Fatal(err)
	}
	addr := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s, err := Take(conn)
	if runtime.GOOS != "linux" {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got %v, want %v", err, errors.ErrUnsupported)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// collect receives n datagrams and calls f with each.
func collect(t *testing.T, p *Poll, s *Socket, b *Batch, n int, f func(i int)) {
	t.Helper()
	for got := 0; got < n; {
		came := false
		if err := p.Wait(5*time.Second, func(int) { came = true }); err != nil || !came {
			t.Fatalf("got %d of %d datagrams and %v", got, n, err)
		}
		k, _ := b.Receive(s.FD())
		for i := range k {
			f(i)
		}
		got += k
	}
}

// TestEcho sends datagrams of several lengths in batches there and back.
func TestEcho(t *testing.T) {
	server, addr := take(t, netip.AddrPort{})
	client, from := take(t, addr)
	poll, err := NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	if err := errors.Join(poll.Add(server, 1), poll.Add(client, 2)); err != nil {
		t.Fatal(err)
	}
	const n = 10
	out, in := NewBatch(n, 100), NewBatch(n, 100)
	if k, _ := in.Receive(client.FD()); k != 0 {
		t.Errorf("got %d datagrams before any was sent", k)
	}
	text := func(i int) string { return fmt.Sprintf("%0*d", 7*i+1, i) }
	for i := range n {
		out.Set(i, copy(out.Buffer(i), text(i)))
	}
	if sent, refused := out.Send(client.FD(), n); sent != n || refused {
		t.Fatalf("got %d sent, refused %v", sent, refused)
	}
	echoed := 0
	collect(t, poll, server, in, n, func(i int) {
		if in.From(i) != from || string(in.Data(i)) != text(echoed) {
			t.Errorf("got %q from %v, want %q from %v", in.Data(i), in.From(i), text(echoed), from)
		}
		in.Return(i, len(in.Data(i)))
		if echoed++; echoed == n {
			in.Send(server.FD(), n)
		}
	})
	back := 0
	collect(t, poll, client, in, n, func(i int) {
		if in.From(i) != addr || string(in.Data(i)) != text(back) {
			t.Errorf("back: got %q from %v, want %q from %v", in.Data(i), in.From(i), text(back), addr)
		}
		back++
	})
}

func TestNobodyThere(t *testing.T) {
	server, addr := take(t, netip.AddrPort{})
	client, _ := take(t, addr)
	server.Close()
	b := NewBatch(2, 10)
	refused := false
	for range 2 { // the second call learns what has become of the first
		b.Set(0, 1)
		b.Set(1, 1)
		_, again := b.Send(client.FD(), 2)
		refused = refused || again
	}
	if _, again := b.Receive(client.FD()); !refused && !again {
		t.Error("want it to be told that nobody is there")
	}
}

func TestCallsDoNotAllocate(t *testing.T) {
	server, addr := take(t, netip.AddrPort{})
	client, _ := take(t, addr)
	b := NewBatch(4, 100)
	if n := testing.AllocsPerRun(100, func() {
		for i := range 4 {
			b.Set(i, 10)
		}
		b.Send(client.FD(), 4)
		b.Receive(server.FD())
		b.From(0)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
