package datagram

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

func listenUDP(t testing.TB, network, address string) *net.UDPConn {
	t.Helper()
	a, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP(network, a)
	if err != nil {
		t.Skipf("no %s here: %v", network, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// serve has a socket read until the test ends.
func serve(t testing.TB, s *Socket, handle func([]Packet, *Outbox)) {
	t.Helper()
	g := newGroup(t)
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(s, handle) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-ended; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
	})
}

// echo answers every datagram on s with the same bytes.
func echo(s *Socket) func([]Packet, *Outbox) {
	return func(batch []Packet, out *Outbox) {
		for i := range batch {
			out.Add(s, batch[i].Data, batch[i].Addr)
		}
	}
}

// take reads a datagram from c.
func take(t testing.TB, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 1<<16)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return b[:n], from
}

func send(t testing.TB, c *net.UDPConn, b []byte, to netip.AddrPort) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(b, to); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// within4 returns a range of n ports of loopback4 that were free a moment ago.
func within4(t testing.TB, n int) PortRange {
	t.Helper()
	for low := 21000; low < 32000; low += n + 1 {
		free := 0
		for port := low; port < low+n; port++ {
			c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, uint16(port))))
			if err != nil {
				break
			}
			_ = c.Close()
			free++
		}
		if free == n {
			return PortRange{uint16(low), uint16(low + n - 1)}
		}
	}
	t.Skip("no free ports")
	return PortRange{}
}

// relays is most ports: for tests that take what there is.
var relays = PortRange{20000, 31999}
