package sock

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// leaseEnd is the closing of a lease of datagrams: it wakes the readers and
// leaves the socket open.
type leaseEnd struct {
	socket net.PacketConn
	mu     sync.Mutex
	closed bool
}

// past is a deadline that wakes readers at once.
var past = time.Unix(1, 0)

func (e *leaseEnd) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	e.closed = true
	return e.socket.SetReadDeadline(past)
}

func (e *leaseEnd) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	return e.socket.SetReadDeadline(t)
}

func (e *leaseEnd) SetDeadline(t time.Time) error {
	return errors.Join(e.SetReadDeadline(t), e.socket.SetWriteDeadline(t))
}

// read says of an error whether the lease is over.
func (e *leaseEnd) read(err error) error {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		return err
	}
	a := e.socket.LocalAddr()
	return &net.OpError{Op: "read", Net: a.Network(), Source: a, Err: net.ErrClosed}
}

// NewPacketLease returns the net.PacketConn that a module gets: the right to
// read from a socket until the lease is closed. The socket stays open. There
// must be no two at the same time. One of a *net.UDPConn embeds it, so that
// modules can read and write in batches (golang.org/x/net/ipv4 and ipv6); such
// reads fail with a timeout when the lease is closed.
func NewPacketLease(pc net.PacketConn) net.PacketConn {
	_ = pc.SetDeadline(time.Time{}) // left over from the lease before
	end := &leaseEnd{socket: pc}
	if u, ok := pc.(*net.UDPConn); ok {
		return &udpLease{u, end}
	}
	return &packetLease{pc, end}
}

// packetLease is a lease of any net.PacketConn.
type packetLease struct {
	net.PacketConn
	end *leaseEnd
}

func (l *packetLease) Close() error                      { return l.end.Close() }
func (l *packetLease) SetDeadline(t time.Time) error     { return l.end.SetDeadline(t) }
func (l *packetLease) SetReadDeadline(t time.Time) error { return l.end.SetReadDeadline(t) }
func (l *packetLease) ReadFrom(b []byte) (int, net.Addr, error) {
	n, a, err := l.PacketConn.ReadFrom(b)
	return n, a, l.end.read(err)
}

// udpLease is a lease of a UDP socket.
type udpLease struct {
	*net.UDPConn
	end *leaseEnd
}

// The methods of net.UDPConn that read, and those that a lease must not hand
// on.

func (l *udpLease) Close() error                      { return l.end.Close() }
func (l *udpLease) SetDeadline(t time.Time) error     { return l.end.SetDeadline(t) }
func (l *udpLease) SetReadDeadline(t time.Time) error { return l.end.SetReadDeadline(t) }

func (l *udpLease) Read(b []byte) (int, error) {
	n, err := l.UDPConn.Read(b)
	return n, l.end.read(err)
}

func (l *udpLease) ReadFrom(b []byte) (int, net.Addr, error) {
	n, a, err := l.UDPConn.ReadFrom(b)
	return n, a, l.end.read(err)
}

func (l *udpLease) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, a, err := l.UDPConn.ReadFromUDP(b)
	return n, a, l.end.read(err)
}

func (l *udpLease) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, a, err := l.UDPConn.ReadFromUDPAddrPort(b)
	return n, a, l.end.read(err)
}

func (l *udpLease) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, a *net.UDPAddr, err error) {
	n, oobn, flags, a, err = l.UDPConn.ReadMsgUDP(b, oob)
	return n, oobn, flags, a, l.end.read(err)
}

func (l *udpLease) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, a netip.AddrPort, err error) {
	n, oobn, flags, a, err = l.UDPConn.ReadMsgUDPAddrPort(b, oob)
	return n, oobn, flags, a, l.end.read(err)
}
