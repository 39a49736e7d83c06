package stunconformance

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"
)

// TCP relays are connections of the system, so these tests run on loopback.

// realStream returns a client on a new connection to the server's listener.
func (w *world) realStream(ln net.Listener) *client {
	w.t.Helper()
	conn, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	c := w.wrap(&frames{Conn: conn})
	return c
}

// tcpWorld is a world with one control connection.
type tcpWorld struct {
	*world
	ln      net.Listener
	control *client
}

type tcpRow struct {
	name string
	set  func(*setup)
	run  func(w *tcpWorld)
}

func playTCP(t *testing.T, rows []tcpRow) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			w := onLoopback(t, r.set)
			ln, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			w.address = ln.Addr().(*net.TCPAddr).AddrPort()
			w.listenOn(ln)
			r.run(&tcpWorld{w, ln, w.realStream(ln)})
		})
	}
}

// tcpPeer is a peer that accepts connections.
func (w *tcpWorld) tcpPeer() (net.Listener, netip.AddrPort) {
	w.t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = ln.Close() })
	return ln, ln.Addr().(*net.TCPAddr).AddrPort()
}

// allocateTCP makes a TCP allocation.
func (c *client) allocateTCP(attrs ...attr) *message {
	c.w.t.Helper()
	m := c.w.ok(c.call(allocate, append([]attr{tcp}, attrs...)...))
	all := m.addresses(atRelayed)
	if len(all) != 1 {
		c.w.t.Fatalf("got %v, want one XOR-RELAYED-ADDRESS", m)
	}
	c.relay = all[0]
	return m
}

// connection takes the CONNECTION-ID of a message.
func (w *tcpWorld) connection(m *message) attr {
	w.t.Helper()
	v, _ := m.get(atConnectionID)
	if len(v) != 4 {
		w.t.Fatalf("got %v, want a CONNECTION-ID of four bytes", m)
	}
	return attr{typ: atConnectionID, val: v}
}

// data returns a client on a new connection that goes on with the nonce of the control
// connection, as clients do.
func (w *tcpWorld) data() *client {
	w.t.Helper()
	w.control.learn()
	d := w.realStream(w.ln)
	d.cr = w.control.cr
	return d
}

// accepted is the peer's end of a connection from the relay.
func (w *tcpWorld) accepted(ln net.Listener) net.Conn {
	w.t.Helper()
	_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(w.patience))
	conn, err := ln.Accept()
	if err != nil {
		w.t.Fatalf("the peer: %v", err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// bound makes a data connection: Connect, ConnectionBind. It returns its two ends.
func (w *tcpWorld) bound() (data *frames, peer net.Conn) {
	w.t.Helper()
	ln, addr := w.tcpPeer()
	w.control.permit(addr)
	id := w.connection(w.ok(w.control.call(connect, peerAddress(addr))))
	peer = w.accepted(ln)
	d := w.data()
	w.ok(d.call(connectionBind, id))
	return d.conn.(*frames), peer
}

// carries expects bytes to get from one end to the other.
func (w *tcpWorld) carries(from io.Writer, to net.Conn, data []byte) {
	w.t.Helper()
	go func() { _, _ = from.Write(data) }()
	_ = to.SetReadDeadline(time.Now().Add(w.patience))
	got := make([]byte, len(data))
	if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, data) {
		w.t.Errorf("got %.40q, %v, want %d bytes %.40q", got, err, len(data), data)
	}
}

// closed expects the end of a connection.
func (w *tcpWorld) closed(what string, conn net.Conn) {
	w.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(w.patience))
	_, err := io.Copy(io.Discard, conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		w.t.Errorf("%s: got a connection that is still open, want it closed", what)
	}
}

// failing is a row about an Allocate request for TCP that is refused.
func failing(name string, codes []int, attrs ...attr) tcpRow {
	return tcpRow{name, nil, func(w *tcpWorld) {
		w.code(w.control.call(allocate, append([]attr{tcp}, attrs...)...), codes...)
		w.control.mapped(w.control.bare(binding))
	}}
}

var tcpAllocateRows = []tcpRow{
	{"5.1 a TCP allocation", nil, func(w *tcpWorld) {
		m := w.control.allocateTCP(lifetime(1200))
		lives(1200)(w.control, m)
		if m.has(atReservation) || w.control.relay.Addr() != loopback || w.control.relay.Port() < 49152 {
			w.t.Errorf("got %v at %v, want a relay without a reservation", m, w.control.relay)
		}
		w.code(w.control.call(allocate, tcp), 437)
		lives(600)(w.control, w.control.call(refresh))
		lives(0)(w.control, w.control.call(refresh, lifetime(0)))
	}},
	failing("5.1 EVEN-PORT", []int{400}, evenPort(0)),
	failing("5.1 EVEN-PORT with a reservation", []int{400}, evenPort(0x80)),
	failing("5.1 DONT-FRAGMENT", []int{400}, dontFragment),
	failing("5.1 RESERVATION-TOKEN", []int{400}, token),
	failing("RFC 6156 4.2 IPv6 that there is not", []int{440}, family(2)),
	{"5.1 not over UDP", nil, func(w *tcpWorld) { w.code(udpOf(w).call(allocate, tcp), 400) }},
	{"5.1 a UDP allocation over TCP", nil, func(w *tcpWorld) { w.control.allocate() }},
	{"quotas count both", func(s *setup) { s.options.MaxAllocations = 2 }, func(w *tcpWorld) {
		w.control.allocateTCP()
		w.realStream(w.ln).allocate()
		w.code(w.realStream(w.ln).call(allocate, tcp), 486)
	}},
}

// udpOf returns a client of the same server by UDP.
func udpOf(w *tcpWorld) *client {
	w.t.Helper()
	pc, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.serve(pc)
	w.address = pc.LocalAddr().(*net.UDPAddr).AddrPort()
	return w.realClient()
}

// TestTCPAllocate is about RFC 6062, section 5.1.
func TestTCPAllocate(t *testing.T) { playTCP(t, tcpAllocateRows) }

var connectRows = []tcpRow{
	{"5.2, 5.4 Connect and ConnectionBind", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		data, peer := w.bound()
		if got := peer.RemoteAddr().(*net.TCPAddr).AddrPort(); got != w.control.relay {
			w.t.Errorf("the peer got a connection from %v, want it from the relay %v", got, w.control.relay)
		}
		w.carries(data.Conn, peer, []byte("to the peer"))
		w.carries(peer, data.Conn, []byte("to the client"))
		large := bytes.Repeat([]byte("stream"), 100_000)
		w.carries(data.Conn, peer, large)
		w.carries(peer, data.Conn, large)
	}},
	{"5.4 what looks like STUN is data", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		data, peer := w.bound()
		w.carries(data.Conn, peer, bindingRequest())
		w.carries(peer, data.Conn, bindingRequest())
	}},
	{"5.4 what came before the bind", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		ln, addr := w.tcpPeer()
		w.control.permit(addr)
		id := w.connection(w.ok(w.control.call(connect, peerAddress(addr))))
		peer := w.accepted(ln)
		early := bytes.Repeat([]byte("early"), 1000)
		if _, err := peer.Write(early); err != nil {
			w.t.Fatal(err)
		}
		d := w.data()
		w.ok(d.call(connectionBind, id))
		f := d.conn.(*frames)
		w.carries(io.Discard, &prefixed{Conn: f.Conn, first: f.unread}, early)
	}},
	{"5.2 no allocation", nil, func(w *tcpWorld) {
		_, addr := w.tcpPeer()
		w.code(w.control.call(connect, peerAddress(addr)), 437)
	}},
	{"5.2 no credentials", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		_, addr := w.tcpPeer()
		w.challenge(w.control.bare(connect, peerAddress(addr)), 401)
	}},
	{"RFC 8656 5 another user", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		_, addr := w.tcpPeer()
		w.code(w.control.as("bob").call(connect, peerAddress(addr)), 441)
	}},
	{"5.2 no XOR-PEER-ADDRESS", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		w.code(w.control.call(connect), 400)
		w.code(w.control.call(connect, rawPeer("")), 400)
	}},
	{"5.2 a forbidden peer", func(s *setup) { s.options.Whitelist = nil }, func(w *tcpWorld) {
		w.control.allocateTCP()
		_, addr := w.tcpPeer()
		w.code(w.control.call(connect, peerAddress(addr)), 403)
		w.code(w.control.call(connect, peerAddress(addrPort("169.254.169.254:80"))), 403)
	}},
	{"RFC 8656 19 another family", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		w.code(w.control.call(connect, peerAddress(peer6)), 443)
	}},
	{"5.2 twice", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		_, addr := w.tcpPeer()
		w.control.permit(addr)
		w.ok(w.control.call(connect, peerAddress(addr)))
		w.code(w.control.call(connect, peerAddress(addr)), 446)
	}},
	{"5.2 twice, bound", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		_, peer := w.bound()
		w.code(w.control.call(connect, peerAddress(peer.LocalAddr().(*net.TCPAddr).AddrPort())), 446)
	}},
	{"5.2 again after the end", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		ln, addr := w.tcpPeer()
		w.control.permit(addr)
		w.ok(w.control.call(connect, peerAddress(addr)))
		_ = w.accepted(ln).Close()
		for range 100 {
			m := w.control.call(connect, peerAddress(addr))
			if m != nil && m.class == success {
				return
			}
			w.code(m, 446, 447)
		}
	}},
	{"5.2 nobody listens", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		ln, addr := w.tcpPeer()
		_ = ln.Close()
		w.control.permit(addr)
		w.code(w.control.call(connect, peerAddress(addr)), 447)
		w.ok(w.control.call(refresh))
	}},
	{"5.2 identifiers differ", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		seen := make(map[string]bool)
		for range 5 {
			_, addr := w.tcpPeer()
			w.control.permit(addr)
			id := w.connection(w.ok(w.control.call(connect, peerAddress(addr))))
			if seen[string(id.val)] {
				w.t.Errorf("got CONNECTION-ID %x again", id.val)
			}
			seen[string(id.val)] = true
		}
	}},
	{"no datagrams by a TCP allocation", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		p := w.realPeer()
		w.control.permit(p.addr)
		w.control.send(p.addr, []byte("x"))
		p.expectNothing()
		w.control.mapped(w.control.bare(binding))
	}},
}

// prefixed is a connection of which the first bytes have been read.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// TestConnect is about RFC 6062, section 5.2.
func TestConnect(t *testing.T) { playTCP(t, connectRows) }

var connectionBindRows = []tcpRow{
	{"5.4 no CONNECTION-ID", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		w.code(w.data().call(connectionBind), 400)
	}},
	{"5.4 an unknown CONNECTION-ID", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		w.code(w.data().call(connectionBind, attr{typ: atConnectionID, val: []byte{1, 2, 3, 4}}), 400)
	}},
	{"5.4 a CONNECTION-ID of two bytes", nil, func(w *tcpWorld) {
		w.code(w.data().call(connectionBind, attr{typ: atConnectionID, val: []byte{1, 2}}), 400)
	}},
	{"5.4 no credentials", nil, func(w *tcpWorld) {
		w.challenge(w.realStream(w.ln).bare(connectionBind, attr{typ: atConnectionID, val: []byte{1, 2, 3, 4}}), 401)
	}},
	{"5.4 not over UDP", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		_, addr := w.tcpPeer()
		w.control.permit(addr)
		id := w.connection(w.ok(w.control.call(connect, peerAddress(addr))))
		w.code(udpOf(w).call(connectionBind, id), 400)
	}},
	{"5.4 a second time", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		_, addr := w.tcpPeer()
		w.control.permit(addr)
		id := w.connection(w.ok(w.control.call(connect, peerAddress(addr))))
		w.ok(w.data().call(connectionBind, id))
		w.code(w.data().call(connectionBind, id), 400)
	}},
	{"5.4 by another user", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		_, addr := w.tcpPeer()
		w.control.permit(addr)
		id := w.connection(w.ok(w.control.call(connect, peerAddress(addr))))
		w.code(w.data().as("bob").call(connectionBind, id), 400, 401, 441)
		w.ok(w.data().call(connectionBind, id))
	}},
	{"5.5 the client closes", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		data, peer := w.bound()
		go func() {
			_, _ = data.Write([]byte("last words"))
			_ = data.Conn.Close()
		}()
		_ = peer.SetReadDeadline(time.Now().Add(w.patience))
		if got, err := io.ReadAll(peer); errors.Is(err, os.ErrDeadlineExceeded) || string(got) != "last words" {
			w.t.Errorf("the peer got %q, %v, want the last words and the end", got, err)
		}
		w.ok(w.control.call(refresh))
	}},
	{"5.5 the peer closes", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		data, peer := w.bound()
		_, _ = peer.Write([]byte("last words"))
		_ = peer.Close()
		_ = data.SetReadDeadline(time.Now().Add(w.patience))
		if got, err := io.ReadAll(data.Conn); errors.Is(err, os.ErrDeadlineExceeded) || string(got) != "last words" {
			w.t.Errorf("the client got %q, %v, want the last words and the end", got, err)
		}
		w.ok(w.control.call(refresh))
	}},
	{"5 the control connection closes", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		data, peer := w.bound()
		_ = w.control.conn.Close()
		w.closed("the peer", peer)
		w.closed("the client", data.Conn)
	}},
	{"5 the allocation is deleted", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		data, peer := w.bound()
		w.ok(w.control.call(refresh, lifetime(0)))
		w.closed("the peer", peer)
		w.closed("the client", data.Conn)
		if conn, err := net.Dial("tcp4", w.control.relay.String()); err == nil {
			_ = conn.Close()
			w.t.Errorf("got a connection to a relay that was deleted, want none")
		}
	}},
}

// TestConnectionBind is about RFC 6062, sections 5.4 and 5.5.
func TestConnectionBind(t *testing.T) { playTCP(t, connectionBindRows) }

// attempt has a peer connect to the relay.
func (w *tcpWorld) attempt() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp4", w.control.relay.String())
	if err != nil {
		w.t.Fatalf("the peer: %v", err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

var attemptRows = []tcpRow{
	{"5.3 ConnectionAttempt", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		w.control.permit(netip.AddrPortFrom(loopback, 1))
		peer := w.attempt()
		m, err := decode(w.control.next())
		if err != nil || m.method != connectionAttempt || m.class != indication {
			w.t.Fatalf("got %v, %v, want a ConnectionAttempt indication", m, err)
		}
		if got, want := m.addresses(atPeer), peer.LocalAddr().(*net.TCPAddr).AddrPort(); len(got) != 1 || got[0] != want {
			w.t.Errorf("got peers %v, want %v", got, want)
		}
		d := w.data()
		w.ok(d.call(connectionBind, w.connection(m)))
		w.carries(d.conn, peer, []byte("to the peer"))
		w.carries(peer, d.conn.(*frames).Conn, []byte("to the client"))
	}},
	{"5.3 without a permission", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		if conn, err := net.Dial("tcp4", w.control.relay.String()); err == nil {
			w.closed("the peer", conn)
			_ = conn.Close()
		}
		w.control.expectNothing()
	}},
	{"5.3 two peers at one address", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		w.control.permit(netip.AddrPortFrom(loopback, 1))
		seen := make(map[string]bool)
		for range 2 {
			w.attempt()
			m, err := decode(w.control.next())
			if err != nil {
				w.t.Fatal(err)
			}
			seen[string(w.connection(m).val)] = true
		}
		if len(seen) != 2 {
			w.t.Errorf("got identifiers %q, want two", slices.Collect(maps.Keys(seen)))
		}
	}},
}

// TestConnectionAttempt is about RFC 6062, section 5.3.
func TestConnectionAttempt(t *testing.T) { playTCP(t, attemptRows) }

// TestUnboundConnections waits for the end of connections that nobody binds within
// 30 seconds (RFC 6062, sections 5.2 and 5.3).
func TestUnboundConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	playTCP(t, []tcpRow{{"30 seconds", nil, func(w *tcpWorld) {
		w.control.allocateTCP()
		ln, addr := w.tcpPeer()
		w.control.permit(addr)
		id := w.connection(w.ok(w.control.call(connect, peerAddress(addr))))
		called, calling := w.accepted(ln), w.attempt()
		w.patience = time.Minute
		w.closed("the peer that was called", called)
		w.closed("the peer that called", calling)
		w.patience = 5 * time.Second
		w.code(w.data().call(connectionBind, id), 400)
		w.ok(w.control.call(refresh))
	}}})
}
