package host_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// offline is a store of messages as host.Offline describes it, in memory. Its
// zero value stores at once.
type offline struct {
	off    func(domain string) bool          // where it is not offered
	refuse func(s *stanza.Stanza) error      // nil: takes everything
	drops  func(s *stanza.Stanza) bool       // what is not worth keeping
	slow   func() (take, tell time.Duration) // to store a message, and to call done after that
	work   sync.WaitGroup

	mu       sync.Mutex
	key      uint64
	kept     []*stanza.Stanza // by key
	held     map[uint64][]stanza.Sink
	underway map[*call]bool
	last     map[stanza.JID]chan struct{} // by account: closed when the last Keep has stored
	delivers []stanza.Sink                // the calls of Deliver
	lost     []stanza.Sink
	busy     map[stanza.JID]chan struct{} // by account: one Deliver at a time
}

// call is one Keep.
type call struct {
	user   stanza.JID
	landed chan struct{}
}

func (o *offline) Offered(domain string) bool { return o.off == nil || !o.off(domain) }

func (o *offline) Keep(_ context.Context, s *stanza.Stanza, to []stanza.Sink, done func(*stanza.Stanza, error)) {
	if o.refuse != nil {
		if err := o.refuse(s); err != nil {
			done(nil, err)
			return
		}
	}
	if o.drops != nil && o.drops(s) {
		done(nil, nil)
		return
	}
	c := &call{s.To.Bare(), make(chan struct{})}
	stored := make(chan struct{})
	o.takeOff(c)
	o.mu.Lock()
	if o.last == nil {
		o.last = make(map[stanza.JID]chan struct{})
	}
	before := o.last[c.user]
	o.last[c.user] = stored
	o.mu.Unlock()
	finish := func() {
		if before != nil {
			<-before
		}
		kept := o.store(s, to)
		close(stored)
		if o.slow != nil {
			_, tell := o.slow()
			time.Sleep(tell)
		}
		done(kept, nil)
		o.land(c)
	}
	if o.slow == nil {
		finish()
		return
	}
	o.work.Go(func() {
		take, _ := o.slow()
		time.Sleep(take)
		finish()
	})
}

// takeOff notes that a call of Keep is under way, until land.
func (o *offline) takeOff(c *call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.underway == nil {
		o.underway = make(map[*call]bool)
	}
	o.underway[c] = true
}

func (o *offline) land(c *call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.underway, c)
	close(c.landed)
}

func (o *offline) store(s *stanza.Stanza, to []stanza.Sink) *stanza.Stanza {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held == nil {
		o.held = make(map[uint64][]stanza.Sink)
	}
	o.key++
	kept := *s
	kept.Kept = o.key
	o.kept = append(o.kept, &kept)
	o.held[kept.Kept] = slices.Clone(to)
	return &kept
}

func (o *offline) Deliver(_ context.Context, user stanza.JID, to stanza.Sink, send func(*stanza.Stanza) error) error {
	defer o.lock(user)()
	o.mu.Lock()
	o.delivers = append(o.delivers, to)
	o.mu.Unlock()
	o.settle(user)
	o.mu.Lock()
	list := slices.Clone(o.kept)
	o.mu.Unlock()
	o.settle(user) // some of them may have come since
	for _, s := range list {
		if s.To.Bare() != user || !o.claim(s.Kept, to) {
			continue
		}
		if err := send(s); err != nil {
			o.release(s.Kept, to)
			return err
		}
		if o.slow != nil {
			take, _ := o.slow()
			time.Sleep(take / 10)
		}
	}
	return nil
}

// settle waits for the calls of Keep that are under way.
func (o *offline) settle(user stanza.JID) {
	o.mu.Lock()
	var wait []chan struct{}
	for c := range o.underway {
		if c.user == user {
			wait = append(wait, c.landed)
		}
	}
	o.mu.Unlock()
	for _, c := range wait {
		<-c
	}
}

// lock has the calls of Deliver for one account wait for each other.
func (o *offline) lock(user stanza.JID) (unlock func()) {
	o.mu.Lock()
	if o.busy == nil {
		o.busy = make(map[stanza.JID]chan struct{})
	}
	c := o.busy[user]
	if c == nil {
		c = make(chan struct{}, 1)
		o.busy[user] = c
	}
	o.mu.Unlock()
	c <- struct{}{}
	return func() { <-c }
}

// claim hands a message to a resource, if none has it and its Keep is done.
func (o *offline) claim(key uint64, by stanza.Sink) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	there := slices.ContainsFunc(o.kept, func(s *stanza.Stanza) bool { return s.Kept == key })
	if !there || len(o.held[key]) > 0 {
		return false
	}
	o.held[key] = []stanza.Sink{by}
	return true
}

func (o *offline) release(key uint64, by stanza.Sink) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held[key] = slices.DeleteFunc(o.held[key], func(k stanza.Sink) bool { return k == by })
}

func (o *offline) Arrived(_ stanza.JID, kept []uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = slices.DeleteFunc(o.kept, func(s *stanza.Stanza) bool { return slices.Contains(kept, s.Kept) })
	for _, key := range kept {
		delete(o.held, key)
	}
}

func (o *offline) Holds(_ stanza.JID, by stanza.Sink) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, list := range o.held {
		if slices.Contains(list, by) {
			return true
		}
	}
	return false
}

func (o *offline) Lost(_ stanza.JID, by stanza.Sink, keys ...uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost = append(o.lost, by)
	for key := range o.held {
		if len(keys) > 0 && !slices.Contains(keys, key) {
			continue
		}
		o.held[key] = slices.DeleteFunc(o.held[key], func(k stanza.Sink) bool { return k == by })
	}
}

// count returns how many messages are kept.
func (o *offline) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.kept)
}

// randomly is a value for slow: up to most each.
func randomly(seed uint64, most time.Duration) func() (take, tell time.Duration) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 1))
	return func() (take, tell time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(r.Int64N(int64(most))), time.Duration(r.Int64N(int64(most)))
	}
}
