package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// tuneMemory sets the collector for a server, unless GOGC says that the operator
// does that. It reports whether it has.
func tuneMemory() bool {
	if os.Getenv("GOGC") != "" {
		return false
	}
	// Most of the heap are sessions, which the collector marks again and again:
	// at 100 a message costs 15 to 20 % more.
	debug.SetGCPercent(200)
	return true
}

const (
	// memoryInterval is how often it is looked whether the server is quiet.
	memoryInterval = time.Second
	// quietBytes is how much a server allocates at most in that time if it is.
	quietBytes = 1 << 20
	// returnBytes is what is worth to be returned, beside an eighth of what is in
	// use.
	returnBytes = 1 << 20
	// returnShare is the part of a processor that the collector may take for
	// this, at a millisecond for a mebibyte in use.
	returnShare = 0.01
)

// memory is what a look at the heap has shown.
type memory struct {
	at        time.Time
	allocated uint64 // bytes, since the start of the process
	live      uint64 // bytes that the collector found in use
	held      uint64 // bytes that the heap has of the system
}

// returnMemory gives back to the system what logins and messages have left of
// garbage, when they have ceased: the collector by itself would run when as much
// again was allocated, which in a quiet server takes long. It returns when ctx
// is cancelled.
func returnMemory(ctx context.Context) {
	tick := time.NewTicker(memoryInterval)
	defer tick.Stop()
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	look := func() memory {
		metrics.Read(samples)
		v := func(i int) uint64 { return samples[i].Value.Uint64() }
		return memory{at: time.Now(), allocated: v(0), live: v(1), held: v(2) + v(3) + v(4)}
	}
	last := look()
	var returned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := look()
		if now.isReturnDue(last, returned) {
			debug.FreeOSMemory()
			now = look()
			returned = now.at
		}
		last = now
	}
}

// isReturnDue reports whether the server has been quiet since the last look, and
// there is enough to give back.
func (m memory) isReturnDue(last memory, returned time.Time) bool {
	cost := time.Duration(m.live>>20) * time.Millisecond
	return m.allocated-last.allocated < quietBytes &&
		m.held > m.live+m.live/8+returnBytes &&
		m.at.Sub(returned) >= time.Duration(float64(cost)/returnShare)
}
