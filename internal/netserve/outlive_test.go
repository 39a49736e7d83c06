package netserve

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestOutlive(t *testing.T) {
	type key struct{}
	cause := errors.New("stop")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, 1))
		longer, stop := Outlive(ctx, time.Second)
		defer stop()
		if longer.Value(key{}) != 1 {
			t.Error("values are gone")
		}
		cancel(cause)
		time.Sleep(time.Second - time.Millisecond)
		synctest.Wait()
		if longer.Err() != nil {
			t.Errorf("got %v before its time", longer.Err())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if !errors.Is(context.Cause(longer), cause) {
			t.Errorf("got %v, want %v", context.Cause(longer), cause)
		}
	})
	synctest.Test(t, func(t *testing.T) { // stopped before and after the end
		for _, first := range []bool{true, false} {
			ctx, cancel := context.WithCancel(t.Context())
			longer, stop := Outlive(ctx, time.Hour)
			if first {
				cancel()
			}
			stop()
			cancel()
			if longer.Err() == nil {
				t.Error("goes on after stop")
			}
		}
	})
}
