package host

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestGateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2, 3)
		open := make(chan struct{})
		var mu sync.Mutex
		working, most, done := 0, 0, 0
		ctx, cancel := context.WithCancelCause(t.Context())
		for range 4 {
			go func() {
				err := g.do(t.Context(), func() {
					mu.Lock()
					working++
					most = max(most, working)
					mu.Unlock()
					<-open
					mu.Lock()
					working--
					done++
					mu.Unlock()
				})
				if err != nil {
					t.Errorf("got %v", err)
				}
			}()
		}
		synctest.Wait()
		gone := errors.New("the client has left")
		left := make(chan error, 1)
		go func() { left <- g.do(ctx, func() { t.Error("worked for a client that has left") }) }()
		synctest.Wait()
		if err := g.do(t.Context(), func() { t.Error("worked over the bound") }); !errors.Is(err, ErrBusy) {
			t.Errorf("the sixth call: got %v, want ErrBusy", err)
		}
		cancel(gone)
		if err := <-left; !errors.Is(err, gone) {
			t.Errorf("got %v, want the cause of the context", err)
		}
		close(open)
		synctest.Wait()
		if most != 2 || done != 4 {
			t.Errorf("%d worked at a time and %d in all, want 2 and 4", most, done)
		}
	})
}

// What a client hears of it asks it to come back.
func TestErrBusy(t *testing.T) {
	var e *stanza.Error
	if !errors.As(ErrBusy, &e) || e.Condition != stanza.ResourceConstraint {
		t.Errorf("ErrBusy is %v, want resource-constraint", ErrBusy)
	}
}

// An unknown user costs the same work as a known one: both wait at the gate.
func TestVerifyPasswordAlwaysWorks(t *testing.T) {
	a, err := NewAccounts(Defaults(), new(MemoryAccounts), nil)
	if err != nil {
		t.Fatal(err)
	}
	known, err := stanza.ParseJID("romeo@localhost")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Create(t.Context(), known, "secret"); err != nil {
		t.Fatal(err)
	}
	for range cap(a.work.working) {
		a.work.working <- struct{}{}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client has left")
	cancel(gone)
	for _, user := range []string{"romeo@localhost", "juliet@localhost", "romeo@far.test"} {
		j, err := stanza.ParseJID(user)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.VerifyPassword(ctx, j, "secret"); !errors.Is(err, gone) {
			t.Errorf("%s: got %v before its turn, want the cause of the context", user, err)
		}
	}
}
