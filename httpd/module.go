package httpd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// Module is an HTTP listener.
type Module interface {
	// Listen serves the connections of ln. It blocks until ln is closed, and then
	// until the requests and what Go runs have ended, and returns nil; or until ctx is
	// cancelled: then it ends them within o.Grace and returns context.Cause(ctx). No
	// goroutine survives it. Connections that already do TLS (tls.NewListener) are
	// recognised, with HTTP/2 where that was negotiated. It returns an error at once
	// when the options contradict one another.
	Listen(ctx context.Context, ln net.Listener, o Options) error
}

// Served reports whether a Server has passed a request on: then Go has a listener that
// waits for what it runs.
func Served(r *http.Request) bool {
	_, ok := r.Context().Value(infoKey{}).(*served)
	return ok
}

// Go runs f in a goroutine of the listener that a request has come by: for connections
// that a handler has taken over (http.Hijacker), and for what outlives a request. The
// context ends when that of Listen does, which waits for f. If f has not returned when
// Options.Grace is over, cut is called, once, after which f must return soon: as a rule
// it closes the connection. It must not block. Of a request that no Server has passed on
// f runs in the caller's goroutine, with a context that does not end with the request, and
// cut is not called.
func Go(r *http.Request, f func(ctx context.Context), cut func()) {
	v, ok := r.Context().Value(infoKey{}).(*served)
	if !ok {
		f(context.WithoutCancel(r.Context()))
		return
	}
	l, peer := v.l, r.RemoteAddr // the request itself is not kept
	s, late := l.sessions.enter(cut)
	if late {
		cut()
	}
	go func() {
		defer l.sessions.leave(s)
		err := netserve.Guard(func() error {
			f(l.ctx)
			return nil
		})
		if p := (*netserve.PanicError)(nil); errors.As(err, &p) {
			l.trouble.Log(l.ctx, slog.LevelError, "session panicked", netserve.KeyPeer, peer, netserve.KeyErr, err, "stack", string(p.Stack))
		}
	}()
}
