package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sock"
)

// listener is an entry that runs: a socket, the generation that serves it, and
// older generations that only have sessions left.
type listener struct {
	server   *Server
	log      *slog.Logger
	meter    sock.Meter
	conns    chan net.Conn // from the pump to the generation
	restarts atomic.Int64

	// entry, bound and pump change only within Apply and Shutdown, which read
	// them without mu.
	mu    sync.Mutex
	entry Entry
	bound *bound
	pump  *sock.Pump // of a stream socket
	lost  bool       // the socket is gone, and nobody meant it to go
	gens  []*generation
}

func (s *Server) newListener(e Entry, b *bound) *listener {
	l := &listener{server: s, conns: make(chan net.Conn), entry: e, bound: b}
	l.log = s.log.With(l.attrs()...)
	return l
}

// attrs are what log lines tell of a listener.
func (l *listener) attrs() []any {
	return []any{netserve.KeyListener, l.bound.addr().String(), "module", l.entry.Module}
}

// begin starts to serve.
func (l *listener) begin() {
	args := []any{}
	if l.bound.stream != nil {
		l.startPump()
		args = append(args, "backlog", l.bound.stream.Backlog)
	}
	l.log.Info("listening", args...)
	l.warn()
	l.next()
}

// move goes on with another entry on another socket for streams. Sessions do not
// notice.
func (l *listener) move(e Entry, b *bound) {
	l.pump.Stop()
	l.retire(nil)
	l.mu.Lock()
	l.entry, l.bound, l.lost = e, b, false
	l.mu.Unlock()
	l.begin()
}

func (l *listener) warn() {
	for _, w := range l.bound.warnings {
		l.log.Warn("socket option has no effect", netserve.KeyErr, w)
	}
}

func (l *listener) setEntry(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entry = e
}

func (l *listener) generations() []*generation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.gens)
}

// current returns the newest generation, nil if it has ended.
func (l *listener) current() *generation {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.gens) == 0 {
		return nil
	}
	return l.gens[len(l.gens)-1]
}

func (l *listener) isLost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// change gives a listener another entry for the same address.
func (l *listener) change(e Entry) (Change, error) {
	if e.datagram() {
		return l.update(e)
	}
	err := l.tune(e)
	l.retire(nil)
	l.next()
	l.log.Info("listener changed")
	return Updated, err
}

// tune changes the entry, and what it says about a stream socket.
func (l *listener) tune(e Entry) error {
	l.pump.Tune(tuning(&e.Socket))
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.entry.Socket
	l.entry = e
	if l.server.o.Bind != nil || reflect.DeepEqual(e.Socket, old) {
		return nil
	}
	err := l.bound.stream.Adjust(system(&e.Socket))
	l.bound.warnings = l.bound.stream.Warnings
	l.warn()
	return err
}

// update changes the options of a datagram listener, in place if its module
// can.
func (l *listener) update(e Entry) (Change, error) {
	if g := l.current(); g != nil && e.updates(&l.entry) {
		g.setOptions(e.Options)
		err := e.kind.update(l.bound.addr(), e.Options)
		if err == nil {
			l.setEntry(e)
			l.log.Info("listener changed")
			return Updated, nil
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			g.setOptions(l.entry.Options)
			return Kept, err
		}
	}
	l.setEntry(e)
	l.retire(errRestart)
	l.next()
	l.log.Info("listener restarts")
	return Restarted, nil
}

// errRestart is the cause with which a datagram listener ends whose module
// cannot change its options.
var errRestart = errors.New("listener restarts with other options")

// retire lets no more connections in to the current generation. One that
// serves datagrams ends.
func (l *listener) retire(cause error) {
	for _, g := range l.generations() {
		g.retire()
		if g.entry.datagram() {
			g.cancel(cause)
		}
	}
}

// stop closes a stream socket and retires the generation. The sockets of
// datagrams stay open, until their modules have said goodbye.
func (l *listener) stop(cause error) {
	if l.pump != nil {
		l.pump.Stop()
	}
	l.retire(cause)
}

// suspend closes the socket to make room for another. Stream sessions and
// their generation do not notice. A generation for datagrams has to end, at the
// latest when ctx is done.
func (l *listener) suspend(ctx context.Context) {
	if l.pump != nil {
		l.pump.Stop()
		return
	}
	l.retire(errRestart)
	ended(l.generations(), ctx.Done())
	l.bound.close()
}

// resume goes on, on another socket for the same entry.
func (l *listener) resume(b *bound) {
	l.mu.Lock()
	l.bound = b
	l.mu.Unlock()
	if b.stream != nil {
		l.startPump()
		return
	}
	l.next()
}

// lose is for a socket that is gone against our will. The next Apply opens it
// again.
func (l *listener) lose() {
	l.mu.Lock()
	l.lost = true
	l.mu.Unlock()
	l.log.Error("the socket is lost")
	l.retire(net.ErrClosed)
}

func (l *listener) startPump() {
	l.server.jobs.Add(1)
	l.pump = sock.StartPump(l.bound.stream, &l.meter, l.conns, tuning(&l.entry.Socket), l.log, func(lost bool) {
		defer l.server.jobs.Done()
		if lost {
			l.lose()
		}
	})
}
