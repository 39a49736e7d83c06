package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// ServerOptions are what a Server gets besides its configuration.
type ServerOptions struct {
	// Log gets a line for every listener that starts, ends or fails; nil
	// discards.
	Log *slog.Logger
	// Grace is how long the sessions of a listener may go on that a new
	// configuration no longer has; then they are told to end. 0: at once.
	Grace time.Duration
	// Inherit are open sockets to use in place of new ones: see Inherit. The
	// Server owns them.
	Inherit []Inherited
	// Bind opens the socket of an entry; it returns one of the two. nil opens
	// sockets of the operating system. Tests give sockets in memory.
	Bind func(ctx context.Context, network, address string, o SocketOptions) (net.Listener, net.PacketConn, error)
}

// ErrServerClosed is what Apply returns after Shutdown. It is also the cause
// with which sessions are ended that Shutdown does not wait for any longer.
var ErrServerClosed = errors.New("server closed")

// errRemoved is the cause with which sessions end whose listener is gone.
var errRemoved = errors.New("listener removed from the configuration")

// Server runs the listeners of a configuration. Its methods are safe for
// concurrent use.
type Server struct {
	reg  *Registry
	o    ServerOptions
	log  *slog.Logger
	jobs sync.WaitGroup // every goroutine

	applying sync.Mutex // one Apply or Shutdown at a time

	mu        sync.Mutex
	closed    bool
	applied   bool        // once, at least
	inherited []Inherited // not in use
	listeners []*listener // in the order of the file
	leaving   []*listener // removed, with sessions that go on
}

// New returns a server without listeners. reg is the registry that its
// configurations are parsed with.
func New(reg *Registry, o ServerOptions) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{reg: reg, o: o, log: o.Log, inherited: slices.Clone(o.Inherit)}
}

// Shutdown closes the sockets, lets the sessions of the listeners end by
// themselves, and cuts them when ctx is done: then they are told to end, and
// have the grace period of their module. Listeners for datagrams are told at
// once. It blocks until everything has ended. The error is the cause of ctx if
// it had to cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	s.closed = true
	all := slices.Concat(s.listeners, s.leaving)
	s.mu.Unlock()

	var gens []*generation
	for _, l := range all {
		l.stop(ErrServerClosed)
		gens = append(gens, l.generations()...)
	}
	var err error
	if !ended(gens, ctx.Done()) {
		err = context.Cause(ctx)
		for _, g := range gens {
			g.cancel(ErrServerClosed)
		}
	}
	s.jobs.Wait()
	for _, l := range all {
		l.bound.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.inherited {
		i.close()
	}
	s.listeners, s.leaving, s.inherited = nil, nil, nil
	return err
}

// ended waits for generations, until one of them has not ended when stop is
// closed or receives.
func ended[T any](gens []*generation, stop <-chan T) bool {
	for _, g := range gens {
		select {
		case <-g.done:
		case <-stop:
			return false
		}
	}
	return true
}

// remove ends a listener that the configuration no longer has. It does not
// wait for the sessions.
func (s *Server) remove(l *listener) {
	s.log.Info("listener removed", l.attrs()...)
	l.stop(errRemoved)
	s.mu.Lock()
	s.leaving = append(s.leaving, l)
	s.mu.Unlock()
	s.jobs.Go(func() {
		gens := l.generations()
		grace := time.NewTimer(s.o.Grace)
		defer grace.Stop()
		if !ended(gens, grace.C) {
			for _, g := range gens {
				g.cancel(errRemoved)
			}
			ended[struct{}](gens, nil)
		}
		l.bound.close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leaving = slices.DeleteFunc(s.leaving, func(o *listener) bool { return o == l })
	})
}
