package c2s

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Module is a c2s listener: what runs XMPP client streams (RFC 6120) on the
// connections of a listener.
type Module interface {
	// Listen serves the connections of ln. It blocks until ln is closed, and
	// then until the sessions have ended, those included whose connection is gone
	// and that can be resumed, unless that happens on another listener, and
	// returns nil; or until ctx is cancelled: then it tells the clients
	// (system-shutdown), closes within Options.Grace, ends the sessions without
	// connection and returns context.Cause(ctx). No goroutine survives it.
	// Connections that already do TLS (tls.NewListener) are recognised.
	Listen(ctx context.Context, ln net.Listener, o Options) error
}

// Server is the Module; it may serve many listeners at once.
type Server struct {
	h          Host
	log        *slog.Logger
	management atomic.Pointer[stanza.PerHost[*StreamManagement]] // nil: off
	sessions   registry
}

var _ Module = (*Server)(nil)

// New returns a module that serves the users of a host.
func New(h Host) *Server {
	s := &Server{h: h, log: h.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.h.Secret == nil {
		s.h.Secret = make([]byte, 32)
		rand.Read(s.h.Secret)
	}
	return s
}

// Listen implements Module.
func (s *Server) Listen(ctx context.Context, ln net.Listener, o Options) error {
	if o.TLS != nil && o.TLSVerify && o.TLS.ClientAuth == tls.NoClientCert {
		o.TLS = o.TLS.Clone()
		o.TLS.ClientAuth = tls.RequestClientCert
	}
	l := s.listener(ctx, o)
	if l.o.TLS != nil {
		l.tls = netserve.NewTLS(l.o.TLS)
	}
	var stop func()
	l.routing, stop = netserve.Outlive(ctx, o.Grace)
	defer stop()
	wait := l.heed(ctx)
	err := netserve.Serve(ctx, ln, func(ctx context.Context, c net.Conn) error {
		return l.serve(ctx, xmppstream.NewTCP(c, xmppstream.TCPOptions{}))
	}, netserve.Config{Grace: o.Grace, Log: s.log})
	wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// ServeTransport serves one stream on any transport, for WebSocket and BOSH.
// It closes t and blocks until the session has ended: one that can be resumed
// outlives t, until it is resumed elsewhere or its time is over. When ctx is
// cancelled it tells the client (system-shutdown); whoever calls cuts the
// connection if that takes too long. It returns nil if the client closed the
// stream in order.
//
// STARTTLS is not offered, and Options.StartTLSRequired has no effect: whether
// the connection must be encrypted is up to who accepted it. PLAIN still needs
// t.Peer().Secure or Options.AllowPlainWithoutTLS.
func (s *Server) ServeTransport(ctx context.Context, t stanza.Transport, o Options) error {
	l := s.listener(ctx, o)
	var stop func()
	l.routing, stop = netserve.Outlive(ctx, o.Grace)
	defer stop()
	wait := l.heed(ctx)
	defer wait()
	err := netserve.Guard(func() error { return l.serve(ctx, t) })
	var p *netserve.PanicError
	if errors.As(err, &p) {
		s.log.ErrorContext(ctx, "session panicked", netserve.KeyErr, err, "stack", string(p.Stack))
	}
	return err
}

// listener is what the sessions of one listener share.
type listener struct {
	ctx     context.Context // of the call that serves its connections
	routing context.Context // of what is passed on
	srv     *Server
	h       *Host
	o       Options
	out     xmppstream.OutboxOptions
	tls     *netserve.TLS // of o.TLS, for STARTTLS; nil: not offered
	log     *slog.Logger

	streams  xmppstream.Streams[*stream]
	detached waiting
}

func (s *Server) listener(ctx context.Context, o Options) *listener {
	return &listener{ctx: ctx, srv: s, h: &s.h, o: o, log: s.log, out: xmppstream.OutboxOptions{
		Stanzas: o.MaxFSMQueue, Bytes: o.MaxQueueBytes, SendTimeout: o.SendTimeout,
	}}
}
