package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestIsReturnDue(t *testing.T) {
	const mib = 1 << 20
	start := time.Now()
	last := memory{at: start, allocated: 900 * mib}
	for _, tt := range []struct {
		name     string
		now      memory
		returned time.Time
		want     bool
	}{
		{"quiet, with garbage", memory{allocated: 900 * mib, live: 100 * mib, held: 150 * mib}, time.Time{}, true},
		{"busy", memory{allocated: 901 * mib, live: 100 * mib, held: 150 * mib}, time.Time{}, false},
		{"less than an eighth", memory{allocated: 900 * mib, live: 100 * mib, held: 113 * mib}, time.Time{}, false},
		{"little in all", memory{allocated: 900 * mib, live: 1 * mib, held: 2 * mib}, time.Time{}, false},
		{"again too early", memory{allocated: 900 * mib, live: 100 * mib, held: 150 * mib}, start.Add(-8 * time.Second), false},
		{"again", memory{allocated: 900 * mib, live: 100 * mib, held: 150 * mib}, start.Add(-9 * time.Second), true},
		{"again, with less in use", memory{allocated: 900 * mib, live: 10 * mib, held: 150 * mib}, start, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.now.at = start.Add(memoryInterval)
			if got := tt.now.isReturnDue(last, tt.returned); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestReturnMemoryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			returnMemory(ctx)
		}()
		time.Sleep(3 * memoryInterval)
		cancel()
		<-ended
	})
}
