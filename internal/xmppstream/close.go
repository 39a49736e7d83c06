package xmppstream

import (
	"io"
	"net"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

const (
	// closeTimeout is the longest that Close takes.
	closeTimeout = 2 * time.Second
	// closeBudget is the most bytes that Close reads to find the peer's end.
	closeBudget = 256 << 10
)

// Close implements stanza.Transport. A Write that is under way comes to its
// end first, within the same time. A call while another one is under way waits
// for that one and returns the same: an error if the end could not be written.
//
// Before we have sent a header, an error is preceded by one (RFC 6120, section
// 4.9.1.2), and without an error nothing is written. Nothing is written either
// after a write that failed, and before the end of a TLS handshake.
func (t *TCP) Close(reason *stanza.StreamError) error {
	t.mu.Lock()
	again := t.closing
	if !again {
		t.closing, t.budget = true, closeBudget
	}
	t.mu.Unlock()
	if again {
		<-t.closed
		return t.closeErr
	}
	defer close(t.closed)
	t.closeErr = t.close(reason)
	return t.closeErr
}

func (t *TCP) close(reason *stanza.StreamError) error {
	conn, limit := t.hurry()
	// Whatever waits below, a write of ours or of somebody else, TLS's goodbye
	// or a read, ends when the connection is cut.
	cut := time.AfterFunc(max(limit, time.Nanosecond), func() { netserve.Cut(conn) })
	defer cut.Stop()

	said, err := t.sayGoodbye(conn, reason)
	if said {
		t.awaitEnd()
	} else {
		netserve.Cut(conn) // Close of a TLS connection would write
	}
	_ = conn.Close() // the peer may have been faster
	t.reading.take()
	t.scan.Discard() // and with it, its buffer
	t.reading.give()
	return err
}

// hurry takes the deadlines and the rate away, and returns how long closing may
// take instead.
func (t *TCP) hurry() (conn net.Conn, limit time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shaped.SetRate(shaper.Rate{})
	limit = closeTimeout
	if !t.writeBy.IsZero() {
		limit = min(limit, time.Until(t.writeBy))
	}
	_ = t.conn.SetDeadline(time.Time{})
	return t.conn, limit
}

// goodbye returns the end of our stream, nil when there is nothing to say.
func (t *TCP) goodbye(reason *stanza.StreamError) []byte {
	t.mu.Lock()
	late := t.headers == 0 || t.headers < t.opened
	shaking := t.overTLS && t.tls == nil
	t.mu.Unlock()
	if shaking || late && reason == nil {
		return nil
	}
	var b []byte
	if late {
		b = appendHeader(b, stanza.Header{ID: NewStreamID(), Version: "1.0", Namespace: t.namespace})
	}
	if reason != nil {
		b = AppendStreamError(b, reason, false)
	}
	return append(b, "</stream:stream>"...)
}

// sayGoodbye writes the end of our stream and of our side of the connection. It
// reports whether the peer can have got it.
func (t *TCP) sayGoodbye(conn net.Conn, reason *stanza.StreamError) (bool, error) {
	t.writing.take()
	defer t.writing.give()
	if t.werr != nil && !t.finished {
		return false, t.werr
	}
	if !t.finished {
		b := t.goodbye(reason)
		if b == nil {
			return false, nil
		}
		if _, t.werr = conn.Write(b); t.werr != nil {
			return false, t.werr
		}
	}
	if c, ok := netserve.As[interface{ CloseWrite() error }](conn); ok {
		_ = c.CloseWrite() // without one, the end tag has to do
	}
	return true, nil
}

// Finish ends our side of the stream: nothing more can be written. What the peer
// still sends can be read until it has ended its own; then, or when that takes too
// long, Close is due.
// See RFC 6120, section 4.4.
func (t *TCP) Finish() error {
	t.writing.take()
	defer t.writing.give()
	if err := t.write([]byte("</stream:stream>")); err != nil {
		return err
	}
	t.finished, t.werr = true, net.ErrClosed
	return nil
}

// awaitEnd reads on until the peer has closed its stream or its connection:
// closing before would reset the connection, and our last words with it.
func (t *TCP) awaitEnd() {
	t.reading.take()
	defer t.reading.give()
	for !t.ended {
		_, err := t.scan.Next()
		if err == io.EOF {
			return
		}
		if err != nil { // no stream any more: wait for the connection's end
			_, _ = io.Copy(io.Discard, (*source)(t))
			return
		}
	}
}

// AppendStreamError appends a stream error. With standalone the element
// declares its prefix.
// See RFC 6120, section 4.9.
func AppendStreamError(dst []byte, e *stanza.StreamError, standalone bool) []byte {
	dst = append(dst, "<stream:error"...)
	if standalone {
		dst = appendAttr(dst, "xmlns:stream", stanza.NSStream)
	}
	dst = append(dst, '>')
	dst = e.AppendXML(dst)
	return append(dst, "</stream:error>"...)
}
