package s2s

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// heed ends the streams of a listener when ctx is cancelled. The function that it
// returns waits until they have been told.
func (l *listener) heed(ctx context.Context) (wait func()) {
	return netserve.Heed(ctx, func() {
		l.streams.Shutdown(func(s *stream) { s.closing.Go(func() { s.hangUp(xmppstream.ErrShutdown) }) })
	})
}

// hangUp ends the stream from another goroutine.
func (s *stream) hangUp(reason *stanza.StreamError) {
	s.mu.Lock()
	out, acks := s.out, s.acks
	s.mu.Unlock()
	if acks != nil {
		acks.last()
	}
	if out != nil {
		out.Kick(reason)
	} else {
		_ = s.t.Close(reason)
	}
}
