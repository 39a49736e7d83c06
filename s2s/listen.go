package s2s

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Keys of log attributes, besides those of package netserve.
const (
	keyFrom = "from" // domain of the sending server
	keyTo   = "to"   // domain of the receiving server
)

// backward is what incoming streams need of the outgoing ones. The pool is one.
type backward interface {
	// verify asks the server of p.remote whether it has made the key for our
	// stream id. The errors are errInvalidKey and *stanza.Error.
	verify(ctx context.Context, p pair, id, key string) error
	// adopt offers a way to p.remote. release says that the stream is over.
	adopt(p pair, out *xmppstream.Outbox) (release func(), ok bool)
	// route sends a stanza to another server.
	route(ctx context.Context, st *stanza.Stanza) error
}

// Listen implements Module.
func (s *Server) Listen(ctx context.Context, ln net.Listener, o Options) error {
	return s.listen(ctx, ln, o, s.out)
}

func (s *Server) listen(ctx context.Context, ln net.Listener, o Options, back backward) error {
	routing, stop := netserve.Outlive(ctx, o.Grace)
	defer stop()
	l := s.listener(ctx, routing, o, back)
	s.note(l, true)
	defer s.note(l, false)
	wait := l.heed(ctx)
	err := netserve.Serve(ctx, ln, l.serve, netserve.Config{Grace: o.Grace, Log: s.log})
	wait()
	l.failures.Flush()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// note keeps in mind which listeners there are.
func (s *Server) note(l *listener, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there {
		s.listeners[l] = struct{}{}
	} else {
		delete(s.listeners, l)
	}
}

// listener is what the streams of one listener share.
type listener struct {
	srv      *Server
	ctx      context.Context // of Listen
	routing  context.Context // of what is passed on
	back     backward
	o        Options
	out      xmppstream.OutboxOptions
	tls      *netserve.TLS // of o.TLS, for STARTTLS; nil: not offered
	log      *slog.Logger
	failures *netserve.Sampler

	streams   xmppstream.Streams[*stream]
	peers     peers
	verifying atomic.Int32 // keys, of all streams
}

func (s *Server) listener(ctx, routing context.Context, o Options, back backward) *listener {
	o.TLS = askForCertificate(o.TLS)
	l := &listener{
		srv: s, ctx: ctx, routing: routing, back: back, o: o, log: s.log, failures: netserve.NewSampler(s.log, "further connections failed"),
		out: xmppstream.OutboxOptions{
			Stanzas: o.MaxFSMQueue, Bytes: o.MaxQueueBytes, SendTimeout: o.SendTimeout, Namespace: stanza.NSServer,
		},
	}
	if o.TLS != nil {
		l.tls = netserve.NewTLS(o.TLS)
	}
	return l
}

// failed logs why a connection ended, or was refused something.
func (l *listener) failed(ctx context.Context, msg string, args ...any) {
	if ctx.Err() == nil {
		l.failures.Log(ctx, slog.LevelInfo, msg, args...)
	}
}
