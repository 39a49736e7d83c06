package stunconformance

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/stun"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// onLoopback is a world of the system's sockets, on loopback.
func onLoopback(t *testing.T, set func(*setup)) *world {
	t.Helper()
	w := &world{t: t, patience: 5 * time.Second, quiet: 200 * time.Millisecond, accounts: &accounts{}, relays: &relays{}}
	s := &setup{options: stun.Defaults(), host: stun.Host{Accounts: w.accounts}}
	s.options.UseTURN = true
	s.options.AuthRealm = realm
	s.options.IPv4Address = loopback
	s.options.Whitelist = prefixes("127.0.0.0/8")
	if set != nil {
		set(s)
	}
	pc, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	w.address, w.options = pc.LocalAddr().(*net.UDPAddr).AddrPort(), s.options
	w.module = stun.New(s.host)
	w.serve(pc)
	return w
}

// realClient is client with a socket of the system.
func (w *world) realClient() *client {
	w.t.Helper()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(w.address))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return w.wrap(conn)
}

// realPeer is peer with a socket of the system.
func (w *world) realPeer() *peer {
	w.t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return &peer{w, conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// TestLoopback is the way of data through real sockets.
func TestLoopback(t *testing.T) {
	w := onLoopback(t, nil)
	c, p := w.realClient(), w.realPeer()
	c.mapped(c.bare(binding))
	c.allocate()
	if c.relay.Addr() != loopback || c.relay.Port() < 49152 {
		t.Errorf("got relay %v, want one on loopback from the dynamic ports", c.relay)
	}
	p.send(c.relay, []byte("early"))
	c.expectNothing()
	c.permit(p.addr)
	c.reached(p)
	for _, n := range []int{0, 1, 3, 4, 1200, 9000, 40000, 65000} {
		data := bytes.Repeat([]byte{7}, n)
		c.send(p.addr, data)
		p.expect(c.relay, data)
	}
	c.bind(0x4000, p.addr)
	for _, n := range []int{0, 1, 3, 4, 1200, 9000, 40000, 65503} {
		data := bytes.Repeat([]byte{9}, n)
		c.sendChannel(0x4000, data)
		p.expect(c.relay, data)
		p.send(c.relay, data)
		c.expectChannel(0x4000, data)
	}
	w.ok(c.call(refresh, lifetime(0)))
	c.sendChannel(0x4000, []byte("late"))
	p.expectNothing()
}

// TestLoopbackBetweenRelays is about two clients whose relays talk.
func TestLoopbackBetweenRelays(t *testing.T) {
	w := onLoopback(t, func(s *setup) { s.options.Whitelist = nil })
	a, b := w.realClient(), w.realClient()
	a.allocate()
	b.allocate()
	between(w, a, b)
	a.sneak(w.realPeer(), 0x4ABC)
}

// TestLoopbackPorts is about the ports that the server chooses: the range, even
// ports, and those that cannot be guessed (RFC 6056, as RFC 8656, section 7.2,
// recommends).
func TestLoopbackPorts(t *testing.T) {
	w := onLoopback(t, func(s *setup) { s.options.MinPort, s.options.MaxPort = 51000, 58999 })
	var ports []uint16
	for range 6 {
		c := w.realClient()
		c.allocate()
		ports = append(ports, c.relay.Port())
	}
	for _, p := range ports {
		if p < 51000 || p > 58999 {
			t.Errorf("got port %d, want it from the range", p)
		}
	}
	if slices.IsSorted(ports) && ports[5]-ports[0] < 20 {
		t.Errorf("got ports %v, want them at random", ports)
	}
	c, d := w.realClient(), w.realClient()
	tok := c.reserve()
	d.allocate(tok)
	if d.relay.Port() != c.relay.Port()+1 {
		t.Errorf("got %v, want the port after %v", d.relay, c.relay)
	}
}

// TestLoopbackExhaustion is about a range of which every port is found.
func TestLoopbackExhaustion(t *testing.T) {
	w := onLoopback(t, func(s *setup) { s.options.MinPort, s.options.MaxPort = 20100, 20107 })
	seen := make(map[uint16]bool)
	for range 8 {
		c := w.realClient()
		c.allocate()
		seen[c.relay.Port()] = true
	}
	if len(seen) != 8 {
		t.Errorf("got ports %v, want eight", seen)
	}
	w.code(w.realClient().call(allocate, udp), 508)
}

// TestICMP is about a peer whose port nobody has (RFC 8656, section 11.5). Of the ICMP
// attribute, section 18.13 draws seven bits for the type and nine for the code.
func TestICMP(t *testing.T) {
	for _, bound := range []bool{false, true} {
		w := onLoopback(t, nil)
		c, p := w.realClient(), w.realPeer()
		c.allocate()
		c.permit(p.addr)
		if bound {
			c.bind(0x4000, p.addr) // section 12.5: an indication even so
		}
		_ = p.conn.Close()
		c.send(p.addr, []byte("anybody?"))
		m, err := decode(c.next())
		if err != nil {
			t.Fatalf("got %v, want a Data indication with ICMP", err)
		}
		v, _ := m.get(atICMP)
		if m.method != dataMethod || m.class != indication || string(v) != "\x00\x00\x06\x03\x00\x00\x00\x00" || m.has(atData) {
			t.Errorf("got %v with ICMP % x, want destination unreachable, port unreachable, and no DATA", m, v)
		}
		if got := m.addresses(atPeer); len(got) != 1 || got[0] != p.addr {
			t.Errorf("got peers %v, want %v", got, p.addr)
		}
		c.mapped(c.bare(binding))
	}
}

// TestLoopbackDontFragment is about DONT-FRAGMENT where the system can do it.
func TestLoopbackDontFragment(t *testing.T) {
	w := onLoopback(t, nil)
	c, p := w.realClient(), w.realPeer()
	m := c.call(allocate, udp, dontFragment)
	if m == nil || m.class != success {
		unknown(atDontFragment)(c, m)
		return
	}
	c.relay = m.addresses(atRelayed)[0]
	c.permit(p.addr)
	c.send(p.addr, []byte("whole"), dontFragment)
	p.expect(c.relay, []byte("whole"))
	c.send(p.addr, []byte("either"))
	p.expect(c.relay, []byte("either"))
}

// TestLoopbackIPv6 is the way of data through sockets of IPv6, and of both families.
func TestLoopbackIPv6(t *testing.T) {
	one := netip.IPv6Loopback()
	pc, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(one, 0)))
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	w := onLoopback(t, func(s *setup) {
		s.options.IPv6Address = one
		s.options.Whitelist = prefixes("127.0.0.0/8", "::1/128")
	})
	w.serve(pc)
	w.address = pc.LocalAddr().(*net.UDPAddr).AddrPort()
	dial := func() *client {
		conn, err := net.DialUDP("udp6", nil, net.UDPAddrFromAddrPort(w.address))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return w.wrap(conn)
	}
	conn, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(one, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	p6, p4 := &peer{w, conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()}, w.realPeer()
	c, both := dial(), dial()
	c.mapped(c.bare(binding))
	c.allocate(family(2))
	c.permit(p6.addr)
	c.reached(p6)
	c.bind(0x4000, p6.addr)
	c.reachedOnChannel(p6)
	m := both.allocate(additional(2))
	both.permit(p6.addr, p4.addr)
	for _, a := range m.addresses(atRelayed) {
		both.relay = a
		if a.Addr().Is4() {
			both.reached(p4)
		} else {
			both.reached(p6)
		}
	}
}
