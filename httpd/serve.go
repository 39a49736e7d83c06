package httpd

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// served is the value of a request's context.
type served struct {
	Info
	l *listener
}

// ServeHTTP implements http.Handler for net/http.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.handlers.Add(1)
	defer l.handlers.Done()
	a := &answer{ResponseWriter: w, l: l, control: http.NewResponseController(w), began: time.Now()}
	defer func() {
		if v := recover(); v != nil {
			l.panicked(a, r, v)
		}
		if a.held {
			return
		}
		a.finish()
		l.note(a, r, a.began)
	}()
	l.serve(a, r)
}

// serve finds the handler of a request and runs it.
func (l *listener) serve(a *answer, r *http.Request) {
	l.bound(a, r)
	if r.Method == "PRI" { // the preface of HTTP/2, which is there over TLS alone
		a.Header().Set("Connection", "close")
		a.fail(http.StatusHTTPVersionNotSupported, "HTTP/2 needs TLS here.")
		return
	}
	if r.Method == http.MethodOptions && r.RequestURI == "*" { // RFC 9110, section 9.3.7
		a.Header().Set("Content-Length", "0")
		a.WriteHeader(http.StatusOK)
		return
	}
	from, proxied, ok := l.client(r)
	if !ok { // a proxy that is trusted is confused: nothing that it says can be
		panic(http.ErrAbortHandler)
	}
	a.client = from.Addr()
	host, ok := l.vhost(r.Host)
	if !ok {
		a.fail(http.StatusBadRequest, "Malformed Host header")
		return
	}
	path, ok := requestPath(r.URL)
	var to *route
	var rest string
	if ok {
		to, rest = l.find(path)
	}
	if to == nil {
		a.fail(http.StatusNotFound, "Nothing is here.")
		return
	}
	info := Info{
		Host: host, Client: from.Addr(), ClientPort: from.Port(), Tag: l.o.Tag, AllowUnencryptedSASL2: l.o.AllowUnencryptedSASL2, Mount: to.mount, Rest: rest,
		Secure: r.TLS != nil || l.unix,
	}
	if proto := r.Header.Get("X-Forwarded-Proto"); proxied && proto != "" {
		info.Secure = proto == "https" || proto == "wss"
	}
	r = r.WithContext(context.WithValue(r.Context(), infoKey{}, &served{info, l}))
	l.limit(a, r)
	to.handler.ServeHTTP(a, r)
}

// bound bounds the time that the body of a request may take, also if nobody reads it:
// net/http does then, before it answers.
func (l *listener) bound(a *answer, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		if r.ProtoMajor == 1 {
			_ = a.control.SetReadDeadline(time.Time{}) // the handler may wait
		}
		return
	}
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// net/http does not tell whether there was a Content-Length, too, by which a proxy
		// may have found another end: what follows is not taken for a request (RFC 9112,
		// section 6.1).
		a.Header().Set("Connection", "close")
	}
	if r.Header["Expect"] != nil {
		a.hurry() // net/http answers when the handler begins to read
	}
	if l.o.BodyTimeout > 0 {
		_ = a.control.SetReadDeadline(time.Now().Add(l.o.BodyTimeout)) // of a connection that is gone there is none
	}
}

// limit bounds the size of the body of a request. That must be a copy of the one of
// net/http, which looks at its own body.
func (l *listener) limit(a *answer, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		a.read = true
		return
	}
	if l.o.MaxBody > 0 {
		r.Body = http.MaxBytesReader(a, r.Body, l.o.MaxBody)
	}
	r.Body = &timedBody{r.Body, a}
}

// panicked answers for a handler that has panicked.
func (l *listener) panicked(a *answer, r *http.Request, v any) {
	if v == http.ErrAbortHandler {
		panic(v)
	}
	l.trouble.Log(r.Context(), slog.LevelError, "request handler panicked", netserve.KeyPeer, r.RemoteAddr,
		"path", r.URL.Path, netserve.KeyErr, v, "stack", string(debug.Stack()))
	if a.taken != nil {
		_ = a.taken.Close()
		return
	}
	if a.status != 0 {
		panic(http.ErrAbortHandler) // the client must not take it for the whole
	}
	a.Header().Set("Connection", "close")
	a.fail(http.StatusInternalServerError, "Something went wrong here.")
}

// note writes the line of the access log. Queries may have secrets, and are left out.
func (l *listener) note(a *answer, r *http.Request, began time.Time) {
	if !l.srv.log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	const longest = 100
	agent := r.UserAgent()
	l.srv.log.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("method", cut(r.Method, longest)), slog.String("host", cut(r.Host, longest)), slog.String("path", cut(r.URL.Path, 2*longest)),
		slog.Int("status", a.status), slog.Int64("bytes", a.bytes), slog.Duration("took", time.Since(began)),
		slog.String(netserve.KeyPeer, peerName(a.client, r)), slog.String("agent", cut(agent, longest)))
}

func peerName(client netip.Addr, r *http.Request) string {
	if client.IsValid() {
		return client.String()
	}
	return r.RemoteAddr
}

func cut(s string, n int) string { return s[:min(len(s), n)] }
