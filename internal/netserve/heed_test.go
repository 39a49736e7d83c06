package netserve

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeed(t *testing.T) {
	tests := []struct {
		name string
		do   func(cancel, wait func())
		runs bool
	}{
		{"never cancelled", func(_, wait func()) { wait() }, false},
		{"cancelled afterwards", func(cancel, wait func()) { wait(); cancel() }, false},
		{"cancelled just before", func(cancel, wait func()) { cancel(); wait() }, true},
		{"cancelled long before", func(cancel, wait func()) { cancel(); time.Sleep(time.Hour); wait() }, true},
		{"cancelled when it begins", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.do == nil {
					cancel()
					tt.do = func(_, wait func()) { wait() }
				}
				began, ended := false, false
				wait := Heed(ctx, func() {
					began = true
					time.Sleep(time.Minute)
					ended = true
				})
				tt.do(cancel, wait)
				if ended != tt.runs {
					t.Errorf("f has returned: got %t, want %t", ended, tt.runs)
				}
				synctest.Wait()
				if began != tt.runs {
					t.Errorf("f has begun: got %t, want %t", began, tt.runs)
				}
			})
		})
	}
}
