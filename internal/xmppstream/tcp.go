package xmppstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// TCPOptions are the parameters of NewTCP.
type TCPOptions struct {
	// Limits bounds the stream header and the first elements.
	Limits stanza.Limits
	// Rate limits how fast the peer is read.
	Rate shaper.Rate
	// Namespace is the content namespace of the header that precedes an early
	// stream error; "": stanza.NSClient.
	Namespace string
	// Heard is called when bytes of the peer have come, white space between elements
	// included, in the goroutine that reads. It must not block. nil: nobody is told.
	Heard func()
}

// TCP is a stanza.Transport on a connection: TCP, a unix socket, TLS on either.
// See RFC 6120, section 4.
type TCP struct {
	namespace string
	heard     func()
	peer      stanza.Peer // without what a handshake adds
	shaped    *shaper.Conn

	reading turn // of Open, Read, StartTLS, and Close at its end
	scan    *xmlstream.Scanner
	waiter  netserve.ReadWaiter // of the connection; nil: nobody can wait without a buffer
	ready   bool                // the next read of the connection will not wait
	jids    stanza.JIDCache
	ended   bool // the peer closed its stream

	writing  turn  // of Header, Write, Finish and Close
	werr     error // nothing more can be written
	finished bool  // because Finish has written the end

	mu      sync.Mutex           // guards what follows, never held during I/O
	conn    net.Conn             // where to read and write
	overTLS bool                 // conn does TLS
	tls     *tls.ConnectionState // nil before the handshake
	shown   []byte               // our certificate
	writeBy time.Time            // write deadline
	limits  xmlstream.Limits
	closing bool
	budget  int // bytes that may still be read when closing
	opened  int // number of headers that the peer was asked for
	headers int // number of headers that we sent

	closed   chan struct{} // Close is done
	closeErr error
}

// turn is a lock that is held during I/O: a mutex, but one whose waiters
// testing/synctest takes for blocked.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

var _ stanza.Transport = (*TCP)(nil)

// NewTCP returns the transport of a new connection. A connection that does TLS
// itself makes its handshake in the first Open.
func NewTCP(c net.Conn, o TCPOptions) *TCP {
	t := &TCP{
		namespace: o.Namespace,
		heard:     o.Heard,
		peer:      peerOf(c),
		shaped:    shaper.NewConn(c, o.Rate),
		reading:   make(turn, 1),
		writing:   make(turn, 1),
		limits:    scanLimits(o.Limits),
		closed:    make(chan struct{}),
	}
	if t.namespace == "" {
		t.namespace = stanza.NSClient
	}
	t.conn = t.shaped
	_, t.overTLS = netserve.As[handshaker](c)
	t.peer.Secure = t.peer.Secure || t.overTLS
	if !t.overTLS { // TLS may have bytes that its connection has no more
		t.waiter, _ = netserve.NewReadWaiter(c)
	}
	t.scan = xmlstream.NewScanner((*source)(t), t.limits)
	return t
}

// Ready implements xmlstream.ReadyReader.
func (s *source) Ready() bool { return s.ready }

// source reads from the connection of the moment. It belongs to the reader.
type source TCP

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	conn := s.conn
	if s.closing {
		p = p[:min(len(p), s.budget)]
	}
	s.mu.Unlock()
	if len(p) == 0 {
		return 0, net.ErrClosed
	}
	s.ready = false
	n, err := conn.Read(p)
	s.mu.Lock()
	if s.closing {
		s.budget -= min(n, s.budget)
	}
	if s.scan.Buffered() == 0 { // they may have changed while it waited
		s.scan.SetLimits(s.limits)
	}
	s.mu.Unlock()
	if n > 0 && s.heard != nil {
		s.heard()
	}
	return n, err
}

// begin starts a read of the session: not one after Close.
func (t *TCP) begin(header bool) (net.Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return nil, net.ErrClosed
	}
	if header {
		t.opened++
	}
	t.scan.SetLimits(t.limits)
	return t.conn, nil
}

// Open implements stanza.Transport. The name of the stream's root is checked,
// everything else is left to the caller.
func (t *TCP) Open() (stanza.Header, error) {
	t.reading.take()
	defer t.reading.give()
	conn, err := t.begin(true)
	if err != nil {
		return stanza.Header{}, err
	}
	if err := t.handshake(context.Background(), conn); err != nil {
		return stanza.Header{}, err
	}
	if err := t.wait(); err != nil {
		return stanza.Header{}, err
	}
	start, err := t.scan.Header()
	if err != nil {
		return stanza.Header{}, t.readError(err)
	}
	return parseHeader(start)
}

// Read implements stanza.Transport. A *stanza.Error comes with a stanza that is
// wrong in itself (see stanza.FromElement): it is refused, the stream goes on.
func (t *TCP) Read() (stanza.Incoming, error) {
	t.reading.take()
	if err := t.wait(); err != nil {
		t.reading.give()
		return stanza.Incoming{}, err
	}
	return t.read()
}

// wait waits for the peer while nothing of it is here. Most connections are here
// most of the time, so there is no buffer, and little of a stack, below.
func (t *TCP) wait() error {
	if t.waiter == nil || !t.scan.Rest() {
		return nil
	}
	if err := t.shaped.WaitCredit(); err != nil {
		return err
	}
	err := t.waiter.WaitRead()
	if err == nil {
		t.ready = true
	} else if errors.Is(err, errors.ErrUnsupported) {
		t.waiter, err = nil, nil
	}
	return err
}

// read is Read once there is something to read, where one can tell. It gives back
// the turn to read.
func (t *TCP) read() (stanza.Incoming, error) {
	defer t.reading.give()
	if _, err := t.begin(false); err != nil {
		return stanza.Incoming{}, err
	}
	e, err := t.scan.Next()
	if err != nil {
		return stanza.Incoming{}, t.readError(err)
	}
	in := stanza.Incoming{Size: len(e.Raw)}
	if isStanza(e) {
		in.Stanza, err = stanza.FromElement(e, &t.jids)
	} else {
		in.Nonza, err = stanza.ElementFrom(e)
	}
	return in, err
}

// isStanza reports whether an element is a stanza of its stream.
func isStanza(e *xmlstream.Element) bool {
	if string(e.Name.Space) != string(e.Outer()) {
		return false
	}
	switch string(e.Name.Local) {
	case "message", "presence", "iq":
		return true
	}
	return false
}

// readError translates what the scanner says.
func (t *TCP) readError(err error) error {
	if err == io.EOF {
		t.ended = true
	}
	return streamError(err)
}

// streamError makes a stream error of a fault in what the peer sent. Other
// errors stay as they are.
func streamError(err error) error {
	var s *xmlstream.SyntaxError
	if !errors.As(err, &s) {
		return err
	}
	e := &stanza.StreamError{Condition: stanza.StreamCondition(s.Kind.Condition()), Err: err}
	switch s.Kind {
	case xmlstream.TooLarge, xmlstream.TooManyElements, xmlstream.TooDeep, xmlstream.TooManyAttrs, xmlstream.TooManyPrefixes:
		e.Text = s.Msg
	}
	return e
}

// Header implements stanza.Transport.
func (t *TCP) Header(h stanza.Header, batch stanza.Batch) error {
	t.writing.take()
	defer t.writing.give()
	b := appendHeader(nil, h)
	if err := t.write(append(b, batch.Bytes...)); err != nil {
		return err
	}
	t.mu.Lock()
	t.headers++
	t.mu.Unlock()
	return nil
}

// Write implements stanza.Transport.
func (t *TCP) Write(b stanza.Batch) error {
	t.writing.take()
	defer t.writing.give()
	return t.write(b.Bytes)
}

// write is for whoever has the turn to write.
func (t *TCP) write(p []byte) error {
	if t.werr != nil || len(p) == 0 {
		return t.werr
	}
	t.mu.Lock()
	conn, closing := t.conn, t.closing
	t.mu.Unlock()
	if closing {
		return net.ErrClosed
	}
	_, t.werr = conn.Write(p)
	return t.werr
}

// SetReadDeadline implements stanza.Transport.
func (t *TCP) SetReadDeadline(d time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return nil
	}
	return t.conn.SetReadDeadline(d)
}

// SetWriteDeadline implements stanza.Transport.
func (t *TCP) SetWriteDeadline(d time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return nil
	}
	t.writeBy = d
	return t.conn.SetWriteDeadline(d)
}

// SetLimits implements stanza.Transport.
func (t *TCP) SetLimits(l stanza.Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits = scanLimits(l) // the scanner is the reader's
}

func scanLimits(l stanza.Limits) xmlstream.Limits {
	return xmlstream.Limits{Bytes: l.Bytes, Elements: l.Elements, Depth: l.Depth}
}

// SetRate implements stanza.Transport. The limit lies below TLS that was
// negotiated in the stream.
func (t *TCP) SetRate(r shaper.Rate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closing {
		t.shaped.SetRate(r)
	}
}

// Standalone implements stanza.Transport: false.
func (t *TCP) Standalone() bool { return false }

// StartTLS makes the server's side of a TLS handshake after <proceed/>, which
// the caller has written. domain chooses the certificate for a client that does
// not tell which server it wants. What the peer sent after <starttls/> and
// before the handshake is thrown away unread. The read and write deadlines
// apply, and ctx. After an error nothing more is written to the peer.
// See RFC 6120, section 5.4.3.
func (t *TCP) StartTLS(ctx context.Context, server *netserve.TLS, domain string) error {
	return t.encrypt(ctx, func(c net.Conn) net.Conn { return server.Server(c, domain) })
}

// StartTLSClient makes the client's side of a TLS handshake after <proceed/>,
// which the caller has read, for a stream that this side has opened. What the peer
// sent after <proceed/> and before the handshake is thrown away unread. The read
// and write deadlines apply, and ctx. After an error nothing more is written to the
// peer.
func (t *TCP) StartTLSClient(ctx context.Context, config *tls.Config) error {
	return t.encrypt(ctx, func(c net.Conn) net.Conn { return tls.Client(c, config) })
}

// encrypt goes on over TLS, which over makes of the connection.
func (t *TCP) encrypt(ctx context.Context, over func(net.Conn) net.Conn) error {
	t.reading.take()
	defer t.reading.give()
	t.scan.Discard()
	t.mu.Lock()
	if t.closing || t.overTLS {
		defer t.mu.Unlock()
		if t.closing {
			return net.ErrClosed
		}
		return errors.New("stream uses TLS already")
	}
	conn := over(t.shaped)
	t.waiter = nil
	t.conn, t.overTLS = conn, true // at once: from here on nobody may write in the clear
	t.mu.Unlock()
	if err := t.handshake(ctx, conn); err != nil {
		t.writing.take()
		t.werr = err
		t.writing.give()
		return err
	}
	return nil
}

// handshaker is a connection that does TLS.
type handshaker interface {
	HandshakeContext(ctx context.Context) error
	ConnectionState() tls.ConnectionState
}

// handshake lets a TLS connection make its handshake and notes the outcome. It
// does nothing the second time, and nothing to other connections.
func (t *TCP) handshake(ctx context.Context, conn net.Conn) error {
	h, ok := netserve.As[handshaker](conn)
	if t.tls != nil || !ok { // only the reader writes t.tls
		return nil
	}
	if err := h.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	state := h.ConnectionState()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tls = &state
	if c, ok := h.(interface{ LocalCertificate() []byte }); ok {
		t.shown = c.LocalCertificate()
	}
	return nil
}
