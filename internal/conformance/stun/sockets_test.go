package stunconformance

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// another has the server serve one more socket.
func (w *world) another(addr netip.AddrPort) *listentest.PacketConn {
	pc := listentest.NewPacketConnAt(addr)
	w.serve(pc)
	synctest.Wait()
	return pc
}

var socketRows = []row{
	{"RFC 8656 6 the server's address is part of the 5-tuple", nil, func(w *world) {
		const from = "198.51.100.9:4000"
		a := w.clientAt(from)
		a.allocate()
		pc := w.another(addrPort("192.0.2.2:3478"))
		w.address = addrPort("192.0.2.2:3478")
		b := w.wrap(pc.DialFrom(addrPort(from)))
		w.code(b.call(refresh), 437)
		b.allocate()
		if a.relay == b.relay {
			w.t.Errorf("got one relay %v for two allocations", a.relay)
		}
	}},
	{"RFC 8656 5 a 5-tuple that comes by another socket of one address", nil, func(w *world) {
		const from = "198.51.100.9:4000"
		a, p := w.clientAt(from), w.peer(peerA.String())
		a.allocate()
		a.permit(peerA)
		b := w.wrap(w.another(w.address).DialFrom(addrPort(from)))
		b.cr, b.relay = a.cr, a.relay
		w.ok(b.call(refresh))
		w.code(b.call(allocate, udp), 437)
		b.send(peerA, []byte("by the other"))
		p.expect(a.relay, []byte("by the other"))
	}},
	{"RFC 8489 9.2 one nonce for all sockets", nil, func(w *world) {
		const from = "198.51.100.9:4000"
		a := w.clientAt(from)
		a.learn()
		b := w.wrap(w.another(w.address).DialFrom(addrPort(from)))
		w.ok(b.exchange(a.cr.sign(newMessage(allocate, request, udp))))
	}},
	{"486 counts all sockets", func(s *setup) { s.options.MaxAllocations = 1 }, func(w *world) {
		w.client().allocate()
		pc := w.another(addrPort("192.0.2.2:3478"))
		w.address = addrPort("192.0.2.2:3478")
		w.code(w.wrap(pc.Dial()).call(allocate, udp), 486)
	}},
	{"relays of two sockets talk", loopbackRelay, func(w *world) {
		a := w.client()
		a.allocate()
		pc := w.another(addrPort("192.0.2.2:3478"))
		old := w.address
		w.address = addrPort("192.0.2.2:3478")
		b := w.wrap(pc.Dial())
		b.allocate()
		b.permit(a.relay)
		w.address = old
		a.permit(b.relay)
		a.send(b.relay, []byte("across"))
		b.expectData(a.relay, []byte("across"))
	}},
}

// TestSockets is about one server on several sockets.
func TestSockets(t *testing.T) { play(t, socketRows) }

// TestDualStack is about IPv4 clients of a socket of both families: their addresses
// are those of IPv4 (RFC 8489, section 14.2).
func TestDualStack(t *testing.T) {
	w := onLoopback(t, nil)
	pc, err := net.ListenUDP("udp", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	w.serve(pc)
	w.address = netip.AddrPortFrom(loopback, pc.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	c, p := w.realClient(), w.realPeer()
	c.mapped(c.bare(binding))
	c.allocate()
	c.permit(p.addr)
	c.reached(p)
	c.bind(0x4000, p.addr)
	c.sendChannel(0x4000, []byte("channel"))
	p.expect(c.relay, []byte("channel"))
}

// TestUnsetAddress is about relays of a socket that is bound to every address.
func TestUnsetAddress(t *testing.T) {
	w := onLoopback(t, func(s *setup) { s.options.IPv4Address = netip.Addr{} })
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	w.serve(pc)
	w.address = netip.AddrPortFrom(loopback, pc.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	c := w.realClient()
	c.allocate()
	if !c.relay.Addr().Is4() || c.relay.Addr().IsUnspecified() {
		t.Errorf("got relay %v, want an address that peers can reach", c.relay)
	}
	w.code(c.call(refresh, family(2)), 443)
	w.code(w.realClient().call(allocate, udp, family(2)), 440)
}
