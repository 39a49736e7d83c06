package httpd

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// answer is the http.ResponseWriter of handlers. It adds the fields of the
// configuration, and bounds the time of each write.
type answer struct {
	http.ResponseWriter
	l       *listener
	control *http.ResponseController
	client  netip.Addr
	status  int // 0: nothing is written
	bytes   int64
	until   time.Time // the deadline for writing
	taken   net.Conn  // what the handler has taken over
	began   time.Time // when the request came
	read    bool      // its body was
	held    bool      // it is answered later
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if status >= 200 && a.status == 0 {
		a.status = status
		a.customise()
	}
	a.hurry()
	a.ResponseWriter.WriteHeader(status)
}

// customise adds the fields of the configuration.
func (a *answer) customise() {
	h := a.Header()
	for _, c := range a.l.custom {
		h[c.name] = c.value
	}
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	a.hurry()
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// FlushError is what http.ResponseController takes for Flush.
func (a *answer) FlushError() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	a.hurry()
	return a.control.Flush()
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := a.control.Hijack()
	if err != nil {
		return nil, nil, err
	}
	if p, ok := c.(*parkable); ok {
		c = p.take()
		rw.Writer.Reset(c)
	}
	a.status, a.taken = http.StatusSwitchingProtocols, c
	return c, rw, nil
}

// hurry sets the deadline for writing, not for each of many small pieces.
func (a *answer) hurry() {
	if a.taken != nil || a.l.o.SendTimeout <= 0 {
		return
	}
	const near = time.Second
	until := time.Now().Add(a.l.o.SendTimeout)
	if until.Sub(a.until) > min(near, a.l.o.SendTimeout/2) && a.control.SetWriteDeadline(until) == nil {
		a.until = until
	}
}

// finish is called when the handler has returned: net/http writes what is left.
func (a *answer) finish() {
	if a.status == 0 {
		a.status = http.StatusOK
		a.customise()
	}
	a.hurry()
}

// fail answers with a page of ours.
func (a *answer) fail(status int, text string) {
	page := fmt.Sprintf("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%d %s</title></head><body><h1>%[2]s</h1><p>%s</p></body></html>\n",
		status, html.EscapeString(http.StatusText(status)), html.EscapeString(text))
	h := a.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'")
	a.WriteHeader(status)
	_, _ = io.WriteString(a, page)
}

// timedBody takes the deadline back once all is read: a handler may then wait for as long
// as it likes, and hears if the client goes away.
type timedBody struct {
	io.ReadCloser
	a *answer
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && !b.a.read {
		b.a.read = true
		_ = b.a.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
