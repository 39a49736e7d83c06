package xmppstream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// brittle is a transport that panics where it is told to.
type brittle struct {
	*fake
	at string
}

func (b *brittle) may(at string) {
	if b.at == at {
		b.at = "" // once
		panic("oh no in " + at)
	}
}

func (b *brittle) Standalone() bool {
	b.may("encode")
	return b.fake.Standalone()
}

func (b *brittle) Write(batch stanza.Batch) error {
	b.may("Write")
	err := b.fake.Write(batch)
	b.may("Write, afterwards")
	return err
}

func (b *brittle) SetWriteDeadline(d time.Time) error {
	b.may("SetWriteDeadline")
	return b.fake.SetWriteDeadline(d)
}

func (b *brittle) Close(reason *stanza.StreamError) error {
	err := b.fake.Close(reason)
	b.may("Close")
	return err
}

// A panic while an outbox writes ends the stream and nothing else: the
// connection is closed with an error, what was not delivered is handed back, and
// nobody is told that it is safe before.
func TestFlusherPanics(t *testing.T) {
	tests := []struct {
		at          string
		managed     bool
		undelivered string
	}{
		{"encode", false, "1"},
		{"encode", true, "0 1"},
		{"Write", false, "1"},
		{"Write", true, "0 1"},
		{"Write, afterwards", false, "1"},
		{"Write, afterwards", true, "0 1"},
		{"SetWriteDeadline", false, "1"},
		{"SetWriteDeadline", true, "0 1"},
	}
	for _, tt := range tests {
		name := tt.at
		if tt.managed {
			name += ", managed"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &brittle{fake: &fake{}}
				o := OutboxOptions{SendTimeout: time.Second}
				b := attached(f, o)
				if tt.managed {
					b.Manage(testEnabled, AckOptions{Timeout: time.Minute, Resumable: true})
				}
				deliver(t, b, "0")
				b.writing.Wait()
				f.at = tt.at
				deliver(t, b, "1")
				c := &confirmed{b: b}
				c.ask("1")
				b.writing.Wait()
				var p *netserve.PanicError
				if err := b.Err(); !errors.As(err, &p) || p.Value != "oh no in "+tt.at || streamCondition(err) != stanza.StreamInternalServerError {
					t.Errorf("got error %v, want the panic as internal-server-error", err)
				}
				if f.closed != 1 || streamCondition(errorOf(f.reason)) != stanza.StreamInternalServerError {
					t.Errorf("closed %d times for %v, want once for internal-server-error", f.closed, f.reason)
				}
				if err := b.Deliver(msg("2", 1)); !errors.Is(err, stanza.ErrClosed) || b.Detach() {
					t.Errorf("Deliver: got %v, want %v, and no stream to resume", err, stanza.ErrClosed)
				}
				b.Close(nil)
				if got := idsOf(b.Undelivered()); got != tt.undelivered {
					t.Errorf("undelivered: got %q, want %q", got, tt.undelivered)
				}
				c.want(t, "before the host has them")
				b.Settle()
				c.want(t, "in other hands", "1")
			})
		})
	}
}

// A panic in the middle of a long queue: all that follows is handed back, too.
func TestFlusherPanicsMidway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := blocked(t, f, OutboxOptions{})
		f.write = func(stanza.Batch) error {
			if len(f.batches) == 3 {
				panic("oh no")
			}
			return nil
		}
		for _, id := range []string{"1", "2", "3", "4"} {
			b.Deliver(msg(id, batchBytes))
		}
		close(f.gate)
		b.writing.Wait()
		if got := idsOf(b.Undelivered()); got != "2 3 4" || f.closed != 1 {
			t.Errorf("undelivered: got %q, closed %d times, want 2 3 4, once", got, f.closed)
		}
		b.Close(nil)
		b.Settle()
	})
}

func errorOf(e *stanza.StreamError) error {
	if e == nil {
		return nil
	}
	return e
}

// A panic of one who waits for a stanza is not that of the others.
func TestMarkerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		w := &owner{}
		o := OutboxOptions{}
		b := NewOutbox(&o, w)
		c := &confirmed{b: b}
		b.Deliver(keptAs("k", 7))
		deliver(t, b, "1")
		b.Confirm(func() { panic("oh no") })
		c.ask("1")
		b.Confirm(func() { panic("oh no again") })
		c.ask("1 again")
		b.Attach(f, &o, "")
		synctest.Wait()
		c.want(t, "written", "1", "1 again")
		if f.closed != 1 || w.got() != "[7]" || len(b.Undelivered()) > 0 {
			t.Errorf("closed %d times, %s arrived, %d undelivered, want once, 7, none", f.closed, w.got(), len(b.Undelivered()))
		}
		b.Close(nil)
		b.Settle()
	})
}

// panicky is an Owner that panics.
type panicky struct{}

func (panicky) Arrived([]uint64) { panic("oh no") }

// A panic of the owner in the flusher ends the stream, those who wait for the
// stanzas are told nevertheless.
func TestOwnerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		o := OutboxOptions{}
		b := NewOutbox(&o, panicky{})
		c := &confirmed{b: b}
		b.Deliver(keptAs("k", 7))
		deliver(t, b, "1")
		c.ask("1")
		b.Attach(f, &o, "")
		c.want(t, "written", "1")
		if f.closed != 1 || !b.Ending() || len(b.Undelivered()) > 0 {
			t.Errorf("closed %d times, ended: %v, %d undelivered, want an end, none", f.closed, b.Ending(), len(b.Undelivered()))
		}
		b.Close(nil)
	})
}

// A panic while the transport is closed is an error of the outbox.
func TestClosePanics(t *testing.T) {
	f := &brittle{&fake{}, "Close"}
	b := attached(f, OutboxOptions{})
	deliver(t, b, "1")
	if err := b.Close(nil); !errors.As(err, new(*netserve.PanicError)) {
		t.Errorf("got %v, want the panic", err)
	}
}
