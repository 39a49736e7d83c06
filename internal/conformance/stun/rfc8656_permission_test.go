package stunconformance

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Peers.
var (
	peerA  = addrPort("203.0.113.5:7000")
	peerA2 = addrPort("203.0.113.5:7001") // the same address, another port
	peerB  = addrPort("203.0.113.6:7000")
	peer6  = addrPort("[2001:db8::5]:7000")
)

// permitting is a row about the answer to one CreatePermission request.
func permitting(name string, set func(*setup), check func(*client, *message), attrs ...attr) row {
	return row{name, set, func(w *world) {
		c := w.client()
		c.allocate()
		check(c, c.call(createPermission, attrs...))
	}}
}

// rawPeer is an XOR-PEER-ADDRESS of any bytes.
func rawPeer(v string) attr { return text(atPeer, v) }

// reached expects that data go both ways between a client and a peer.
func (c *client) reached(p *peer) {
	c.w.t.Helper()
	c.send(p.addr, []byte("to the peer"))
	p.expect(c.relay, []byte("to the peer"))
	p.send(c.relay, []byte("to the client"))
	c.expectData(p.addr, []byte("to the client"))
}

// cut expects that no data go either way.
func (c *client) cut(p *peer) {
	c.w.t.Helper()
	c.send(p.addr, []byte("to the peer"))
	p.expectNothing()
	p.send(c.relay, []byte("to the client"))
	c.expectNothing()
}

var permissionRows = []row{
	permitting("10.2 a permission", nil, granted, peerAddress(peerA)),
	permitting("10.2 no XOR-PEER-ADDRESS", nil, code(400)),
	permitting("10.2 an empty XOR-PEER-ADDRESS", nil, code(400), rawPeer("")),
	permitting("10.2 an XOR-PEER-ADDRESS of four bytes", nil, code(400), rawPeer("\x00\x01\x00\x00")),
	permitting("10.2 an XOR-PEER-ADDRESS of seven bytes", nil, code(400), rawPeer("\x00\x01\x00\x00\x00\x00\x00")),
	permitting("10.2 an XOR-PEER-ADDRESS of twelve bytes", nil, code(400), rawPeer("\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
	permitting("10.2 an IPv4 address of sixteen bytes", nil, code(400), rawPeer("\x00\x01\x00\x00"+fmt.Sprintf("%016d", 0))),
	permitting("10.2 an IPv6 address of four bytes", withIPv6, code(400), rawPeer("\x00\x02\x00\x000000")),
	permitting("10.2 a family of no kind", nil, code(400, 443), rawPeer("\x00\x07\x00\x000000")),
	permitting("10.2 another family", nil, mismatch, peerAddress(peer6)),
	permitting("10.2 another family, which the server has", withIPv6, mismatch, peerAddress(peer6)),
	permitting("10.2 any port", nil, granted, peerAddress(netip.AddrPortFrom(peerA.Addr(), 0))),
	permitting("6.3.1 an unknown attribute", nil, unknown(atNobodyRequired), peerAddress(peerA), text(atNobodyRequired, "")),
	permitting("6.3 a known attribute that is not expected", nil, granted, peerAddress(peerA), lifetime(0), channel(0x4000)),
	{"5 no allocation", nil, func(w *world) {
		c := w.client()
		w.code(c.call(createPermission, peerAddress(peerA)), 437)
		w.code(c.call(createPermission), 437, 400)
	}},
	{"9 before a permission there is none", nil, func(w *world) {
		c := w.client()
		c.allocate()
		c.cut(w.peer(peerA.String()))
	}},
	{"9 a permission is for all ports of an address", nil, func(w *world) {
		c := w.client()
		c.allocate()
		c.permit(netip.AddrPortFrom(peerA.Addr(), 9))
		c.reached(w.peer(peerA.String()))
		c.reached(w.peer(peerA2.String()))
		c.cut(w.peer(peerB.String()))
	}},
	{"10.1 several permissions at once", nil, func(w *world) {
		c := w.client()
		c.allocate()
		c.permit(peerA, peerB)
		c.reached(w.peer(peerA.String()))
		c.reached(w.peer(peerB.String()))
	}},
	{"10.2 one of several is not valid", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.code(c.call(createPermission, peerAddress(peerA), rawPeer(""), peerAddress(peerB)), 400)
		c.cut(w.peer(peerA.String()))
	}},
	{"10.2 one of several is of another family", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.code(c.call(createPermission, peerAddress(peerA), peerAddress(peer6)), 443)
		c.cut(w.peer(peerA.String()))
	}},
	{"10.2 one of several is forbidden", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.code(c.call(createPermission, peerAddress(peerA), peerAddress(addrPort("127.0.0.1:7000"))), 403)
		c.cut(w.peer(peerA.String()))
	}},
	{"9 a permission lasts five minutes", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		w.wait(299 * time.Second)
		c.reached(p)
		w.wait(2 * time.Second)
		c.cut(p)
		c.permit(peerA)
		c.reached(p)
	}},
	{"9 a permission is refreshed by CreatePermission", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		w.wait(200 * time.Second)
		c.permit(peerB, peerA)
		w.wait(299 * time.Second)
		c.reached(p)
		w.wait(2 * time.Second)
		c.cut(p)
	}},
	{"9 a failed request refreshes nothing", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		w.wait(200 * time.Second)
		w.code(c.call(createPermission, peerAddress(peerA), rawPeer("")), 400)
		w.code(c.as("bob").call(createPermission, peerAddress(peerA)), 441)
		w.wait(101 * time.Second)
		c.cut(p)
	}},
	{"9, 11.2 data refresh no permission", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		for range 3 {
			w.wait(99 * time.Second)
			c.reached(p)
		}
		w.wait(4 * time.Second)
		c.cut(p)
	}},
	{"9 a Refresh request refreshes no permission", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		w.wait(200 * time.Second)
		w.ok(c.call(refresh))
		w.wait(101 * time.Second)
		c.cut(p)
	}},
	{"9 permissions belong to one allocation", nil, func(w *world) {
		a, b, p := w.client(), w.client(), w.peer(peerA.String())
		a.allocate()
		b.allocate()
		a.permit(peerA)
		a.reached(p)
		b.cut(p)
	}},
	{"10 both families of a dual allocation", withIPv6, func(w *world) {
		c := w.client()
		m := c.allocate(additional(2))
		c.permit(peerA, peer6)
		for _, a := range m.addresses(atRelayed) {
			c.relay = a
			if a.Addr().Is4() {
				c.reached(w.peer(peerA.String()))
			} else {
				c.reached(w.peer(peer6.String()))
			}
		}
	}},
	{"10 IPv6 peers of IPv6 relays", withIPv6, func(w *world) {
		c := w.client()
		c.allocate(family(2))
		w.code(c.call(createPermission, peerAddress(peerA)), 443)
		c.permit(peer6)
		c.reached(w.peer(peer6.String()))
	}},
	{"10 IPv6 clients of IPv4 relays", func(s *setup) { s.address = server6 }, func(w *world) {
		c := w.clientAt("[2001:db8::77]:40000")
		c.allocate()
		c.permit(peerA)
		c.reached(w.peer(peerA.String()))
	}},
}

// TestPermissions is about RFC 8656, sections 9 and 10.
func TestPermissions(t *testing.T) { play(t, permissionRows) }

// peerNumber is one of many peers.
func peerNumber(n int) netip.AddrPort {
	return addrPort(fmt.Sprintf("203.0.113.%d:7000", 10+n))
}

var permissionQuotaRows = []row{
	{"ten permissions of an allocation", nil, func(w *world) {
		c := w.client()
		c.allocate()
		for n := range 10 {
			c.permit(peerNumber(n))
		}
		w.code(c.call(createPermission, peerAddress(peerNumber(10))), 508)
		w.code(c.call(channelBind, channel(0x4000), peerAddress(peerNumber(10))), 508)
		c.cut(w.peer(peerNumber(10).String()))
		c.permit(peerNumber(3)) // a refresh is no new one
		c.bind(0x4001, peerNumber(3))
		other := w.client()
		other.allocate()
		other.permit(peerNumber(10))
	}},
	{"more at once than there may be", nil, func(w *world) {
		c := w.client()
		c.allocate()
		var attrs []attr
		for n := range 11 {
			attrs = append(attrs, peerAddress(peerNumber(n)))
		}
		w.code(c.call(createPermission, attrs...), 508)
		c.cut(w.peer(peerNumber(0).String()))
		w.ok(c.call(createPermission, attrs[:10]...))
	}},
	{"one address several times counts once", func(s *setup) { s.options.MaxPermissions = 1 }, func(w *world) {
		c := w.client()
		c.allocate()
		c.permit(peerA, peerA2, peerA)
	}},
	{"those that have expired do not count", func(s *setup) { s.options.MaxPermissions = 1 }, func(w *world) {
		c := w.client()
		c.allocate()
		c.permit(peerA)
		w.code(c.call(createPermission, peerAddress(peerB)), 508)
		w.wait(301 * time.Second)
		c.permit(peerB)
	}},
}

// TestPermissionQuota is about 508, which counts by allocation.
func TestPermissionQuota(t *testing.T) { play(t, permissionQuotaRows) }
