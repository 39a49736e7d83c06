package crowd

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParallel(t *testing.T) {
	var sum atomic.Int64
	err := Parallel(100, 7, func(i int) error {
		sum.Add(int64(i))
		return nil
	})
	if err != nil || sum.Load() != 99*100/2 {
		t.Errorf("got %d, %v; want each of 0 to 99 once", sum.Load(), err)
	}
	if err := Parallel(0, 3, nil); err != nil {
		t.Errorf("nothing to do: got %v", err)
	}
}

func TestParallelStopsAfterAnError(t *testing.T) {
	errFirst := errors.New("first")
	calls := 0
	err := Parallel(100, 1, func(i int) error {
		if calls++; i == 3 {
			return errFirst
		}
		return nil
	})
	if !errors.Is(err, errFirst) || calls != 4 {
		t.Errorf("got %v after %d calls, want %v after 4", err, calls, errFirst)
	}
}

func TestRoom(t *testing.T) {
	n, ok := meter.Descriptors(0)
	if !ok {
		t.Skip("the system does not say how many files may be open")
	}
	if err := Room(n, 0); !errors.Is(err, ErrNoRoom) {
		t.Errorf("got %v, want %v", err, ErrNoRoom)
	}
	if err := Room(0, 0); err != nil {
		t.Errorf("nothing: got %v", err)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v, want nil after a minute", err, time.Since(start))
		}
		errEnough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errEnough)
		if err := Sleep(ctx, time.Minute); !errors.Is(err, errEnough) {
			t.Errorf("got %v, want %v", err, errEnough)
		}
	})
}
