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
	deflate  bool                // messages may be compressed
	waiter   netserve.ReadWaiter // nil: nobody can wait without a buffer

	// What follows is of the goroutine that reads.
	buf    *[]byte // what was read is buf[r:w]; nil: nothing
	r, w   int
	idle   []byte  // what it waits with where waiter is nil
	early  []byte  // what was read before there was a buffer
	whole  []byte  // a message in several frames, or one that buf has no room for
	plain  *[]byte // a message that was decompressed; nil: none
	grown  int     // by so many bytes
	kind   Op      // of whole
	packed bool    // so is whole: it is compressed
	mixed  bool    // whole has frames, and goes on
	over   error   // io.EOF or an *Error: there are no messages any more
	heard  func()  // of Next; nil before

	writing turn
	werr    error // nothing more can be written

	mu      sync.Mutex // guards what follows, never held during I/O
	writeBy time.Time
	until   time.Time // the deadline of a control frame that is being written; zero: none is
	pong    []byte    // the answer that waits to be sent; nil: none
	ping    bool      // so does a ping
	left    int       // the status of the client's close frame; 0: none has come
}

// turn is a lock that is held during I/O: testing/synctest takes its waiters for blocked.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

func (t turn) try() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

const (
	bufferSize = 16 << 10 // of what is read into
	idleSize   = 512      // of what is read into where nobody can wait otherwise
)

var buffers = sync.Pool{New: func() any {
	b := make([]byte, bufferSize)
	return &b
}}

func newConn(conn net.Conn, early []byte, protocol string) *Conn {
	c := &Conn{conn: conn, protocol: protocol, early: early, writing: make(turn, 1)}
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

// Deflates says whether messages may be compressed.
func (c *Conn) Deflates() bool { return c.deflate }

// Grown returns how many bytes the message that Next returned has more than what came.
func (c *Conn) Grown() int { return c.grown }

// Left returns the status of the client's close frame, 1005 if it says none; 0: none has
// come.
func (c *Conn) Left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Rest gives back the buffer if nothing is in it, and waits until there is something to
// read. Where nobody can wait without a buffer, Next does, with a small one.
func (c *Conn) Rest() error {
	c.drop()
	if c.r < c.w || len(c.early) > 0 || c.mixed {
		return nil
	}
	c.release()
	if c.waiter == nil {
		return nil
	}
	err := c.waiter.WaitRead()
	if errors.Is(err, errors.ErrUnsupported) {
		c.waiter, err = nil, nil
	}
	return err
}

// drop lets go of the message that Next returned.
func (c *Conn) drop() {
	if !c.mixed {
		c.whole = nil
	}
	if c.plain != nil {
		batches.Put(c.plain)
		c.plain, c.grown = nil, 0
	}
}

// release gives back the buffer.
func (c *Conn) release() {
	if c.buf != nil {
		buffers.Put(c.buf)
		c.buf, c.r, c.w = nil, 0, 0
	}
}

// maxMessage is the largest message, whatever the limit is: sums with the length of a
// frame are numbers in 32 bits, too.
const maxMessage = 1 << 29

// Next returns the next message of at most limit bytes. It is valid until the next call.
// Pings are answered; heard is called whenever something comes. The error is io.EOF once the
// client has sent a close frame, an *Error for what it may not do, and otherwise that of
// the connection.
func (c *Conn) Next(limit int, heard func()) (Op, []byte, error) {
	if c.over != nil {
		return 0, nil, c.over
	}
	c.heard = heard
	op, b, err := c.next(min(limit, maxMessage))
	if err == io.EOF || isError(err) {
		c.over = err
	}
	return op, b, err
}

// isError says whether err is about what a client may not do.
func isError(err error) bool {
	return err != nil && errors.As(err, new(*Error)) // which allocates
}

func (c *Conn) next(limit int) (Op, []byte, error) {
	c.drop()
	for {
		h, err := c.header()
		if err != nil {
			return 0, nil, err
		}
		if h.op >= opClose {
			if err := c.control(h); err != nil {
				return 0, nil, err
			}
			continue
		}
		if err := c.begin(h, limit); err != nil {
			return 0, nil, err
		}
		message, err := c.payload(h)
		if err != nil {
			return 0, nil, err
		}
		if c.mixed = !h.final; c.mixed {
			continue
		}
		if c.packed {
			if message, err = c.unpack(message, limit); err != nil {
				return 0, nil, err
			}
		}
		if c.kind == Text && !utf8.Valid(message) {
			return 0, nil, &Error{StatusInvalidData, "text is not UTF-8"}
		}
		return c.kind, message, nil
	}
}

// begin looks at a frame of a message before its payload is read.
func (c *Conn) begin(h head, limit int) error {
	if (h.op == opContinuation) != c.mixed {
		return violation("fragments out of order")
	}
	if !c.mixed {
		c.kind, c.packed = h.op, h.packed
	}
	if c.packed {
		limit = packedLimit(limit)
	}
	if len(c.whole)+h.n > limit {
		return &Error{StatusTooBig, "message is too large"}
	}
	return nil
}

// unpack decompresses a message.
func (c *Conn) unpack(message []byte, limit int) ([]byte, error) {
	b := batches.Get().(*[]byte)
	out, err := inflate((*b)[:0], message, limit)
	if cap(out) <= keepSize {
		*b = out
	}
	c.plain, c.grown = b, max(len(out)-len(message), 0)
	return out, err
}

// header reads the beginning of a frame.
func (c *Conn) header() (head, error) {
	for {
		if c.buf != nil {
			h, ok, err := parseHead((*c.buf)[c.r:c.w], c.allowed())
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

// allowed is which reserved bit messages may have.
func (c *Conn) allowed() byte {
	if c.deflate {
		return packed
	}
	return 0
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
		code, err := parseClose(b)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.left = code
		c.mu.Unlock()
		return io.EOF
	}
	return nil
}

// fill reads more, behind what is there.
func (c *Conn) fill() error {
	if c.buf == nil && len(c.early) == 0 && c.waiter == nil {
		if c.idle == nil {
			c.idle = make([]byte, idleSize)
		}
		n, err := c.read(c.idle)
		if err != nil {
			return err
		}
		c.early = c.idle[:n]
	}
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
	n, err := c.read(b[c.w:])
	c.w += n
	return err
}

// read reads something, or returns an error.
func (c *Conn) read(b []byte) (int, error) {
	n, err := c.conn.Read(b)
	if n > 0 && c.heard != nil {
		c.heard()
	}
	switch {
	case n > 0:
		return n, nil // a lasting error comes again
	case err == nil || err == io.EOF: // without a close frame
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// Drain reads on until the client's close frame or the end of the connection, most bytes
// at most: closing a connection that has something to read resets it, and the client may
// never see what was written last. A client that has broken the rules is not asked for a
// close frame: it sees the end of our side at once (RFC 6455, section 7.1.7).
func (c *Conn) Drain(most int) {
	for most > 0 && c.over == nil {
		h, err := c.header()
		if err == nil {
			most -= h.size + h.n
			err = c.skip(h)
		}
		switch {
		case err == io.EOF || isError(err):
			c.over = err
		case err != nil:
			return
		}
	}
	if c.over == io.EOF {
		return
	}
	if w, ok := netserve.As[interface{ CloseWrite() error }](c.conn); ok {
		_ = w.CloseWrite()
	}
	for most > 0 {
		c.r, c.w = 0, 0
		if c.fill() != nil {
			return
		}
		most -= c.w
	}
}

// skip throws a frame away.
func (c *Conn) skip(h head) error {
	if h.op >= opClose {
		return c.control(h)
	}
	for {
		n := min(c.w-c.r, h.n)
		c.r += n
		h.n -= n
		if h.n == 0 {
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// SetReadDeadline is that of the connection.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// Close closes the connection. It may say goodbye in the way of TLS, for which it may
// take seconds.
func (c *Conn) Close() error { return c.conn.Close() }

// Cut closes the connection without a word.
func (c *Conn) Cut() { netserve.Cut(c.conn) }
