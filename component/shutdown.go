package component

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// errShutdown is what components are told when the context of Listen is
// cancelled.
var errShutdown = &stanza.StreamError{Condition: stanza.StreamSystemShutdown}

// heed ends the streams of a listener when ctx is cancelled. The function that it
// returns waits until they have been told.
func (l *listener) heed(ctx context.Context) (wait func()) {
	var ending sync.WaitGroup
	ending.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer ending.Done()
		l.streams.shutdown()
	})
	return func() {
		if !stop() {
			ending.Wait()
		}
	}
}

// streams are those of a listener.
type streams struct {
	mu   sync.Mutex
	all  map[*stream]struct{}
	over bool // those that come now are ended, too
}

func (l *streams) add(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[*stream]struct{})
	}
	l.all[s] = struct{}{}
	if l.over {
		s.closing.Go(s.shutdown)
	}
}

// remove takes a stream out. It is not told to end any more, but may just have
// been.
func (l *streams) remove(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, s)
}

// shutdown tells all of them to end.
func (l *streams) shutdown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for s := range l.all {
		s.closing.Go(s.shutdown)
	}
}

// shutdown ends the stream from another goroutine. A component gets first what is
// queued for it.
func (s *stream) shutdown() {
	s.Kick(errShutdown)
	if !s.out.Attached() {
		_ = s.t.Close(errShutdown)
	}
}
