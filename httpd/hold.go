package httpd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// Held is a request of HTTP/1.1 without TLS that is answered after its handler has
// returned. Until then it has a goroutine with a small stack, and nothing of net/http.
type Held struct {
	l      *listener
	conn   net.Conn
	waiter netserve.ReadWaiter // nil: a byte has to be read
	early  []byte              // of the next request
	then   func(*Held)
	line   *line // of the access log; nil: there is none

	gone     bool // the client, or the time of the listener
	answered bool
	last     bool // no request follows

	woken chan struct{} // is closed by Wake
	mu    sync.Mutex    // guards what follows
	awake bool
	reads bool // a read deadline wakes it
}

// line is what the access log says of a request that is held.
type line struct {
	a     *answer
	r     *http.Request
	began time.Time
}

// Hold lets go of a request whose answer is a long time off. The handler must have read
// its body, and return, using neither w nor r any more. then is called in a goroutine of
// the listener when Wake was, or the client has gone; it must not block for long. What it
// refers to is kept until then. Hold returns nil for requests that cannot be held: those of
// other protocols than HTTP/1.1 without TLS, after which the connection ends, that have an
// answer or come by no Server. Whoever stops a listener waits for what is held as for
// other requests.
func Hold(w http.ResponseWriter, r *http.Request, then func(*Held)) *Held {
	a, ok := w.(*answer)
	if !ok || !a.read || a.status != 0 || a.taken != nil || r.TLS != nil || r.ProtoMajor != 1 || r.ProtoMinor != 1 ||
		r.Method == http.MethodHead || r.Close || a.Header().Get("Connection") != "" {
		return nil
	}
	h := &Held{l: a.l, then: then, woken: make(chan struct{}), reads: true}
	if !a.l.held.enter(h) {
		return nil
	}
	conn, rw, err := a.control.Hijack()
	if err != nil {
		a.l.held.leave(h)
		return nil
	}
	a.taken, a.held = conn, true
	if c, ok := conn.(*parkable); ok {
		conn = c.take()
	}
	b, _ := rw.Reader.Peek(rw.Reader.Buffered())
	h.early = bytes.Clone(b)
	if w, err := netserve.NewReadWaiter(conn); err == nil {
		h.waiter = w
	}
	if a.l.srv.log.Enabled(r.Context(), slog.LevelInfo) {
		h.line = &line{&answer{l: a.l, client: a.client}, brief(r), a.began}
	}
	if !a.l.held.begin(h, conn) {
		_ = conn.Close()
	}
	go h.run()
	return h
}

// brief returns of a request what the access log needs.
func brief(r *http.Request) *http.Request {
	return &http.Request{
		Method: r.Method, Host: r.Host, URL: &url.URL{Path: r.URL.Path}, RemoteAddr: r.RemoteAddr,
		Header: http.Header{"User-Agent": {r.UserAgent()}},
	}
}

// Wake has then be called. It does not block, and may be called again.
func (h *Held) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.awake {
		return
	}
	h.awake = true
	close(h.woken)
	if h.reads {
		_ = h.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// Gone reports, in then, whether the client has gone, or the listener cannot wait any
// longer: there is nobody to answer to.
func (h *Held) Gone() bool { return h.gone }

// Answer writes the answer, in then, and returns when that has been taken. It adds to
// the header, which it must not share with others, what all answers have.
func (h *Held) Answer(status int, header http.Header, body []byte) error {
	if h.answered || h.gone {
		return net.ErrClosed
	}
	h.answered = true
	for _, c := range h.l.custom {
		header[c.name] = c.value
	}
	if header["Date"] == nil {
		header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	h.last = header.Get("Connection") != "" || h.l.parking.isOver()
	header.Del("Connection")
	header.Del("Content-Length")
	a := http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Close: h.last,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	var out bytes.Buffer
	out.Grow(512 + len(body))
	err := a.Write(&out)
	if err == nil {
		err = h.write(out.Bytes())
	}
	if err != nil {
		h.last = true
		return err
	}
	if h.line != nil {
		h.line.a.status, h.line.a.bytes = status, int64(len(body))
	}
	return nil
}

func (h *Held) write(b []byte) error {
	if d := h.l.o.SendTimeout; d > 0 {
		if err := h.conn.SetWriteDeadline(time.Now().Add(d)); err != nil {
			return err
		}
		defer h.conn.SetWriteDeadline(time.Time{})
	}
	_, err := h.conn.Write(b)
	return err
}

// run is all that the request has for a stack.
func (h *Held) run() {
	if err := h.watch(); err == nil {
		select {
		case <-h.woken:
		case <-h.l.held.over:
			h.gone = true
		}
	} else if !errors.Is(err, os.ErrDeadlineExceeded) {
		h.gone = true
	}
	h.end()
}

// watch returns when there are bytes of the next request, or with the error of reading:
// that of the deadline if there was a Wake.
func (h *Held) watch() error {
	if len(h.early) > 0 {
		return nil
	}
	if h.waiter != nil {
		if err := h.waiter.WaitRead(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	b := make([]byte, 1)
	n, err := h.conn.Read(b)
	h.early = b[:n]
	if n > 0 {
		return nil
	}
	return err
}

// end has the request answered, and goes on with the connection.
func (h *Held) end() {
	defer h.l.held.leave(h)
	h.mu.Lock()
	h.reads = false
	h.mu.Unlock()
	if !h.gone && h.conn.SetReadDeadline(time.Time{}) != nil {
		h.gone = true
	}
	err := netserve.Guard(func() error {
		h.then(h)
		return nil
	})
	if p := (*netserve.PanicError)(nil); errors.As(err, &p) {
		h.l.trouble.Log(h.l.ctx, slog.LevelError, "request handler panicked", netserve.KeyPeer, h.conn.RemoteAddr().String(), netserve.KeyErr, err, "stack", string(p.Stack))
		h.last = true
	}
	if h.line != nil {
		h.l.note(h.line.a, h.line.r, h.line.began)
	}
	switch {
	case h.gone || h.last || !h.answered:
		_ = h.conn.Close()
	case len(h.early) > 0:
		h.l.parking.giveBack(&parkable{Conn: h.conn, phase: returned, early: h.early})
	default:
		var until time.Time
		if d := h.l.o.IdleTimeout; d > 0 {
			until = time.Now().Add(d)
		}
		h.l.parking.park(h.conn, until)
	}
}

// holding has the requests that are held.
type holding struct {
	running sync.WaitGroup
	over    chan struct{} // is closed by cut
	empty   chan struct{} // is closed when there are none, after the first drain

	mu     sync.Mutex
	all    map[*Held]struct{}
	closed bool // to others
	ended  bool // over is closed
}

func newHolding() *holding {
	return &holding{over: make(chan struct{}), empty: make(chan struct{}), all: make(map[*Held]struct{})}
}

// enter says whether one more may be held.
func (g *holding) enter(h *Held) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.all[h] = struct{}{}
	g.running.Add(1)
	return true
}

// begin tells the connection, and says whether that may stay open.
func (g *holding) begin(h *Held, conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	h.conn = conn
	return !g.ended
}

func (g *holding) leave(h *Held) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.all, h)
	if g.closed && len(g.all) == 0 {
		close(g.empty)
	}
	g.running.Done()
}

// drain takes no more, and says whether all have ended before ctx.
func (g *holding) drain(ctx context.Context) bool {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		if len(g.all) == 0 {
			close(g.empty)
		}
	}
	g.mu.Unlock()
	select {
	case <-g.empty:
		return true
	case <-ctx.Done():
		return false
	}
}

// cut ends all at once. It follows drain.
func (g *holding) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.ended = true, true
	close(g.over)
	for h := range g.all {
		if h.conn != nil {
			_ = h.conn.Close()
		}
	}
}
