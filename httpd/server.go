package httpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// Server is the Module; it may serve many sockets at once.
type Server struct {
	h     Host
	log   *slog.Logger
	names []string // of the handlers
}

var _ Module = (*Server)(nil)

// New returns a module for a host, whose Handlers must not change afterwards.
func New(h Host) *Server {
	s := &Server{h: h, log: h.Log, names: slices.Sorted(maps.Keys(h.Handlers))}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Defaults returns Defaults with the names of the handlers, so that a configuration
// that has another one is refused where it says so.
func (s *Server) Defaults() Options {
	o := Defaults()
	o.names = s.names
	return o
}

// Listen implements Module.
func (s *Server) Listen(ctx context.Context, ln net.Listener, o Options) error {
	l, err := s.newListener(ctx, ln, o)
	if err != nil {
		return err
	}
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	hs := l.server(requests)
	heeded := make(chan struct{})
	wait := netserve.Heed(ctx, func() {
		defer close(heeded)
		grace, over := context.WithTimeout(context.WithoutCancel(ctx), l.o.Grace)
		defer over()
		if hs.Shutdown(grace) != nil || !l.held.drain(grace) {
			end()
			_ = hs.Close()
			l.held.cut()
		}
		l.sessions.end(grace)
	})
	var back sync.WaitGroup
	back.Go(func() { _ = hs.Serve(l.parking) })
	_ = hs.Serve(&accepting{ln})
	if ctx.Err() == nil { // the socket was closed: what is under way goes on
		_ = hs.Shutdown(ctx)
		l.held.drain(ctx)
	}
	if ctx.Err() != nil {
		<-heeded // wait would call it off if it has not begun
	}
	wait()
	back.Wait()
	l.held.running.Wait()
	l.conns.Wait()
	l.parking.waiting.Wait()
	l.handlers.Wait()
	l.sessions.running.Wait()
	l.trouble.Flush()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// listener is what the requests of one socket share.
type listener struct {
	srv     *Server
	o       Options
	ctx     context.Context // that of Listen
	unix    bool
	routes  []route
	aliases []alias
	custom  []header
	trouble *netserve.Sampler // for what strangers can cause
	parking *parking          // for connections that are idle
	held    *holding          // for requests that are

	conns    sync.WaitGroup // connections of net/http
	handlers sync.WaitGroup // of requests
	sessions sessions
}

func (s *Server) newListener(ctx context.Context, ln net.Listener, o Options) (*listener, error) {
	for option, problem := range o.Validate() {
		return nil, fmt.Errorf("%s: %s", option, problem)
	}
	l := &listener{srv: s, o: o, ctx: ctx, unix: ln.Addr().Network() == "unix", trouble: netserve.NewSampler(s.log, "further requests failed")}
	l.parking, l.held = newParking(ln.Addr()), newHolding()
	var err error
	if l.routes, err = s.newRoutes(o.RequestHandlers); err != nil {
		return nil, err
	}
	l.aliases = newAliases(o.HostsAlias)
	l.o.DefaultHost = canonical(o.DefaultHost)
	for name, value := range o.CustomHeaders {
		l.custom = append(l.custom, header{http.CanonicalHeaderKey(name), []string{value}})
	}
	return l, nil
}

// header is a field of every answer.
type header struct {
	name  string
	value []string
}

// Bounds of a connection of HTTP/2.
const (
	maxStreams    = 100
	maxUploadConn = 1 << 20 // bytes that may be received of a connection and not be read yet
)

// server returns the server of net/http. base is the parent of the contexts of requests.
func (l *listener) server(base context.Context) *http.Server {
	hs := &http.Server{
		Handler:           l,
		ReadHeaderTimeout: l.o.HeaderTimeout,
		IdleTimeout:       l.o.IdleTimeout,
		MaxHeaderBytes:    l.o.MaxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         l.connState,
		ErrorLog:          log.New(sampled{l.trouble}, "", 0),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: maxUploadConn},
		Protocols:         new(http.Protocols),

		DisableGeneralOptionsHandler: true, // what follows a body that may have two ends is a request for it
	}
	if l.o.HeaderTimeout > 0 && l.o.BodyTimeout > 0 {
		// For what net/http answers itself; listener.bound has another for all else.
		hs.ReadTimeout = l.o.HeaderTimeout + l.o.BodyTimeout
	}
	hs.Protocols.SetHTTP1(true)
	hs.Protocols.SetHTTP2(true)
	return hs
}

// connState counts connections, until they end, are parked or a handler takes them over.
func (l *listener) connState(conn net.Conn, s http.ConnState) {
	c, _ := conn.(*parkable)
	switch s {
	case http.StateNew:
		l.conns.Add(1)
	case http.StateIdle:
		if c != nil {
			c.phase = idle
		}
	case http.StateHijacked, http.StateClosed:
		if c != nil && c.gone.Load() == parked {
			l.parking.park(c.Conn, c.until)
		}
		l.conns.Done()
	}
}

// sampled is the log of net/http: what clients do wrong.
type sampled struct{ to *netserve.Sampler }

func (s sampled) Write(b []byte) (int, error) {
	s.to.Log(context.Background(), slog.LevelDebug, strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// accepting is a listener whose errors net/http understands, and whose TLS it
// recognises.
type accepting struct{ net.Listener }

func (a *accepting) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	switch {
	case err == nil:
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
		return nil, err
	default:
		// The system reports here that it is out of descriptors, and errors of single
		// connections.
		return nil, temporary{err}
	}
	if t, ok := c.(*netserve.TLSConn); ok {
		return t.Conn, nil // HTTP/2 is negotiated for a *tls.Conn alone
	}
	return newParkable(c), nil
}

// temporary is an error after which net/http goes on accepting.
type temporary struct{ error }

func (temporary) Temporary() bool { return true }
func (temporary) Timeout() bool   { return false }
