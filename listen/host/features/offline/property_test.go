package offline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Whatever senders, sessions, the store and the process do: a message that was
// confirmed is delivered at least once, each session gets its share in order,
// and what has arrived leaves the store. Exactly once when nothing was lost.
func TestNothingIsLost(t *testing.T) {
	for _, tt := range []struct {
		name           string
		losses, crashs bool
	}{{"quiet", false, false}, {"losses", true, false}, {"crashes", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(60) {
				synctest.Test(t, func(t *testing.T) {
					w := &world{t: t, seed: seed, losses: tt.losses, confirmed: make(map[string]bool), delivered: make(map[string]int)}
					w.play(tt.crashs)
				})
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// world is an account, its store and who uses it.
type world struct {
	t      *testing.T
	seed   uint64
	losses bool
	memory Memory

	mu        sync.Mutex
	sent      int
	confirmed map[string]bool // by the id of the message
	delivered map[string]int  // how many sessions got it
}

// process is one life of the server. Nothing of it counts after its end.
type process struct {
	*world
	service *Service
	store   *slow
	ctx     context.Context

	mu       sync.Mutex
	dead     bool
	sessions []*client // the one of each resource
}

// client is a session. Its process's mu guards it.
type client struct {
	session
	queue  []*stanza.Stanza // handed to it, not acknowledged
	closed bool
}

const resources = 3

func (w *world) play(crashes bool) {
	r := rand.New(rand.NewPCG(w.seed, 0))
	for life := range uint64(3) {
		ctx, cancel := context.WithCancel(w.t.Context())
		p := &process{world: w, ctx: ctx}
		for range resources {
			p.sessions = append(p.sessions, p.enter())
		}
		p.store = newSlow(&w.memory, w.seed*10+life)
		p.service = newService(p.store, Defaults())
		var all, store sync.WaitGroup
		store.Go(func() { p.store.run(ctx) })
		for i := range uint64(3) {
			all.Go(func() { p.sender(rand.New(rand.NewPCG(w.seed, 10*life+i))) })
		}
		for i := range resources {
			all.Go(func() { p.resource(i, rand.New(rand.NewPCG(w.seed, 1000+10*life+uint64(i)))) })
		}
		if crashes && life < 2 {
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
			p.crash()
			cancel()
			all.Wait()
			store.Wait()
			continue
		}
		all.Wait()
		p.finish()
		cancel()
		store.Wait()
	}
	w.check()
}

// enter makes a session.
func (w *world) enter() *client { return &client{session: session{user: jid(w.t, juliet)}} }

func (p *process) crash() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	p.store.kill()
}

// sender keeps messages, some for sessions whose connection is gone.
func (p *process) sender(r *rand.Rand) {
	for range 15 {
		p.world.mu.Lock()
		p.sent++
		id := fmt.Sprint(p.sent)
		p.world.mu.Unlock()
		to := p.detached(r)
		var sinks []stanza.Sink
		if to != nil {
			sinks = append(sinks, to)
		}
		p.service.Keep(p.ctx, message(p.t, juliet, id), sinks, func(kept *stanza.Stanza, err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.dead {
				return
			}
			if err != nil {
				p.t.Errorf("message %s: %v", id, err)
				return
			}
			p.confirm(id)
			if to != nil && p.take(to, kept) != nil {
				p.service.Lost(to.user, to)
			}
		})
		p.sleep(r, 10)
	}
}

func (p *process) confirm(id string) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.confirmed[id] = true
}

// detached picks a session to which the copy of a message goes, or none.
func (p *process) detached(r *rand.Rand) *client {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.sessions {
		if r.IntN(4) == 0 {
			return c
		}
	}
	return nil
}

// take queues a message for a session. p.mu is held.
func (p *process) take(c *client, m *stanza.Stanza) error {
	if c.closed || p.dead {
		return stanza.ErrClosed
	}
	if p.losses && len(c.queue) == 12 {
		return stanza.ErrQueueFull
	}
	c.queue = append(c.queue, m)
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.delivered[m.ID]++
	return nil
}

// resource comes and acknowledges, and goes.
func (p *process) resource(i int, r *rand.Rand) {
	for range 20 {
		c := p.sessions[i] // nobody else replaces it
		p.sleep(r, 15)
		switch n := r.IntN(10); {
		case n < 4:
			p.deliver(c)
		case n < 9 || !p.losses:
			p.acknowledge(c, r.IntN(5))
		default:
			p.lose(i)
		}
	}
}

// deliver is what follows presence.
func (p *process) deliver(c *client) {
	last := uint64(0)
	err := p.service.Deliver(p.ctx, c.user, c, func(m *stanza.Stanza) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if m.Kept <= last {
			p.t.Errorf("message %d came after %d", m.Kept, last)
		}
		last = m.Kept
		return p.take(c, m)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && !p.dead && !errors.Is(err, stanza.ErrQueueFull) {
		p.t.Error(err)
	}
}

// acknowledge says that the first messages of a session have arrived.
func (p *process) acknowledge(c *client, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
	}
	n = min(n, len(c.queue))
	p.service.Arrived(c.user, keys(c.queue[:n]))
	c.queue = slices.Clone(c.queue[n:])
}

// lose begins another session of a resource; the one before ends a little later.
func (p *process) lose(i int) {
	p.mu.Lock()
	c := p.sessions[i]
	c.closed, p.sessions[i] = true, p.enter()
	p.mu.Unlock()
	time.Sleep(time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.service.Lost(c.user, c)
	}
}

func (p *process) sleep(r *rand.Rand, most int) {
	time.Sleep(time.Duration(r.IntN(most)) * time.Millisecond)
}

// finish lets everything arrive.
func (p *process) finish() {
	for range 200 {
		time.Sleep(100 * time.Millisecond)
		for _, c := range p.sessions {
			p.acknowledge(c, len(c.queue))
			p.deliver(c)
			p.acknowledge(c, len(c.queue))
		}
		time.Sleep(100 * time.Millisecond)
		if n, err := p.memory.Count(p.ctx, jid(p.t, juliet)); err != nil || n == 0 {
			break
		}
	}
	for _, c := range p.sessions {
		p.service.Lost(c.user, c)
	}
	wantCount(p.t, &p.memory, juliet, 0)
	wantIdle(p.t, p.service)
}

// check compares what was confirmed with what was delivered.
func (w *world) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.confirmed) < 20 {
		w.t.Errorf("only %d messages were confirmed", len(w.confirmed))
	}
	for id := range w.confirmed {
		n := w.delivered[id]
		if n == 0 || n > 1 && !w.losses {
			w.t.Errorf("message %s was delivered %d times", id, n)
		}
	}
}
