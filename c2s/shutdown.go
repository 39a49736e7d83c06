package c2s

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
)

// heed ends the streams and the detached sessions of a listener when ctx is
// cancelled. The function that it returns waits until there are none.
func (l *listener) heed(ctx context.Context) (wait func()) {
	told := netserve.Heed(ctx, func() {
		l.streams.Shutdown(func(s *stream) { s.closing.Go(s.shutdown) })
		l.endAll()
	})
	return func() {
		l.detached.group.Wait()
		told()
	}
}

// shutdown ends the stream from another goroutine.
func (s *stream) shutdown() {
	x := s.x.Load()
	if x != nil && x.isElsewhere(s) {
		return // whoever has taken it over closes t
	}
	if x != nil {
		x.Kick(xmppstream.ErrShutdown)
	}
	if x == nil || !x.out.Attached() {
		_ = s.t.Close(xmppstream.ErrShutdown)
	}
}

// atOnce is how many detached sessions are ended at the same time.
const atOnce = 32

// endAll ends the sessions that are detached now.
func (l *listener) endAll() {
	all := l.detached.all()
	next := make(chan *session)
	var workers sync.WaitGroup
	for range min(atOnce, len(all)) {
		workers.Go(func() {
			for x := range next {
				x.endDetached(xmppstream.ErrShutdown)
			}
		})
	}
	for _, x := range all {
		next <- x
	}
	close(next)
	workers.Wait()
}
