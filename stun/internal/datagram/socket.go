package datagram

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Socket is a socket for datagrams. A Group reads it; its methods are safe for
// concurrent use.
type Socket struct {
	conn  net.PacketConn // nil: one that Ports opened and the system reads for us
	local netip.AddrPort
	native
	lost atomic.Uint64 // datagrams that were not sent

	mu     sync.Mutex
	closed bool
	missed uint64   // Drops.Received when it was closed
	leave  []func() // what is to be done after closing
}

// NewSocket returns a Socket that is conn: a *net.UDPConn, a type that embeds one,
// or another net.PacketConn with addresses that are *net.UDPAddr. Only a Group may
// read conn from then on. The kernel's socket of a *net.UDPConn is used directly:
// of conn's own methods those to close it and for deadlines.
func NewSocket(conn net.PacketConn) *Socket {
	s := &Socket{conn: conn}
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		s.local = unmapped(a.AddrPort())
		s.adopt(conn)
	}
	return s
}

// LocalAddr returns the address of the socket, unmapped.
func (s *Socket) LocalAddr() netip.AddrPort { return s.local }

// Close closes the socket, and for one of Ports frees the port. Group.Serve ends; what
// a handler is doing goes on. A second call returns net.ErrClosed.
func (s *Socket) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.closed = true
	s.missed = s.native.drops()
	leave := s.leave
	s.mu.Unlock()
	var err error
	if s.conn != nil {
		err = s.conn.Close()
	} else {
		err = s.native.close()
	}
	for _, f := range leave {
		f()
	}
	return err
}

// onClose has f called after the socket was closed. It says whether the socket is
// open; f is not kept if it is not.
func (s *Socket) onClose(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.leave = append(s.leave, f)
	}
	return !s.closed
}

// Drops counts datagrams of a socket that were lost here.
type Drops struct {
	// Received are those that the kernel had no room for, because they were not read
	// in time. Zero where the system does not tell (anywhere but on Linux).
	Received uint64
	// Sent are those that the kernel did not take: its buffer was full, or it cannot
	// send them.
	Sent uint64
}

// Drops returns the counts since the socket was opened; of Received at most 1<<32-1,
// and those until it was closed.
func (s *Socket) Drops() Drops {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := Drops{Received: s.missed, Sent: s.lost.Load()}
	if !s.closed {
		d.Received = s.native.drops()
	}
	return d
}

// serve reads a socket that has a goroutine of its own: Group.Serve.
func (s *Socket) serve(handle func(batch []Packet, out *Outbox)) error {
	in := newPlainReader(s.conn)
	var out Outbox
	var failed failures
	for {
		batch, err := in.receive()
		if err == nil {
			failed = 0
			handle(batch, &out)
			out.Flush()
		} else if err = s.readFailed(err, &failed); errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// readFailed returns nil if reading may go on after err, and else the reason.
func (s *Socket) readFailed(err error, failed *failures) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		// A lease is closed by a deadline in the past, and then takes no other. On
		// anything else nobody but this reader has a use for one.
		return s.conn.SetReadDeadline(time.Time{})
	case transient(err):
		failed.pause()
		return nil
	}
	return err
}

// failures counts errors in a row.
type failures int

// pause keeps an error that does not pass from taking all of a processor.
func (f *failures) pause() {
	const free, longest = 8, 100
	if *f++; *f > free {
		time.Sleep(time.Duration(min(*f-free, longest)) * time.Millisecond)
	}
}

// transient says whether an error of reading is about one datagram, or may pass.
func transient(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.EBADF, syscall.ENOTSOCK, syscall.EINVAL, syscall.EFAULT:
		return false
	}
	return true
}
