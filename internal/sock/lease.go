package sock

import (
	"net"
	"sync"
)

// Lease is the net.Listener that a module gets: the right to take connections
// from a socket until the lease is closed. The socket stays open.
type Lease struct {
	conns   <-chan net.Conn
	retired <-chan struct{}
	addr    net.Addr
	once    sync.Once
	closed  chan struct{}
}

// NewLease returns a lease on what a Pump delivers to conns. It ends when it is
// closed, or when retired is.
func NewLease(conns <-chan net.Conn, retired <-chan struct{}, addr net.Addr) *Lease {
	return &Lease{conns: conns, retired: retired, addr: addr, closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Lease) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, l.end()
	case <-l.retired:
		return nil, l.end()
	default:
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
	case <-l.retired:
	}
	return nil, l.end()
}

func (l *Lease) end() error {
	return &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
}

// Close implements net.Listener.
func (l *Lease) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Lease) Addr() net.Addr { return l.addr }
