package component

import (
	"context"
	"crypto/rand"
	"hash/maphash"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Module is a component listener: what runs the streams of external components
// (XEP-0114) on the connections of a listener.
type Module interface {
	// Listen serves the connections of ln. It blocks until ln is closed, and then
	// until the streams have ended, and returns nil; or until ctx is cancelled:
	// then it tells the components (system-shutdown), closes within Options.Grace
	// and returns context.Cause(ctx). No goroutine survives it. Connections that
	// already do TLS (tls.NewListener) are recognised. It returns an error at once
	// when a name in Options.Hosts is no domain or comes twice.
	Listen(ctx context.Context, ln net.Listener, o Options) error
}

// Server is the Module; it may serve many listeners at once.
type Server struct {
	h      Host
	log    *slog.Logger
	madeUp string // secret of those who have none: nobody knows it
	groups groups
	roll   roll
	turns  atomic.Uint64 // of join
}

var _ Module = (*Server)(nil)

// New returns a module for a host.
func New(h Host) *Server {
	s := &Server{h: h, log: h.Log, madeUp: rand.Text()}
	s.groups.seed, s.groups.byDomain = maphash.MakeSeed(), make(map[string]*group)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Listen implements Module.
func (s *Server) Listen(ctx context.Context, ln net.Listener, o Options) error {
	l, err := s.listener(o)
	if err != nil {
		return err
	}
	var stop func()
	l.routing, stop = netserve.Outlive(ctx, o.Grace)
	defer stop()
	wait := l.heed(ctx)
	err = netserve.Serve(ctx, ln, func(ctx context.Context, c net.Conn) error {
		return l.serve(ctx, xmppstream.NewTCP(c, xmppstream.TCPOptions{Namespace: stanza.NSComponent}))
	}, netserve.Config{Grace: o.Grace, Log: s.log})
	wait()
	l.trouble.Flush()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
