package xmpp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Chat has clients in pairs send messages from one to the other.
type Chat struct {
	Pairs    int
	Body     int           // bytes of a message's body, at least 50
	Window   int           // messages of a pair that may be on the way at once
	Rate     float64       // messages a second, of all pairs, evenly paced; 0: as fast as possible
	Warm     time.Duration // before measuring
	Duration time.Duration // of measuring
	Messages int64         // the run ends earlier when each pair has had so many; paced: all together; 0: no bound
	Rich     bool          // bodies with references, quotes and characters of several bytes
	Bare     bool          // messages go to the account rather than to the resource
	Managed  bool          // with stream management
	Every    int           // stanzas after which the client asks for an acknowledgement, when managed
	Idle     int           // further clients that are logged in and do nothing
}

// chatBuffer is how much the clients of a chat read at once.
const chatBuffer = 64 << 10

// chat is a run of Chat.
type chat struct {
	Chat
	t         *Target
	pairs     []*pair
	peer      int // the process of a second server; 0: there is none
	first     int // pairs that send one message before all others
	measuring atomic.Bool
	lag       meter.Histogram // how late the pacer was
	readers   sync.WaitGroup
}

// Run logs the clients in, has them send, and checks what arrives.
func (w Chat) Run(ctx context.Context, t *Target) (meter.Result, error) {
	name := "chat"
	if w.Idle > 0 {
		name = "sessions"
	}
	if err := t.room(2*w.Pairs + w.Idle); err != nil {
		return meter.Result{Workload: name}, err
	}
	r, err := t.start(name)
	if err != nil {
		return r, err
	}
	w.describe(&r)
	run := newRun()
	idle, err := t.loginMany(ctx, 2*w.Pairs, w.Idle, options{resource: "idle" + run, buffer: idleBuffer})
	if err != nil {
		return r, err
	}
	defer t.closeMany(idle)
	clients, err := t.loginMany(ctx, 0, 2*w.Pairs, options{resource: "chat" + run, managed: w.Managed, every: w.Every, buffer: chatBuffer})
	if err != nil {
		return r, err
	}
	defer t.closeMany(clients)
	c := &chat{Chat: w, t: t}
	c.pair(clients, newTexts(run, max(w.Body, fillerAt), w.Rich))
	spent, err := c.run(ctx)
	if err != nil {
		return r, err
	}
	c.report(&r, spent)
	return r, t.finish(&r, 2*w.Pairs+w.Idle, clients[0])
}

// idleBuffer is how much idle clients read at once: there may be many of them.
const idleBuffer = 1024

func (w Chat) describe(r *meter.Result) {
	r.Set("pairs", w.Pairs)
	r.Set("body", max(w.Body, fillerAt))
	if w.Rate > 0 {
		r.Set("rate", w.Rate)
	} else {
		r.Set("window", w.Window)
	}
	if w.Managed {
		r.Set("ask_every", w.Every)
	}
	if w.Idle > 0 {
		r.Set("sessions", 2*w.Pairs+w.Idle)
	}
	for name, on := range map[string]bool{"rich": w.Rich, "bare": w.Bare, "managed": w.Managed} {
		if on {
			r.Set(name, on)
		}
	}
}

// pair makes pairs of the clients: the first half sends to the second.
func (c *chat) pair(clients []*Client, t *texts) {
	for i := range c.Pairs {
		receiver := clients[c.Pairs+i]
		to := receiver.JID
		if c.Bare {
			to, _, _ = strings.Cut(to, "/")
		}
		c.add(clients[i], receiver, t, to)
	}
}

// add makes a pair.
func (c *chat) add(sender, receiver *Client, t *texts, to string) *pair {
	p := newPair(len(c.pairs), sender, receiver, t, to)
	if c.t.NoFrom {
		p.check.from = ""
	}
	p.window = int64(max(c.Window, 1))
	p.batch = max(p.window/4, 1)
	p.measuring = &c.measuring
	c.pairs = append(c.pairs, p)
	return p
}

// run sends, measures, and waits for everything to arrive.
func (c *chat) run(ctx context.Context) (meter.Spent, error) {
	for _, p := range c.pairs {
		c.readers.Go(func() { p.receive(c.t) })
		if p.sender != p.receiver {
			c.readers.Go(func() { p.drain(c.t) })
		}
	}
	// Whatever happens, no reader is left when the clients are closed.
	defer c.readers.Wait()
	defer c.interrupt()
	if err := c.try(ctx); err != nil {
		return meter.Spent{}, err
	}
	spent, err := c.send(ctx)
	if err != nil {
		return spent, err
	}
	if err := c.drain(ctx); err != nil {
		return spent, err
	}
	c.settle(ctx)
	return spent, nil
}

// try has the first pairs send one message each, and waits until these have
// arrived.
func (c *chat) try(ctx context.Context) error {
	var got int64
	for _, p := range c.pairs[:c.first] {
		if err := p.write(1); err != nil {
			return err
		}
	}
	err := c.t.wait(ctx, func() (int64, bool) {
		got = 0
		for _, p := range c.pairs[:c.first] {
			got += p.got.Load()
		}
		return got, got >= int64(c.first)
	})
	if err == nil && got < int64(c.first) {
		err = fmt.Errorf("%d messages were sent first, and %d of them have arrived", c.first, got)
	}
	return err
}

// send lets the senders send while it measures.
func (c *chat) send(ctx context.Context) (meter.Spent, error) {
	sending, stop := context.WithCancel(ctx)
	most := c.Messages
	if most <= 0 {
		most = math.MaxInt64
	}
	var before meter.Usage
	var err error
	if c.Warm <= 0 {
		before, err = c.measure()
	}
	var senders sync.WaitGroup
	if c.Rate > 0 {
		senders.Go(func() { c.pace(sending, most) })
	} else {
		for _, p := range c.pairs {
			senders.Go(func() { p.flood(sending, c.t, most) })
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		senders.Wait()
	}()
	defer func() {
		stop()
		<-done
	}()
	if c.Warm > 0 && err == nil {
		if _, err = hold(ctx, c.Warm, done); err == nil {
			before, err = c.measure()
		}
	}
	if err != nil {
		return meter.Spent{}, err
	}
	return c.rest(ctx, before, done)
}

// measure begins to measure.
func (c *chat) measure() (meter.Usage, error) {
	defer c.measuring.Store(true)
	return c.usage()
}

func (c *chat) usage() (meter.Usage, error) { return meter.ReadBoth(c.t.PID, c.peer) }

// rest waits until it has been measured for long enough, or until everything
// that was to be sent has arrived.
func (c *chat) rest(ctx context.Context, before meter.Usage, done <-chan struct{}) (meter.Spent, error) {
	all, err := hold(ctx, c.Duration, done)
	if err == nil && all {
		err = c.drain(ctx)
	}
	c.measuring.Store(false)
	if err != nil {
		return meter.Spent{}, err
	}
	after, err := c.usage()
	return after.Since(before), err
}

// hold waits for d, or until the senders are done.
func hold(ctx context.Context, d time.Duration, done <-chan struct{}) (all bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false, nil
	case <-done:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// pace sends at a fixed rate, by the pairs in turn. Latencies count from the
// moment of writing; how late the pacer itself was is told apart.
func (c *chat) pace(ctx context.Context, most int64) {
	start, gap := time.Now(), float64(time.Second)/c.Rate
	for i := int64(0); ctx.Err() == nil && i < most; i++ {
		due := start.Add(time.Duration(float64(i) * gap))
		const soon = 50 * time.Microsecond
		if d := time.Until(due); d > soon && crowd.Sleep(ctx, d) != nil {
			return
		}
		if c.measuring.Load() {
			c.lag.Add(time.Since(due))
		}
		p := c.pairs[i%int64(len(c.pairs))]
		if err := p.write(1); err != nil {
			p.failed(c.t, p.sender, err)
			return
		}
	}
}

// drain waits until everything has arrived, or nothing does any more.
func (c *chat) drain(ctx context.Context) error {
	return c.t.wait(ctx, func() (int64, bool) {
		var sent, got int64
		for _, p := range c.pairs {
			sent += p.sent.Load()
			got += p.got.Load()
		}
		return got, got >= sent
	})
}

// settle compares the acknowledgements of managed streams with what was sent.
func (c *chat) settle(ctx context.Context) {
	if !c.Managed {
		return
	}
	_ = crowd.Parallel(len(c.pairs), len(c.pairs), func(i int) error {
		p := c.pairs[i]
		p.check.faults.WrongAck = p.sender.settle(ctx, c.t.patience())
		return nil
	})
}

// interrupt ends the readers.
func (c *chat) interrupt() {
	for _, p := range c.pairs {
		p.sender.interrupt()
		p.receiver.interrupt()
	}
}

func (c *chat) report(r *meter.Result, spent meter.Spent) {
	var n int64
	latency := new(meter.Histogram)
	for _, p := range c.pairs {
		n += p.measured.Load()
		latency.Merge(&p.latency)
		r.Faults = r.Faults.Add(p.faults())
	}
	r.Counted(n, "messages", spent)
	r.Latencies(latency)
	if c.Rate > 0 {
		r.Set("pacer_late_p99_ms", float64(c.lag.Quantile(0.99))/1e6)
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
