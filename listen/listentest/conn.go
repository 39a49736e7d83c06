package listentest

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// BufferSize is how many bytes a connection takes in each direction before
// Write blocks, as it would when a peer does not read.
const BufferSize = 64 << 10

// Conn is one end of a connection in memory. Unlike with net.Pipe, a Write
// does not wait for the other end to Read.
type Conn struct {
	in, out       *pipe
	local, remote net.Addr
}

var errBroken = errors.New("the other end was closed")

// NewConn returns the two ends of a connection. Their addresses are those of
// a TCP connection between client and server.
func NewConn(client, server netip.AddrPort) (clientEnd, serverEnd *Conn) {
	up, down := newPipe(), newPipe()
	ca, sa := net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(server)
	return &Conn{in: down, out: up, local: ca, remote: sa}, &Conn{in: up, out: down, local: sa, remote: ca}
}

// Read implements net.Conn. It returns io.EOF when the other end was closed
// and everything that it wrote has been read.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.wrap("read", err)
}

// Write implements net.Conn. It blocks while BufferSize bytes are unread.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return n, c.wrap("write", err)
}

func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Close implements net.Conn. What was written can still be read at the other
// end.
func (c *Conn) Close() error {
	c.out.closeWriter()
	c.in.closeReader()
	return nil
}

// CloseWrite ends this direction: the other end reads io.EOF.
func (c *Conn) CloseWrite() error {
	c.out.closeWriter()
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.wrap("set", c.in.setDeadline(&c.in.reader, t))
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.wrap("set", c.out.setDeadline(&c.out.writer, t))
}

// pipe is one direction. Waiting on a sync.Cond is what lets the time of a
// synctest bubble go on.
type pipe struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte // unread bytes
	reader  side
	writer  side
}

// side is one of the two ends of a pipe.
type side struct {
	closed   bool
	deadline time.Time
	timer    *time.Timer // wakes those who wait when the deadline comes
}

func (s *side) expired() bool {
	return !s.deadline.IsZero() && !time.Now().Before(s.deadline)
}

func newPipe() *pipe {
	p := &pipe{}
	p.changed.L = &p.mu
	return p
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.reader.closed:
			return 0, net.ErrClosed
		case p.reader.expired():
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case len(p.buf) > 0:
			n := copy(b, p.buf)
			p.buf = p.buf[n:]
			if len(p.buf) == 0 {
				p.buf = nil // an idle connection holds nothing
			}
			p.changed.Broadcast()
			return n, nil
		case p.writer.closed:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.writer.closed:
			return n, net.ErrClosed
		case p.writer.expired():
			return n, os.ErrDeadlineExceeded
		case p.reader.closed:
			return n, errBroken
		}
		if m := min(len(b), BufferSize-len(p.buf)); m > 0 {
			p.buf = append(p.buf, b[:m]...)
			b, n = b[m:], n+m
			p.changed.Broadcast()
		}
		if len(b) == 0 {
			return n, nil
		}
		p.changed.Wait()
	}
}

func (p *pipe) closeWriter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writer.close()
	p.changed.Broadcast()
}

func (p *pipe) closeReader() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reader.close()
	p.buf = nil
	p.changed.Broadcast()
}

func (s *side) close() {
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (p *pipe) setDeadline(s *side, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.deadline = t
	if d := time.Until(t); !t.IsZero() && d > 0 {
		s.timer = time.AfterFunc(d, p.wake)
	}
	p.changed.Broadcast()
	return nil
}

// wake holds the lock, so that nobody is between its check and its wait.
func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}
