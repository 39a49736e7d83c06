package component

import (
	"slices"
	"sync"
)

// confirmation waits until all that a group has taken so far is in other hands. What
// a member has not written when it goes counts on with those who get it then: they
// are asked again. Each is waited for once, however often it is asked, so that the
// work for one confirmation does not double with each member that goes.
type confirmation struct {
	g *group
	f func()

	mu    sync.Mutex
	asked int           // how often
	waits map[*seat]int // the call of ask that counts; nil: of Confirm itself
}

// Confirm implements stanza.Confirmer. What is on its way back to its sender is not
// confirmed before it is there.
func (g *group) Confirm(f func()) {
	c := &confirmation{g: g, f: f, waits: map[*seat]int{nil: 0}}
	c.ask()
	c.heard(nil, 0, false)
}

// ask asks all who may have something.
func (c *confirmation) ask() {
	c.g.mu.Lock()
	c.mu.Lock()
	c.asked++
	n := c.asked
	var open []*seat
	for _, m := range slices.Concat(c.g.members, c.g.going) {
		c.waits[m] = n
		if m.state == seatOpen {
			open = append(open, m)
		} else {
			m.after = append(m.after, func() { c.heard(m, n, true) })
		}
	}
	c.mu.Unlock()
	c.g.mu.Unlock()
	for _, m := range open {
		m.x.Confirm(func() { c.heard(m, n, !c.g.has(m)) })
	}
}

// heard says that a member, asked in the n-th call of ask, has nothing more; or that
// others have it now.
func (c *confirmation) heard(m *seat, n int, moved bool) {
	if moved && c.counts(m, n) {
		c.ask()
	}
	c.mu.Lock()
	if c.waits[m] != n {
		c.mu.Unlock()
		return
	}
	delete(c.waits, m)
	last := len(c.waits) == 0
	c.mu.Unlock()
	if last {
		c.f()
	}
}

func (c *confirmation) counts(m *seat, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waits[m] == n
}

func (g *group) has(m *seat) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return m.state != seatGone
}

// settle says that what a seat that is gone has left behind is in other hands, or
// that nobody answers for it.
func (g *group) settle(m *seat, abandoned bool) {
	g.mu.Lock()
	g.going = without(g.going, m)
	list := m.after
	m.after = nil
	g.mu.Unlock()
	if !abandoned {
		for _, f := range list {
			f()
		}
	}
}
