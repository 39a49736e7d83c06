package stanza

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// confirmer is a sink that confirms when the test says so.
type confirmer struct {
	mu      sync.Mutex
	asked   int
	waiting []func()
	direct  bool // confirms within the call
}

func (c *confirmer) Deliver(*Stanza) error { return nil }
func (c *confirmer) Kick(*StreamError)     {}

func (c *confirmer) Confirm(f func()) {
	c.mu.Lock()
	c.asked++
	if !c.direct {
		c.waiting = append(c.waiting, f)
	}
	c.mu.Unlock()
	if c.direct {
		f()
	}
}

// confirm confirms the oldest n.
func (c *confirmer) confirm(n int) {
	c.mu.Lock()
	now := c.waiting[:n]
	c.waiting = c.waiting[n:]
	c.mu.Unlock()
	for _, f := range now {
		f()
	}
}

// deaf is a sink that is no Confirmer.
type deaf struct{}

func (deaf) Deliver(*Stanza) error { return nil }
func (deaf) Kick(*StreamError)     {}

// marks notes which marks were reached, in order.
type marks struct {
	r    *Receipt
	list []string
}

func (m *marks) mark(name string) { m.r.Mark(func() { m.list = append(m.list, name) }) }

func (m *marks) want(t *testing.T, what string, names ...string) {
	t.Helper()
	if got, want := strings.Join(m.list, " "), strings.Join(names, " "); got != want {
		t.Errorf("%s: got marks %q, want %q", what, got, want)
	}
}

func newMarks() *marks { return &marks{r: new(Receipt)} }

func TestReceiptOfContext(t *testing.T) {
	if r := ReceiptOf(context.Background()); r != nil {
		t.Errorf("got %v of a context without one, want nil", r)
	}
	r := new(Receipt)
	ctx, cancel := context.WithCancel(r.Context(t.Context()))
	defer cancel()
	if got := ReceiptOf(ctx); got != r {
		t.Errorf("got %p, want %p", got, r)
	}
}

func TestNilReceipt(t *testing.T) {
	var r *Receipt
	r.Via(&confirmer{})
	r.Begin()()
	r.Mark(func() { t.Error("got a mark of nothing") })
}

func TestMarkOfNothing(t *testing.T) {
	m := newMarks()
	m.mark("1")
	m.want(t, "nothing under way", "1")
	m.r.Via(deaf{})
	m.mark("2")
	m.want(t, "by a sink that answers for what it takes", "1", "2")
	m.r.Via(&confirmer{direct: true})
	m.mark("3")
	m.want(t, "by a sink that confirms at once", "1", "2", "3")
	m.r.Begin()()
	m.mark("4")
	m.want(t, "done before", "1", "2", "3", "4")
}

func TestMarkWaits(t *testing.T) {
	a, b := &confirmer{}, &confirmer{}
	m := newMarks()
	m.r.Via(a)
	m.r.Via(b)
	m.r.Via(a)
	done, other := m.r.Begin(), m.r.Begin()
	m.mark("1")
	if a.asked != 1 || b.asked != 1 {
		t.Errorf("the sinks were asked %d and %d times, want once each", a.asked, b.asked)
	}
	for i, step := range []func(){func() { b.confirm(1) }, done, func() { a.confirm(1) }} {
		step()
		m.want(t, fmt.Sprint("step ", i))
	}
	other()
	m.want(t, "the last", "1")
	m.mark("2")
	m.want(t, "nothing more", "1", "2")
	if a.asked != 1 {
		t.Errorf("the sink was asked %d times, want once: it took nothing since", a.asked)
	}
}

// A mark is about what came before it, and comes in its turn.
func TestMarksInOrder(t *testing.T) {
	a := &confirmer{}
	m := newMarks()
	first := m.r.Begin()
	m.mark("1")
	second := m.r.Begin()
	m.mark("2")
	m.mark("3")
	m.r.Via(a)
	m.mark("4")
	later := m.r.Begin()
	second()
	a.confirm(1)
	m.want(t, "the first is missing")
	first()
	m.want(t, "all before the marks", "1", "2", "3", "4")
	m.mark("5")
	m.want(t, "what began after the fourth", "1", "2", "3", "4")
	later()
	m.want(t, "all", "1", "2", "3", "4", "5")
}

// What is done before its mark is set counts, too.
func TestDoneBeforeMark(t *testing.T) {
	m := newMarks()
	done, other := m.r.Begin(), m.r.Begin()
	done()
	m.mark("1")
	m.want(t, "one is missing")
	other()
	m.want(t, "both", "1")
}

// The sinks between two marks have a bound; none is forgotten.
func TestReceiptSinkBound(t *testing.T) {
	const n = 3 * maxVia
	m := newMarks()
	sinks := make([]*confirmer, n)
	for i := range sinks {
		sinks[i] = &confirmer{}
		m.r.Via(sinks[i])
		if len(m.r.via) > maxVia {
			t.Fatalf("%d sinks are remembered, want at most %d", len(m.r.via), maxVia)
		}
	}
	m.r.Via(sinks[0]) // took another one after it was asked
	m.mark("1")
	for i, c := range sinks {
		want := 1
		if i == 0 {
			want = 2
		}
		if c.asked != want {
			t.Errorf("sink %d was asked %d times, want %d", i, c.asked, want)
		}
		m.want(t, fmt.Sprint("before sink ", i))
		c.confirm(c.asked)
	}
	m.want(t, "all", "1")
}

// Marks that wait have a bound; the last of them stands for those left out.
func TestMarkBound(t *testing.T) {
	const n = 3 * MaxMarks
	m := newMarks()
	var dones []func()
	for i := range n {
		dones = append(dones, m.r.Begin())
		m.mark(fmt.Sprint(i))
		if len(m.r.marks) > MaxMarks {
			t.Fatalf("%d marks wait, want at most %d", len(m.r.marks), MaxMarks)
		}
	}
	var want []string
	for i, done := range dones {
		m.want(t, fmt.Sprint("before ", i), want...)
		done()
		if i < MaxMarks-1 {
			want = append(want, fmt.Sprint(i))
		}
	}
	m.want(t, "all", append(want, fmt.Sprint(n-1))...)
	m.mark("after")
	m.want(t, "it goes on", append(want, fmt.Sprint(n-1), "after")...)
}

// A mark's function runs without a lock: another receipt may be waiting for it.
func TestMarksOfTwoReceipts(t *testing.T) {
	a, b := newMarks(), newMarks()
	doneA, doneB := a.r.Begin(), b.r.Begin()
	a.r.Mark(func() { doneB() })
	b.mark("b")
	doneA()
	b.want(t, "after the mark of the other", "b")
}

// TestReceiptConcurrently lets many goroutines do and confirm things while one
// sets marks: each mark comes once, in order, and not before all that was begun
// before it is done.
func TestReceiptConcurrently(t *testing.T) {
	const rounds = 2000
	var r Receipt
	sinks := make([]*confirmer, 5)
	for i := range sinks {
		sinks[i] = &confirmer{direct: i == 0}
	}
	work := make(chan func(), 64)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for f := range work {
				f()
			}
		})
	}
	var finished [rounds]atomic.Bool
	var mu sync.Mutex
	var got []int
	for i := range rounds {
		if rand.IntN(3) == 0 {
			r.Via(sinks[rand.IntN(len(sinks))])
		}
		done := r.Begin()
		work <- func() { finished[i].Store(true); done() }
		r.Mark(func() {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, i)
			for k := range i + 1 {
				if !finished[k].Load() {
					t.Errorf("mark %d came before %d was done", i, k)
				}
			}
		})
		for _, c := range sinks {
			work <- func() {
				c.mu.Lock()
				now := c.waiting
				c.waiting = nil
				c.mu.Unlock()
				for _, f := range now {
					f()
				}
			}
		}
	}
	close(work)
	workers.Wait()
	for _, c := range sinks {
		c.confirm(len(c.waiting))
	}
	for i := range got[1:] {
		if got[i] >= got[i+1] {
			t.Fatalf("got mark %d before %d", got[i], got[i+1])
		}
	}
	if len(got) == 0 || got[len(got)-1] != rounds-1 {
		t.Errorf("got %d marks, want %d as the last", len(got), rounds-1)
	}
}

// Noting a sink once more costs nothing: that is what each stanza does.
func TestViaAllocs(t *testing.T) {
	var r Receipt
	c := &confirmer{direct: true}
	ctx := r.Context(t.Context())
	r.Via(c)
	if got := testing.AllocsPerRun(1000, func() { ReceiptOf(ctx).Via(c) }); got > 0 {
		t.Errorf("Via: got %v allocations, want none", got)
	}
}
