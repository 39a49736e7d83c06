package netserve

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// ReadWaiter is a connection on which one can wait without a buffer, and with
// less stack than Read needs: for connections that are idle most of the time.
type ReadWaiter interface {
	// WaitRead returns nil when the next Read will not block: bytes have come,
	// or the end. Other errors are those of Read, the read deadline's among them.
	// errors.ErrUnsupported means that this connection cannot tell.
	WaitRead() error
}

// NewReadWaiter returns c if it is a ReadWaiter, or else a Waiter for c. The error
// is that of NewWaiter.
func NewReadWaiter(c net.Conn) (ReadWaiter, error) {
	if w, ok := c.(ReadWaiter); ok {
		return w, nil
	}
	w, err := NewWaiter(c)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Waiter waits for a socket to become readable. It is for the one goroutine
// that reads.
type Waiter struct {
	conn  net.Conn
	raw   syscall.RawConn
	check func(fd uintptr) bool // made once
	slept bool
	b     [1]byte
	err   error
}

// NewWaiter returns a Waiter of a connection whose Read is the socket's own.
// The error is errors.ErrUnsupported if c is none, or the system has no such
// thing.
func NewWaiter(c net.Conn) (*Waiter, error) {
	var s syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		s = c
	case *net.UnixConn:
		s = c
	}
	if s == nil || !canPeek {
		return nil, errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &Waiter{conn: c, raw: raw}
	w.check = w.readable
	return w, nil
}

// WaitRead implements ReadWaiter.
func (w *Waiter) WaitRead() error {
	w.slept, w.err = false, nil
	err := w.raw.Read(w.check)
	if err == nil && w.err == nil {
		return nil
	}
	return w.failed(err)
}

// failed makes the error of a wait that of a read.
func (w *Waiter) failed(err error) error {
	if err == nil { // looking has taken it from the socket
		local, remote := w.conn.LocalAddr(), w.conn.RemoteAddr()
		return &net.OpError{Op: "read", Net: remote.Network(), Source: local, Addr: remote, Err: os.NewSyscallError("recvfrom", w.err)}
	}
	if op, ok := err.(*net.OpError); ok {
		op.Op = "read"
	}
	return err
}

// readable looks once, and lets the poller wait if there is nothing.
func (w *Waiter) readable(fd uintptr) bool {
	if w.slept {
		return true
	}
	w.slept = true
	again, err := peek(fd, w.b[:])
	w.err = err
	return !again
}
