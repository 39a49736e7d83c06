package shaper

import (
	"crypto/tls"
	"errors"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn is a connection that is read no faster than its rate. Writes are not
// limited. After each read the credit shrinks by what came in; once it is below
// zero the next read waits until it is back at zero. A read of a limited
// connection returns no more than the credit or a small chunk, whichever is
// larger, so that a large buffer does not go far past the burst.
//
// A read that waits holds a timer; nothing else does. It ends at once on Close
// and when the new rate leaves nothing to wait for, and with
// os.ErrDeadlineExceeded at the read deadline.
//
// While the rate is unlimited a read costs two atomic loads. A read that waits
// for the peer when SetRate is called is not cut short, but counts. Of several
// reads at once each may go a chunk past the credit.
type Conn struct {
	net.Conn
	bucket Bucket

	mu       sync.Mutex // guards what follows, never held during I/O
	deadline time.Time  // for reads
	closed   bool
	wake     chan struct{} // closed to make reads that wait look again; made by the first
}

// NewConn wraps a connection.
func NewConn(c net.Conn, r Rate) *Conn {
	s := &Conn{Conn: c}
	s.bucket.SetRate(r)
	return s
}

// SetRate changes the rate from now on, also for a read that waits. The credit
// starts at the new burst; a debt stays, up to the new burst.
func (c *Conn) SetRate(r Rate) {
	c.bucket.SetRate(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeReaders()
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.bucket.limited.Load() {
		n, err := c.Conn.Read(p)
		c.bucket.Take(n)
		return n, err
	}
	most, err := c.wait()
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p[:min(len(p), most)])
	c.bucket.Take(n)
	return n, err
}

// WaitCredit waits until the next read may start: for readers that wait for the
// peer in another way than by Read. Its errors are those of Read.
func (c *Conn) WaitCredit() error {
	if !c.bucket.limited.Load() {
		return nil
	}
	_, err := c.wait()
	return err
}

// wait returns when the next read may start, and how much it may take.
func (c *Conn) wait() (most int, err error) {
	pause, most := c.bucket.allowance()
	if pause == 0 {
		return most, nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		wake, deadline, closed := c.state()
		pause, most = c.bucket.allowance()
		if closed {
			return math.MaxInt, nil // the connection has its own error for that
		}
		if pause == 0 {
			return most, nil
		}
		if !deadline.IsZero() {
			left := time.Until(deadline)
			if left <= 0 {
				return 0, os.ErrDeadlineExceeded
			}
			pause = min(pause, left)
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-wake:
		}
	}
}

// state returns what a read that waits has to heed. A later change closes wake.
func (c *Conn) state() (wake <-chan struct{}, deadline time.Time, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wake == nil {
		c.wake = make(chan struct{})
	}
	return c.wake, c.deadline, c.closed
}

// wakeReaders makes reads that wait look again. The caller holds mu.
func (c *Conn) wakeReaders() {
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.wakeReaders()
	return err
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.Conn.SetDeadline(t); err != nil {
		return err
	}
	c.setDeadline(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if err := c.Conn.SetReadDeadline(t); err != nil {
		return err
	}
	c.setDeadline(t)
	return nil
}

func (c *Conn) setDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	c.wakeReaders()
}

// NetConn returns the connection that is wrapped. Reading from it goes past the
// limit.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// SyscallConn implements syscall.Conn. What it returns controls and writes as
// that of the wrapped connection does, but reads only while the rate is
// unlimited, because reads of the descriptor go past the limit: otherwise its
// Read returns errors.ErrUnsupported. So does SyscallConn itself when the
// wrapped connection is none of the operating system.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &rawConn{raw, c}, nil
}

type rawConn struct {
	syscall.RawConn
	conn *Conn
}

func (r *rawConn) Read(f func(fd uintptr) (done bool)) error {
	if r.conn.bucket.limited.Load() {
		return errors.ErrUnsupported
	}
	return r.RawConn.Read(f)
}

type stater interface{ ConnectionState() tls.ConnectionState }

type writeCloser interface{ CloseWrite() error }

// Expose returns c with those of the methods ConnectionState and CloseWrite
// that the wrapped connection has, so that type assertions on the result tell
// the truth.
func (c *Conn) Expose() net.Conn {
	s, hasState := c.Conn.(stater)
	w, hasClose := c.Conn.(writeCloser)
	switch {
	case hasState && hasClose:
		return struct {
			*Conn
			stater
			writeCloser
		}{c, s, w}
	case hasState:
		return struct {
			*Conn
			stater
		}{c, s}
	case hasClose:
		return struct {
			*Conn
			writeCloser
		}{c, w}
	}
	return c
}
