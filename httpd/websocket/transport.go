package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/wsock"
	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// transport is a stream over WebSocket.
type transport struct {
	conn   *wsock.Conn
	shaped *shaper.Conn
	growth *growth // nil: messages are not compressed
	peer   stanza.Peer
	watch  *watch

	reading turn // of Open and Read, and Close at its end
	jids    stanza.JIDCache
	spoken  atomic.Bool // the client has sent something that was to be a stream header
	ended   atomic.Bool // the client has closed its stream

	writing turn // of Header, Write and Close
	werr    error

	mu      sync.Mutex // guards what follows, never held during I/O
	limits  xmlstream.Limits
	writeBy time.Time
	opened  int // number of headers that we shall have sent
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
		t.peer.Addr = i.Peer()
	}
	conn.Wrap(t.shaped)
	if conn.Deflates() {
		t.growth = newGrowth()
	}
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
func (t *transport) next(f func(*xmlstream.Element) error) error {
	t.reading.take()
	defer t.reading.give()
	if err := t.shaped.WaitCredit(); err != nil {
		return err
	}
	if err := t.growth.wait(); err != nil {
		return err
	}
	t.watch.deaf.Store(false)
	defer t.watch.deaf.Store(true)
	if err := t.conn.Rest(); err != nil {
		return err
	}
	t.mu.Lock()
	limits, closing := t.limits, t.closing
	t.mu.Unlock()
	if closing {
		return net.ErrClosed
	}
	return t.message(limits, f)
}

// message is next once there is something to read.
func (t *transport) message(limits xmlstream.Limits, f func(*xmlstream.Element) error) error {
	op, b, err := t.conn.Next(limits.Bytes, t.watch.hears)
	if err != nil {
		return t.failed(err)
	}
	t.spoken.Store(true)
	t.growth.add(t.conn.Grown())
	if op != wsock.Text {
		return t.failed(&wsock.Error{Code: wsock.StatusUnsupported, Text: "messages are text"})
	}
	if len(b) == 0 || b[0] != '<' { // RFC 7395, section 3.3.3
		return &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "a message begins with <"}
	}
	p := parsers.Get().(*xmlstream.Parser)
	defer parsers.Put(p)
	e, err := p.Parse(withoutDeclaration(b), stanza.NSClient, limits) // not all clients write the namespace
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
	t.spoken.Store(true)
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
	t.spoken.Store(false)
	t.mu.Lock()
	t.opened = t.headers + 1
	t.mu.Unlock()
	err = t.next(func(e *xmlstream.Element) error {
		h, err = parseOpen(e)
		return err
	})
	return h, err
}

// Read implements stanza.Transport.
func (t *transport) Read() (in stanza.Incoming, err error) {
	err = t.next(func(e *xmlstream.Element) error {
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
	t.werr = t.conn.Write(func(dst []byte) []byte { return t.appendFrames(dst, first, batch) })
	return t.werr
}

func (t *transport) appendFrames(dst, first []byte, batch stanza.Batch) []byte {
	if len(first) > 0 {
		dst = t.conn.AppendMessage(dst, wsock.Text, first)
	}
	from := 0
	for _, end := range batch.Ends {
		dst = t.conn.AppendMessage(dst, wsock.Text, batch.Bytes[from:end])
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
	t.growth.setDeadline(d)
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
func (t *transport) SetRate(r shaper.Rate) {
	t.shaped.SetRate(r)
	t.growth.setRate(r)
}

// Standalone implements stanza.Transport: true.
func (t *transport) Standalone() bool { return true }

// Peer implements stanza.Transport.
func (t *transport) Peer() stanza.Peer { return t.peer }
