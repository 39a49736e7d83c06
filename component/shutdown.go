package component

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
)

// heed ends the streams of a listener when ctx is cancelled. The function that it
// returns waits until they have been told.
func (l *listener) heed(ctx context.Context) (wait func()) {
	return netserve.Heed(ctx, func() {
		l.streams.Shutdown(func(s *stream) { s.closing.Go(s.shutdown) })
	})
}

// shutdown ends the stream from another goroutine. A component gets first what is
// queued for it.
func (s *stream) shutdown() {
	s.Kick(xmppstream.ErrShutdown)
	if !s.out.Attached() {
		_ = s.t.Close(xmppstream.ErrShutdown)
	}
}
