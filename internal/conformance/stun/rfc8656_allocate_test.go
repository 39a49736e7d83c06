package stunconformance

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/stun"
)

// ports sets the range of relays.
func ports(first, last int) func(*setup) {
	return func(s *setup) { s.options.MinPort, s.options.MaxPort = first, last }
}

// asking is a row about the answer to one Allocate request with good credentials.
func asking(name string, set func(*setup), check func(*client, *message), attrs ...attr) row {
	return row{name, set, func(w *world) {
		c := w.client()
		m := c.call(allocate, attrs...)
		check(c, m)
		want := 0
		if m != nil {
			want = len(m.addresses(atRelayed))
		}
		if m != nil && w.relays.count() != want {
			w.t.Errorf("got %d relays after %v, want %d", w.relays.count(), m, want)
		}
	}}
}

// relayed expects relays at these addresses, in any order.
func relayed(addrs ...netip.Addr) func(*client, *message) {
	return func(c *client, m *message) {
		c.w.t.Helper()
		c.w.ok(m)
		got := make(map[netip.Addr]bool)
		for _, a := range m.addresses(atRelayed) {
			got[a.Addr()] = true
			if p := int(a.Port()); p < c.w.options.MinPort || p > c.w.options.MaxPort {
				c.w.t.Errorf("got port %d, want it between %d and %d", p, c.w.options.MinPort, c.w.options.MaxPort)
			}
		}
		for _, a := range addrs {
			if !got[a] || len(m.addresses(atRelayed)) != len(addrs) {
				c.w.t.Errorf("got relays %v, want them at %v", m.addresses(atRelayed), addrs)
			}
		}
	}
}

// lives expects an allocation with a lifetime.
func lives(seconds int) func(*client, *message) {
	return func(c *client, m *message) {
		c.w.t.Helper()
		c.w.ok(m)
		if got := m.number(atLifetime); got != seconds {
			c.w.t.Errorf("got LIFETIME %d, want %d", got, seconds)
		}
	}
}

func notSupported(c *client, m *message) { c.w.t.Helper(); c.w.code(m, 440) }

// badOrGranted is for values whose form no rule speaks of: refused, or not looked at.
func badOrGranted(c *client, m *message) {
	c.w.t.Helper()
	if m == nil || m.class != success {
		c.w.code(m, 400)
	}
}

var token = attr{typ: atReservation, val: []byte("nothing!")}

var allocateRows = []row{
	{"7.2 what a success response has", nil, func(w *world) {
		c := w.client()
		m := c.allocate()
		relayed(relay4)(c, m)
		lives(600)(c, m)
		if got := m.addresses(atXORMapped); len(got) != 1 || got[0] != c.addr {
			w.t.Errorf("got XOR-MAPPED-ADDRESS %v, want %v", got, c.addr)
		}
		if !m.has(atSoftware) || m.has(atReservation) || m.has(atAddressError) {
			w.t.Errorf("got %v, want SOFTWARE, and nothing that was not asked for", m)
		}
	}},
	{"7.2 the address of an IPv6 client", func(s *setup) { s.address = server6 }, func(w *world) {
		c := w.clientAt("[2001:db8::77]:40000")
		if got := c.allocate().addresses(atXORMapped); len(got) != 1 || got[0] != c.addr {
			w.t.Errorf("got XOR-MAPPED-ADDRESS %v, want %v", got, c.addr)
		}
	}},
	{"5 SOFTWARE in failures", nil, func(w *world) {
		c := w.client()
		for _, m := range []*message{c.bare(allocate, udp), c.call(allocate), c.call(refresh), c.bare(refresh)} {
			if m == nil || !m.has(atSoftware) {
				w.t.Errorf("got %v, want SOFTWARE", m)
			}
		}
	}},
	{"7.2 (2) the 5-tuple has an allocation", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.code(c.call(allocate, udp), 437)
		w.code(c.call(allocate), 437) // (2) comes before (3)
		w.challenge(c.bare(allocate, udp), 401)
		w.ok(c.call(refresh))
	}},
	{"7.2 (2) the 5-tuple has an allocation of somebody else", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.code(c.as("bob").call(allocate, udp), 437)
	}},
	{"7.2 another port is another 5-tuple", nil, func(w *world) {
		a, b := w.client(), w.client()
		a.allocate()
		b.allocate()
		if a.relay == b.relay {
			w.t.Errorf("got one relay %v for two clients", a.relay)
		}
	}},
	asking("7.2 (3) no REQUESTED-TRANSPORT", nil, code(400)),
	asking("7.2 (3) an empty REQUESTED-TRANSPORT", nil, code(400), text(atRequestedTransport, "")),
	asking("7.2 (3) a REQUESTED-TRANSPORT of one byte", nil, code(400), text(atRequestedTransport, "\x11")),
	asking("7.2 (3) a REQUESTED-TRANSPORT of eight bytes", nil, code(400), text(atRequestedTransport, "\x11\x00\x00\x00\x00\x00\x00\x00")),
	asking("7.2 (3) SCTP", nil, code(442), text(atRequestedTransport, "\x84\x00\x00\x00")),
	asking("7.2 (3) no protocol", nil, code(442), text(atRequestedTransport, "\x00\x00\x00\x00")),
	asking("7.2 (3), RFC 6062 5.1 TCP over UDP", nil, code(400, 442), tcp),
	asking("18.8 reserved bits are ignored", nil, granted, text(atRequestedTransport, "\x11\xFF\xFF\xFF")),
	asking("7.2 (5) RESERVATION-TOKEN and EVEN-PORT", nil, code(400), udp, token, evenPort(0)),
	asking("7.2 (5) RESERVATION-TOKEN and REQUESTED-ADDRESS-FAMILY", nil, code(400), udp, token, family(1)),
	asking("7.2 (5) RESERVATION-TOKEN and ADDITIONAL-ADDRESS-FAMILY", withIPv6, code(400), udp, token, additional(2)),
	asking("7.2 (5) an unknown RESERVATION-TOKEN", nil, code(508), udp, token),
	asking("18.10 a RESERVATION-TOKEN of seven bytes", nil, code(400, 508), udp, text(atReservation, "nothing")),
	asking("7.2 (6) both attributes of address families", withIPv6, code(400), udp, family(1), additional(2)),
	asking("7.2 (6) both attributes of address families, without IPv6", nil, code(400), udp, family(1), additional(2)),
	asking("7.2 (7) IPv4", withIPv6, relayed(relay4), udp, family(1)),
	asking("7.2 (7) IPv6", withIPv6, relayed(relay6), udp, family(2)),
	asking("7.2 (7) neither", withIPv6, relayed(relay4), udp),
	asking("7.2 (7) IPv6 that there is not", nil, notSupported, udp, family(2)),
	asking("7.2 (7) family 0", withIPv6, code(440, 400), udp, family(0)),
	asking("7.2 (7) family 3", withIPv6, notSupported, udp, family(3)),
	asking("18.6 reserved bits are ignored", withIPv6, relayed(relay6), udp, text(atRequestedFamily, "\x02\xFF\xFF\xFF")),
	asking("18.6 a family of one byte", withIPv6, code(400), udp, text(atRequestedFamily, "\x02")),
	asking("7.2 (7) IPv6 at the address of the socket", onlyIPv6, relayed(server6.Addr()), udp, family(2)),
	asking("7.2 (8) EVEN-PORT with a reservation and ADDITIONAL-ADDRESS-FAMILY", withIPv6, code(400), udp, evenPort(0x80), additional(2)),
	asking("7.2 (9) ADDITIONAL-ADDRESS-FAMILY", withIPv6, relayed(relay4, relay6), udp, additional(2)),
	asking("7.2 (9) ADDITIONAL-ADDRESS-FAMILY with EVEN-PORT", withIPv6, even, udp, additional(2), evenPort(0)),
	asking("7.2 (9) ADDITIONAL-ADDRESS-FAMILY IPv4", withIPv6, code(400), udp, additional(1)),
	asking("7.2 (9) ADDITIONAL-ADDRESS-FAMILY of no kind", withIPv6, code(400, 440), udp, additional(7)),
	asking("7.2 (9) ADDITIONAL-ADDRESS-FAMILY without IPv6", nil, partly(440), udp, additional(2)),
	asking("6.3.1 an unknown attribute", nil, unknown(atNobodyRequired), udp, text(atNobodyRequired, "")),
	asking("6.3 a known attribute that is not expected", nil, granted, udp, channel(0x4000), text(atData, "x")),
	asking("18 BANDWIDTH is reserved", nil, unknown(0x0010), udp, text(0x0010, "\x00\x00\x00\x00")),
	asking("RFC 8016 3.1 MOBILITY-TICKET may be ignored", nil, granted, udp, text(0x8030, "")),
	asking("7.2 LIFETIME below the default", nil, lives(600), udp, lifetime(1)),
	asking("7.2 LIFETIME 0", nil, lives(600), udp, lifetime(0)),
	asking("7.2 LIFETIME above the default", nil, lives(1200), udp, lifetime(1200)),
	asking("7.2 LIFETIME of an hour", nil, lives(3600), udp, lifetime(3600)),
	asking("7.2 LIFETIME above the greatest", nil, lives(3600), udp, lifetime(3601)),
	asking("7.2 LIFETIME for ever", nil, lives(3600), udp, lifetime(1<<32-1)),
	asking("7.2 LIFETIME above the option", func(s *setup) { s.options.MaxLifetime = 20 * time.Minute }, lives(1200), udp, lifetime(3600)),
	asking("18.2 a LIFETIME of two bytes", nil, badOrGranted, udp, text(atLifetime, "\x00\x10")),
}

// onlyIPv6 has no address but that of the socket.
func onlyIPv6(s *setup) {
	s.address = server6
	s.options.IPv4Address, s.options.IPv6Address = netip.Addr{}, netip.Addr{}
}

// partly expects one relay of IPv4, and the reason why there is none of IPv6.
func partly(reason int) func(*client, *message) {
	return func(c *client, m *message) {
		c.w.t.Helper()
		relayed(relay4)(c, m)
		v, _ := m.get(atAddressError)
		if len(v) < 4 || v[0] != 2 || v[1] != 0 || int(v[2])*100+int(v[3]) != reason {
			c.w.t.Errorf("got ADDRESS-ERROR-CODE % x, want %d for IPv6", v, reason)
		}
	}
}

func even(c *client, m *message) {
	c.w.t.Helper()
	c.w.ok(m)
	for _, a := range m.addresses(atRelayed) {
		if a.Port()%2 != 0 {
			c.w.t.Errorf("got %v, want an even port", a)
		}
	}
	if m.has(atReservation) {
		c.w.t.Errorf("got %v, want no RESERVATION-TOKEN", m)
	}
}

// TestAllocate is about RFC 8656, section 7.2.
func TestAllocate(t *testing.T) { play(t, allocateRows) }

// reserve allocates an even port and the next, and returns the token.
func (c *client) reserve() attr {
	c.w.t.Helper()
	m := c.allocate(evenPort(0x80))
	v, _ := m.get(atReservation)
	if len(v) != 8 || c.relay.Port()%2 != 0 {
		c.w.t.Fatalf("got %v at %v, want an even port and a token of eight bytes", m, c.relay)
	}
	return attr{typ: atReservation, val: v}
}

var portRows = []row{
	asking("18.7 an even port", nil, even, udp, evenPort(0)),
	asking("18.7 reserved bits are ignored", nil, even, udp, evenPort(0x7F)),
	asking("18.7 the only even port", ports(50001, 50003), even, udp, evenPort(0)),
	asking("7.2 (8) no even port", ports(50001, 50001), code(508), udp, evenPort(0)),
	asking("7.2 (8) no pair of ports", ports(50001, 50002), code(508), udp, evenPort(0x80)),
	asking("7.2 (8) a pair would leave the range", ports(50000, 50000), code(508), udp, evenPort(0x80)),
	{"7.2 a reservation", nil, func(w *world) {
		a, b, c := w.client(), w.clientAt("198.51.100.9:4000").as("bob"), w.client()
		tok := a.reserve()
		b.allocate(tok)
		if want := netip.AddrPortFrom(relay4, a.relay.Port()+1); b.relay != want {
			w.t.Errorf("got %v, want the reserved %v", b.relay, want)
		}
		w.code(c.call(allocate, udp, tok), 508)
	}},
	{"7.2 a reservation holds for 30 seconds", nil, func(w *world) {
		a, b := w.client(), w.client()
		tok := a.reserve()
		w.wait(29 * time.Second)
		w.ok(b.call(allocate, udp, tok))
	}},
	{"7.2 a reservation outlives its allocation", nil, func(w *world) {
		a, b := w.client(), w.client()
		tok := a.reserve()
		w.ok(a.call(refresh, lifetime(0)))
		w.wait(20 * time.Second)
		w.ok(b.call(allocate, udp, tok))
	}},
	{"7.2 a reservation ends", nil, func(w *world) {
		a, b := w.client(), w.client()
		tok := a.reserve()
		w.ok(a.call(refresh, lifetime(0)))
		w.wait(10 * time.Minute)
		if n := w.relays.count(); n != 0 {
			w.t.Errorf("got %d relays, want the reserved one closed", n)
		}
		w.code(b.call(allocate, udp, tok), 508)
	}},
	{"7.2 nobody else gets a reserved port", ports(50000, 50001), func(w *world) {
		a, b := w.client(), w.client()
		tok := a.reserve()
		w.code(b.call(allocate, udp), 508)
		w.ok(b.call(allocate, udp, tok))
	}},
	{"7.2 (8) all ports taken", ports(50000, 50003), func(w *world) {
		for range 4 {
			w.client().allocate()
		}
		c := w.client()
		w.code(c.call(allocate, udp), 508)
		w.code(c.call(allocate, udp, evenPort(0x80)), 508)
	}},
	{"7.2 (8) a port that comes free", ports(50000, 50001), func(w *world) {
		a, b, c := w.client(), w.client(), w.client()
		a.allocate()
		b.allocate()
		w.code(c.call(allocate, udp), 508)
		w.ok(a.call(refresh, lifetime(0)))
		c.allocate()
		if c.relay != a.relay {
			w.t.Errorf("got %v, want %v, which came free", c.relay, a.relay)
		}
	}},
	{"7.2 (9) no port for one of two families", withIPv6, func(w *world) {
		w.relays.refuse = func(network string) bool { return network == "udp6" }
		c := w.client()
		partly(508)(c, c.call(allocate, udp, additional(2)))
	}},
	{"7.2 (9) no port for the other of two families", withIPv6, func(w *world) {
		w.relays.refuse = func(network string) bool { return network == "udp4" }
		m := w.client().call(allocate, udp, additional(2))
		if m != nil && m.class == success {
			relayed(relay6)(w.client(), m)
		} else {
			w.code(m, 508)
		}
	}},
	{"7.2 (9) no port for both", withIPv6, func(w *world) {
		w.relays.refuse = func(string) bool { return true }
		w.code(w.client().call(allocate, udp, additional(2)), 508)
	}},
}

// TestPorts is about the ports of RFC 8656, section 7.2.
func TestPorts(t *testing.T) { play(t, portRows) }

var retransmissionRows = []row{
	{"5 a retransmitted Allocate request", nil, func(w *world) {
		c := w.client()
		c.learn()
		b := c.cr.sign(newMessage(allocate, request, udp, lifetime(1200)))
		one := w.ok(c.exchange(b))
		w.wait(5 * time.Second)
		for range 3 {
			two := w.ok(c.exchange(b))
			if got, want := two.addresses(atRelayed), one.addresses(atRelayed); len(got) != 1 || got[0] != want[0] {
				w.t.Errorf("got relays %v, want %v again", got, want)
			}
			if !c.signed(two) {
				w.t.Errorf("got %v without the right integrity", two)
			}
			if got := two.number(atLifetime); got > 1200 || got < 1195 {
				w.t.Errorf("got LIFETIME %d, want what is left of 1200", got)
			}
		}
		if w.relays.opened != 1 {
			w.t.Errorf("got %d relays, want one", w.relays.opened)
		}
	}},
	{"5 a retransmission keeps the reservation", nil, func(w *world) {
		c, d := w.client(), w.client()
		c.learn()
		b := c.cr.sign(newMessage(allocate, request, udp, evenPort(0x80)))
		one, two := w.ok(c.exchange(b)), w.ok(c.exchange(b))
		x, _ := one.get(atReservation)
		y, _ := two.get(atReservation)
		if len(x) != 8 || string(x) != string(y) {
			w.t.Errorf("got token %x, want %x again", y, x)
		}
		w.ok(d.call(allocate, udp, attr{typ: atReservation, val: x}))
	}},
	{"5 a retransmission after its nonce has become stale", nil, func(w *world) {
		c := w.client()
		c.learn()
		w.wait(50 * time.Second)
		b := c.cr.sign(newMessage(allocate, request, udp))
		w.ok(c.exchange(b))
		w.wait(39 * time.Second)
		if m := c.exchange(b); m == nil || m.class != success && m.code() != 438 {
			w.t.Errorf("got %v, want success or a stale nonce", m)
		}
	}},
	{"5 the same transaction from another client", nil, func(w *world) {
		a, b := w.client(), w.client()
		m := newMessage(allocate, request, udp)
		w.ok(a.callMessage(m))
		got := w.ok(b.callMessage(m)).addresses(atRelayed)
		if want := netip.AddrPortFrom(relay4, 0); len(got) != 1 || got[0].Addr() != want.Addr() || w.relays.opened != 2 {
			w.t.Errorf("got relays %v of %d, want one of its own", got, w.relays.opened)
		}
	}},
	{"5 a retransmission of an Allocate request, after a Refresh", nil, func(w *world) {
		c := w.client()
		c.learn()
		b := c.cr.sign(newMessage(allocate, request, udp))
		w.ok(c.exchange(b))
		w.ok(c.call(refresh, lifetime(0)))
		if m := c.exchange(b); m != nil && m.class == success && w.relays.count() != 1 {
			w.t.Errorf("got %v without an allocation", m)
		}
	}},
	{"5 a retransmitted Refresh request that deletes", nil, func(w *world) {
		c := w.client()
		c.allocate()
		b := c.cr.sign(newMessage(refresh, request, lifetime(0)))
		w.ok(c.exchange(b))
		if m := c.exchange(b); m == nil || m.class != success && m.code() != 437 {
			w.t.Errorf("got %v, want success or 437", m)
		}
	}},
	{"5 retransmitted CreatePermission and ChannelBind requests", nil, func(w *world) {
		c := w.client()
		c.allocate()
		p := peerAddress(addrPort("203.0.113.5:7000"))
		for _, m := range []*message{newMessage(createPermission, request, p), newMessage(channelBind, request, channel(0x4000), p)} {
			b := c.cr.sign(m)
			w.ok(c.exchange(b))
			w.ok(c.exchange(b))
		}
	}},
}

// TestRetransmissions is about RFC 8656, section 5.
func TestRetransmissions(t *testing.T) { play(t, retransmissionRows) }

var quotaRows = []row{
	{"ten allocations of an address", nil, func(w *world) {
		first := w.client()
		first.allocate()
		for range 9 {
			w.client().as("bob").allocate()
		}
		w.code(w.client().call(allocate, udp), 486)
		w.clientAt("198.51.100.2:1000").allocate()
		w.ok(first.call(refresh, lifetime(0)))
		w.client().allocate()
	}},
	{"a quota of two", func(s *setup) { s.options.MaxAllocations = 2 }, func(w *world) {
		w.client().allocate()
		w.client().allocate()
		c := w.client()
		w.code(c.call(allocate, udp), 486)
		w.wait(601 * time.Second)
		c.allocate()
	}},
	{"failures do not count", func(s *setup) { s.options.MaxAllocations = 1 }, func(w *world) {
		c := w.client()
		for range 5 {
			w.code(c.call(allocate), 400)
			w.code(c.call(allocate, udp, token), 508)
			w.code(c.call(allocate, udp, family(2)), 440)
		}
		c.allocate()
	}},
	{"a retransmission does not count", func(s *setup) { s.options.MaxAllocations = 1 }, func(w *world) {
		c := w.client()
		m := newMessage(allocate, request, udp)
		w.ok(c.callMessage(m))
		w.ok(c.callMessage(m))
	}},
	{"a dual allocation counts once", func(s *setup) { s.options.MaxAllocations = 2; withIPv6(s) }, func(w *world) {
		w.client().allocate(additional(2))
		w.client().allocate()
	}},
	{"anonymous clients", func(s *setup) { s.options.MaxAllocations = 2; s.options.AuthType = stun.AuthAnonymous }, func(w *world) {
		w.client().allocate()
		w.client().allocate()
		w.code(w.client().call(allocate, udp), 486)
	}},
}

// TestAllocationQuota is about 486, which counts by the address of the client.
func TestAllocationQuota(t *testing.T) { play(t, quotaRows) }

// fragment rows hold the two uses of DONT-FRAGMENT together: a server either can set
// the bit or does not know the attribute.
var fragmentRows = []row{
	{"7.2 (4), 11.2 DONT-FRAGMENT", nil, func(w *world) {
		c, d := w.client(), w.client()
		m := c.call(allocate, udp, dontFragment)
		can := m != nil && m.class == success
		if !can {
			unknown(atDontFragment)(c, m)
		}
		p := w.peer("203.0.113.5:7000")
		d.allocate()
		d.permit(p.addr)
		d.send(p.addr, []byte("whole"), dontFragment)
		if can {
			p.expect(d.relay, []byte("whole"))
		} else {
			p.expectNothing()
		}
		d.send(p.addr, []byte("either"))
		p.expect(d.relay, []byte("either"))
	}},
}

// TestDontFragment is about RFC 8656, sections 7.2 and 11.2.
func TestDontFragment(t *testing.T) { play(t, fragmentRows) }
