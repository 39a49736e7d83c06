package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What hangs does not keep the process from ending, and is told.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := within(time.Second, func() { time.Sleep(time.Second / 2) }); err != nil {
			t.Errorf("in time: got %v, want nil", err)
		}
		hang := make(chan struct{})
		defer close(hang)
		began := time.Now()
		err := within(time.Second, func() { <-hang })
		if err == nil || !strings.Contains(err.Error(), "did not stop within 1s") {
			t.Errorf("too late: got %v, want an error", err)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("waited %v, want 1s", d)
		}
	})
}
