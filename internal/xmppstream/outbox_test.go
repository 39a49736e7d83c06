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

var _ stanza.Sink = (*Outbox)(nil)

// msg returns a message with an id and a body of so many bytes.
func msg(id string, size int) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.Message, ID: id, Inner: "<body>" + strings.Repeat("x", size) + "</body>"}
}

// ids returns the ids in a run of elements, in order.
func ids(s string) string {
	var list []string
	for {
		_, rest, ok := strings.Cut(s, " id='")
		if !ok {
			return strings.Join(list, " ")
		}
		id, rest, _ := strings.Cut(rest, "'")
		list = append(list, id)
		s = rest
	}
}

func idsOf(list []stanza.Queued) string {
	var s strings.Builder
	for _, e := range list {
		fmt.Fprintf(&s, " id='%s'", e.Stanza.ID)
	}
	return ids(s.String())
}

// attached returns an outbox that writes to a transport.
func attached(tr stanza.Transport, o OutboxOptions) *Outbox {
	b := NewOutbox(&o, nil)
	if err := b.Attach(tr, &o, ""); err != nil {
		panic(err)
	}
	return b
}

// blocked returns an outbox whose flusher is busy with the stanza "first" until
// the gate is opened.
func blocked(t *testing.T, f *fake, o OutboxOptions) *Outbox {
	t.Helper()
	f.gate = make(chan struct{})
	b := attached(f, o)
	if err := b.Deliver(msg("first", 10)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return b
}

// Whoever delivers, each one's stanzas come out in order, whole, in batches
// that say where elements end.
func TestOutboxOrder(t *testing.T) {
	const senders, each = 8, 500
	f := &fake{}
	b := attached(f, OutboxOptions{})
	var deliver sync.WaitGroup
	for i := range senders {
		deliver.Go(func() {
			for n := range each {
				s := msg(fmt.Sprint(i, "-", n), n)
				var err error
				if n%10 == 0 {
					err = b.Send(s.String())
				} else {
					err = b.Deliver(s)
				}
				if err != nil {
					t.Errorf("Deliver: %v", err)
				}
			}
		})
	}
	deliver.Wait()
	if err := b.Close(nil); err != nil {
		t.Fatal(err)
	}
	next := make([]int, senders)
	for i, batch := range f.batches {
		ends := f.ends[i]
		if len(ends) == 0 || ends[len(ends)-1] != len(batch) {
			t.Fatalf("batch %d of %d bytes has ends %v", i, len(batch), ends)
		}
		if len(batch) > batchBytes+1024 {
			t.Errorf("batch %d has %d bytes", i, len(batch))
		}
		from := 0
		for _, end := range ends {
			s, err := stanza.Parse(batch[from:end])
			if err != nil {
				t.Fatalf("element %q: %v", batch[from:end], err)
			}
			var who, n int
			if _, err := fmt.Sscanf(s.ID, "%d-%d", &who, &n); err != nil || n != next[who] {
				t.Fatalf("got %s, want number %d of it", s.ID, next[who])
			}
			next[who]++
			from = end
		}
	}
	for who, n := range next {
		if n != each {
			t.Errorf("sender %d: got %d stanzas, want %d", who, n, each)
		}
	}
	if f.closed != 1 || len(b.Undelivered()) != 0 {
		t.Errorf("closed %d times, %d undelivered; want 1, 0", f.closed, len(b.Undelivered()))
	}
}

func TestOutboxBounds(t *testing.T) {
	size := msg("first", 10).Size()
	tests := []struct {
		name  string
		o     OutboxOptions
		takes int // besides the one in flight
	}{
		{"stanzas", OutboxOptions{Stanzas: 10}, 9},
		{"bytes", OutboxOptions{Bytes: 5*size + 1}, 4},
		{"both, bytes first", OutboxOptions{Stanzas: 10, Bytes: 3 * size}, 2},
		{"both, stanzas first", OutboxOptions{Stanzas: 2, Bytes: 100 * size}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				b := blocked(t, f, tt.o)
				for round := range 3 {
					n := 0
					for b.Deliver(msg("other", 10)) == nil {
						n++
					}
					if n != tt.takes {
						t.Errorf("round %d: took %d, want %d", round, n, tt.takes)
					}
					if err := b.Deliver(msg("other", 10)); !errors.Is(err, stanza.ErrQueueFull) {
						t.Errorf("got %v, want %v", err, stanza.ErrQueueFull)
					}
					if err := b.Send("<" + strings.Repeat("x", size) + "/>"); !errors.Is(err, stanza.ErrQueueFull) {
						t.Errorf("Send: got %v, want %v", err, stanza.ErrQueueFull)
					}
					f.gate <- struct{}{} // the first
					if n > 0 {
						f.gate <- struct{}{} // the rest
					}
					synctest.Wait()
					if err := b.Deliver(msg("first", 10)); err != nil {
						t.Errorf("when it is empty: %v", err)
					}
					synctest.Wait()
				}
				close(f.gate)
				b.Close(nil)
			})
		})
	}
}

// What is bigger than the bound on its own still gets through an empty queue.
func TestOutboxBigStanza(t *testing.T) {
	f := &fake{}
	b := attached(f, OutboxOptions{Bytes: 1000})
	if err := b.Deliver(msg("big", 3*batchBytes)); err != nil {
		t.Errorf("Deliver: %v", err)
	}
	b.Close(nil)
	if ids(f.text()) != "big" {
		t.Errorf("got %q", ids(f.text()))
	}
}

// Stanzas that come while a batch is being written go out together, but not in
// batches without bound, and a big one goes alone.
func TestOutboxBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := blocked(t, f, OutboxOptions{})
		for range 1000 {
			b.Deliver(msg("small", 0))
		}
		b.Deliver(msg("big", 2*batchBytes))
		b.Deliver(msg("small", 0))
		close(f.gate)
		b.Close(nil)
		var got []string
		for i, batch := range f.batches {
			got = append(got, fmt.Sprint(len(f.ends[i])))
			if len(batch) > batchBytes && len(f.ends[i]) > 1 {
				t.Errorf("batch %d: %d elements in %d bytes", i, len(f.ends[i]), len(batch))
			}
		}
		if g := strings.Join(got, " "); g != "1 1000 1 1" {
			t.Errorf("elements in batches: got %s, want 1 1000 1 1", g)
		}
	})
}

func TestOutboxFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken pipe")
		f := &fake{}
		f.write = func(b stanza.Batch) error {
			if strings.Contains(string(b.Bytes), "'third'") {
				return broken
			}
			return nil
		}
		b := blocked(t, f, OutboxOptions{})
		b.Deliver(msg("second", batchBytes))
		b.Send("<r id='nonza'/>")
		b.Deliver(msg("third", 10))
		b.Deliver(msg("fourth", batchBytes))
		f.gate <- struct{}{} // first
		f.gate <- struct{}{} // second
		synctest.Wait()
		b.Deliver(msg("fifth", 10)) // while the third is being written
		f.gate <- struct{}{}
		if err := b.Close(shutdown); !errors.Is(err, broken) {
			t.Errorf("Close: got %v, want %v", err, broken)
		}
		if got, want := idsOf(b.Undelivered()), "third fourth fifth"; got != want {
			t.Errorf("undelivered: got %s, want %s", got, want)
		}
		if f.closed != 1 || !errors.Is(b.Err(), broken) {
			t.Errorf("closed %d times, error %v; want once, %v", f.closed, b.Err(), broken)
		}
		if err := b.Deliver(msg("late", 10)); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("Deliver: got %v, want %v", err, stanza.ErrClosed)
		}
		if err := b.Send("<r/>"); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("Send: got %v, want %v", err, stanza.ErrClosed)
		}
	})
}

func TestOutboxClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := blocked(t, f, OutboxOptions{})
		b.Deliver(msg("second", 10))
		var closing sync.WaitGroup
		for range 2 {
			closing.Go(func() {
				if err := b.Close(shutdown); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		synctest.Wait()
		if err := b.Deliver(msg("late", 10)); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("Deliver: got %v, want %v", err, stanza.ErrClosed)
		}
		b.Kick(&stanza.StreamError{Condition: stanza.StreamConflict}) // too late
		if f.closed != 0 {
			t.Error("closed before everything was written")
		}
		close(f.gate)
		closing.Wait()
		if got := ids(f.text()); got != "first second" {
			t.Errorf("written: got %s, want first second", got)
		}
		if f.closed != 1 || f.reason != shutdown || b.Reason() != shutdown {
			t.Errorf("closed %d times with %v, want once with %v", f.closed, f.reason, shutdown)
		}
	})
}

// Kick returns at once; what was queued before it is still written.
func TestOutboxKick(t *testing.T) {
	for _, busy := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			conflict := &stanza.StreamError{Condition: stanza.StreamConflict}
			f := &fake{}
			var b *Outbox
			want := ""
			if busy {
				b = blocked(t, f, OutboxOptions{})
				b.Deliver(msg("second", 10))
				b.Deliver(msg("third", 10))
				want = "first second third"
			} else {
				b = attached(f, OutboxOptions{})
			}
			b.Kick(conflict)
			b.Kick(shutdown)
			if err := b.Deliver(msg("late", 10)); !errors.Is(err, stanza.ErrClosed) {
				t.Errorf("Deliver: got %v, want %v", err, stanza.ErrClosed)
			}
			if busy {
				close(f.gate)
			}
			if err := b.Close(shutdown); err != nil {
				t.Errorf("Close: %v", err)
			}
			if got := ids(f.text()); got != want {
				t.Errorf("busy %v: written: got %q, want %q", busy, got, want)
			}
			if got := b.Undelivered(); len(got) > 0 {
				t.Errorf("busy %v: undelivered: got %q, want none", busy, idsOf(got))
			}
			if f.closed != 1 || f.reason != conflict || b.Reason() != conflict {
				t.Errorf("busy %v: closed %d times with %v, want once with %v", busy, f.closed, f.reason, conflict)
			}
		})
	}
}

// An outbox with nothing to write has no deadline, buffer or goroutine, and
// keeps no stanza alive.
func TestOutboxIdle(t *testing.T) {
	f := &fake{}
	b := attached(f, OutboxOptions{SendTimeout: time.Hour})
	for range 3 {
		b.Deliver(msg("x", 10))
		b.writing.Wait()
		if b.work != nil || b.queue != nil || b.count != 0 || b.bytes != 0 || !f.deadline.IsZero() {
			t.Errorf("idle outbox: workspace %v, queue %v, %d stanzas, %d bytes, deadline %v", b.work, b.queue, b.count, b.bytes, f.deadline)
		}
	}
	w := workspaces.Get().(*workspace)
	for _, list := range [][]outgoing{w.taken, w.spare} {
		for _, e := range list[:cap(list)] {
			if e.stanza != nil {
				t.Error("workspace in the pool holds a stanza")
			}
		}
	}
	b.Close(nil)
}

// Buffers that have grown out of all proportion do not stay in the pool.
func TestOutboxPoolBound(t *testing.T) {
	w := &workspace{taken: make([]outgoing, 0, keepEntries+1), buf: make([]byte, 0, keepBytes+1)}
	b := attached(&fake{}, OutboxOptions{})
	b.work, b.queue = w, make([]outgoing, 0, keepEntries+1)
	b.release(w)
	if w.taken != nil || w.spare != nil || w.buf != nil {
		t.Errorf("kept %d entries, %d entries, %d bytes", cap(w.taken), cap(w.spare), cap(w.buf))
	}
}

func TestOutboxStandalone(t *testing.T) {
	for ns, want := range map[string]string{"": "jabber:client", "jabber:server": "jabber:server"} {
		f := &fake{standalone: true}
		b := attached(f, OutboxOptions{Namespace: ns})
		b.Deliver(msg("x", 1))
		b.Close(nil)
		if !strings.HasPrefix(f.text(), "<message xmlns='"+want+"'") {
			t.Errorf("got %s, want namespace %s", f.text(), want)
		}
	}
}

// Against a peer that does not read, every end comes in time.
func TestOutboxOnDeadPeer(t *testing.T) {
	tests := []struct {
		name    string
		timeout time.Duration
		end     func(*Outbox)
		want    time.Duration
	}{
		{"send timeout", 15 * time.Second, func(*Outbox) {}, 15 * time.Second},
		{"close", 15 * time.Second, func(b *Outbox) { b.Close(shutdown) }, 15 * time.Second},
		{"close without send timeout", 0, func(b *Outbox) { b.Close(shutdown) }, endTimeout},
		{"kick", 15 * time.Second, func(b *Outbox) { b.Kick(shutdown) }, endTimeout},
		{"kick, short send timeout", time.Second, func(b *Outbox) { b.Kick(shutdown) }, time.Second},
		{"somebody else takes the place", 15 * time.Second, func(b *Outbox) { b.Evict(shutdown) }, evictTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, c := net.Pipe()
				defer c.Close()
				b := attached(NewTCP(a, TCPOptions{}), OutboxOptions{SendTimeout: tt.timeout})
				b.Deliver(msg("first", 10))
				synctest.Wait()
				b.Deliver(msg("second", 10))
				start := time.Now()
				tt.end(b)
				b.writing.Wait()
				if got := time.Since(start); got != tt.want {
					t.Errorf("took %v, want %v", got, tt.want)
				}
				if !errors.Is(b.Err(), os.ErrDeadlineExceeded) {
					t.Errorf("error: got %v, want %v", b.Err(), os.ErrDeadlineExceeded)
				}
				if got := idsOf(b.Undelivered()); got != "first second" {
					t.Errorf("undelivered: got %s, want first second", got)
				}
			})
		})
	}
}

// A slow peer gets as long for each batch as the send timeout says.
func TestOutboxSlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := net.Pipe()
		tr := NewTCP(a, TCPOptions{})
		b := attached(tr, OutboxOptions{SendTimeout: 2 * time.Second})
		for i := range 5 {
			b.Deliver(msg(fmt.Sprint(i), batchBytes))
		}
		var got strings.Builder
		buf := make([]byte, 2*batchBytes)
		for range 5 {
			time.Sleep(1900 * time.Millisecond)
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(buf[:n])
		}
		b.writing.Wait()
		if b.Err() != nil || ids(got.String()) != "0 1 2 3 4" {
			t.Errorf("got %s, error %v; want 0 1 2 3 4", ids(got.String()), b.Err())
		}
		c.Close()
		b.Close(nil)
	})
}

// Delivering to a session that keeps up allocates next to nothing.
func TestOutboxAllocs(t *testing.T) {
	b := attached(sink{}, OutboxOptions{Stanzas: 100, Bytes: 1 << 20, SendTimeout: time.Second})
	s := msg("x", 200)
	got := testing.AllocsPerRun(1000, func() {
		b.Deliver(s)
		b.writing.Wait()
	})
	if got > 1 && !raceEnabled {
		t.Errorf("Deliver and flush: got %v allocations, want at most 1", got)
	}
	b.Close(nil)
}

// sink is a transport that takes everything.
type sink struct{ stanza.Transport }

func (sink) Standalone() bool                 { return false }
func (sink) Write(stanza.Batch) error         { return nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }
func (sink) Close(*stanza.StreamError) error  { return nil }

// One stanza at a time, each with a flusher of its own.
func BenchmarkOutboxSingle(b *testing.B) {
	o := attached(sink{}, OutboxOptions{SendTimeout: time.Second})
	s := msg("x", 200)
	b.ReportAllocs()
	for b.Loop() {
		o.Deliver(s)
		o.writing.Wait()
	}
	o.Close(nil)
}

// As fast as the queue takes them.
func BenchmarkOutboxStream(b *testing.B) {
	o := attached(sink{}, OutboxOptions{Stanzas: 10000, SendTimeout: time.Second})
	s := msg("x", 200)
	b.ReportAllocs()
	for b.Loop() {
		for o.Deliver(s) != nil {
			o.writing.Wait()
		}
	}
	o.Close(nil)
}
