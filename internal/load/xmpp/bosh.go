package xmpp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	boshBody    = "<body xmlns='http://jabber.org/protocol/httpbind' rid='"
	boshCreate  = "' content='text/xml; charset=utf-8' hold='1' wait='60' ver='1.6' xml:lang='en' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh' to='"
	boshRestart = " xmpp:restart='true' xmlns:xmpp='urn:xmpp:xbosh' to='"
)

// bosh is a stream over BOSH (XEP-0124, XEP-0206) that looks like one over TCP. It has
// two connections: one waits for what the server has, the other takes what the Client
// writes.
type bosh struct {
	lines  [2]*boshLine
	domain string

	mu       sync.Mutex
	changed  sync.Cond // of what follows
	sid      string
	rid      int64
	out      []byte // elements to be sent
	opening  bool   // a stream is to be opened, with the next request
	closing  bool   // it is to be closed, with the next request
	waiting  int    // requests that are under way
	rest     bool   // there is an answer that the Client may have something to say to
	in       []byte
	ended    error
	deadline time.Time
	timer    *time.Timer
	running  sync.WaitGroup
}

// boshLine is a connection with its goroutine.
type boshLine struct {
	conn net.Conn
	in   *bufio.Reader
	head string // of requests, up to their length
	out  []byte
}

// newBOSH makes a stream of two connections.
func newBOSH(ctx context.Context, dial func(context.Context) (net.Conn, error), path, domain string, buffer int) (*bosh, error) {
	b := &bosh{domain: domain, rid: rand.Int64N(1 << 40)}
	b.changed.L = &b.mu
	for i := range b.lines {
		conn, err := dial(ctx)
		if err != nil {
			if i > 0 {
				_ = b.lines[0].conn.Close()
			}
			return nil, err
		}
		b.lines[i] = &boshLine{conn: conn, in: bufio.NewReaderSize(conn, max(buffer, 1024)),
			head: "POST " + path + " HTTP/1.1\r\nHost: " + domain + "\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: "}
	}
	for _, l := range b.lines {
		b.running.Go(func() { b.run(l) })
	}
	return b, nil
}

// run makes requests on one connection.
func (b *bosh) run(l *boshLine) {
	for {
		request, last := b.request()
		if request == nil {
			return
		}
		body, err := l.do(request)
		b.answer(body, err, last)
	}
}

// request waits until there is something to ask for; nil at the end.
func (b *bosh) request() (body []byte, last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.ended != nil:
			return nil, false
		case b.sid == "" && (!b.opening || b.waiting > 0):
		case b.opening || b.closing || len(b.out) > 0 || b.waiting == 0 && !b.rest:
			return b.next()
		case b.waiting == 0:
			b.pause()
			continue
		}
		b.changed.Wait()
	}
}

// boshPause is how long a request that says nothing is held back after an answer. As
// in a browser it then goes with what the Client says, and not beside it: ejabberd
// loses track of requests that overtake one another.
const boshPause = 10 * time.Millisecond

func (b *bosh) pause() {
	b.rest = false
	b.mu.Unlock()
	time.Sleep(boshPause)
	b.mu.Lock()
}

// next returns what is to be sent.
func (b *bosh) next() (body []byte, last bool) {
	b.rid++
	body = fmt.Appendf(nil, "%s%d", boshBody, b.rid)
	switch {
	case b.sid == "":
		body = append(append(body, boshCreate...), b.domain...)
	default:
		body = append(append(body, "' sid='"...), b.sid...)
	}
	body = append(body, '\'')
	switch {
	case b.opening && b.sid != "":
		body = append(append(append(body, boshRestart...), b.domain...), '\'')
	case b.closing:
		body, last = append(body, " type='terminate'"...), true
		b.closing = false
	}
	b.opening = false
	body = append(body, '>')
	body = append(append(body, b.out...), "</body>"...)
	b.out = b.out[:0]
	b.waiting++
	return body, last
}

// do makes one request and returns the body of its answer.
func (l *boshLine) do(body []byte) ([]byte, error) {
	l.out = fmt.Appendf(l.out[:0], "%s%d\r\n\r\n%s", l.head, len(body), body)
	if _, err := l.conn.Write(l.out); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("BOSH: %w: %s", ErrNotOffered, answer.Status)
	}
	return text, err
}

// answer takes what has come.
func (b *bosh) answer(text []byte, err error, last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changed.Broadcast()
	b.waiting--
	b.rest = true
	open, end := nextTag(text, 0)
	if err == nil && end == 0 {
		err = fmt.Errorf("BOSH: no body: %.60q", text)
	}
	if err != nil {
		b.end(err)
		return
	}
	tag := text[open:end]
	if sid := attribute(tag, " sid="); sid != nil && b.sid == "" {
		b.sid = string(sid)
	}
	if i := bytes.LastIndex(text, []byte("</body")); i >= end {
		b.take(text[end:i])
	}
	if string(attribute(tag, " type=")) == "terminate" || last {
		b.in = append(b.in, streamEnd...)
		b.end(io.EOF)
	}
}

// take adds elements to what is to be read. Stream features come with a new stream,
// whose header BOSH does not have.
func (b *bosh) take(elements []byte) {
	if bytes.HasPrefix(elements, []byte("<stream:features")) {
		b.in = append(b.in, "<stream:stream>"...)
	}
	b.in = append(b.in, elements...)
}

func (b *bosh) end(err error) {
	if b.ended == nil {
		b.ended = err
	}
}

// Read reads elements.
func (b *bosh) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.in) == 0 {
		switch {
		case !b.deadline.IsZero() && !time.Now().Before(b.deadline):
			return 0, os.ErrDeadlineExceeded
		case b.ended != nil:
			return 0, b.ended
		}
		b.changed.Wait()
	}
	n := copy(p, b.in)
	b.in = b.in[:copy(b.in, b.in[n:])]
	return n, nil
}

// Write takes elements, and the tags of a stream, of which each is written alone.
func (b *bosh) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changed.Broadcast()
	if b.ended != nil {
		return 0, errors.Join(net.ErrClosed, b.ended)
	}
	if bytes.HasPrefix(p, []byte("<?xml")) {
		b.opening = true
		return len(p), nil
	}
	text, closing := bytes.CutSuffix(p, []byte(streamEnd))
	b.closing = b.closing || closing
	for len(text) > 0 {
		n, err := elementLen(text)
		if n == 0 {
			return 0, errors.Join(err, fmt.Errorf("not an element: %.60q", text))
		}
		b.out = appendNamed(b.out, text[:n])
		text = text[n:]
	}
	return len(p), nil
}

// appendNamed adds an element. Stanzas get their namespace: it is not that of the body.
func appendNamed(dst, el []byte) []byte {
	end := bytes.IndexAny(el, " />")
	switch string(el[1:end]) {
	case "message", "presence", "iq":
		dst = append(append(dst, el[:end]...), " xmlns='jabber:client'"...)
		return append(dst, el[end:]...)
	}
	return append(dst, el...)
}

// Close ends the stream without a word, and waits for its goroutines.
func (b *bosh) Close() error {
	b.mu.Lock()
	b.end(net.ErrClosed)
	if b.timer != nil {
		b.timer.Stop()
	}
	b.changed.Broadcast()
	b.mu.Unlock()
	for _, l := range b.lines {
		_ = l.conn.Close()
	}
	b.running.Wait()
	return nil
}

func (b *bosh) LocalAddr() net.Addr  { return b.lines[0].conn.LocalAddr() }
func (b *bosh) RemoteAddr() net.Addr { return b.lines[0].conn.RemoteAddr() }

func (b *bosh) SetDeadline(t time.Time) error { return b.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writing does not wait.
func (b *bosh) SetWriteDeadline(time.Time) error { return nil }

func (b *bosh) SetReadDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deadline = t
	if b.timer != nil {
		b.timer.Stop()
	}
	if !t.IsZero() {
		b.timer = time.AfterFunc(time.Until(t), b.changed.Broadcast)
	}
	b.changed.Broadcast()
	return nil
}
