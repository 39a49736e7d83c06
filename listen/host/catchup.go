package host

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// retryAfter is how long a catch-up waits when the sink has no room for a single
// stanza, though it has got none that is not confirmed.
const retryAfter = time.Second

// catchup brings a session what it has missed: first the presence of others, then
// what the store has. A sink that is a Confirmer gets a window full, and more when
// it has confirmed that; so a client that is slow has no queue that is too long.
// Other sinks get it as it is.
//
// Whoever asks for it goes on with it up to the end of the first window, and a
// goroutine of the session from there, which the end of the session waits for.
// Messages that come meanwhile wait behind the turn, and in the store if the lane
// is full.
type catchup struct {
	l  *Local
	me *session
	window

	// The session's mu guards these.
	turn *turn     // nil: it is not about messages
	own  turn      // mostly what turn is
	next *greeting // that takes the place of the one that there is
	more bool      // the store may have something since it was asked
	stop func()    // ends the goroutine; nil: there is none
	done chan struct{}

	// Whoever goes on with it has these.
	greeting *greeting   // nil: it is over
	short    bool        // it was not to have everything
	watches  atomic.Bool // it waits for what the lane waits for
}

// join returns the catch-up of a session, nil if that has ended. mine says that
// there was none: then the caller has to call run. messages says that it has to
// look into the store from now on; the messages to the session wait until it has.
func (l *Local) join(me *session, messages bool) (c *catchup, mine bool) {
	me.mu.Lock()
	defer l.drain(me)
	defer me.mu.Unlock()
	if me.ended {
		return nil, false
	}
	c = me.catchup.Load()
	if c == nil {
		c, mine = &catchup{l: l, me: me}, true
		c.sink, c.confirms = me.sink, confirms(me.sink)
		me.catchup.Store(c)
	}
	if !messages {
		return c, mine
	}
	c.more = true
	if c.turn == nil {
		if c.turn = me.handover.claim(); c.turn == nil {
			c.own.come = make(chan struct{})
			c.turn = &c.own
			me.lane.push(parcel{turn: c.turn})
		}
	}
	return c, mine
}

// catchUp delivers what is kept for an account to a session, or has the catch-up
// do so that is on the way.
func (l *Local) catchUp(ctx context.Context, to *session) error {
	c, mine := l.join(to, true)
	if c == nil || !mine {
		return nil
	}
	return c.run(ctx)
}

// run goes on until the end or, for a sink that confirms, the first wait.
func (c *catchup) run(ctx context.Context) error {
	returned := false
	defer func() {
		if !returned { // others wait for the turn
			c.finish(true)
		}
	}()
	over, err := c.advance(ctx)
	returned = true
	if over {
		return err
	}
	c.me.mu.Lock()
	if c.me.ended {
		c.me.mu.Unlock()
		c.finish(true)
		return err
	}
	background, cancel := context.WithCancel(context.Background())
	c.stop, c.done = cancel, make(chan struct{})
	c.me.mu.Unlock()
	go c.goOn(background)
	return err
}

// goOn does the rest. The end of the session waits for it.
func (c *catchup) goOn(ctx context.Context) {
	defer close(c.done)
	defer c.stop()
	defer c.finish(true)
	err := netserve.Guard(func() error {
		for c.wait(ctx) {
			over, err := c.advance(ctx)
			if err != nil && ctx.Err() == nil {
				c.l.trouble.Log(ctx, slog.LevelWarn, "a session does not get everything that it has missed", "user", c.me.jid, "err", err)
			}
			if over {
				break
			}
		}
		return nil
	})
	if err != nil {
		c.l.log.ErrorContext(ctx, "catch-up of a session panicked", "user", c.me.jid, "err", err)
	}
}

// wait waits until there may be room, and reports false when the session has
// ended.
func (c *catchup) wait(ctx context.Context) bool {
	c.ask()
	wakes := c.wakes()
	retry := time.NewTimer(retryAfter)
	defer retry.Stop()
	for {
		ready, empty := c.ready()
		if ready {
			return true
		}
		late := retry.C
		if !empty {
			late = nil // it will be confirmed
		}
		select {
		case <-wakes:
		case <-late:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// advance goes on as far as there is room, and reports whether the catch-up is
// over.
func (c *catchup) advance(ctx context.Context) (over bool, err error) {
	for {
		done, failed := c.introduce(ctx)
		err = errors.Join(err, failed)
		if !done {
			return false, err
		}
		if t := c.begins(); t != nil {
			select {
			case <-t.come:
			case <-ctx.Done():
				c.finish(true)
				return true, errors.Join(err, context.Cause(ctx))
			}
			done, failed = c.deliver(ctx)
			err = errors.Join(err, failed)
			if !done || !c.flush(t) {
				return false, err
			}
		}
		if c.finish(false) {
			if c.short && !c.me.state.Load().takes() {
				c.l.handOut(ctx, c.me.jid.Bare(), nil, nil)
			}
			return true, err
		}
	}
}

// greet has the session hear a greeting.
func (c *catchup) greet(g greeting) {
	c.me.mu.Lock()
	defer c.me.mu.Unlock()
	c.next = &g
}

// begins returns the turn that the messages have, nil for none. The store is
// about to be asked.
func (c *catchup) begins() *turn {
	c.me.mu.Lock()
	defer c.me.mu.Unlock()
	c.more = false
	return c.turn
}

// finish ends the catch-up, and reports false if there is more to do; at the end of
// the session there is not. Then it does nothing after the first call.
func (c *catchup) finish(always bool) bool {
	c.me.mu.Lock()
	if !always && (c.more || c.next != nil) {
		c.me.mu.Unlock()
		return false
	}
	c.me.catchup.CompareAndSwap(c, nil)
	t := c.turn
	c.me.mu.Unlock()
	c.l.endTurn(c.me, t)
	return true
}

// expects reports whether the store has to be asked once more.
func (c *catchup) expects() bool {
	c.me.mu.Lock()
	defer c.me.mu.Unlock()
	return c.more
}

// again has the store asked once more.
func (c *catchup) again() {
	c.me.mu.Lock()
	defer c.me.mu.Unlock()
	c.more = true
}

// put gives the sink a stanza for which there is room.
func (c *catchup) put(s *stanza.Stanza) error {
	c.add(s)
	err := c.me.put(s)
	if err != nil {
		c.remove(s)
	} else if c.asks() {
		c.ask()
	}
	return err
}

// errLater says that the sink has no room now.
var errLater = errors.New("the sink has no room now")

// deliver delivers what is in the store, and reports whether that is all, or all
// that this session can have.
func (c *catchup) deliver(ctx context.Context) (done bool, err error) {
	if !c.me.state.Load().takes() {
		c.short = true
		return true, nil
	}
	var arrived []uint64
	user := c.me.jid.Bare()
	err = c.l.Offline.Deliver(ctx, user, c.sink, func(m *stanza.Stanza) error {
		if err := c.deliverOne(m); err != nil {
			return err
		}
		if !c.confirms {
			arrived = append(arrived, m.Kept)
		}
		return nil
	})
	if len(arrived) > 0 {
		c.l.Offline.Arrived(user, arrived)
	}
	switch {
	case errors.Is(err, errLater):
		return false, nil
	case errors.Is(err, stanza.ErrClosed), errors.Is(err, stanza.ErrQueueFull):
		return true, nil // the rest stays in the store
	}
	return true, err
}

// deliverOne delivers one message, after those that were stored for this session
// before it.
func (c *catchup) deliverOne(m *stanza.Stanza) error {
	for {
		p, ok := c.me.lane.before(m.Kept)
		if !ok {
			break
		}
		if !c.fits(1, p.size()) {
			return errLater
		}
		c.me.lane.take(p)
		if err := c.unpack(p); err != nil {
			return err
		}
	}
	if !c.fits(1, m.Size()) {
		return errLater
	}
	return c.later(c.put(m))
}

// later turns the error of a sink that confirms, and is full, into errLater.
func (c *catchup) later(err error) error {
	if c.confirms && errors.Is(err, stanza.ErrQueueFull) {
		return errLater
	}
	return err
}

// unpack delivers a parcel. What the sink does not take of what is stored comes
// from the store the next time.
func (c *catchup) unpack(p parcel) error {
	err := c.later(c.l.unpack(c.me, p, c))
	if errors.Is(err, errLater) {
		c.again()
	}
	return err
}

// flush delivers what waits behind the turn until a window holds the rest. It
// reports false if that takes longer. A session that takes no messages any more
// leaves what is stored there, behind what it has not got of that.
func (c *catchup) flush(t *turn) bool {
	c.watches.Store(true)
	for {
		n, bytes, p, ok := c.me.lane.behind(t)
		takes := c.me.state.Load().takes()
		switch {
		case takes && c.fits(n, bytes), n == 0, c.expects():
			return true
		case !ok:
			return false
		}
		if s := p.kept(); s != nil && !takes {
			c.me.lane.take(p)
			c.l.lost(c.me, s)
			continue
		}
		if !c.fits(1, p.size()) {
			c.watches.Store(false)
			return false
		}
		c.me.lane.take(p)
		if err := c.unpack(p); err != nil && c.confirms {
			return !errors.Is(err, errLater)
		}
	}
}
