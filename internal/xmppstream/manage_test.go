package xmppstream

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// busy is an Owner that takes its time.
type busy struct{ in, out chan struct{} }

func newBusy() busy { return busy{make(chan struct{}), make(chan struct{})} }

func (o busy) Arrived([]uint64) {
	o.in <- struct{}{}
	<-o.out
}

// tellOwner queues what an owner is told of when it is written.
func tellOwner(b *Outbox, _ busy) error { return b.Deliver(keptAs("k", 7)) }

// tellMarker does the same with a marker.
func tellMarker(b *Outbox, o busy) error {
	err := b.Deliver(msg("k", 1))
	b.Confirm(func() { o.Arrived(nil) })
	return err
}

// A stream that becomes a managed one while the flusher tells what it has
// written is managed from <enabled/> on: what follows waits for its
// acknowledgement, what comes before does not.
func TestManageWhileTelling(t *testing.T) {
	tests := []struct {
		name          string
		written, then []string // stanzas before <enabled/>: the batch that is told of, and what comes meanwhile
		want          string
	}{
		{"at once", []string{"a"}, nil, "<enabled id='x'/> 1 2 <r/>"},
		{"after others", []string{"a"}, []string{"b", "c"}, "b c <enabled id='x'/> 1 2 <r/>"},
	}
	for _, tt := range tests {
		for whom, begin := range map[string]func(b *Outbox, o busy) error{"owner": tellOwner, "marker": tellMarker} {
			t.Run(tt.name+", "+whom, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &fake{gate: make(chan struct{}, 10)}
					o, w := OutboxOptions{}, newBusy()
					b := NewOutbox(&o, w)
					if err := errors.Join(b.Attach(f, &o, ""), begin(b, w)); err != nil {
						t.Fatal(err)
					}
					f.gate <- struct{}{}
					<-w.in
					f.brief()
					deliver(t, b, tt.then...)
					if err := b.Manage(testEnabled, AckOptions{Resumable: true, Timeout: time.Minute}); err != nil {
						t.Fatal(err)
					}
					deliver(t, b, "1", "2")
					c := &confirmed{b: b}
					c.ask("2")
					w.out <- struct{}{}
					close(f.gate)
					synctest.Wait()
					wantBrief(t, "after the gap", f, tt.want)
					c.want(t, "written")
					if l := b.Load(); l.Unacked != 2 || l.Queued != 0 {
						t.Errorf("got %+v, want 2 stanzas to be acknowledged", l)
					}
					if err := b.Acked(3); streamCondition(err) != stanza.StreamUndefinedCondition {
						t.Errorf("Acked(3): got %v, want that only 2 were sent", err)
					}
					if err := b.Acked(2); err != nil {
						t.Error(err)
					}
					c.want(t, "acknowledged", "2")
					deliver(t, b, "3")
					synctest.Wait()
					wantBrief(t, "later", f, "3 <r/>")
					if !b.Detach() || idsOf(b.Waiting()) != "3" {
						t.Errorf("got %q waiting, want a stream that can be resumed, 3", idsOf(b.Waiting()))
					}
					b.Close(nil)
				})
			})
		}
	}
}

// A peer that answers without a request, and says nothing new, is still asked and
// still has to answer in time.
func TestUselessAcks(t *testing.T) {
	tests := []struct {
		name string
		acks int           // a second apart
		want string        // written in a day
		ends time.Duration // after so long
	}{
		{"no answer", 0, "1 <r/>", time.Minute},
		{"one answer", 1, "1 <r/> | <r/>", askAgain + time.Minute},
		{"an answer and another one", 2, "1 <r/> | <r/>", askAgain + time.Minute},
		{"many", 5, "1 <r/> | <r/>", askAgain + time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				b, _ := managedOn(t, f, OutboxOptions{}, AckOptions{Timeout: time.Minute})
				f.brief()
				deliver(t, b, "1")
				synctest.Wait()
				began := time.Now()
				for i := 0; b.Err() == nil && time.Since(began) < 24*time.Hour; i++ {
					if i < tt.acks {
						b.Acked(0)
					}
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if took := time.Since(began); took != tt.ends || f.closed != 1 || streamCondition(b.Err()) != stanza.StreamConnectionTimeout {
					t.Errorf("closed %d times after %v, error %v, want once after %v, connection-timeout", f.closed, took, b.Err(), tt.ends)
				}
				wantBrief(t, "a day", f, tt.want)
				b.Close(nil)
			})
		})
	}
}

// An answer that says nothing new does not cancel a request that is to be made.
func TestUselessAckBeforeRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b, _ := managedOn(t, f, OutboxOptions{}, AckOptions{})
		deliver(t, b, "1", "2")
		synctest.Wait()
		f.brief()
		f.gate = make(chan struct{})
		b.Send("<x/>")
		synctest.Wait() // the flusher is busy
		b.Acked(1)
		b.Acked(1)
		close(f.gate)
		synctest.Wait()
		wantBrief(t, "after the progress", f, "<x/> | <r/>")
		b.Close(nil)
	})
}

// What is acknowledged while the last batches are being written need not be
// delivered elsewhere, until it has been handed over.
func TestAckedWhileEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b, w := managedOn(t, f, OutboxOptions{}, AckOptions{Resumable: true})
		b.Deliver(keptAs("1", 11))
		deliver(t, b, "2", "3")
		synctest.Wait()
		c := &confirmed{b: b}
		c.ask("3")
		f.gate = make(chan struct{})
		b.Deliver(keptAs("4", 44))
		synctest.Wait()
		deliver(t, b, "5")
		b.Kick(shutdown)
		if err := b.Acked(3); err != nil {
			t.Error(err)
		}
		c.want(t, "before the end", "3")
		close(f.gate)
		b.Drain(nil)
		if got := idsOf(b.Undelivered()); got != "4 5" || w.got() != "[11]" {
			t.Errorf("got %q undelivered, %s arrived, want 4 5, 11", got, w.got())
		}
		b.Settle()
		if err := b.Acked(5); err != nil || w.got() != "[11]" {
			t.Errorf("Acked after Settle: got %v, %s arrived, want no effect", err, w.got())
		}
		b.Close(nil)
	})
}

// Where an <a/> stands: after all that was delivered before Acknowledge.
func TestPlaceOfAck(t *testing.T) {
	big := func(id string) *stanza.Stanza { return msg(id, batchBytes/2) } // two of them are more than a batch
	tests := []struct {
		name string
		do   func(b *Outbox)
		want string
	}{
		{"after the answer", func(b *Outbox) {
			b.Deliver(big("1"))
			b.Deliver(big("2"))
			b.Deliver(big("error"))
			b.Acknowledge(1)
			b.Deliver(big("4"))
		}, "0 | 1 | 2 | error <a h='1'/> | 4"},
		{"among small ones", func(b *Outbox) {
			b.Deliver(msg("error", 1))
			b.Acknowledge(1)
			b.Deliver(msg("2", 1))
		}, "0 | error 2 <a h='1'/>"},
		{"several are two", func(b *Outbox) {
			for i := range 5 {
				b.Deliver(big(string(rune('1' + i))))
				b.Acknowledge(uint32(i + 1))
			}
		}, "0 | 1 <a h='1'/> | 2 | 3 | 4 | 5 <a h='5'/>"},
		{"nothing new needs no place", func(b *Outbox) {
			b.Acknowledge(0)
			b.Deliver(big("1"))
			b.Deliver(big("2"))
		}, "0 | 1 <a h='0'/> | 2"},
		{"the same keeps its place", func(b *Outbox) {
			b.Acknowledge(1)
			b.Deliver(big("1"))
			b.Deliver(big("2"))
			b.Acknowledge(1)
		}, "0 | 1 <a h='1'/> | 2"},
		{"other XML has no number", func(b *Outbox) {
			b.Deliver(big("1"))
			b.Send("<x/>")
			b.Acknowledge(1)
			b.Deliver(big("2"))
		}, "0 | 1 <x/> <a h='1'/> | 2"},
		{"what is evicted is not waited for", func(b *Outbox) {
			b.Deliver(big("1"))
			b.Acknowledge(1)
			b.Evict(conflict)
		}, "0 | <a h='1'/>"},
		{"at the end", func(b *Outbox) {
			b.Deliver(big("1"))
			b.Deliver(big("2"))
			b.Acknowledge(1)
			b.Kick(shutdown)
		}, "0 | 1 | 2 <a h='1'/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testPlaceOfAck(t, tt.do, tt.want) })
		})
	}
}

// testPlaceOfAck does something while a write waits, and wants what is written in
// the end.
func testPlaceOfAck(t *testing.T, do func(b *Outbox), want string) {
	f := &fake{}
	b, _ := managedOn(t, f, OutboxOptions{}, AckOptions{})
	deliver(t, b, "first")
	synctest.Wait() // the request is made, and never answered
	f.brief()
	f.gate = make(chan struct{})
	deliver(t, b, "0")
	synctest.Wait()
	do(b)
	close(f.gate)
	b.writing.Wait()
	wantBrief(t, "all", f, want)
	b.Close(nil)
}

// An <a/> comes, however full the queue is all the time and however often there
// is another one.
func TestAckUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const backlog, steps = 10, 50
		f := &fake{}
		b, _ := managedOn(t, f, OutboxOptions{}, AckOptions{})
		f.gate = make(chan struct{})
		for range backlog {
			b.Deliver(msg("x", batchBytes))
		}
		for i := range uint32(steps) {
			b.Acknowledge(i + 1)
			b.Deliver(msg("x", batchBytes))
			f.gate <- struct{}{}
			synctest.Wait()
		}
		acks := strings.Count(f.brief(), "<a ")
		if want := steps / (backlog + 1); acks < want {
			t.Errorf("got %d acknowledgements in %d batches, want at least %d", acks, steps, want)
		}
		close(f.gate)
		b.Close(nil)
	})
}

// After a resumption an <a/> is placed anew.
func TestAckAfterResumption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		o := OutboxOptions{}
		b, _ := managedOn(t, f, o, AckOptions{Resumable: true})
		f.gate = make(chan struct{}, 1)
		f.write = func(stanza.Batch) error { return errors.New("broken") }
		deliver(t, b, "1", "2")
		b.Acknowledge(1)
		f.gate <- struct{}{}
		if !b.Detach() {
			t.Fatal("Detach: got false")
		}
		b.Deliver(msg("3", batchBytes))
		second := &fake{gate: make(chan struct{})}
		if err := b.Attach(second, &o, "<resumed/>"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.Deliver(msg("4", batchBytes))
		b.Acknowledge(1)
		b.Deliver(msg("5", batchBytes))
		close(second.gate)
		b.writing.Wait()
		wantBrief(t, "after the resumption", second, "<resumed/> 1 2 <r/> | 3 | 4 <a h='1'/> | 5")
		b.Close(nil)
	})
}
