package datagram

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// numbered returns a datagram of n bytes that begins with i.
func numbered(i, n int) []byte {
	b := make([]byte, max(n, 4))
	binary.BigEndian.PutUint32(b, uint32(i))
	return b
}

// expect reads the numbered datagrams of these sizes, in order.
func expect(t *testing.T, c *net.UDPConn, want [][]byte) {
	t.Helper()
	for i, w := range want {
		if got, _ := take(t, c); !bytes.Equal(got, w) {
			t.Fatalf("datagram %d: got %d bytes %.8x, want %d bytes %.8x", i, len(got), got, len(w), w)
		}
	}
}

// What goes to one address arrives whole and in order, whatever is sent together.
func TestOutboxOrder(t *testing.T) {
	sizes := map[string]func(i int) int{
		"equal":          func(int) int { return 200 },
		"falling":        func(i int) int { return 1300 - i*10 },
		"rising":         func(i int) int { return 20 + i*10 },
		"mixed":          func(i int) int { return []int{100, 100, 50, 100, 1452, 1453, 1500, 1500, 60}[i%9] },
		"large":          func(int) int { return 3000 },
		"large segments": func(int) int { return 1452 },
	}
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			s := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
			var clients [3]*net.UDPConn
			var want [3][][]byte
			for i := range clients {
				clients[i] = listenUDP(t, "udp4", "127.0.0.1:0")
				_ = clients[i].SetReadBuffer(1 << 20)
			}
			var out Outbox
			for i := range 100 { // more than an Outbox holds
				to := i * i % 3
				data := numbered(i, size(i))
				want[to] = append(want[to], data)
				out.Add(s, data, clients[to].LocalAddr().(*net.UDPAddr).AddrPort())
			}
			out.Flush()
			for i, c := range clients {
				expect(t, c, want[i])
			}
			if got := s.Drops().Sent; got != 0 {
				t.Errorf("drops: got %d, want 0", got)
			}
		})
	}
}

// Datagrams that cannot be sent cost the others nothing.
func TestOutboxErrors(t *testing.T) {
	s := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	to := client.LocalAddr().(*net.UDPAddr).AddrPort()
	var out Outbox
	var want [][]byte
	good := func() {
		want = append(want, numbered(len(want), 100))
		out.Add(s, want[len(want)-1], to)
	}
	bad := []struct {
		data []byte
		to   netip.AddrPort
	}{
		{make([]byte, 65508), to},
		{nil, netip.AddrPortFrom(loopback4, 0)},
		{nil, netip.AddrPortFrom(loopback6, to.Port())},
		{nil, netip.AddrPort{}},
	}
	for _, b := range bad {
		good()
		out.Add(s, b.data, b.to)
		good()
	}
	out.Flush()
	expect(t, client, want)
	if got := s.Drops().Sent; got != uint64(len(bad)) {
		t.Errorf("drops: got %d, want %d", got, len(bad))
	}
}

func TestOutboxSockets(t *testing.T) {
	memory := listentest.NewPacketConn()
	far := memory.Dial()
	defer far.Close()
	here := NewSocket(memory)
	defer here.Close()
	a, b := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0")), NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	to := client.LocalAddr().(*net.UDPAddr).AddrPort()
	var out Outbox
	for i := range 3 {
		out.Add(a, numbered(i, 10), to)
		out.Add(here, numbered(i, 10), netip.MustParseAddrPort(far.LocalAddr().String()))
		out.Add(b, numbered(i, 10), to)
	}
	out.Flush()
	next := map[netip.AddrPort]uint32{a.LocalAddr(): 0, b.LocalAddr(): 0}
	for range 6 {
		got, from := take(t, client)
		if n := binary.BigEndian.Uint32(got); n != next[from] {
			t.Errorf("from %v: got %d, want %d", from, n, next[from])
		}
		next[from]++
	}
	buf := make([]byte, 100)
	for i := range 3 {
		if n, err := far.Read(buf); err != nil || !bytes.Equal(buf[:n], numbered(i, 10)) {
			t.Errorf("in memory: got %x, %v, want %x", buf[:n], err, numbered(i, 10))
		}
	}
	_ = a.Close()
	out.Add(a, nil, to)
	out.Add(b, []byte("last"), to)
	out.Flush()
	if got, _ := take(t, client); string(got) != "last" {
		t.Errorf("got %q, want last", got)
	}
	if got := a.Drops().Sent; got != 1 {
		t.Errorf("drops of a closed socket: got %d, want 1", got)
	}
}

// Neither direction allocates.
func TestAllocations(t *testing.T) {
	for _, c := range []struct{ name, network, address string }{
		{"IPv4", "udp4", "127.0.0.1:0"},
		{"IPv6", "udp6", "[::1]:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSocket(listenUDP(t, c.network, c.address))
			client := NewSocket(listenUDP(t, c.network, c.address))
			back := make(chan struct{}, 64)
			serve(t, s, echo(s))
			serve(t, client, func(batch []Packet, _ *Outbox) {
				for range batch {
					back <- struct{}{}
				}
			})
			data, to := make([]byte, 200), s.LocalAddr()
			var out Outbox
			got := testing.AllocsPerRun(200, func() {
				for range 8 {
					out.Add(client, data, to)
				}
				out.Flush()
				_ = client.Write(data, to)
				for range 9 {
					<-back
				}
			})
			if got != 0 && !raceDetector {
				t.Errorf("got %v allocations for 9 datagrams there and back, want 0", got)
			}
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	s := NewSocket(listenUDP(b, "udp4", "127.0.0.1:0"))
	client := NewSocket(listenUDP(b, "udp4", "127.0.0.1:0"))
	back := make(chan int, 64)
	serve(b, s, echo(s))
	serve(b, client, func(batch []Packet, _ *Outbox) { back <- len(batch) })
	data := make([]byte, 200)
	var out Outbox
	b.ReportAllocs()
	for b.Loop() {
		for range 16 {
			out.Add(client, data, s.LocalAddr())
		}
		out.Flush()
		for n := 0; n < 16; {
			n += <-back
		}
	}
}
