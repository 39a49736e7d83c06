package wsock

import (
	"cmp"
	"net"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// keepSize is the most that a buffer for writing keeps.
const keepSize = 128 << 10

// batches are the buffers for writing, and for what was decompressed.
var batches = sync.Pool{New: func() any { return new([]byte) }}

// controlTimeout is how long a client may take to accept a control frame.
const controlTimeout = 10 * time.Second

// answer sends a pong. If somebody is writing it goes after that: of several pings the
// last counts (RFC 6455, section 5.5.3).
func (c *Conn) answer(ping []byte) {
	c.mu.Lock()
	c.pong = append(c.pong[:0], ping...)
	if c.pong == nil {
		c.pong = []byte{}
	}
	c.mu.Unlock()
	c.controls()
}

// Ping sends a ping, after what is being written. A connection that does not take so
// little in a while is closed.
func (c *Conn) Ping() {
	c.mu.Lock()
	c.ping = true
	c.mu.Unlock()
	c.controls()
}

// controls sends the control frames that wait, unless somebody is writing: that one calls
// it afterwards.
func (c *Conn) controls() {
	for c.haveControls() && c.writing.try() {
		b := c.takeControls()
		if c.werr == nil && c.write(b) != nil {
			netserve.Cut(c.conn)
		}
		c.doneControls()
		c.writing.give()
	}
}

func (c *Conn) haveControls() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ping || c.pong != nil
}

// takeControls returns the control frames that wait, and sets their deadline.
func (c *Conn) takeControls() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b []byte
	if c.pong != nil {
		b = AppendFrame(b, opPong, c.pong)
	}
	if c.ping {
		b = AppendFrame(b, opPing)
	}
	c.pong, c.ping = nil, false
	c.until = time.Now().Add(controlTimeout)
	if c.writeBy.IsZero() || c.writeBy.After(c.until) {
		_ = c.conn.SetWriteDeadline(c.until)
	}
	return b
}

// doneControls brings the deadline of others back.
func (c *Conn) doneControls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
	_ = c.conn.SetWriteDeadline(c.writeBy)
}

// write is for who writes. Half a frame is the end.
func (c *Conn) write(b []byte) error {
	if c.werr == nil {
		_, c.werr = c.conn.Write(b)
	}
	return c.werr
}

// Write sends frames, which build adds to a buffer, with one write. After one that failed
// nothing is written any more, and after the client's close frame nothing but ours: the
// error is net.ErrClosed then (RFC 6455, section 6.1).
func (c *Conn) Write(build func(dst []byte) []byte) error {
	b := batches.Get().(*[]byte)
	defer batches.Put(b)
	out := build((*b)[:0])
	if cap(out) <= keepSize {
		*b = out
	}
	c.writing.take()
	err := net.ErrClosed
	if c.Left() == 0 {
		err = c.write(out)
	}
	c.writing.give()
	c.controls()
	return err
}

// SetWriteDeadline bounds writes, also one that waits.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	if !c.until.IsZero() && (t.IsZero() || t.After(c.until)) {
		return nil // a control frame is being written, and has less time
	}
	return c.conn.SetWriteDeadline(t)
}

// WriteClose sends a close frame, after which nothing can be written. A client that has
// sent one gets its own status back (RFC 6455, section 5.5.1).
func (c *Conn) WriteClose(code int, reason string) error {
	c.writing.take()
	defer c.writing.give()
	if left := c.Left(); left != 0 {
		code, reason = left, ""
	}
	err := c.write(appendClose(nil, code, reason))
	c.werr = cmp.Or(err, net.ErrClosed)
	return err
}
