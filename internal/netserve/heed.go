package netserve

import (
	"context"
	"sync"
)

// Heed runs f, in a goroutine of its own, when ctx is cancelled. wait must be
// called, once: f does not begin any more, and has returned if it had.
func Heed(ctx context.Context, f func()) (wait func()) {
	var running sync.WaitGroup
	running.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer running.Done()
		f()
	})
	return func() {
		if !stop() {
			running.Wait()
		}
	}
}
