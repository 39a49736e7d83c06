package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/wsock"
	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// transport is a stream over WebSocket.
type transport struct {
	conn   *wsock.Conn
	shaped *shaper.Conn
	peer   stanza.Peer
	watch  *watch

	reading turn // of Open and Read, and Close at its end
	jids    stanza.JIDCache
	ended   atomic.Bool // the client has closed its stream

	writing turn // of Header, Write and Close
	werr    error

	mu      sync.Mutex // guards what follows, never held during I/O
	limits  xmlstream.Limits
	writeBy time.Time
	opened  int // number of headers that the client was asked for
	headers int // number of headers that we sent
	closing bool

	closed   chan struct{}
	closeErr error
}

// turn is a lock that is held during I/O: testing/synctest takes its waiters for blocked.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

var _ stanza.Transport = (*transport)(nil)

func newTransport(conn *wsock.Conn, i httpd.Info, set *settings) *transport {
	t := &transport{
		conn: conn, shaped: shaper.NewConn(conn.NetConn(), shaper.Rate{}),
		peer:    stanza.Peer{Name: "websocket", Secure: i.Secure},
		reading: make(turn, 1), writing: make(turn, 1), closed: make(chan struct{}),
	}
	if i.Client.IsValid() {
		t.peer.Addr = netip.AddrPortFrom(i.Client, 0)
	}
	conn.Wrap(t.shaped)
	t.SetLimits(stanza.Limits{})
	t.watch = newWatch(conn, set)
	return t
}

// end frees what the stream has, after its last use.
func (t *transport) end() {
	t.conn.Cut() // the watch may be writing
	t.watch.stop()
}

// parsers take messages apart. What they return is copied before they are given back.
var parsers = sync.Pool{New: func() any { return new(xmlstream.Parser) }}

// next waits for the next message and hands it to f. There is no buffer and no parser
// while it waits.
func (t *transport) next(header bool, f func(*xmlstream.Element) error) error {
	t.reading.take()
	defer t.reading.give()
	if err := t.shaped.WaitCredit(); err != nil {
		return err
	}
	if err := t.conn.Rest(); err != nil {
		return err
	}
	t.mu.Lock()
	limits, closing := t.limits, t.closing
	if header {
		t.opened++
	}
	t.mu.Unlock()
	if closing {
		return net.ErrClosed
	}
	return t.message(limits, f)
}

// message is next once there is something to read.
func (t *transport) message(limits xmlstream.Limits, f func(*xmlstream.Element) error) error {
	op, b, err := t.conn.Next(limits.Bytes, t.watch.heard)
	if err != nil {
		return t.failed(err)
	}
	if op != wsock.Text {
		return t.failed(&wsock.Error{Code: wsock.StatusUnsupported, Text: "messages are text"})
	}
	if len(b) == 0 || b[0] != '<' { // RFC 7395, section 3.3.3
		return &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "a message begins with <"}
	}
	p := parsers.Get().(*xmlstream.Parser)
	defer parsers.Put(p)
	e, err := p.Parse(b, stanza.NSClient, limits) // not all clients write the namespace
	if err != nil {
		return syntaxError(err)
	}
	if string(e.Name.Space) == nsFraming && string(e.Name.Local) == "close" {
		t.ended.Store(true)
		return io.EOF
	}
	return f(e)
}

// errLeft is not the end of a stream in order: pages that are loaded again resume it.
var errLeft = fmt.Errorf("client has closed the connection, and not the stream: %w", io.ErrUnexpectedEOF)

// failed makes the error of a stream of one of its connection.
func (t *transport) failed(err error) error {
	if err == io.EOF { // of the connection: a session may go on (RFC 7395, section 3.6)
		return errLeft
	}
	var e *wsock.Error
	if !errors.As(err, &e) {
		return err
	}
	condition := stanza.StreamBadFormat
	switch e.Code {
	case wsock.StatusTooBig:
		condition = stanza.StreamPolicyViolation
	case wsock.StatusInvalidData:
		condition = stanza.StreamUnsupportedEncoding
	}
	return &stanza.StreamError{Condition: condition, Text: e.Text, Err: err}
}

func syntaxError(err error) error {
	var s *xmlstream.SyntaxError
	if !errors.As(err, &s) {
		return err
	}
	e := &stanza.StreamError{Condition: stanza.StreamCondition(s.Kind.Condition()), Err: err}
	if s.Kind.Condition() == string(stanza.StreamPolicyViolation) {
		e.Text = s.Msg
	}
	return e
}

// Open implements stanza.Transport.
func (t *transport) Open() (h stanza.Header, err error) {
	err = t.next(true, func(e *xmlstream.Element) error {
		h, err = parseOpen(e)
		return err
	})
	return h, err
}

// Read implements stanza.Transport.
func (t *transport) Read() (in stanza.Incoming, err error) {
	err = t.next(false, func(e *xmlstream.Element) error {
		in.Size = len(e.Raw)
		if isStanza(e) {
			in.Stanza, err = stanza.FromElement(e, &t.jids)
			return err
		}
		if isStreamTag(e) {
			return &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "a stream is opened by <open/>"}
		}
		in.Nonza, err = stanza.ElementFrom(e)
		return err
	})
	return in, err
}

// Header implements stanza.Transport.
func (t *transport) Header(h stanza.Header, batch stanza.Batch) error {
	t.writing.take()
	defer t.writing.give()
	if err := t.write(appendOpen(nil, h), batch); err != nil {
		return err
	}
	t.mu.Lock()
	t.headers++
	t.mu.Unlock()
	return nil
}

// Write implements stanza.Transport.
func (t *transport) Write(b stanza.Batch) error {
	t.writing.take()
	defer t.writing.give()
	return t.write(nil, b)
}

// write is for whoever has the turn to write: first, if there is any, and each element of
// a batch go as messages of their own, all in one write.
func (t *transport) write(first []byte, batch stanza.Batch) error {
	if t.werr != nil {
		return t.werr
	}
	t.mu.Lock()
	closing := t.closing
	t.mu.Unlock()
	if closing {
		return net.ErrClosed
	}
	if len(first) == 0 && len(batch.Ends) == 0 {
		return nil
	}
	t.werr = t.conn.Write(func(dst []byte) []byte { return appendFrames(dst, first, batch) })
	return t.werr
}

func appendFrames(dst, first []byte, batch stanza.Batch) []byte {
	if len(first) > 0 {
		dst = wsock.AppendFrame(dst, wsock.Text, first)
	}
	from := 0
	for _, end := range batch.Ends {
		dst = wsock.AppendFrame(dst, wsock.Text, batch.Bytes[from:end])
		from = end
	}
	return dst
}

// SetReadDeadline implements stanza.Transport.
func (t *transport) SetReadDeadline(d time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return nil
	}
	return t.conn.SetReadDeadline(d)
}

// SetWriteDeadline implements stanza.Transport.
func (t *transport) SetWriteDeadline(d time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return nil
	}
	t.writeBy = d
	return t.conn.SetWriteDeadline(d)
}

// defaultBytes is what stanza.Limits says of 0.
const defaultBytes = 262144

// SetLimits implements stanza.Transport.
func (t *transport) SetLimits(l stanza.Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits = xmlstream.Limits{Bytes: l.Bytes, Elements: l.Elements, Depth: l.Depth}
	if l.Bytes <= 0 {
		t.limits.Bytes = defaultBytes
	}
}

// SetRate implements stanza.Transport.
func (t *transport) SetRate(r shaper.Rate) { t.shaped.SetRate(r) }

// Standalone implements stanza.Transport: true.
func (t *transport) Standalone() bool { return true }

// Peer implements stanza.Transport.
func (t *transport) Peer() stanza.Peer { return t.peer }

// closeTimeout is the longest that Close takes.
const closeTimeout = time.Second

// Close implements stanza.Transport (RFC 7395, sections 3.5 and 3.6).
func (t *transport) Close(reason *stanza.StreamError) error {
	t.mu.Lock()
	again := t.closing
	t.closing = true
	late := t.headers == 0 || t.headers < t.opened
	limit := closeTimeout
	if !t.writeBy.IsZero() {
		limit = min(limit, time.Until(t.writeBy))
	}
	t.mu.Unlock()
	if again {
		<-t.closed
		return t.closeErr
	}
	defer close(t.closed)
	t.shaped.SetRate(shaper.Rate{})
	cut := time.AfterFunc(max(limit, 1), t.conn.Cut) // whoever waits below is woken
	defer cut.Stop()
	t.closeErr = t.goodbye(reason, late)
	if t.closeErr == nil {
		_ = t.conn.SetReadDeadline(time.Now().Add(limit / 2)) // there is something to write after it
		t.reading.take()
		defer t.reading.give()
		t.awaitEnd()
		_ = t.conn.SetReadDeadline(time.Time{}) // until cut
		if t.conn.WriteClose(status(reason)) == nil {
			t.conn.Drain(drainBudget)
			_ = t.conn.Close()
		}
	}
	t.conn.Cut()
	return t.closeErr
}

// goodbye ends our side of the stream.
func (t *transport) goodbye(reason *stanza.StreamError, late bool) error {
	t.writing.take()
	defer t.writing.give()
	if t.werr != nil {
		return t.werr
	}
	t.werr = t.conn.Write(func(dst []byte) []byte {
		if late && reason != nil {
			dst = wsock.AppendFrame(dst, wsock.Text, appendOpen(nil, stanza.Header{ID: xmppstream.NewStreamID(), Version: "1.0"}))
		}
		if reason != nil {
			dst = wsock.AppendFrame(dst, wsock.Text, xmppstream.AppendStreamError(nil, reason, true))
		}
		if late && reason == nil {
			return dst
		}
		return wsock.AppendFrame(dst, wsock.Text, []byte(closeTag))
	})
	return t.werr
}

// status returns the status to close the connection with.
func status(reason *stanza.StreamError) (code int, text string) {
	var e *wsock.Error
	switch {
	case reason == nil:
		return wsock.StatusNormal, ""
	case errors.As(reason.Err, &e):
		return e.Code, e.Text
	case reason.Condition == stanza.StreamSystemShutdown:
		return wsock.StatusGoingAway, ""
	case reason.Condition == stanza.StreamInternalServerError:
		return wsock.StatusInternal, ""
	}
	return wsock.StatusPolicyViolation, string(reason.Condition)
}

// What Close reads to find the client's end: messages until that of the stream, and then
// bytes until that of the connection.
const (
	closeBudget = 100
	drainBudget = 1 << 20
)

// awaitEnd reads on until the client has closed its side of the stream. The caller has the
// turn to read.
func (t *transport) awaitEnd() {
	t.mu.Lock()
	limits := t.limits
	t.mu.Unlock()
	for range closeBudget {
		if t.ended.Load() {
			return
		}
		err := t.message(limits, func(*xmlstream.Element) error { return nil })
		var e *stanza.StreamError
		if err != nil && (!errors.As(err, &e) || errors.As(e.Err, new(*wsock.Error))) {
			return // the connection has ended, or there are no messages any more
		}
	}
}
