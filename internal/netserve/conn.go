package netserve

import (
	"errors"
	"net"
	"syscall"
)

// A Counter is a connection that counts what happens to it.
type Counter interface {
	CountPanic()            // its handler panicked
	CountHandshakeFailure() // it ended before its TLS handshake had
}

// As looks for a T among c and the connections that it wraps: those that have
// a method NetConn, as tls.Conn has.
func As[T any](c net.Conn) (T, bool) {
	for c != nil {
		if t, ok := c.(T); ok {
			return t, true
		}
		c = wrapped(c)
	}
	var zero T
	return zero, false
}

// Cut closes a connection without a word to the peer. The Close of a TLS
// connection may wait for seconds to say goodbye to a peer that does not read;
// so the connection at the bottom is closed.
func Cut(c net.Conn) {
	for b := wrapped(c); b != nil; b = wrapped(c) {
		c = b
	}
	_ = c.Close()
}

// wrapped returns the connection that c wraps, nil if it wraps none.
func wrapped(c net.Conn) net.Conn {
	if w, ok := c.(interface{ NetConn() net.Conn }); ok {
		return w.NetConn()
	}
	return nil
}

// Control gives access to the socket below c for its options (see
// syscall.RawConn.Control), for connections that have to see all bytes
// themselves: the Read and Write of what it returns fail with
// errors.ErrUnsupported, and so does Control where there is no socket.
func Control(c net.Conn) (syscall.RawConn, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	return controlOnly{raw}, nil
}

type controlOnly struct{ syscall.RawConn }

func (controlOnly) Read(func(uintptr) bool) error  { return errors.ErrUnsupported }
func (controlOnly) Write(func(uintptr) bool) error { return errors.ErrUnsupported }
