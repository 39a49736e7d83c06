package xmppstream

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// keptAs returns a message that a store holds.
func keptAs(id string, key uint64) *stanza.Stanza {
	s := msg(id, 1)
	s.Kept = key
	return s
}

// confirmed asks for confirmations and notes in which order they come.
type confirmed struct {
	b    *Outbox
	list []string
}

func (c *confirmed) ask(name string) { c.b.Confirm(func() { c.list = append(c.list, name) }) }

func (c *confirmed) want(t *testing.T, what string, names ...string) {
	t.Helper()
	synctest.Wait()
	if got, want := strings.Join(c.list, " "), strings.Join(names, " "); got != want {
		t.Errorf("%s: got %q confirmed, want %q", what, got, want)
	}
}

// Without acknowledgements what was written is confirmed.
func TestConfirmWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{gate: make(chan struct{})}
		w := &owner{}
		o := OutboxOptions{}
		b := NewOutbox(&o, w)
		c := &confirmed{b: b}
		c.ask("nothing")
		c.want(t, "empty", "nothing")
		deliver(t, b, "1")
		c.ask("before there is a transport")
		b.Attach(f, &o, "<first/>")
		synctest.Wait()
		c.ask("while 1 is being written")
		b.Deliver(keptAs("2", 22))
		c.ask("2 is kept")
		deliver(t, b, "3")
		c.ask("3")
		c.want(t, "nothing written", "nothing")
		f.gate <- struct{}{}
		c.want(t, "1 written", "nothing", "before there is a transport", "while 1 is being written", "2 is kept")
		if w.got() != "[]" {
			t.Errorf("arrived: got %v, want none yet", w.got())
		}
		f.gate <- struct{}{}
		c.want(t, "all written", "nothing", "before there is a transport", "while 1 is being written", "2 is kept", "3")
		if w.got() != "[22]" {
			t.Errorf("arrived: got %v, want 22", w.got())
		}
		b.Close(nil)
		b.Settle()
	})
}

func TestConfirmAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := managedOn(t, &fake{}, OutboxOptions{}, AckOptions{Resumable: true})
		c := &confirmed{b: b}
		deliver(t, b, "1")
		c.ask("1")
		b.Deliver(keptAs("2", 22))
		deliver(t, b, "3")
		c.ask("3")
		c.ask("3 again")
		b.Deliver(keptAs("4", 44))
		c.ask("4 is kept")
		c.want(t, "written")
		b.Acked(1)
		c.want(t, "1", "1")
		b.Acked(2)
		c.want(t, "2", "1")
		b.Acked(3)
		c.want(t, "3", "1", "3", "3 again", "4 is kept")
		b.Acked(4)
		b.Acked(4)
		if w.got() != "[22 44]" {
			t.Errorf("arrived: got %v, want 22 and 44, once each", w.got())
		}
		if b.marks != nil {
			t.Error("markers are left over")
		}
		b.Close(nil)
		b.Settle()
	})
}

// What a store takes over while the stream is detached is safe.
func TestConfirmReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := managedOn(t, &fake{}, OutboxOptions{Bytes: 1 << 20}, AckOptions{Resumable: true})
		c := &confirmed{b: b}
		deliver(t, b, "1")
		c.ask("1")
		deliver(t, b, "2")
		c.ask("2")
		b.Detach()
		deliver(t, b, "3")
		c.ask("3")
		waiting := b.Waiting()
		deliver(t, b, "4") // while the store writes
		c.ask("4")
		with := []*stanza.Stanza{keptAs("1", 11), waiting[1].Stanza, keptAs("3 with a stamp", 33)}
		if b.Replace(waiting, with[:2]) {
			t.Error("Replace with a shorter list: got true")
		}
		c.want(t, "before")
		if !b.Replace(waiting, with) {
			t.Error("Replace: got false")
		}
		c.want(t, "1 is in a store", "1")
		if got := fmt.Sprint(idsOf(b.Waiting())); got != "1 2 3 with a stamp 4" {
			t.Errorf("waiting: got %q", got)
		}
		o := OutboxOptions{}
		b.Attach(&fake{}, &o, "")
		b.writing.Wait()
		b.Acked(2)
		c.want(t, "2 acknowledged: 3 is in a store", "1", "2", "3")
		b.Acked(4)
		c.want(t, "all", "1", "2", "3", "4")
		b.writing.Wait()
		if w.got() != "[11 33]" || b.bytes != 0 || b.acks.window.bytes != 0 {
			t.Errorf("got %v arrived, %d and %d bytes, want 11 and 33, none", w.got(), b.bytes, b.acks.window.bytes)
		}
		b.Close(nil)
		b.Settle()
	})
}

// What was handed back to the host is safe when that has it.
func TestConfirmSettled(t *testing.T) {
	for _, managed := range []bool{false, true} {
		t.Run(fmt.Sprint("managed ", managed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				b := blocked(t, f, OutboxOptions{})
				if managed {
					b.Manage(testEnabled, AckOptions{})
				}
				f.mu.Lock()
				f.write = func(stanza.Batch) error { return fmt.Errorf("broken") }
				f.mu.Unlock()
				deliver(t, b, "second")
				c := &confirmed{b: b}
				c.ask("before the end")
				close(f.gate)
				b.Close(nil)
				c.ask("after the end")
				c.want(t, "before the host has them")
				if got := idsOf(b.Undelivered()); got != "first second" {
					t.Errorf("undelivered: got %q, want first second", got)
				}
				b.Settle()
				c.ask("later")
				c.want(t, "settled", "before the end", "after the end", "later")
				if len(b.Undelivered()) > 0 || b.Load() != (Load{}) {
					t.Errorf("got %d undelivered, load %+v, want all forgotten", len(b.Undelivered()), b.Load())
				}
			})
		})
	}
}

// What nobody answers for is never confirmed, what was done before is.
func TestAbandon(t *testing.T) {
	for _, managed := range []bool{false, true} {
		t.Run(fmt.Sprint("managed ", managed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				b := attached(f, OutboxOptions{})
				if managed {
					b.Manage(testEnabled, AckOptions{})
				}
				deliver(t, b, "1")
				b.writing.Wait()
				b.Acked(1)
				c := &confirmed{b: b}
				c.ask("1")
				f.write = func(stanza.Batch) error { return fmt.Errorf("broken") }
				deliver(t, b, "2")
				c.ask("2")
				b.Close(nil)
				if got := idsOf(b.Undelivered()); got != "2" {
					t.Errorf("undelivered: got %q, want 2", got)
				}
				b.Abandon()
				c.ask("later")
				c.want(t, "all", "1")
				if err := b.Acked(2); managed && err != nil {
					t.Errorf("Acked: got %v, want no effect", err)
				}
				if b.marks != nil || len(b.Undelivered()) > 0 {
					t.Errorf("got markers %v, %d undelivered, want all forgotten", b.marks, len(b.Undelivered()))
				}
			})
		})
	}
}

// A confirmation may use the outbox of somebody else that confirms by this one.
func TestConfirmTakesNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := managedOn(t, &fake{}, OutboxOptions{}, AckOptions{})
		b, _ := managedOn(t, &fake{}, OutboxOptions{}, AckOptions{})
		deliver(t, a, "1")
		deliver(t, b, "1")
		synctest.Wait()
		var done atomic.Int32
		a.Confirm(func() { b.Acknowledge(1); done.Add(1) })
		b.Confirm(func() { a.Acknowledge(1); done.Add(1) })
		go a.Acked(1)
		go b.Acked(1)
		synctest.Wait()
		if done.Load() != 2 {
			t.Errorf("got %d confirmations, want 2", done.Load())
		}
		a.Close(nil)
		b.Close(nil)
	})
}
