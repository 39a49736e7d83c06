package component

import (
	"errors"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// errTaken says that a domain has a component already.
var errTaken = errors.New("domain is served by another component")

// reserve adds a seat for a stream. It is to join or to be given up. The error is
// errTaken or errGone.
func (g *group) reserve(x *stream, turn uint64) (*seat, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return nil, errGone
	}
	for _, m := range g.seats {
		if m.x == x || x.l.o.Conflict == CloseNew && m.state != seatLeaving {
			return nil, errTaken
		}
	}
	m := &seat{g: g, x: x, turn: turn}
	g.seats = append(g.seats, m)
	return m, nil
}

// join makes a seat a member, now or when those have come that want to, too.
func (g *group) join(m *seat) {
	var rivals []*seat
	var t tasks
	g.mu.Lock()
	for _, o := range g.seats {
		switch {
		case o.turn < m.turn && m.x.l.o.Conflict == CloseOld:
			rivals = append(rivals, o)
		case o.turn > m.turn && o.state != seatReserved && o.x.l.o.Conflict == CloseOld: // m is late
			rivals = append(rivals, m)
		}
	}
	if m.state == seatReserved {
		g.queue = append(g.queue, m)
		g.admit(&t)
	}
	g.unlock(m.x, &t)
	for _, o := range rivals {
		o.x.Kick(&stanza.StreamError{Condition: stanza.StreamConflict, Text: "another component has taken " + g.domain})
	}
}

// tasks are what is left to do when mu is free.
type tasks struct {
	coming  *seat         // waits for
	watched []*seat       // to write what they have
	told    func()        // first of all; may be nil
	last    bool          // the group is to be unregistered
	back    []undelivered // stanzas to be returned
	left    *seat         // is gone, to be settled once that is done; nil: none
	confirm []func()      // of Confirm, once that is done
}

// undelivered is a stanza that nobody takes.
type undelivered struct {
	st    *stanza.Stanza
	cause *stanza.Error
}

// unlock lets mu go and does what is left to do: what may wait, in a goroutine of
// x, which has not ended.
func (g *group) unlock(x *stream, t *tasks) {
	later := t.last || len(t.back) > 0
	if later {
		x.closing.Add(1)
	}
	if len(t.back) > 0 && t.left == nil { // Confirm waits for it
		t.left = &seat{g: g, x: x, state: seatGone}
		g.going = append(g.going, t.left)
	}
	g.mu.Unlock()
	if t.told != nil {
		x.guard(t.told)
	}
	g.watch(t)
	if !later {
		g.done(t, false)
		return
	}
	go func() {
		defer x.closing.Done()
		abandoned := true
		defer func() { g.done(t, abandoned) }()
		x.guard(func() {
			if t.last {
				g.unregister()
			}
			x.giveBack(t.back)
			abandoned = false
		})
	}()
}

func (g *group) watch(t *tasks) {
	for _, m := range t.watched {
		m.x.Confirm(func() { g.passed(t.coming, m) })
	}
}

// done settles what the tasks concern, after the rest of them.
func (g *group) done(t *tasks, abandoned bool) {
	if t.left != nil {
		g.settle(t.left, abandoned)
	}
	for _, f := range t.confirm {
		f()
	}
}

// admit lets the next ones come. The caller holds mu.
func (g *group) admit(t *tasks) {
	for g.coming == nil && len(g.queue) > 0 {
		m := g.queue[0]
		g.queue = slices.Delete(g.queue, 0, 1)
		g.arrived++
		m.number, m.state = g.arrived, seatComing
		m.needs = slices.Clone(g.members)
		g.members = append(g.members, m)
		g.coming, t.coming = m, m
		for _, o := range m.needs {
			if o.state == seatOpen { // those that leave tell by finish
				t.watched = append(t.watched, o)
			}
		}
		g.openIfDue(t)
	}
}

// passed says that o has written what it had when m came.
func (g *group) passed(m, o *seat) {
	var t tasks
	g.mu.Lock()
	m.needs = slices.DeleteFunc(m.needs, func(n *seat) bool { return n == o })
	if m == g.coming {
		g.openIfDue(&t)
		g.admit(&t)
	}
	g.unlock(m.x, &t)
}

// openIfDue opens the member that has come if it needs to wait for nobody, with
// what was held for it. The caller holds mu.
func (g *group) openIfDue(t *tasks) {
	m := g.coming
	if m.state != seatComing || len(m.needs) > 0 {
		return
	}
	g.coming = nil
	m.state = seatOpen
	for i, st := range m.held {
		err := m.x.put(st)
		if errors.Is(err, stanza.ErrClosed) {
			m.held = m.held[i:]
			g.leave(m)
			return
		}
		if err != nil {
			t.giveBack(st, stanza.ResourceConstraint)
		}
	}
	m.held, m.bytes = nil, 0
	t.confirm = append(t.confirm, m.after...)
	m.after = nil
}

func (t *tasks) giveBack(st *stanza.Stanza, c stanza.Condition) {
	t.back = append(t.back, undelivered{st, &stanza.Error{Condition: c}})
}

// depart is leave for those who do not hold mu.
func (g *group) depart(m *seat) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave(m)
}

// retire is depart for a seat whose stream goes on. It reports whether the seat was
// in use.
func (g *group) retire(m *seat) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.state == seatLeaving || m.state == seatGone {
		return false
	}
	g.leave(m)
	return true
}

// leave says that the stream of a seat takes nothing more. What is delivered to it
// is held until finish. The caller holds mu.
func (g *group) leave(m *seat) {
	if m.state == seatGone {
		return
	}
	m.state = seatLeaving
	g.queue = without(g.queue, m)
}

// finish gives a seat up, of a stream that has not ended. What was held for it goes
// to those who take its place. Then it calls told, which may be nil, with false if that
// has been done before.
func (g *group) finish(m *seat, told func(first bool)) {
	var t tasks
	g.mu.Lock()
	first := g.remove(m, nil, &t)
	if told != nil {
		t.told = func() { told(first) }
	}
	g.unlock(m.x, &t)
}

// vacate gives the seat of a stream up that ends. What the stream has not written,
// the oldest first, and what was held go to those who take its place. The tasks are
// for the caller to do. It reports false if that has been done before.
func (g *group) vacate(m *seat, unwritten []*stanza.Stanza) (t tasks, first bool) {
	g.mu.Lock()
	first = g.remove(m, unwritten, &t)
	g.mu.Unlock()
	g.watch(&t)
	return t, first
}

// remove does for both what needs mu, which the caller holds.
func (g *group) remove(m *seat, unwritten []*stanza.Stanza, t *tasks) bool {
	if m.state == seatGone {
		return false
	}
	g.leave(m)
	m.state = seatGone
	g.seats, g.members = without(g.seats, m), without(g.members, m)

	older := make(map[*seat][]*stanza.Stanza)
	for _, list := range [][]*stanza.Stanza{unwritten, m.held} {
		for _, st := range list {
			g.pass(st, m, older, t)
		}
	}
	for o, list := range older {
		o.held = append(list, o.held...)
	}
	m.held, t.left = nil, m
	g.going = append(g.going, m)

	if g.coming == m {
		g.coming = nil
	} else if g.coming != nil {
		g.coming.needs = without(g.coming.needs, m)
		g.openIfDue(t)
	}
	g.admit(t)
	t.last = len(g.seats) == 0 && !g.over
	g.over = g.over || t.last
	return true
}

// pass gives a stanza that a member has left behind to who takes its place. To one
// that came after it this is older than what is held there: such stanzas are added
// to older. Unlike Deliver it keeps no bound where stanzas are held: they were
// taken, within the bounds of another member. The caller holds mu.
func (g *group) pass(st *stanza.Stanza, left *seat, older map[*seat][]*stanza.Stanza, t *tasks) {
	m := pick(g.members, st)
	switch {
	case m == nil:
		t.giveBack(st, stanza.RecipientUnavailable)
		return
	case !m.x.l.surelyAdmits(st.From):
		t.giveBack(st, stanza.NotAllowed)
		return
	case m.state == seatOpen:
		err := m.x.put(st) // which does not end the stream when it is full
		if err == nil {
			return
		}
		if !errors.Is(err, stanza.ErrClosed) {
			t.giveBack(st, stanza.ResourceConstraint)
			return
		}
		g.leave(m)
	}
	m.bytes += st.Size()
	if m.number > left.number {
		older[m] = append(older[m], st)
	} else {
		m.held = append(m.held, st)
	}
}

func without(list []*seat, m *seat) []*seat {
	return slices.DeleteFunc(list, func(o *seat) bool { return o == m })
}
