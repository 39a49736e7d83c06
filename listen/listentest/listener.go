package listentest

import (
	"net"
	"net/netip"
	"sync"
)

// Addresses of the sockets in memory, from the ranges for documentation
// (RFC 5737).
var (
	serverAddr = netip.MustParseAddrPort("192.0.2.1:5222")
	clientIP   = netip.MustParseAddr("198.51.100.1")
)

// firstPort is that of the first client.
const firstPort = 49152

// Listener is a net.Listener in memory. Connections queue up until they are
// accepted, without a bound.
type Listener struct {
	addr netip.AddrPort

	mu     sync.Mutex
	queued sync.Cond
	queue  []*Conn
	port   uint16 // of the next client
	closed bool
}

var _ net.Listener = (*Listener)(nil)

// NewListener returns a listener with the address 192.0.2.1:5222.
func NewListener() *Listener { return NewListenerAt(serverAddr) }

// NewListenerAt returns a listener with an address of the caller's choice. It
// takes part in nothing but the addresses of connections.
func NewListenerAt(addr netip.AddrPort) *Listener {
	l := &Listener{addr: addr, port: firstPort}
	l.queued.L = &l.mu
	return l
}

// Dial connects to the listener, from an address that no other connection has,
// and does not wait for Accept. When the listener is closed, the connection is
// one that was closed by its other end.
func (l *Listener) Dial() net.Conn {
	l.mu.Lock()
	from := netip.AddrPortFrom(clientIP, l.port)
	l.port = max(l.port+1, 1024)
	l.mu.Unlock()
	return l.DialFrom(from)
}

// DialFrom is Dial from an address of the caller's choice.
func (l *Listener) DialFrom(from netip.AddrPort) net.Conn {
	client, server := NewConn(from, l.addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = server.Close()
		return client
	}
	l.queue = append(l.queue, server)
	l.queued.Signal()
	return client
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.queued.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

// Close implements net.Listener. Connections that were not accepted are
// closed.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.closed = true
	for _, c := range l.queue {
		_ = c.Close()
	}
	l.queue = nil
	l.queued.Broadcast()
	return nil
}

// Addr implements net.Listener. It is a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }
