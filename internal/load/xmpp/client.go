package xmpp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// defaultBuffer is how much a client reads at once.
const defaultBuffer = 4096

// Client is one end of a stream, as a rule a client's. One goroutine reads; writing is safe for
// concurrent use.
type Client struct {
	JID string // full

	conn    net.Conn
	opening []byte      // the tag that opened the stream of the other side
	stop    func() bool // takes back that the end of the context closes conn
	tls     string      // version, cipher suite and key exchange; "" without TLS

	buf  []byte
	r, w int // what is read and not consumed is buf[r:w]

	mu  sync.Mutex // held while writing
	out []byte
	sm  *management // nil: the stream is not managed
}

func newClient(ctx context.Context, conn net.Conn, buffer int) *Client {
	if buffer <= 0 {
		buffer = defaultBuffer
	}
	c := &Client{conn: conn, buf: make([]byte, buffer)}
	c.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return c
}

// fill reads more.
func (c *Client) fill() error {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.r > 0 && len(c.buf)-c.w < len(c.buf)/4:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.buf) {
		if len(c.buf) >= maxElement {
			return fmt.Errorf("element of more than %d bytes", maxElement)
		}
		more := make([]byte, 2*len(c.buf))
		copy(more, c.buf[:c.w])
		c.buf = more
	}
	n, err := c.conn.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// maxElement bounds what the server sends at once.
const maxElement = 16 << 20

// next waits for the next element. It is valid until the next call that reads.
func (c *Client) next() ([]byte, error) {
	for {
		el, err := c.buffered()
		if el != nil || err != nil {
			return el, err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// buffered returns the next element that has been read, nil when there is none.
// Those of stream management are dealt with here.
func (c *Client) buffered() ([]byte, error) {
	for {
		for c.r < c.w && (c.buf[c.r] == ' ' || c.buf[c.r] == '\n') {
			c.r++ // keep-alive
		}
		el := c.buf[c.r:c.w]
		n, err := elementLen(el)
		if n == 0 {
			return nil, err
		}
		c.r += n
		el = el[:n]
		if c.sm == nil {
			return el, nil
		}
		if err := c.manage(el); err != errHandled {
			return el, err
		}
	}
}

// header waits for the stream header of the other side.
func (c *Client) header() error {
	for {
		b := c.buf[c.r:c.w]
		for i := 0; ; {
			open, end := nextTag(b, i)
			if end == 0 {
				break
			}
			if name(b[open:end]) == "stream:stream" {
				c.opening = bytes.Clone(b[open:end])
				c.r += end
				return nil
			}
			i = end
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// expect reads the next element, whose name must be one of those.
func (c *Client) expect(names ...string) ([]byte, error) {
	el, err := c.next()
	if err != nil {
		return nil, err
	}
	got := name(el)
	for _, n := range names {
		if got == n {
			return el, nil
		}
	}
	return nil, fmt.Errorf("want <%s>, got %.300s", names[0], el)
}

// begin takes the turn to write. What is to be written is appended to c.out,
// with a call of count after each stanza; flush writes it.
func (c *Client) begin() {
	c.mu.Lock()
	c.out = c.out[:0]
}

func (c *Client) flush() error {
	defer c.mu.Unlock()
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	return err
}

// send writes one element that is no stanza.
func (c *Client) send(xml string) error {
	c.begin()
	c.out = append(c.out, xml...)
	return c.flush()
}

// sendStanza writes one stanza.
func (c *Client) sendStanza(xml string) error {
	c.begin()
	c.out = append(c.out, xml...)
	c.count()
	return c.flush()
}

// interrupt makes the goroutine that reads return.
func (c *Client) interrupt() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) }

// goOn lets a client be read again after interrupt.
func (c *Client) goOn(timeout time.Duration) {
	_ = c.conn.SetReadDeadline(time.Now().Add(timeout))
}

// closeTimeout is how long a stream may take to end.
const closeTimeout = 5 * time.Second

// Close ends the stream in order, waits until the server has closed its side,
// which is when the session has ended, and closes the connection.
func (c *Client) Close() {
	_ = c.conn.SetDeadline(time.Now().Add(closeTimeout))
	c.begin()
	if c.sm != nil {
		c.out = appendAck(c.out, c.sm.received)
	}
	c.out = append(c.out, "</stream:stream>"...)
	if c.flush() == nil {
		for _, err := c.next(); err == nil; {
			_, err = c.next()
		}
	}
	c.abort()
}

// abort closes the connection without a word.
func (c *Client) abort() {
	c.stop()
	_ = c.conn.Close()
}
