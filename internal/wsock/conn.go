package wsock

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// Conn is a WebSocket. One goroutine reads; everything else is safe for concurrent use.
type Conn struct {
	conn     net.Conn
	protocol string
	waiter   netserve.ReadWaiter // nil: nobody can wait without a buffer

	// What follows is of the goroutine that reads.
	buf   *[]byte // what was read is buf[r:w]; nil: nothing
	r, w  int
	early []byte // what was read before there was a buffer
	whole []byte // a message in several frames, or one that buf has no room for
	kind  Op     // of whole
	mixed bool   // whole has frames, and goes on

	mu      sync.Mutex // held while writing
	writeBy time.Time
}

// bufferSize is that of the buffers that are read into.
const bufferSize = 16 << 10

var buffers = sync.Pool{New: func() any {
	b := make([]byte, bufferSize)
	return &b
}}

func newConn(conn net.Conn, early []byte, protocol string) *Conn {
	c := &Conn{conn: conn, protocol: protocol, early: early}
	if w, err := netserve.NewReadWaiter(conn); err == nil {
		c.waiter = w
	}
	return c
}

// Wrap has the connection be read and written through another one that wraps it. It is
// for those who have just accepted it.
func (c *Conn) Wrap(conn net.Conn) { c.conn = conn }

// Subprotocol returns the one that was agreed on.
func (c *Conn) Subprotocol() string { return c.protocol }

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Rest gives back the buffer if nothing is in it, and waits until there is something to
// read. It does nothing where nobody can wait without a buffer.
func (c *Conn) Rest() error {
	if c.waiter == nil || c.r < c.w || len(c.early) > 0 || c.whole != nil {
		return nil
	}
	c.release()
	err := c.waiter.WaitRead()
	if errors.Is(err, errors.ErrUnsupported) {
		c.waiter, err = nil, nil
	}
	return err
}

// release gives back the buffer.
func (c *Conn) release() {
	if c.buf != nil {
		buffers.Put(c.buf)
		c.buf, c.r, c.w = nil, 0, 0
	}
}

// Next returns the next message of at most limit bytes. It is valid until the next call.
// Pings are answered; heard is called for each frame. The error is io.EOF if the client
// has closed in order, an *Error for what it may not do, and otherwise that of the
// connection.
func (c *Conn) Next(limit int, heard func()) (Op, []byte, error) {
	if !c.mixed {
		c.whole = nil
	}
	for {
		h, err := c.header()
		if err != nil {
			return 0, nil, err
		}
		if h.op < opClose && len(c.whole)+h.n > limit {
			return 0, nil, &Error{StatusTooBig, "message is too large"}
		}
		heard()
		if h.op >= opClose {
			if err := c.control(h); err != nil {
				return 0, nil, err
			}
			continue
		}
		if (h.op == opContinuation) != c.mixed {
			return 0, nil, violation("fragments out of order")
		}
		if h.op != opContinuation {
			c.kind = h.op
		}
		message, err := c.payload(h)
		if err != nil {
			return 0, nil, err
		}
		if c.mixed = !h.final; c.mixed {
			continue
		}
		if c.kind == Text && !utf8.Valid(message) {
			return 0, nil, &Error{StatusInvalidData, "text is not UTF-8"}
		}
		return c.kind, message, nil
	}
}

// header reads the beginning of a frame.
func (c *Conn) header() (head, error) {
	for {
		if c.buf != nil {
			h, ok, err := parseHead((*c.buf)[c.r:c.w])
			if err != nil {
				return h, err
			}
			if ok {
				c.r += h.size
				return h, nil
			}
		}
		if err := c.fill(); err != nil {
			return head{}, err
		}
	}
}

// payload returns what a message is so far, with the payload of a frame. One that is
// here as a whole is not copied.
func (c *Conn) payload(h head) ([]byte, error) {
	if h.n <= bufferSize-maxHeader && h.final && !c.mixed {
		for c.w-c.r < h.n {
			if err := c.fill(); err != nil {
				return nil, err
			}
		}
		b := (*c.buf)[c.r : c.r+h.n : c.r+h.n]
		c.r += h.n
		unmask(b, h.key, 0)
		return b, nil
	}
	if c.whole == nil {
		c.whole = []byte{}
	}
	for done := 0; done < h.n; {
		if c.r == c.w {
			if err := c.fill(); err != nil {
				return nil, err
			}
		}
		n := min(c.w-c.r, h.n-done)
		b := (*c.buf)[c.r : c.r+n]
		unmask(b, h.key, done)
		c.whole = append(c.whole, b...)
		c.r += n
		done += n
	}
	return c.whole, nil
}

// control takes a control frame.
func (c *Conn) control(h head) error {
	for c.w-c.r < h.n {
		if err := c.fill(); err != nil {
			return err
		}
	}
	b := (*c.buf)[c.r : c.r+h.n]
	c.r += h.n
	unmask(b, h.key, 0)
	switch h.op {
	case opPing:
		c.answer(b)
	case opClose:
		if err := checkClose(b); err != nil {
			return err
		}
		return io.EOF
	}
	return nil
}

// fill reads more, behind what is there.
func (c *Conn) fill() error {
	if c.buf == nil {
		c.buf = buffers.Get().(*[]byte)
		c.r, c.w = 0, 0
	}
	b := *c.buf
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.r > 0 && len(b)-c.w < len(b)/2:
		c.w = copy(b, b[c.r:c.w])
		c.r = 0
	}
	if len(c.early) > 0 {
		n := copy(b[c.w:], c.early)
		c.early = c.early[n:]
		c.w += n
		return nil
	}
	n, err := c.conn.Read(b[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil || err == io.EOF { // without a close frame
		err = io.ErrUnexpectedEOF
	}
	return err
}

// answer sends a pong, unless somebody is writing: then the client does not read, or will
// ask again, as of several pings the last counts (RFC 6455, section 5.5.3).
func (c *Conn) answer(ping []byte) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	const patience = 10 * time.Second
	c.brief(opPong, ping, patience)
}

// Ping sends a ping, unless somebody is writing: then there is no need. It does not take
// longer than timeout; a connection that does not take so little is closed.
func (c *Conn) Ping(timeout time.Duration) {
	if c.mu.TryLock() {
		defer c.mu.Unlock()
		c.brief(opPing, nil, timeout)
	}
}

// brief writes a control frame. Half a frame is the end of a connection.
func (c *Conn) brief(op Op, payload []byte, timeout time.Duration) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(timeout))
	if _, err := c.conn.Write(AppendFrame(nil, op, payload)); err != nil {
		netserve.Cut(c.conn)
	}
	_ = c.conn.SetWriteDeadline(c.writeBy)
}

// Write sends frames, which build adds to a buffer, with one write.
func (c *Conn) Write(build func(dst []byte) []byte) error {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	out := build((*b)[:0])
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write(out)
	return err
}

// SetReadDeadline and SetWriteDeadline are those of the connection.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// SetWriteDeadline bounds writes, also one that waits.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	err := c.conn.SetWriteDeadline(t)
	if c.mu.TryLock() {
		c.writeBy = t
		c.mu.Unlock()
	}
	return err
}

// Close sends a close frame, if it can within timeout, and closes the connection without
// waiting for the client's.
func (c *Conn) Close(code int, reason string, timeout time.Duration) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(timeout))
	err := c.Write(func(dst []byte) []byte { return appendClose(dst, code, reason) })
	netserve.Cut(c.conn)
	return errors.Join(err, c.conn.Close())
}

// Cut closes the connection without a word.
func (c *Conn) Cut() { netserve.Cut(c.conn) }
