package host_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Whenever sessions of one resource follow one another, and however long the
// store takes: the client gets every message, those to one address in order, and
// twice only what it has not acknowledged.
func TestTakeoverKeepsTheOrder(t *testing.T) {
	runs := uint64(200)
	if testing.Short() {
		runs = 30
	}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			c := &changing{rand: rand.New(rand.NewPCG(seed, 1)), safe: make(map[int]bool)}
			c.run(t, newWitness(seed, true))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

// changing is a client that begins new sessions under its old address.
type changing struct {
	*world
	rand *rand.Rand
	all  sync.WaitGroup
	// changes are what follows from a change of the session.
	changes sync.WaitGroup

	current *client
	got     []int        // in order
	safe    map[int]bool // acknowledged
}

func (c *changing) run(t *testing.T, store *witness) {
	c.world = newWorld(t, hosts("a.test"), "romeo@a.test")
	store.onLost = func(string) {}
	c.Offline = store
	c.bind("juliet@a.test/x", "")
	time.Sleep(time.Millisecond / 2) // nobody sends at the very moment of a change
	c.enter()
	const messages = 60
	r := rand.New(rand.NewPCG(c.rand.Uint64(), 2))
	c.all.Go(func() {
		time.Sleep(time.Millisecond / 2)
		for n := range messages {
			to := []string{"romeo@a.test", orchard}[r.IntN(2)]
			s := &stanza.Stanza{
				Kind: stanza.Message, Type: stanza.TypeChat, ID: fmt.Sprint(n), From: jid(t, "juliet@a.test/x"), To: jid(t, to),
				Child: stanza.Name{Space: stanza.NSClient, Local: "body"}, Inner: "<body>x</body>",
			}
			if err := c.Route(t.Context(), s); err != nil {
				t.Errorf("Route: %v", err)
			}
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
		}
	})
	for range 40 {
		c.pause(100)
		switch c.rand.IntN(6) {
		case 0:
			c.enter()
		case 1:
			// What a session gets when its connection is lost while others of its
			// messages are on their way through the store may be in another order
			// for the next session.
			for c.changes.Wait(); c.Stats().Held > 0; {
				time.Sleep(time.Millisecond)
			}
			c.current.detach(c.world)
			c.pause(200)
			if c.rand.IntN(2) == 0 {
				c.enter()
			} else {
				c.current.resume(c.world)
			}
		default:
			c.read(c.rand.IntN(8))
		}
	}
	for range 20 { // it goes on reading until all has come
		c.pause(2000)
		c.read(-1)
	}
	c.all.Wait()
	c.changes.Wait()
	store.wait()
	c.check(messages)
}

func (c *changing) pause(most int) { time.Sleep(time.Duration(c.rand.IntN(most)) * time.Millisecond) }

// enter begins a session. The one before ends on the way, a little later.
func (c *changing) enter() {
	old := c.current
	c.current = c.join(orchard, "")
	c.current.got = c.note
	if old != nil {
		d := time.Duration(c.rand.IntN(1000)) * time.Millisecond
		c.changes.Go(func() {
			time.Sleep(d)
			old.end(c.world)
		})
	}
	c.pause(1000)
	here := c.route(orchard, "<presence/>")
	c.changes.Go(func() { <-here })
}

// read has the client get what there is and acknowledge the first n of it, all if
// n is negative.
func (c *changing) read(n int) {
	c.current.acknowledge(n)
}

// note notes what is acknowledged.
func (c *changing) note(s *stanza.Stanza) {
	if s.Kind != stanza.Message {
		return
	}
	var n int
	if _, err := fmt.Sscan(s.ID, &n); err != nil {
		c.Errorf("got %s", s)
	}
	if s.To.IsFull() {
		n += 1000
	}
	if c.safe[n] {
		c.Errorf("%d came again after it was acknowledged", n)
	}
	c.safe[n] = true
	c.got = append(c.got, n)
}

func (c *changing) check(messages int) {
	if len(c.got) != messages {
		c.Errorf("got %d messages, want %d", len(c.got), messages)
	}
	for _, full := range []bool{false, true} {
		part := slices.DeleteFunc(slices.Clone(c.got), func(n int) bool { return n >= 1000 != full })
		if !slices.IsSorted(part) {
			c.Errorf("messages to the resource: %t: got %v, want them in order", full, part)
		}
	}
}
