package stunconformance

import (
	"testing"
	"time"
)

// refreshing is a row about the answer to one Refresh request on an allocation.
func refreshing(name string, set func(*setup), check func(*client, *message), attrs ...attr) row {
	return row{name, set, func(w *world) {
		c := w.client()
		c.allocate()
		check(c, c.call(refresh, attrs...))
	}}
}

func mismatch(c *client, m *message) { c.w.t.Helper(); c.w.code(m, 443) }

var refreshRows = []row{
	refreshing("8.2 no LIFETIME", nil, lives(600)),
	refreshing("8.2 LIFETIME below the default", nil, lives(600), lifetime(1)),
	refreshing("8.2 LIFETIME above the default", nil, lives(1200), lifetime(1200)),
	refreshing("8.2 LIFETIME above the greatest", nil, lives(3600), lifetime(100000)),
	refreshing("8.2 LIFETIME above the option", func(s *setup) { s.options.MaxLifetime = 15 * time.Minute }, lives(900), lifetime(3600)),
	refreshing("8.2 LIFETIME 0", nil, lives(0), lifetime(0)),
	refreshing("8.2 the family of the allocation", nil, lives(600), family(1)),
	refreshing("8.2 another family", nil, mismatch, family(2)),
	refreshing("8.2 another family, to delete", withIPv6, mismatch, family(2), lifetime(0)),
	refreshing("8.2 a family of no kind", withIPv6, code(443, 440, 400), family(9)),
	refreshing("6.3 known attributes that are not expected", nil, lives(600), evenPort(0), udp),
	refreshing("6.3.1 an unknown attribute", nil, unknown(atNobodyRequired), text(atNobodyRequired, "")),
	refreshing("18.2 a LIFETIME of two bytes", nil, badOrGranted, text(atLifetime, "\x00\x00")),
	{"5 no allocation", nil, func(w *world) {
		c := w.client()
		w.code(c.call(refresh), 437)
		w.code(c.call(refresh, lifetime(0)), 437)
		w.challenge(c.bare(refresh), 401)
	}},
	{"5 no allocation on this 5-tuple", nil, func(w *world) {
		w.client().allocate()
		w.code(w.client().call(refresh), 437)
	}},
	{"5 another user", nil, func(w *world) {
		c := w.client()
		c.allocate()
		p := peerAddress(addrPort("203.0.113.5:7000"))
		c.as("bob")
		w.code(c.call(refresh), 441)
		w.code(c.call(refresh, lifetime(0)), 441)
		w.code(c.call(createPermission, p), 441)
		w.code(c.call(channelBind, channel(0x4000), p), 441)
		w.ok(c.as("alice").call(refresh))
	}},
	{"5 the same user by the other algorithm", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.ok(c.modern().call(refresh))
	}},
	{"8.2 a deleted allocation is gone", nil, func(w *world) {
		c, p := w.client(), w.peer("203.0.113.5:7000")
		c.allocate()
		c.permit(p.addr)
		c.bind(0x4000, p.addr)
		w.ok(c.call(refresh, lifetime(0)))
		if n := w.relays.count(); n != 0 {
			w.t.Errorf("got %d relays, want none", n)
		}
		w.code(c.call(refresh), 437)
		c.send(p.addr, []byte("x"))
		c.sendChannel(0x4000, []byte("x"))
		p.expectNothing()
		c.expectNothing()
	}},
	{"8.2 after a deletion the 5-tuple is free, with nothing of the old", nil, func(w *world) {
		c, p := w.client(), w.peer("203.0.113.5:7000")
		c.allocate()
		c.bind(0x4000, p.addr)
		w.ok(c.call(refresh, lifetime(0)))
		c.as("bob").allocate()
		c.send(p.addr, []byte("x"))
		c.sendChannel(0x4000, []byte("x"))
		p.expectNothing()
		p.send(c.relay, []byte("x"))
		c.expectNothing()
	}},
	{"6 an allocation lives as long as it says", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.wait(599 * time.Second)
		if n := w.relays.count(); n != 1 {
			w.t.Errorf("got %d relays after 599 s, want one", n)
		}
		w.wait(2 * time.Second)
		if n := w.relays.count(); n != 0 {
			w.t.Errorf("got %d relays after 601 s, want none", n)
		}
		w.code(c.call(refresh), 437)
		c.allocate()
	}},
	{"6 a long allocation", nil, func(w *world) {
		c := w.client()
		c.allocate(lifetime(1800))
		w.wait(1799 * time.Second)
		w.ok(c.call(refresh))
		w.wait(599 * time.Second)
		w.ok(c.call(refresh))
		w.wait(601 * time.Second)
		w.code(c.call(refresh), 437)
	}},
	{"8.2 a Refresh can shorten", nil, func(w *world) {
		c := w.client()
		c.allocate(lifetime(3600))
		w.ok(c.call(refresh))
		w.wait(601 * time.Second)
		w.code(c.call(refresh), 437)
	}},
	{"6 data do not refresh", nil, func(w *world) {
		c, p := w.client(), w.peer("203.0.113.5:7000")
		c.allocate()
		for range 6 {
			c.permit(p.addr)
			c.bind(0x4000, p.addr)
			c.send(p.addr, []byte("x"))
			c.sendChannel(0x4000, []byte("x"))
			p.send(c.relay, []byte("x"))
			w.wait(100*time.Second + 100*time.Millisecond)
		}
		w.code(c.call(refresh), 437)
	}},
	{"8.2 a failed Refresh changes nothing", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.wait(300 * time.Second)
		w.code(c.call(refresh, family(2), lifetime(3600)), 443)
		w.code(c.as("bob").call(refresh, lifetime(3600)), 441)
		w.wait(301 * time.Second)
		w.code(c.as("alice").call(refresh), 437)
	}},
	{"8.2 one half of a dual allocation is deleted", withIPv6, func(w *world) {
		c := w.client()
		c.allocate(additional(2))
		lives(0)(c, c.call(refresh, family(2), lifetime(0)))
		if n := w.relays.count(); n != 1 {
			w.t.Errorf("got %d relays, want that of IPv4", n)
		}
		w.code(c.call(refresh, family(2)), 443)
		p := w.peer("203.0.113.5:7000")
		c.permit(p.addr)
		w.ok(c.call(refresh, family(1)))
		w.ok(c.call(refresh, lifetime(0)))
		w.code(c.call(refresh), 437)
	}},
	{"8.2 both halves of a dual allocation, one after the other", withIPv6, func(w *world) {
		c := w.client()
		c.allocate(additional(2))
		w.ok(c.call(refresh, family(1), lifetime(0)))
		w.ok(c.call(refresh, family(2), lifetime(0)))
		w.code(c.call(refresh), 437)
		c.allocate()
	}},
	{"8.2 both halves of a dual allocation at once", withIPv6, func(w *world) {
		c := w.client()
		c.allocate(additional(2))
		w.ok(c.call(refresh, lifetime(0)))
		if n := w.relays.count(); n != 0 {
			w.t.Errorf("got %d relays, want none", n)
		}
	}},
	{"8.1 one half of a dual allocation is refreshed", withIPv6, func(w *world) {
		c := w.client()
		c.allocate(additional(2))
		w.wait(500 * time.Second)
		w.ok(c.call(refresh, family(2)))
		w.wait(101 * time.Second)
		if n := w.relays.count(); n != 1 {
			w.t.Errorf("got %d relays, want that of IPv6", n)
		}
		w.code(c.call(refresh, family(1)), 443)
		w.ok(c.call(refresh, family(2)))
	}},
}

// TestRefresh is about RFC 8656, sections 5, 6 and 8.
func TestRefresh(t *testing.T) { play(t, refreshRows) }
