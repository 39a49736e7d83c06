package s2s

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Module is an s2s listener: what runs the XMPP streams of other servers
// (RFC 6120) on the connections of a listener.
type Module interface {
	// Listen serves the connections of ln. It blocks until ln is closed, and then
	// until the streams have ended, and returns nil; or until ctx is cancelled:
	// then it tells the servers (system-shutdown), closes within Options.Grace and
	// returns context.Cause(ctx). No goroutine survives it. Connections that
	// already do TLS (tls.NewListener) are recognised.
	Listen(ctx context.Context, ln net.Listener, o Options) error
}

// Server is the Module, and the router for the domains of other servers. It may
// serve many listeners at once. Call Shutdown in the end.
type Server struct {
	h        Host
	log      *slog.Logger
	settings atomic.Pointer[Settings]
	out      *pool
	in       incomingStats

	mu        sync.Mutex
	listeners map[*listener]struct{}
}

var _ Module = (*Server)(nil)

// New returns a module for a host, with DefaultSettings. It opens nothing.
func New(h Host) *Server {
	s := &Server{h: h, log: h.Log, listeners: make(map[*listener]struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.h.Secret == nil {
		s.h.Secret = make([]byte, 32)
		rand.Read(s.h.Secret)
	}
	s.Configure(DefaultSettings())
	s.out = newPool(s)
	return s
}

// Configure takes new settings while everything runs. Streams that are there keep
// what was negotiated for them; whom Access denies now sends and gets nothing more.
func (s *Server) Configure(c Settings) { s.settings.Store(&c) }

// Settings returns the settings in use. They must not be changed.
func (s *Server) Settings() Settings { return *s.settings.Load() }

// Route sends a stanza to the server of the domain in its To. From is an address
// of this server and has been verified. It does not wait: the stanza is queued,
// and a stream to that server is opened if there is none. What cannot be sent comes
// back through Router.Route as an error stanza, once: remote-server-not-found,
// remote-server-timeout, forbidden, or resource-constraint. The stanzas of one pair
// of domains go out in the order of the calls. Route notes in the Receipt of ctx
// (stanza.Receipt) that the stanza is under way. Its error is for the log.
func (s *Server) Route(ctx context.Context, st *stanza.Stanza) error { return s.out.route(ctx, st) }

// CloseStreams closes the streams with other servers, in both directions, after what
// is being written. Each side opens another one when there is something to send; what
// waits already goes out by that. It does not wait.
func (s *Server) CloseStreams() {
	for _, l := range s.out.all() {
		l.hangUp()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		l.streams.Each(func(x *stream) { x.closing.Go(func() { x.hangUp(nil) }) })
	}
}

// Shutdown ends the outgoing streams: it waits until what is queued is sent, or
// until ctx is cancelled; the rest is returned to its senders. Stanzas that come
// then are returned at once. It does not concern Listen. It returns ctx's error if
// something was not sent.
func (s *Server) Shutdown(ctx context.Context) error { return s.out.shutdown(ctx) }
