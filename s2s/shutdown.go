package s2s

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// errShutdown is what servers are told when the context of Listen is cancelled.
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
	s.mu.Lock()
	out, acks := s.out, s.acks
	s.mu.Unlock()
	if acks != nil {
		acks.last()
	}
	if out != nil {
		out.Kick(errShutdown)
	} else {
		_ = s.t.Close(errShutdown)
	}
}
