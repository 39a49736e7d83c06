package listen

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sock"
)

// A module that returns without having been asked to is started again: after a
// pause that doubles from the first to the second, and starts over when it has
// run for healthy.
const (
	minRestart = time.Second
	maxRestart = time.Minute
	healthy    = time.Minute
)

// errReturned is the cause of the context of a Listen that has returned.
var errReturned = errors.New("the module has returned")

// generation is one version of an entry, from when it begins to take
// connections until the last of their sessions has ended.
type generation struct {
	l       *listener
	entry   Entry
	bound   *bound
	options atomic.Pointer[any] // those of entry, or of a later one
	cancel  context.CancelCauseFunc
	once    sync.Once
	retired chan struct{} // closed: no more connections
	done    chan struct{} // closed when nothing of it runs any more
	waiting atomic.Int32  // how many of its runs wait to be started again
}

// next starts a generation for the entry of l. One that serves datagrams waits
// for its predecessors: they would read the same socket.
func (l *listener) next() {
	ctx, cancel := context.WithCancelCause(context.Background())
	g := &generation{l: l, entry: l.entry, bound: l.bound, cancel: cancel, retired: make(chan struct{}), done: make(chan struct{})}
	g.setOptions(l.entry.Options)
	before := l.generations()
	l.mu.Lock()
	l.gens = append(l.gens, g)
	l.mu.Unlock()
	l.server.jobs.Go(func() {
		var runs sync.WaitGroup
		if g.bound.stream != nil {
			runs.Go(func() { g.supervise(ctx, g.stream) })
		} else {
			ended[struct{}](before, nil)
			for _, pc := range g.bound.packets {
				runs.Go(func() {
					g.supervise(ctx, func(ctx context.Context) error { return g.packet(ctx, pc) })
				})
			}
		}
		runs.Wait()
		cancel(nil)
		l.forget(g)
		close(g.done)
	})
}

func (l *listener) forget(g *generation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range l.gens {
		if o == g {
			l.gens = append(l.gens[:i:i], l.gens[i+1:]...)
			return
		}
	}
}

func (g *generation) setOptions(o any) { g.options.Store(&o) }

func (g *generation) retire() { g.once.Do(func() { close(g.retired) }) }

func (g *generation) isRetired() bool {
	select {
	case <-g.retired:
		return true
	default:
		return false
	}
}

// stream runs the module on the stream socket, once.
func (g *generation) stream(ctx context.Context) error {
	lease := sock.NewLease(g.l.conns, g.retired, g.bound.addr())
	defer lease.Close()
	var ln net.Listener = lease
	if g.entry.TLS != nil {
		ln = netserve.NewTLSListener(ln, g.entry.TLS)
	}
	return g.entry.kind.stream(ctx, ln, *g.options.Load())
}

// packet runs the module on a datagram socket, once.
func (g *generation) packet(ctx context.Context, pc net.PacketConn) error {
	lease := sock.NewPacketLease(pc)
	defer lease.Close()
	return g.entry.kind.packet(ctx, lease, *g.options.Load())
}

// supervise runs the module again and again, until the generation is retired.
func (g *generation) supervise(ctx context.Context, run func(context.Context) error) {
	delay := minRestart
	for {
		if ctx.Err() != nil {
			return
		}
		began := time.Now()
		err := once(ctx, run)
		if g.isRetired() || ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Cause(ctx)) {
				g.l.log.Warn("module ended with an error", netserve.KeyErr, err)
			}
			return
		}
		if time.Since(began) >= healthy {
			delay = minRestart
		}
		g.l.restarts.Add(1)
		g.report(err, delay)
		if !g.wait(ctx, delay) {
			return
		}
		delay = min(2*delay, maxRestart)
	}
}

// report logs that the module has returned unexpectedly.
func (g *generation) report(err error, delay time.Duration) {
	args := []any{netserve.KeyErr, err, "restart", delay}
	var p *netserve.PanicError
	if errors.As(err, &p) {
		args = append(args, "stack", string(p.Stack))
	}
	g.l.log.Error("module returned unexpectedly", args...)
}

// wait reports false when the generation was retired before d had passed.
func (g *generation) wait(ctx context.Context, d time.Duration) bool {
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.retired:
	case <-ctx.Done():
	}
	return false
}

// once runs the module, and ends the sessions that it left behind when it
// returned.
func once(ctx context.Context, run func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errReturned)
	return netserve.Guard(func() error { return run(ctx) })
}
