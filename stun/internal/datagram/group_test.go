package datagram

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/internal/sock"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// receiver echoes on its socket and reports errors.
type receiver struct {
	socket *Socket
	calls  atomic.Int64
	onICMP func(ICMP)
	then   func()
}

func (r *receiver) Receive(batch []Packet, out *Outbox) {
	r.calls.Add(int64(len(batch)))
	echo(r.socket)(batch, out)
	if r.then != nil {
		r.then()
	}
}

func (r *receiver) ICMP(e ICMP) {
	if r.onICMP != nil {
		r.onICMP(e)
	}
}

func newGroup(t testing.TB) *Group {
	t.Helper()
	g, err := NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func (r *receiver) open(t testing.TB, g *Group, ports *Ports, addr netip.Addr) *receiver {
	t.Helper()
	var err error
	if r.socket, err = ports.Open(addr, relays); err != nil {
		t.Skip(err)
	}
	if err := g.Add(r.socket, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGroup(t *testing.T) {
	for _, addr := range []netip.Addr{loopback4, loopback6} {
		t.Run(addr.String(), func(t *testing.T) {
			g := newGroup(t)
			var ports Ports
			var all []*receiver
			for range 100 {
				all = append(all, new(receiver).open(t, g, &ports, addr))
			}
			client := listenUDP(t, "udp", netip.AddrPortFrom(addr, 0).String())
			for round := range 3 {
				for i, r := range all {
					for _, n := range []int{40, 1 + i, 9000} {
						send(t, client, numbered(round, n), r.socket.LocalAddr())
					}
					for _, n := range []int{40, 1 + i, 9000} {
						got, from := take(t, client)
						if from != r.socket.LocalAddr() || !bytes.Equal(got, numbered(round, n)) {
							t.Fatalf("got %d bytes from %v, want %d from %v", len(got), from, n, r.socket.LocalAddr())
						}
					}
				}
				_ = all[0].socket.Close() // the others do not mind
				all = all[1:]
			}
		})
	}
}

// More than there are buffers for, from many sockets, is sent in rounds.
func TestGroupBurst(t *testing.T) {
	const sockets, each = 20, 40
	g := newGroup(t)
	var ports Ports
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	_ = client.SetReadBuffer(1 << 20)
	to := make(map[netip.AddrPort]int)
	for range sockets {
		r := new(receiver).open(t, g, &ports, loopback4)
		for i := range each {
			send(t, client, numbered(i, 100), r.socket.LocalAddr())
		}
		to[r.socket.LocalAddr()] = 0
	}
	for range sockets * each {
		got, from := take(t, client)
		if want := numbered(to[from], 100); !bytes.Equal(got, want) {
			t.Fatalf("from %v: got %.8x, want %.8x", from, got, want)
		}
		to[from]++
	}
}

func TestGroupClose(t *testing.T) {
	g := newGroup(t)
	var ports Ports
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	r := &receiver{}
	r.then = func() { _ = r.socket.Close() } // in the handler
	r.open(t, g, &ports, loopback4)
	send(t, client, []byte("x"), r.socket.LocalAddr())
	other := new(receiver).open(t, g, &ports, loopback4)
	send(t, client, []byte("y"), other.socket.LocalAddr())
	if got, _ := take(t, client); string(got) != "y" {
		t.Errorf("got %q, want y: what a closed socket was to send is lost", got)
	}
	if err := g.Add(r.socket, r); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Add of a closed socket: got %v, want net.ErrClosed", err)
	}
	for range 2 {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := other.socket.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Close of a socket after that of its group: got %v, want net.ErrClosed", err)
	}
	s, err := ports.Open(loopback4, relays)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := g.Add(s, r); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Add to a closed group: got %v, want net.ErrClosed", err)
	}
}

// A socket of package net, or a lease of one, is read by the group, too, and no more
// once it is closed.
func TestGroupConn(t *testing.T) {
	g := newGroup(t)
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	for name, pc := range map[string]net.PacketConn{
		"socket": listenUDP(t, "udp4", "127.0.0.1:0"),
		"lease":  sock.NewPacketLease(listenUDP(t, "udp4", "127.0.0.1:0")),
	} {
		r := &receiver{socket: NewSocket(pc)}
		if err := g.Add(r.socket, r); err != nil {
			t.Fatal(err)
		}
		send(t, client, []byte("x"), r.socket.LocalAddr())
		take(t, client)
		if err := r.socket.Close(); err != nil {
			t.Error(err)
		}
		_, _ = client.WriteToUDPAddrPort([]byte("y"), r.socket.LocalAddr())
		if got := r.calls.Load(); got != 1 {
			t.Errorf("%s: got %d datagrams, want 1", name, got)
		}
	}
}

func TestGroupInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := NewGroup()
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		pc := listentest.NewPacketConn()
		r := &receiver{socket: NewSocket(pc)}
		if err := g.Add(r.socket, r); err != nil {
			t.Fatal(err)
		}
		client := pc.Dial()
		_, _ = client.Write([]byte("x"))
		if n, err := client.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1", n, err)
		}
	})
}

func TestGroupAllocations(t *testing.T) {
	g := newGroup(t)
	var ports Ports
	r := new(receiver).open(t, g, &ports, loopback4)
	client := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	back := make(chan struct{}, 64)
	serve(t, client, func(batch []Packet, _ *Outbox) {
		for range batch {
			back <- struct{}{}
		}
	})
	data := make([]byte, 200)
	got := testing.AllocsPerRun(200, func() {
		for range 4 {
			_ = client.Write(data, r.socket.LocalAddr())
		}
		for range 4 {
			<-back
		}
	})
	if got != 0 && !raceDetector {
		t.Errorf("got %v allocations for 4 datagrams there and back, want 0", got)
	}
}
