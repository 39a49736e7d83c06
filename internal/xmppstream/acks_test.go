package xmppstream

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	testEnabled = "<enabled xmlns='urn:xmpp:sm:3' id='x'/>"
	testR       = "<r xmlns='urn:xmpp:sm:3'/>"
)

// owner notes what arrived.
type owner struct {
	mu      sync.Mutex
	arrived []uint64
}

func (o *owner) Arrived(kept []uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.arrived = append(o.arrived, kept...)
}

func (o *owner) got() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprint(o.arrived)
}

// managedOn returns an outbox of a managed stream on f, which has written
// <enabled/>.
func managedOn(t testing.TB, f *fake, o OutboxOptions, a AckOptions) (*Outbox, *owner) {
	t.Helper()
	w := &owner{}
	b := NewOutbox(&o, w)
	if err := errors.Join(b.Attach(f, &o, ""), b.Manage(testEnabled, a)); err != nil {
		t.Fatal(err)
	}
	b.writing.Wait()
	return b, w
}

func deliver(t testing.TB, b *Outbox, names ...string) {
	t.Helper()
	for _, id := range names {
		if err := b.Deliver(msg(id, 1)); err != nil {
			t.Fatalf("Deliver %s: %v", id, err)
		}
	}
}

// brief returns what was written since the last call, stanzas as their ids.
func (f *fake) brief() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for i, batch := range f.batches {
		var one []string
		from := 0
		for _, end := range f.ends[i] {
			e := batch[from:end]
			from = end
			if id := ids(e); strings.HasPrefix(e, "<message") {
				e = id
			}
			e = strings.ReplaceAll(e, " xmlns='urn:xmpp:sm:3'", "")
			one = append(one, e)
		}
		list = append(list, strings.Join(one, " "))
	}
	f.batches, f.ends = nil, nil
	return strings.Join(list, " | ")
}

func wantBrief(t testing.TB, what string, f *fake, want string) {
	t.Helper()
	if got := f.brief(); got != want {
		t.Errorf("%s: got %q written, want %q", what, got, want)
	}
}

// When acknowledgements are asked for, and when not.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b, _ := managedOn(t, f, OutboxOptions{}, AckOptions{Timeout: time.Minute})
		step := func(what, want string, do func()) {
			t.Helper()
			do()
			synctest.Wait()
			wantBrief(t, what, f, want)
		}
		acked := func(h uint32) func() {
			return func() {
				if err := b.Acked(h); err != nil {
					t.Errorf("Acked(%d): %v", h, err)
				}
			}
		}
		step("enabled", "<enabled id='x'/>", func() {})
		step("XML that is no stanza", "<x/>", func() { b.Send("<x/>") })
		step("first stanza", "1 <r/>", func() { deliver(t, b, "1") })
		step("while the peer owes an answer", "2", func() { deliver(t, b, "2") })
		step("answer that leaves something", "<r/>", acked(1))
		step("last answer", "", acked(2))
		step("the same again", "", acked(2))
		step("unasked and lower", "", acked(1))
		step("an hour of silence", "", func() { time.Sleep(time.Hour) })
		step("next stanza", "3 <r/>", func() { deliver(t, b, "3") })
		step("answer that says nothing new", "", acked(2))
		step("just before it is asked again", "", func() { time.Sleep(askAgain - 1) })
		step("it is asked again", "<r/>", func() { time.Sleep(time.Nanosecond) })
		step("the answer", "", acked(3))
		step("many answers of our own", "<a h='7'/>", func() { b.Acknowledge(5); b.Acknowledge(7) })
		step("all in one write", "4 <a h='8'/> <r/>", func() {
			b.mu.Lock() // so that the flusher finds both
			b.acks.owed, b.acks.last = 1, answer{h: 8}
			b.mu.Unlock()
			deliver(t, b, "4")
		})
		b.Close(nil)
		if got := idsOf(b.Undelivered()); got != "4" {
			t.Errorf("undelivered: got %q, want 4", got)
		}
		step("the end", "", func() {})
	})
}

// What is queued in one go goes out with one request.
func TestRequestsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b, _ := managedOn(t, f, OutboxOptions{}, AckOptions{})
		f.brief()
		f.gate = make(chan struct{})
		deliver(t, b, "0")
		synctest.Wait()
		for range 3000 { // several batches
			deliver(t, b, "x")
		}
		close(f.gate)
		b.writing.Wait()
		f.mu.Lock()
		n := len(f.batches)
		f.mu.Unlock()
		if got := strings.Count(f.brief(), "<r/>"); got != 1 || n < 3 {
			t.Errorf("got %d requests in %d batches, want 1", got, n)
		}
		if l := b.Load(); l.Requests != 1 || l.Unacked != 3001 || l.Queued != 0 || l.QueuedBytes != 0 || l.UnackedBytes != b.bytes {
			t.Errorf("got load %+v, want 3001 stanzas unacknowledged after one request", l)
		}
		b.Close(nil)
	})
}

// Stanzas before <enabled/> need no acknowledgement, whatever is queued.
func TestManageInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := blocked(t, f, OutboxOptions{})
		deliver(t, b, "second", "third")
		b.Manage(testEnabled, AckOptions{})
		b.Acknowledge(3) // not before <enabled/>
		deliver(t, b, "fourth", "fifth")
		if err := b.Manage(testEnabled, AckOptions{}); err == nil {
			t.Error("managing a stream twice: got no error")
		}
		close(f.gate)
		synctest.Wait()
		wantBrief(t, "all", f, "first | second third <enabled id='x'/> fourth fifth <a h='3'/> <r/>")
		if err := b.Acked(3); streamCondition(err) != stanza.StreamUndefinedCondition {
			t.Errorf("Acked(3): got %v, want that only 2 were sent", err)
		}
		if err := b.Acked(1); err != nil {
			t.Error(err)
		}
		b.Close(nil)
		if got := idsOf(b.Undelivered()); got != "fifth" {
			t.Errorf("undelivered: got %q, want fifth", got)
		}
	})
}

func TestAckBounds(t *testing.T) {
	size := msg("x", 1).Size()
	for name, tt := range map[string]struct {
		o OutboxOptions
		a AckOptions
	}{
		"stanzas": {OutboxOptions{Stanzas: 5}, AckOptions{Stanzas: 10}},
		"bytes":   {OutboxOptions{Bytes: 10 * size}, AckOptions{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := managedOn(t, &fake{}, tt.o, tt.a)
				for i := range 10 {
					if err := b.Deliver(msg("x", 1)); err != nil {
						t.Fatalf("stanza %d: %v", i, err)
					}
					synctest.Wait()
				}
				if err := b.Deliver(msg("x", 1)); !errors.Is(err, stanza.ErrQueueFull) {
					t.Errorf("got %v, want %v", err, stanza.ErrQueueFull)
				}
				b.Acked(1)
				deliver(t, b, "x")
				b.Close(nil)
			})
		})
	}
}

// A peer that owes an answer for too long loses its connection; what it has not
// acknowledged is not lost.
func TestAckTimeout(t *testing.T) {
	for _, tt := range []struct {
		name               string
		resumable, blocked bool
	}{{"resumable", true, false}, {"not resumable", false, false}, {"in the middle of a write", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, c := net.Pipe()
				tr := NewTCP(a, TCPOptions{})
				o := OutboxOptions{}
				b := NewOutbox(&o, nil)
				if err := errors.Join(b.Attach(tr, &o, ""), b.Manage(testEnabled, AckOptions{Timeout: time.Minute, Resumable: tt.resumable})); err != nil {
					t.Fatal(err)
				}
				discard := discardFrom(c, 300)
				deliver(t, b, "1")
				synctest.Wait()
				began := time.Now()
				time.Sleep(time.Minute - 1)
				deliver(t, b, "2") // does not matter
				if tt.blocked {
					for range 10 {
						b.Deliver(msg("more", batchBytes))
					}
				}
				synctest.Wait()
				if b.Err() != nil {
					t.Errorf("got %v before the time", b.Err())
				}
				b.writing.Wait()
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				b.writing.Wait()
				if took := time.Since(began); took < time.Minute || took > time.Minute+closeTimeout {
					t.Errorf("took %v, want about %v", took, time.Minute)
				}
				if streamCondition(b.Err()) != stanza.StreamConnectionTimeout {
					t.Errorf("got %v, want connection-timeout", b.Err())
				}
				err := b.Deliver(msg("3", 1))
				if tt.resumable != (err == nil) || tt.resumable != b.Detach() {
					t.Errorf("Deliver: got %v, want it taken: %v", err, tt.resumable)
				}
				b.Close(nil)
				if got := idsOf(b.Undelivered()); !strings.HasPrefix(got, "1 2") || strings.HasSuffix(got, "3") != tt.resumable {
					t.Errorf("undelivered: got %q, want 1 2, and 3: %v", got, tt.resumable)
				}
				c.Close()
				discard.Wait()
			})
		})
	}
}

// What an outbox does that loses its connection and gets another one.
func TestReattach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := OutboxOptions{Bytes: 1 << 20}
		first := &fake{}
		b, _ := managedOn(t, first, o, AckOptions{Resumable: true})
		deliver(t, b, "1", "2", "3")
		b.writing.Wait()
		b.Acked(1)
		b.writing.Wait()
		first.brief()
		// A write fails in the middle, and nobody has noticed yet.
		first.mu.Lock()
		first.write = func(stanza.Batch) error { return os.ErrDeadlineExceeded }
		first.mu.Unlock()
		deliver(t, b, "4")
		b.writing.Wait()
		b.Send("<x/>") // nobody to send it to
		deliver(t, b, "5")
		if first.closed != 1 || !errors.Is(b.Err(), os.ErrDeadlineExceeded) {
			t.Errorf("closed %d times, error %v; want once for the write", first.closed, b.Err())
		}
		if !b.Detach() {
			t.Fatal("Detach: got false, want that the stream can be resumed")
		}
		b.Acknowledge(9) // comes with <resumed/>
		deliver(t, b, "6")
		if got := idsOf(b.Waiting()); got != "2 3 4 5 6" {
			t.Errorf("waiting: got %q, want 2 3 4 5 6", got)
		}
		for h, want := range map[uint32]error{0: ErrCountTooLow, 1: nil, 4: nil} {
			if err := b.CanResume(h); !errors.Is(err, want) {
				t.Errorf("CanResume(%d): got %v, want %v", h, err, want)
			}
		}
		if err := b.CanResume(5); streamCondition(err) != stanza.StreamUndefinedCondition {
			t.Errorf("CanResume(5): got %v, want undefined-condition", err)
		}
		b.Acked(3)
		second := &fake{}
		if err := b.Attach(second, &o, "<resumed/>"); err != nil {
			t.Fatal(err)
		}
		b.writing.Wait()
		wantBrief(t, "after the resumption", second, "<resumed/> 4 5 6 <r/>")
		wantBrief(t, "on the old connection", first, "4")
		if b.Err() != nil {
			t.Errorf("got %v, want that the error is forgotten", b.Err())
		}
		if err := b.Acked(6); err != nil {
			t.Error(err)
		}
		b.writing.Wait()
		if l := b.Load(); l != (Load{Requests: 3}) || b.bytes != 0 || b.count != 0 {
			t.Errorf("got load %+v, %d bytes, %d elements, want nothing after 3 requests", l, b.bytes, b.count)
		}
		b.Close(nil)
	})
}

func TestReattachClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := OutboxOptions{Bytes: 1 << 20}
		b, _ := managedOn(t, &fake{}, o, AckOptions{Resumable: true})
		b.Close(nil)
		if err := b.Attach(&fake{}, &o, ""); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("got %v, want %v", err, stanza.ErrClosed)
		}
	})
}

// What was sent on a connection may have arrived, though the next one broke
// before it was sent again.
func TestReattachInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := OutboxOptions{SendTimeout: time.Minute}
		b, _ := managedOn(t, &fake{}, o, AckOptions{Resumable: true})
		deliver(t, b, "1", "2", "3", "4")
		b.writing.Wait()
		for range 2 {
			b.Detach()
			deliver(t, b, "5")
			a, c := net.Pipe() // nobody reads
			if err := b.Attach(NewTCP(a, TCPOptions{}), &o, "<resumed/>"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := b.CanResume(3); err != nil {
				t.Errorf("CanResume(3) in the middle: got %v", err)
			}
			if !b.Detach() {
				t.Fatal("Detach: got false")
			}
			c.Close()
		}
		if err := b.CanResume(4); err != nil {
			t.Errorf("CanResume(4): got %v", err)
		}
		if err := b.Acked(3); err != nil {
			t.Errorf("Acked(3): got %v", err)
		}
		last := &fake{}
		b.Attach(last, &o, "<resumed/>")
		b.writing.Wait()
		wantBrief(t, "at last", last, "<resumed/> 4 5 5 <r/>")
		if err := b.Acked(6); err != nil || b.bytes != 0 {
			t.Errorf("Acked(6): got %v, %d bytes left", err, b.bytes)
		}
		b.Close(nil)
	})
}

// Detach takes the transport from a flusher that is busy with it.
func TestDetachWhileWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := net.Pipe()
		o := OutboxOptions{SendTimeout: time.Minute}
		b := NewOutbox(&o, nil)
		tr := NewTCP(a, TCPOptions{})
		b.Attach(tr, &o, "")
		b.Manage(testEnabled, AckOptions{Resumable: true})
		discard := discardFrom(c, len(testEnabled))
		synctest.Wait()
		deliver(t, b, "1", "2")
		synctest.Wait()
		deliver(t, b, "3")
		began := time.Now()
		if !b.Detach() {
			t.Error("Detach: got false, want that the stream can be resumed")
		}
		if took := time.Since(began); took > detachGrace {
			t.Errorf("Detach took %v, want at most %v", took, detachGrace)
		}
		if got := idsOf(b.Waiting()); got != "1 2 3" {
			t.Errorf("waiting: got %q, want 1 2 3", got)
		}
		b.Kick(shutdown) // there is nobody to tell
		if b.Detach() {
			t.Error("Detach after Kick: got true")
		}
		b.Close(nil)
		if got := idsOf(b.Undelivered()); got != "1 2 3" {
			t.Errorf("undelivered: got %q, want 1 2 3", got)
		}
		tr.Close(nil)
		c.Close()
		discard.Wait()
	})
}

// A stream whose peer cannot know its id is not resumable, one without
// management neither.
func TestDetachTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := blocked(t, f, OutboxOptions{})
		b.Manage(testEnabled, AckOptions{Resumable: true})
		f.mu.Lock()
		f.write = func(stanza.Batch) error { return os.ErrDeadlineExceeded }
		f.mu.Unlock()
		close(f.gate)
		if b.Detach() {
			t.Error("got true for a stream whose <enabled/> was not written")
		}
		b.Close(nil)
		if got := idsOf(b.Undelivered()); got != "first" {
			t.Errorf("undelivered: got %q, want first", got)
		}
		plain := attached(&fake{}, OutboxOptions{})
		if plain.Detach() {
			t.Error("got true for a stream that is not managed")
		}
	})
}

// An idle managed outbox holds nothing either, and messages cost no allocations
// beyond those of a stream that is not managed.
func TestManagedIdle(t *testing.T) {
	b, _ := managedOn(t, &fake{}, OutboxOptions{}, AckOptions{Timeout: time.Hour})
	for range 100 {
		deliver(t, b, "x")
	}
	b.writing.Wait()
	if err := b.Acked(100); err != nil {
		t.Fatal(err)
	}
	b.writing.Wait()
	if b.work != nil || b.queue != nil || b.marks != nil || cap(b.acks.window.list) > idleWindow || b.bytes != 0 || b.acks.timer.Stop() {
		t.Errorf("idle outbox: workspace %v, queue %v, room for %d stanzas, %d bytes, or a timer", b.work, b.queue, cap(b.acks.window.list), b.bytes)
	}
	b.Close(nil)
}

func TestManagedAllocs(t *testing.T) {
	measure := func(b *Outbox, ack func(n uint32)) float64 {
		s := msg("x", 200)
		n := uint32(0)
		return testing.AllocsPerRun(1000, func() {
			b.Deliver(s)
			b.writing.Wait()
			n++
			ack(n)
			b.writing.Wait()
		})
	}
	o := OutboxOptions{Stanzas: 100, Bytes: 1 << 20, SendTimeout: time.Second}
	plain := attached(sink{}, o)
	want := measure(plain, func(uint32) {})
	b := attached(sink{}, o)
	b.Manage(testEnabled, AckOptions{Stanzas: 5000, Timeout: time.Minute, Resumable: true})
	got := measure(b, func(n uint32) { b.Acked(n) })
	if got > want && !raceEnabled {
		t.Errorf("a message costs %v allocations on a managed stream, want at most %v as on others", got, want)
	}
	plain.Close(nil)
	b.Close(nil)
}

// One stanza at a time, each acknowledged.
func BenchmarkManagedSingle(b *testing.B) {
	o := attached(sink{}, OutboxOptions{SendTimeout: time.Second})
	o.Manage(testEnabled, AckOptions{Timeout: time.Minute})
	s := msg("x", 200)
	n := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		o.Deliver(s)
		o.writing.Wait()
		n++
		o.Acked(n)
	}
	o.Close(nil)
}

// As fast as the queue takes them, with an acknowledgement for 100.
func BenchmarkManagedStream(b *testing.B) {
	o := attached(sink{}, OutboxOptions{Stanzas: 10000, SendTimeout: time.Second})
	o.Manage(testEnabled, AckOptions{Timeout: time.Minute, Stanzas: 10000})
	s := msg("x", 200)
	n := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		if n++; n%100 == 0 {
			o.writing.Wait()
			o.Acked(n - 1)
		}
		o.Deliver(s)
	}
	o.Close(nil)
}
