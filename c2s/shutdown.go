package c2s

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// errShutdown is what clients are told when the context of Listen is cancelled.
var errShutdown = &stanza.StreamError{Condition: stanza.StreamSystemShutdown}

// heed ends the streams and the detached sessions of a listener when ctx is
// cancelled. The function that it returns waits until there are none.
func (l *listener) heed(ctx context.Context) (wait func()) {
	var ending sync.WaitGroup
	ending.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer ending.Done()
		l.streams.shutdown()
		l.endAll()
	})
	return func() {
		l.detached.group.Wait()
		if !stop() {
			ending.Wait()
		}
	}
}

// streams are those of a listener: a list that costs less than a context of its
// own for each.
type streams struct {
	mu    sync.Mutex
	first *stream
	over  bool // those that come now are ended, too
}

func (l *streams) add(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.next = l.first; s.next != nil {
		s.next.prev = s
	}
	l.first = s
	if l.over {
		s.closing.Go(s.shutdown)
	}
}

// remove takes a stream out. It is not told to end any more, but may just have
// been.
func (l *streams) remove(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.next, s.prev = nil, nil
}

// shutdown tells all of them to end.
func (l *streams) shutdown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for s := l.first; s != nil; s = s.next {
		s.closing.Go(s.shutdown)
	}
}

// shutdown ends the stream from another goroutine.
func (s *stream) shutdown() {
	x := s.x.Load()
	if x != nil && x.isElsewhere(s) {
		return // whoever has taken it over closes t
	}
	if x != nil {
		x.Kick(errShutdown)
	}
	if x == nil || !x.out.Attached() {
		_ = s.t.Close(errShutdown)
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
				x.endDetached(errShutdown)
			}
		})
	}
	for _, x := range all {
		next <- x
	}
	close(next)
	workers.Wait()
}
