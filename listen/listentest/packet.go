package listentest

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Datagrams that a socket keeps until they are read, and the largest of them.
// As with UDP, more are lost.
const (
	packetQueue = 1024
	packetSize  = 65507
)

// PacketConn is a net.PacketConn in memory: the socket of a server, or that of
// one of its clients.
type PacketConn struct {
	net  *packetNet
	addr netip.AddrPort
	peer netip.AddrPort // what Write and Read are about; zero for a server

	mu       sync.Mutex
	changed  sync.Cond
	queue    []datagram
	closed   bool
	deadline time.Time
	timer    *time.Timer
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

// packetNet connects a server with its clients.
type packetNet struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort]*PacketConn
	port    uint16 // of the next client
}

var (
	_ net.PacketConn = (*PacketConn)(nil)
	_ net.Conn       = (*PacketConn)(nil)
)

// NewPacketConn returns the socket of a server with the address
// 192.0.2.1:5222.
func NewPacketConn() *PacketConn { return NewPacketConnAt(serverAddr) }

// NewPacketConnAt is NewPacketConn with an address of the caller's choice.
func NewPacketConnAt(addr netip.AddrPort) *PacketConn {
	n := &packetNet{sockets: make(map[netip.AddrPort]*PacketConn), port: firstPort}
	return n.open(addr, netip.AddrPort{})
}

// Dial returns the socket of a client, with an address that no other has. Its
// Write sends to the server that Dial was called on, and its Read takes what
// that server sends to it. It can also talk to other clients.
func (p *PacketConn) Dial() *PacketConn {
	p.net.mu.Lock()
	from := netip.AddrPortFrom(clientIP, p.net.port)
	p.net.port = max(p.net.port+1, 1024)
	p.net.mu.Unlock()
	return p.DialFrom(from)
}

// DialFrom is Dial from an address of the caller's choice.
func (p *PacketConn) DialFrom(from netip.AddrPort) *PacketConn { return p.net.open(from, p.addr) }

func (n *packetNet) open(addr, peer netip.AddrPort) *PacketConn {
	p := &PacketConn{net: n, addr: addr, peer: peer}
	p.changed.L = &p.mu
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sockets[addr] = p
	return p
}

// ReadFrom implements net.PacketConn. The rest of a datagram longer than b is
// lost.
func (p *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, nil, p.wrap("read", net.ErrClosed)
		case !p.deadline.IsZero() && !time.Now().Before(p.deadline):
			return 0, nil, p.wrap("read", os.ErrDeadlineExceeded)
		case len(p.queue) > 0:
			d := p.queue[0]
			p.queue = p.queue[1:]
			return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), nil
		}
		p.changed.Wait()
	}
}

// WriteTo implements net.PacketConn. It never blocks: what its receiver has no
// room for, or who does not exist, is lost. addr is a *net.UDPAddr.
func (p *PacketConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	a, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, p.wrap("write", net.InvalidAddrError("not a *net.UDPAddr"))
	}
	to := a.AddrPort()
	return p.send(b, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
}

func (p *PacketConn) send(b []byte, to netip.AddrPort) (int, error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return 0, p.wrap("write", net.ErrClosed)
	case len(b) > packetSize:
		return 0, p.wrap("write", errors.New("message too long"))
	}
	p.net.mu.Lock()
	peer := p.net.sockets[to]
	p.net.mu.Unlock()
	if peer != nil {
		peer.receive(datagram{p.addr, append([]byte(nil), b...)})
	}
	return len(b), nil
}

func (p *PacketConn) receive(d datagram) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && len(p.queue) < packetQueue {
		p.queue = append(p.queue, d)
		p.changed.Signal()
	}
}

// Read takes a datagram, whoever sent it.
func (p *PacketConn) Read(b []byte) (int, error) {
	n, _, err := p.ReadFrom(b)
	return n, err
}

// Write sends to the server that the socket was dialled for.
func (p *PacketConn) Write(b []byte) (int, error) { return p.send(b, p.peer) }

// Close implements net.PacketConn.
func (p *PacketConn) Close() error {
	p.net.mu.Lock()
	if p.net.sockets[p.addr] == p {
		delete(p.net.sockets, p.addr)
	}
	p.net.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.wrap("close", net.ErrClosed)
	}
	p.closed, p.queue = true, nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.changed.Broadcast()
	return nil
}

// LocalAddr implements net.PacketConn. It is a *net.UDPAddr.
func (p *PacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.addr) }

// RemoteAddr returns the address of the server; nil on the server itself.
func (p *PacketConn) RemoteAddr() net.Addr {
	if !p.peer.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(p.peer)
}

// SetDeadline implements net.PacketConn.
func (p *PacketConn) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (p *PacketConn) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.wrap("set", net.ErrClosed)
	}
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.deadline = t
	if d := time.Until(t); !t.IsZero() && d > 0 {
		p.timer = time.AfterFunc(d, p.wake)
	}
	p.changed.Broadcast()
	return nil
}

// SetWriteDeadline implements net.PacketConn. Writes do not block.
func (p *PacketConn) SetWriteDeadline(time.Time) error { return nil }

func (p *PacketConn) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

func (p *PacketConn) wrap(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: p.LocalAddr(), Err: err}
}
