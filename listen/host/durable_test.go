package host_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Whatever the recipients do and however long the store takes: every message
// arrives, in the order of its sender, in each session once, and at one session
// unless several share the priority. Only what was in the queue of a session
// that ended may come again, and later. A sender is told that a message is safe
// when the store has it or a client has acknowledged it, and not before.
func TestDurability(t *testing.T) {
	for _, tt := range []struct {
		name string
		play play
	}{
		{"one session after the other", play{resources: 1}},
		{"several sessions", play{resources: 3}},
		{"several sessions of one priority", play{resources: 3, equal: true}},
		{"no session ends", play{resources: 2, immortal: true}},
		{"with the real service", play{resources: 1, real: true}},
		{"with the real service and several sessions", play{resources: 3, real: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs := uint64(100)
			if testing.Short() {
				runs = 20
			}
			for seed := range runs {
				synctest.Test(t, func(t *testing.T) {
					p := &theatre{play: tt.play, seed: seed}
					p.run(t)
				})
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

const (
	accounts = 2
	senders  = 3
	messages = 30 // of each sender
)

// play says what is played.
type play struct {
	resources int
	equal     bool // all have the same priority
	immortal  bool // no session ends, but at the very end
	real      bool // the store is that of package offline
}

// theatre is a router with a slow store, senders, and recipients that come and
// go.
type theatre struct {
	play
	seed uint64

	*world
	store *witness
	all   sync.WaitGroup

	mu      sync.Mutex
	next    int                             // to name the next session by
	present map[string][]*client            // by account
	got     map[string]map[*client][]string // by account: the ids of what sessions got, in order
	lost    map[string]bool                 // ids of what was in the queue of a session that ended
	arrived map[string]bool                 // ids
	doubled map[string]bool                 // ids of what went to several sessions
}

func (p *theatre) run(t *testing.T) {
	p.world = newWorld(t, hosts("a.test"), "r0@a.test", "r1@a.test")
	p.store = newWitness(p.seed, p.real)
	p.store.onLost = p.noteLost
	p.Offline = p.store
	p.present, p.got = make(map[string][]*client), make(map[string]map[*client][]string)
	p.lost, p.arrived, p.doubled = make(map[string]bool), make(map[string]bool), make(map[string]bool)
	var plays []func()
	for i := range accounts {
		p.got[account(i)] = make(map[*client][]string)
		for range p.resources {
			r := p.random()
			plays = append(plays, func() { p.recipient(account(i), r) })
		}
	}
	for i := range senders {
		p.bind(fmt.Sprintf("s%d@a.test/x", i), "")
		r := p.random()
		plays = append(plays, func() { p.sender(i, r) })
	}
	for _, f := range plays {
		p.all.Go(f)
	}
	p.all.Wait()
	p.store.wait()
	// Whoever comes last gets the rest.
	for i := range accounts {
		c := p.enter(account(i), 0)
		c.acknowledge(-1)
	}
	p.store.wait()
	p.check()
}

func account(i int) string { return fmt.Sprintf("r%d@a.test", i) }

func (p *theatre) random() *rand.Rand {
	p.next++
	return rand.New(rand.NewPCG(p.seed, uint64(p.next)))
}

// enter makes a session that is available.
func (p *theatre) enter(account string, priority int) *client {
	p.mu.Lock()
	p.next++
	full := fmt.Sprintf("%s/%d", account, p.next)
	c := newClient(p.world, full)
	c.got = func(s *stanza.Stanza) { p.note(account, c, s) }
	c.lost = func(s *stanza.Stanza) { p.noteLost(s.ID) }
	p.present[account] = append(p.present[account], c)
	p.mu.Unlock()
	if _, err := p.Bind(p.Context(), stanza.Binding{JID: c.info.JID, Sink: c}); err != nil {
		p.Errorf("Bind(%s): %v", full, err)
	}
	p.announce(c, prio(priority))
	return c
}

func (p *theatre) announce(c *client, presence string) { p.send(c.info.JID.String(), presence) }

// noteLost notes what was on the way to a session that has ended.
func (p *theatre) noteLost(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost[id] = true
}

// note notes what a client has acknowledged.
func (p *theatre) note(account string, c *client, s *stanza.Stanza) {
	if s.Kind != stanza.Message {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got[account][c] = append(p.got[account][c], s.ID)
	p.arrived[s.ID] = true
}

// recipient is somebody whose sessions come and go.
func (p *theatre) recipient(account string, r *rand.Rand) {
	pause := func(most int) { time.Sleep(time.Duration(r.IntN(most*1000)) * time.Microsecond) }
	priority := func() int {
		if p.equal {
			return 0
		}
		return r.IntN(4) - 1
	}
	for life := 0; life < 6 || p.immortal && life < 1; life++ {
		pause(20)
		c := p.enter(account, priority())
	living:
		for range 4 + r.IntN(10) {
			pause(15)
			switch r.IntN(6) {
			case 0:
				c.detach(p.world)
				pause(40)
				if !p.immortal && r.IntN(3) == 0 {
					break living
				}
				c.resume(p.world)
			case 1:
				p.announce(c, prio(priority()))
			case 2:
				p.announce(c, "<presence type='unavailable'/>")
				pause(10)
				p.announce(c, prio(priority()))
			default:
				c.acknowledge(r.IntN(10))
			}
		}
		if p.immortal {
			pause(100)
			c.acknowledge(-1)
			p.all.Go(func() { // it goes on reading
				for range 100 {
					time.Sleep(10 * time.Millisecond)
					c.acknowledge(-1)
				}
			})
			return
		}
		c.end(p.world)
		p.mu.Lock()
		p.present[account] = slicesWithout(p.present[account], c)
		p.mu.Unlock()
	}
}

func slicesWithout(list []*client, c *client) []*client {
	var out []*client
	for _, o := range list {
		if o != c {
			out = append(out, o)
		}
	}
	return out
}

// sender sends messages with ids account:sender:number; for messages to a full
// JID the sender is another one.
func (p *theatre) sender(i int, r *rand.Rand) {
	var receipt stanza.Receipt
	ctx := receipt.Context(p.Context())
	from := jid(p.T, fmt.Sprintf("s%d@a.test/x", i))
	var pending []string
	for n := range messages {
		to := account(r.IntN(accounts))
		id := fmt.Sprintf("%s:%d:%d", to, i, n)
		p.mu.Lock()
		// The order is that of messages to one address (RFC 6120, section 10.1): a
		// resource without a priority gets what is sent to itself before what
		// waits for the account.
		if list := p.present[to]; len(list) > 0 && r.IntN(4) == 0 {
			full := list[r.IntN(len(list))].info.JID
			id = fmt.Sprintf("%s:%d to %s:%d", to, i, full.Resource(), n)
			to = full.String()
		}
		p.mu.Unlock()
		s := &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeChat, ID: id, From: from, To: jid(p.T, to), Child: stanza.Name{Space: stanza.NSClient, Local: "body"}, Inner: "<body>x</body>"}
		if err := p.Route(ctx, s); err != nil {
			p.Errorf("Route(%s): %v", id, err)
		}
		if pending = append(pending, id); r.IntN(3) == 0 {
			told := pending
			pending = nil
			receipt.Mark(func() { p.isSafe(told) })
		}
		time.Sleep(time.Duration(r.IntN(8000)) * time.Microsecond)
	}
}

// isSafe checks what a sender is told.
func (p *theatre) isSafe(ids []string) {
	kept := make(map[string]bool)
	for i := range accounts {
		for _, id := range p.store.kept(jid(p.T, account(i))) {
			kept[id] = true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if !kept[id] && !p.arrived[id] {
			p.Errorf("message %s is acknowledged and neither stored nor received", id)
		}
	}
}

// check looks at the end whether everything has arrived as it must.
func (p *theatre) check() {
	sent := make(map[string]int) // how many sessions got it
	for account, sessions := range p.got {
		for c, ids := range sessions {
			last := make(map[string]int) // by sender and address
			seen := make(map[string]bool)
			for _, id := range ids {
				if sent[id]++; !strings.HasPrefix(id, account) {
					p.Errorf("%s got %s", account, id)
				}
				if p.lost[id] {
					continue
				}
				if seen[id] {
					p.Errorf("%s came twice at %s", id, c.info.JID)
				}
				seen[id] = true
				sender, number, _ := strings.Cut(strings.TrimPrefix(id, account+":"), ":")
				n, _ := strconv.Atoi(number)
				if l, ok := last[sender]; ok && n < l {
					p.Errorf("%s came after %d at %s", id, l, c.info.JID)
				}
				last[sender] = n
			}
		}
	}
	all := 0
	for id, n := range sent {
		if all++; n > 1 && p.resources == 1 && !p.lost[id] {
			p.Errorf("%s came %d times", id, n)
		}
	}
	if want := senders * messages; all != want {
		p.Errorf("%d messages have arrived, want %d", all, want)
	}
	for _, s := range p.sinks {
		for _, st := range s.Stanzas() {
			p.Errorf("a sender got %s", st)
		}
	}
	for i := range accounts {
		if ids := p.store.kept(jid(p.T, account(i))); len(ids) > 0 {
			p.Errorf("%q are left in the store", ids)
		}
	}
}
