package host_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// However slowly a client reads, and however often its session ends in the middle
// of it: it gets everything in order, and twice only what it has not acknowledged.
func TestSlowReader(t *testing.T) {
	runs := uint64(200)
	if testing.Short() {
		runs = 30
	}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			r := &slowReader{rand: rand.New(rand.NewPCG(seed, 3))}
			r.run(t, newWitness(seed, seed%2 == 0))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

// slowReader is a client with a small queue, for which much is stored.
type slowReader struct {
	*world
	rand    *rand.Rand
	current *client
	got     []int // what it has acknowledged, in order
}

func (r *slowReader) run(t *testing.T, store *witness) {
	const stored, live = 60, 60
	r.world = newWorld(t, hosts("a.test"), "romeo@a.test")
	store.onLost = func(string) {}
	r.Offline = store
	r.bind("juliet@a.test/x", "")
	for i := range stored {
		r.chat("romeo@a.test", strconv.Itoa(i))
	}
	r.enter()
	pause := rand.New(rand.NewPCG(r.rand.Uint64(), 4))
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := range live {
			time.Sleep(time.Duration(pause.IntN(100)) * time.Millisecond)
			s := parse(t, fmt.Sprintf("<message xmlns='jabber:client' to='romeo@a.test' type='chat' id='%d'><body/></message>", stored+i))
			if err := r.Route(t.Context(), s.WithFrom(jid(t, "juliet@a.test/x"))); err != nil {
				t.Errorf("Route: %v", err)
			}
		}
	})
	for range 60 {
		r.pause(150)
		switch r.rand.IntN(12) {
		case 0:
			r.again()
		case 1:
			for r.Stats().Held > 0 && r.Stats().CatchUps == 0 {
				time.Sleep(time.Millisecond) // see TestTakeoverKeepsTheOrder
			}
			r.current.detach(r.world)
			r.pause(300)
			if r.rand.IntN(2) == 0 {
				r.again()
			} else {
				r.current.resume(r.world)
			}
		default:
			r.current.acknowledge(r.rand.IntN(6))
		}
		if r.current.isClosed() { // live messages have filled it
			r.again()
		}
	}
	sender.Wait()
	for range 200 {
		r.pause(100)
		r.current.acknowledge(-1)
		if r.current.isClosed() {
			r.again()
		}
	}
	r.current.end(r.world)
	store.wait()
	r.check(stored + live)
}

func (r *slowReader) check(messages int) {
	want := make([]int, messages)
	for i := range want {
		want[i] = i
	}
	if !slices.Equal(r.got, want) {
		r.Errorf("got %d messages %v, want %d in order", len(r.got), r.got, messages)
	}
	for _, s := range r.sinks["juliet@a.test/x"].Stanzas() {
		r.Errorf("the sender got %s", s)
	}
}

func (r *slowReader) pause(most int) {
	time.Sleep(time.Duration(r.rand.IntN(most)) * time.Millisecond)
}

func (r *slowReader) again() {
	r.current.end(r.world)
	r.pause(50)
	r.enter()
}

// enter begins a session.
func (r *slowReader) enter() {
	r.current = r.joinBounded(orchard, "", 24, 0)
	r.current.got = func(s *stanza.Stanza) {
		if n, err := strconv.Atoi(s.ID); err == nil {
			r.got = append(r.got, n)
		}
	}
	here := make(chan struct{})
	p := parse(r.T, "<presence/>").WithFrom(r.current.info.JID)
	go func() {
		defer close(here)
		if err := r.Route(r.Context(), p); err != nil {
			r.Errorf("presence: %v", err)
		}
	}()
	<-here
}

func (c *client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// within is a store that notes whether Arrived is called within done.
type within struct {
	offline
	mu     sync.Mutex
	inDone bool
	bad    int
	gate   chan struct{} // nil: Arrived does not wait
}

func (o *within) Keep(ctx context.Context, s *stanza.Stanza, to []stanza.Sink, done func(*stanza.Stanza, error)) {
	o.offline.Keep(ctx, s, to, func(kept *stanza.Stanza, err error) {
		o.set(true)
		done(kept, err)
		o.set(false)
	})
}

func (o *within) set(in bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inDone = in
}

func (o *within) Arrived(user stanza.JID, kept []uint64) {
	if o.gate != nil {
		<-o.gate
	}
	o.mu.Lock()
	if o.inDone {
		o.bad++
	}
	o.mu.Unlock()
	o.offline.Arrived(user, kept)
}

// A sink that does not confirm has arrived what it takes; the store hears of it
// elsewhere than in its own callback, which must not wait. The end of the session
// waits for that.
func TestArrivedOutsideOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const x = "romeo@a.test/x"
		w, _ := detachable(t, "x")
		o := &within{gate: make(chan struct{})}
		w.Offline = o
		w.Detached(t.Context(), w.info(x))
		for i := range 100 {
			w.chat("romeo@a.test", strconv.Itoa(i))
		}
		released := make(chan struct{})
		go func() {
			w.Release(t.Context(), jid(t, x), w.sinks[x])
			close(released)
		}()
		synctest.Wait()
		select {
		case <-released:
			t.Error("the session has ended before the store heard")
		default:
		}
		close(o.gate)
		<-released
		if o.count() != 0 || o.bad != 0 {
			t.Errorf("%d messages are left, and the store heard %d times within done; want none", o.count(), o.bad)
		}
	})
}
