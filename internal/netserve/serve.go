package netserve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Keys of log attributes, the same in all modules.
const (
	KeyPkg      = "pkg"      // package that writes the line: c2s, listen, host
	KeyListener = "listener" // address of the socket
	KeyPeer     = "peer"     // address of the other end
	KeyUser     = "user"     // JID of the session
	KeyErr      = "err"
)

// Pauses after an Accept that failed; doubled from the first to the second.
const (
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
)

// Handler serves one connection in a goroutine of its own and returns when the
// connection is done. An error is logged, and nothing else comes of it; what
// is usual, such as a client that closes in order, is not an error. Serve
// closes c afterwards. When ctx is cancelled the handler says goodbye to its
// peer and returns.
type Handler func(ctx context.Context, c net.Conn) error

// Config are the parameters of Serve.
type Config struct {
	// Grace is how long handlers may take to return after the context was
	// cancelled. Then their connections are closed under them. 0: at once.
	Grace time.Duration
	// Log gets a line for connections that failed; nil discards. When many
	// fail it gets only some of the lines, with the number of those left out.
	Log *slog.Logger
}

// Serve accepts the connections of ln and runs h on each of them. It blocks
// until ln is closed and all handlers have returned, and returns nil; or until
// ctx is cancelled: then it closes ln, lets the handlers go on for c.Grace,
// closes the connections that are left, waits for their handlers and returns
// context.Cause(ctx). No goroutine survives it.
//
// Other errors of ln.Accept are taken to be temporary: the system reports here
// that it is out of descriptors, and errors of single connections. Serve waits
// and goes on. A handler that panics costs its connection only.
func Serve(ctx context.Context, ln net.Listener, h Handler, c Config) error {
	s := &server{ln: ln, handler: h, conns: make(map[net.Conn]struct{})}
	s.failures = NewSampler(c.Log, "further connections failed")
	s.panics = NewSampler(c.Log, "further sessions panicked")
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(ctx, c.Grace, done) })

	Accept(ctx, ln, s.failures, func(c net.Conn) {
		s.handlers.Add(1)
		go s.serve(ctx, c)
	})
	s.handlers.Wait()

	close(done)
	watcher.Wait()
	s.failures.Flush()
	s.panics.Flush()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

type server struct {
	ln       net.Listener
	handler  Handler
	handlers sync.WaitGroup
	failures *Sampler
	panics   *Sampler

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	cut   bool // the grace period is over: connections are closed
}

// watch ends the connections after ctx has been cancelled. It returns early
// when done is closed.
func (s *server) watch(ctx context.Context, grace time.Duration, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	_ = s.ln.Close() // wakes Accept; the socket is of no more use to us
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		s.cutAll()
	}
}

// Accept calls f for every connection of ln until ln is closed or ctx is
// cancelled; the latter it notices when an Accept returns. After an error it
// waits before it goes on. It is the first part of Serve, for those who do
// something else with the connections; f must not block for long.
func Accept(ctx context.Context, ln net.Listener, log *Sampler, f func(net.Conn)) {
	var backoff time.Duration
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			backoff = 0
			f(c)
			continue
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
			return
		}
		backoff = min(max(2*backoff, minBackoff), maxBackoff)
		log.Log(ctx, slog.LevelWarn, "accept failed", KeyListener, ln.Addr().String(), KeyErr, err)
		if !pause(ctx, backoff) {
			return
		}
	}
}

// pause reports false when ctx was cancelled before d had passed.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// serve runs the handler. Its frame stays below the handler's for as long as the
// connection lives, so there is one and it is small.
func (s *server) serve(ctx context.Context, c net.Conn) {
	var err error
	defer s.done(ctx, c, &err)
	if s.track(c) {
		err = s.handler(ctx, c)
	}
}

// done is deferred by serve.
func (s *server) done(ctx context.Context, c net.Conn, err *error) {
	defer s.handlers.Done()
	defer s.finish(c)
	if v := recover(); v != nil {
		*err = panicError(v)
	}
	if *err != nil {
		s.failed(ctx, c, *err)
	}
}

// failed says why a connection ended.
func (s *server) failed(ctx context.Context, c net.Conn, err error) {
	var p *PanicError
	if errors.As(err, &p) {
		if k, ok := As[Counter](c); ok {
			k.CountPanic()
		}
		s.panics.Log(ctx, slog.LevelError, "connection handler panicked", KeyPeer, peer(c), KeyErr, err, "stack", string(p.Stack))
		return
	}
	if ctx.Err() != nil {
		return
	}
	args := []any{KeyPeer, peer(c), KeyErr, err}
	var u *UserError
	if errors.As(err, &u) {
		args = append(args, KeyUser, u.User)
	}
	s.failures.Log(ctx, slog.LevelInfo, "connection failed", args...)
}

// UserError says whose connection failed. A Handler returns it when it knows;
// the line in the log then names the user.
type UserError struct {
	User string // JID
	Err  error
}

// Error returns the text of Err: the user is told beside it.
func (e *UserError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UserError) Unwrap() error { return e.Err }

func (s *server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

// finish closes a connection and forgets it, in this order: a Close that blocks
// can still be cut.
func (s *server) finish(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *server) cutAll() {
	s.mu.Lock()
	s.cut = true
	conns := make([]net.Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		Cut(c)
	}
}

func peer(c net.Conn) string {
	if a := c.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}
