package stunconformance

import (
	"net/netip"
	"testing"
)

// forbidden4 are peers that no relay with a public address reaches.
var forbidden4 = []string{
	"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "169.254.1.1", "169.254.169.254",
	"224.0.0.1", "239.255.255.255", "255.255.255.255", "10.0.0.1", "172.16.0.1", "172.31.255.1", "192.168.0.1",
}

// forbidden6 are the same for IPv6, with those that stand for an IPv4 address:
// mapped, compatible, 6to4, Teredo and NAT64 (RFC 8656, section 21.4).
var forbidden6 = []string{
	"::1", "::", "fe80::1", "ff02::1", "ff0e::1", "fc00::1", "fd12:3456::1",
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "::127.0.0.1",
	"2002:7f00:1::1", "2002:a00:1::1", "2002:cb00:7105::1", "2001:0:7f00:1::1", "2001:0:cb00:7105::1",
	"64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::", "64:ff9b:1::7f00:1",
}

// mapped6 are forbidden in forms that a relay of IPv4 is asked for, too.
var mapped6 = []string{"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:203.0.113.5", "::1"}

// unreached is a row about a peer that is refused in every way there is.
func unreached(addr string, set func(*setup), relay []attr, codes ...int) row {
	return row{addr, set, func(w *world) {
		c := w.client()
		c.allocate(relay...)
		a := netip.AddrPortFrom(netip.MustParseAddr(addr), 7000)
		p := w.peer(netip.AddrPortFrom(a.Addr().Unmap(), 7000).String())
		w.code(c.call(createPermission, peerAddress(a)), codes...)
		w.code(c.call(channelBind, channel(0x4000), peerAddress(a)), codes...)
		c.send(a, []byte("x"))
		c.sendChannel(0x4000, []byte("x"))
		p.expectNothing()
		p.send(c.relay, []byte("y"))
		c.expectNothing()
	}}
}

func forbiddenRows() (rows []row) {
	for _, a := range forbidden4 {
		rows = append(rows, unreached(a, nil, nil, 403))
	}
	for _, a := range mapped6 {
		rows = append(rows, unreached(a, nil, nil, 403, 443, 400))
	}
	for _, a := range forbidden6 {
		codes := []int{403}
		if netip.MustParseAddr(a).Is4In6() {
			codes = append(codes, 443, 400)
		}
		r := unreached(a, withIPv6, []attr{family(2)}, codes...)
		r.name = "IPv6 relay " + r.name
		rows = append(rows, r)
	}
	return rows
}

// TestForbiddenPeers is about peers that are never reached.
func TestForbiddenPeers(t *testing.T) { play(t, forbiddenRows()) }

func prefixes(s ...string) (all []netip.Prefix) {
	for _, p := range s {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// permitted is a row about the answer to CreatePermission for one peer.
func permitted(name string, set func(*setup), addr string, check func(*client, *message)) row {
	return row{name, set, func(w *world) {
		c := w.client()
		c.allocate()
		check(c, c.call(createPermission, peerAddress(netip.AddrPortFrom(netip.MustParseAddr(addr), 7000))))
	}}
}

func privateRelay(s *setup) { s.options.IPv4Address = netip.MustParseAddr("10.1.2.3") }

func lists(black, white []netip.Prefix) func(*setup) {
	return func(s *setup) { s.options.Blacklist, s.options.Whitelist = black, white }
}

var peerRows = []row{
	permitted("a private peer of a private relay", privateRelay, "10.9.9.9", granted),
	permitted("another private peer of a private relay", privateRelay, "192.168.7.7", granted),
	permitted("a public peer of a private relay", privateRelay, "203.0.113.5", granted),
	permitted("loopback of a private relay", privateRelay, "127.0.0.1", code(403)),
	permitted("a blacklisted peer", lists(prefixes("203.0.113.0/25"), nil), "203.0.113.5", code(403)),
	permitted("a peer beside the blacklist", lists(prefixes("203.0.113.0/25"), nil), "203.0.113.200", granted),
	permitted("the blacklist adds to what is always refused", lists(prefixes("203.0.113.0/25"), nil), "127.0.0.1", code(403)),
	permitted("a whitelisted loopback peer", lists(nil, prefixes("127.0.0.0/8")), "127.0.0.1", granted),
	permitted("a whitelisted private peer", lists(nil, prefixes("10.0.0.0/8")), "10.0.0.1", granted),
	permitted("the blacklist comes first", lists(prefixes("127.0.0.1/32"), prefixes("127.0.0.0/8")), "127.0.0.1", code(403)),
	permitted("a whitelist refuses nobody else", lists(nil, prefixes("127.0.0.0/8")), "203.0.113.5", granted),
	{"RFC 8656 21.4 clients at 6to4 and Teredo addresses", func(s *setup) { s.address = server6 }, func(w *world) {
		for _, a := range []string{"[2002:cb00:7105::1]:4000", "[2001:0:cb00:7105::1]:4000"} {
			c := w.clientAt(a)
			c.mapped(c.bare(binding))
			m := c.bare(allocate, udp)
			if m != nil && m.code() == 401 {
				m = c.call(allocate, udp)
			}
			if m != nil && m.class == success {
				w.t.Errorf("%s: got %v, want no allocation", a, m)
			}
		}
	}},
}

// TestPeers is about the options that refuse and allow peers.
func TestPeers(t *testing.T) { play(t, peerRows) }

// loopbackRelay has relays at an address that is otherwise refused.
func loopbackRelay(s *setup) { s.options.IPv4Address = netip.MustParseAddr("127.0.0.15") }

var betweenRows = []row{
	{"two clients of one server", nil, func(w *world) {
		a, b := w.client(), w.clientAt("198.51.100.9:4000").as("bob")
		a.allocate()
		b.allocate()
		between(w, a, b)
	}},
	{"two clients of one server whose relays are at a refused address", loopbackRelay, func(w *world) {
		a, b := w.client(), w.client()
		a.allocate()
		b.allocate()
		between(w, a, b)
	}},
	{"a refused address where no relay lives", loopbackRelay, func(w *world) {
		a := w.client()
		a.allocate()
		w.code(a.call(createPermission, peerAddress(addrPort("127.0.0.16:50001"))), 403)
		for n, addr := range []string{"127.0.0.15:50099", "127.0.0.15:22", "127.0.0.15:3478"} {
			p := w.peer(addr)
			a.sneak(p, 0x4000+uint16(n))
		}
	}},
	{"a permission for a relay opens no other port of its address", loopbackRelay, func(w *world) {
		a, b := w.client(), w.client()
		a.allocate()
		b.allocate()
		a.permit(b.relay)
		a.bind(0x5000, b.relay)
		for n, addr := range []string{"127.0.0.15:50099", "127.0.0.15:22", "127.0.0.15:3478"} {
			p := w.peer(addr)
			a.sneak(p, 0x4000+uint16(n))
		}
	}},
	{"a relay that has ended is a refused address again", loopbackRelay, func(w *world) {
		a, b := w.client(), w.client()
		a.allocate()
		b.allocate()
		a.permit(b.relay)
		w.ok(b.call(refresh, lifetime(0)))
		p := w.peer(b.relay.String())
		a.send(p.addr, []byte("x"))
		p.expectNothing()
	}},
	{"a blacklist refuses relays, too", func(s *setup) { s.options.Blacklist = prefixes("192.0.2.0/24") }, func(w *world) {
		a, b := w.client(), w.client()
		a.allocate()
		b.allocate()
		m := a.call(createPermission, peerAddress(b.relay))
		if m == nil || m.class != success { // "always allowed": either is to be defended
			w.code(m, 403)
		}
	}},
}

// sneak tries every way to a peer that is out of bounds. Section 10.2 has ports
// ignored, so a permission may be granted for the sake of a relay at the address;
// nothing may come of it.
func (c *client) sneak(p *peer, number uint16) {
	c.w.t.Helper()
	for _, m := range []*message{
		c.call(createPermission, peerAddress(p.addr)),
		c.call(channelBind, channel(number), peerAddress(p.addr)),
	} {
		if m == nil || m.class != success {
			c.w.code(m, 403)
		}
	}
	c.sendChannel(number, []byte("x"))
	c.cut(p)
}

// between has two clients talk by their relays.
func between(w *world, a, b *client) {
	w.t.Helper()
	a.permit(b.relay)
	a.send(b.relay, []byte("before"))
	b.expectNothing()
	b.permit(a.relay)
	a.send(b.relay, []byte("to b"))
	b.expectData(a.relay, []byte("to b"))
	b.send(a.relay, []byte("to a"))
	a.expectData(b.relay, []byte("to a"))
	a.bind(0x4000, b.relay)
	b.bind(0x4001, a.relay)
	a.sendChannel(0x4000, []byte("to b"))
	b.expectChannel(0x4001, []byte("to b"))
	b.sendChannel(0x4001, []byte("to a"))
	a.expectChannel(0x4000, []byte("to a"))
}

// TestBetweenRelays is about clients of one server that talk to each other.
func TestBetweenRelays(t *testing.T) { play(t, betweenRows) }
