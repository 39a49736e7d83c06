package sock

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// Conn is a connection that is counted and may come through a proxy.
type Conn struct {
	net.Conn
	meter         *Meter
	local, remote net.Addr // what the proxy says, nil: ask Conn
	closed        atomic.Bool

	waiter   *netserve.Waiter // of the reader; nil before its first wait
	waitless error            // why there is none
}

var _ netserve.Counter = (*Conn)(nil)

// Count makes a Conn of a connection that was just accepted.
func (m *Meter) Count(c net.Conn) *Conn {
	m.accepted.Add(1)
	m.active.Add(1)
	return &Conn{Conn: c, meter: m}
}

// Serving returns c as a module should see it: like c, and if the socket's own
// connections do TLS already, so does this one.
func (c *Conn) Serving() net.Conn {
	if t, ok := c.Conn.(tlsConn); ok {
		return &tlsBelow{Conn: c, tls: t}
	}
	return c
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.meter.in.Add(int64(n))
	}
	return n, err
}

// WaitRead implements netserve.ReadWaiter.
func (c *Conn) WaitRead() error {
	if c.waiter == nil && c.waitless == nil {
		c.waiter, c.waitless = netserve.NewWaiter(c.Conn)
	}
	if c.waitless != nil {
		return c.waitless
	}
	return c.waiter.WaitRead()
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.meter.out.Add(int64(n))
	}
	return n, err
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	if !c.closed.Swap(true) {
		c.meter.active.Add(-1)
	}
	return c.Conn.Close()
}

// CloseWrite ends the outgoing direction. The error is errors.ErrUnsupported
// if the connection has no such thing.
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr {
	if c.local != nil {
		return c.local
	}
	return c.Conn.LocalAddr()
}

// RemoteAddr implements net.Conn. It is the address of the client, as far as it
// is known, and not that of a proxy.
func (c *Conn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// NetConn returns the connection that c wraps. What goes past c is not counted.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// SyscallConn gives access to the options of the socket, and to nothing else:
// see netserve.Control.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return netserve.Control(c.Conn) }

// CountPanic implements netserve.Counter.
func (c *Conn) CountPanic() { c.meter.panics.Add(1) }

// CountHandshakeFailure implements netserve.Counter.
func (c *Conn) CountHandshakeFailure() { c.meter.handshakes.Add(1) }

// tlsConn is what *tls.Conn and *netserve.TLSConn have in common.
type tlsConn interface {
	ConnectionState() tls.ConnectionState
	HandshakeContext(ctx context.Context) error
}

// tlsBelow is a Conn on a TLS connection. It is a type of its own, so that no
// other Conn looks like one that does TLS.
type tlsBelow struct {
	*Conn
	tls tlsConn
}

// ConnectionState returns that of the connection below.
func (c *tlsBelow) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// HandshakeContext runs the handshake of the connection below.
func (c *tlsBelow) HandshakeContext(ctx context.Context) error { return c.tls.HandshakeContext(ctx) }

// LocalCertificate returns what a *netserve.TLSConn below knows.
func (c *tlsBelow) LocalCertificate() []byte {
	if l, ok := c.tls.(interface{ LocalCertificate() []byte }); ok {
		return l.LocalCertificate()
	}
	return nil
}
