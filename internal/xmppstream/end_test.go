package xmppstream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var conflict = &stanza.StreamError{Condition: stanza.StreamConflict}

// slowGoodbye is a transport whose Close takes its time.
type slowGoodbye struct {
	*fake
	takes time.Duration
}

func (s slowGoodbye) Close(reason *stanza.StreamError) error {
	time.Sleep(s.takes)
	return s.fake.Close(reason)
}

// What Drain waits for, and what only Close does.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := slowGoodbye{&fake{}, 2 * time.Second}
		b := attached(f, OutboxOptions{})
		deliver(t, b, "1")
		began := time.Now()
		b.Drain(conflict)
		if took := time.Since(began); took > 0 || ids(f.text()) != "1" {
			t.Errorf("Drain took %v, %q written, want it at once, 1", took, ids(f.text()))
		}
		if got := idsOf(b.Undelivered()); got != "" {
			t.Errorf("undelivered: got %q, want none", got)
		}
		b.Settle()
		if err := b.Deliver(msg("2", 1)); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("Deliver: got %v, want %v", err, stanza.ErrClosed)
		}
		b.Close(nil)
		if took := time.Since(began); took != f.takes || f.closed != 1 || f.reason != conflict {
			t.Errorf("Close took %v, closed %d times for %v, want %v, once, %v", took, f.closed, f.reason, f.takes, conflict)
		}
	})
}

// Drain waits for a write that is under way, until it has taken too long.
func TestDrainWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := blocked(t, f, OutboxOptions{})
		deliver(t, b, "second")
		drained := false
		go func() {
			b.Drain(nil)
			drained = true
		}()
		f.gate <- struct{}{}
		synctest.Wait()
		if drained {
			t.Error("Drain returned before all was written")
		}
		f.gate <- struct{}{}
		synctest.Wait()
		if !drained || ids(f.text()) != "first second" {
			t.Errorf("got drained %v, %q written, want first second", drained, ids(f.text()))
		}
	})
}

// What is queued when somebody else takes the peer's place is not written; what
// waits for an acknowledgement comes back before it.
func TestEvict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b, _ := managedOn(t, f, OutboxOptions{SendTimeout: time.Minute}, AckOptions{Resumable: true})
		c := &confirmed{b: b}
		deliver(t, b, "1", "2")
		b.writing.Wait()
		b.Acked(1)
		b.writing.Wait()
		f.brief()
		f.gate = make(chan struct{})
		deliver(t, b, "3")
		synctest.Wait()
		deliver(t, b, "4")
		b.Acknowledge(7)
		b.Send("<x/>")
		deliver(t, b, "5")
		c.ask("all")
		b.Evict(conflict)
		b.Evict(shutdown)
		if err := b.Deliver(msg("6", 1)); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("Deliver: got %v, want %v", err, stanza.ErrClosed)
		}
		f.gate <- struct{}{}
		f.gate <- struct{}{}
		b.Drain(nil)
		wantBrief(t, "the end", f, "3 | <a h='7'/>")
		if got := idsOf(b.Undelivered()); got != "2 3 4 5" {
			t.Errorf("undelivered: got %q, want 2 3 4 5", got)
		}
		c.want(t, "before it is in other hands")
		b.Settle()
		c.want(t, "in other hands", "all")
		b.Close(nil)
		if f.closed != 1 || f.reason != conflict || len(b.Undelivered()) > 0 || b.Load().Queued+b.Load().Unacked > 0 {
			t.Errorf("closed %d times for %v, load %+v, want once, for %v, nothing left", f.closed, f.reason, b.Load(), conflict)
		}
	})
}

// Without a transport all that waits comes back at once.
func TestEvictDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b, _ := managedOn(t, f, OutboxOptions{}, AckOptions{Resumable: true})
		deliver(t, b, "1")
		b.writing.Wait()
		b.Detach()
		deliver(t, b, "2")
		b.Evict(conflict)
		b.Drain(nil)
		if got := idsOf(b.Undelivered()); got != "1 2" || f.closed > 0 || b.Reason() != conflict {
			t.Errorf("undelivered: got %q, closed %d times, reason %v, want 1 2, 0, %v", got, f.closed, b.Reason(), conflict)
		}
	})
}

// A connection that is given up is not waited for.
func TestDetachDoesNotWaitForGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := slowGoodbye{&fake{}, 2 * time.Second}
		b, _ := managedOn(t, f.fake, OutboxOptions{}, AckOptions{Resumable: true, Timeout: time.Second})
		b.Detach()
		o := OutboxOptions{}
		b.Attach(f, &o, "")
		deliver(t, b, "1")
		time.Sleep(time.Second) // the peer has not answered: the connection is closed
		synctest.Wait()
		began := time.Now()
		if !b.Detach() || time.Since(began) > 0 {
			t.Errorf("Detach took %v, want it at once", time.Since(began))
		}
		b.Close(nil)
		if time.Since(began) != f.takes {
			t.Errorf("Close took %v, want %v", time.Since(began), f.takes)
		}
	})
}
