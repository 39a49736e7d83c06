package netserve

import (
	"context"
	"time"
)

// Outlive returns a context that ends d after ctx does, for what has been begun by
// then: what a peer has sent before it is told of the end is still handled. stop
// ends it, and must be called.
func Outlive(ctx context.Context, d time.Duration) (longer context.Context, stop func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unlink := context.AfterFunc(ctx, func() {
		late := time.NewTimer(d)
		defer late.Stop()
		select {
		case <-late.C:
			cancel(context.Cause(ctx))
		case <-longer.Done():
		}
	})
	return longer, func() {
		unlink()
		cancel(context.Canceled)
	}
}
