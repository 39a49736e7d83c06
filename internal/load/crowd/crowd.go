// Package crowd is what a load generator needs to have many clients at a time.
package crowd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Parallel calls f for 0 to n-1 in w goroutines and returns the first error,
// after which no more calls begin.
func Parallel(n, w int, f func(int) error) error {
	var mu sync.Mutex
	var first error
	next := 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= n && first == nil
	}
	var wg sync.WaitGroup
	for range min(n, max(w, 1)) {
		wg.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := f(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}

// ErrNoRoom says that the system does not allow as many connections as a
// workload needs.
var ErrNoRoom = errors.New("not enough descriptors")

// Room checks that this process and the server, by its process (0: not known),
// may open so many connections or sockets.
func Room(connections, server int) error {
	const spare = 100
	for _, p := range []struct {
		who string
		pid int
	}{{"this process", 0}, {"the server", server}} {
		if n, ok := meter.Descriptors(p.pid); ok && n < connections+spare {
			return fmt.Errorf("%w: %d connections: %s may have %d files open; raise ulimit -n", ErrNoRoom, connections, p.who, n)
		}
	}
	return nil
}

// Sleep waits for d, or until ctx ends, whose cause it returns.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
