package xmpp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Offline has clients send messages to accounts whose users are not there, and
// counts those that the server has acknowledged (XEP-0198). Then the recipients
// log in, and everything must have come, once: also when they log in again.
type Offline struct {
	Pairs    int
	Messages int // that each recipient is sent
	Body     int
	Window   int // messages of a sender that are not acknowledged yet
	Every    int // messages after which an acknowledgement is asked for
}

// offline is a run of Offline.
type offline struct {
	Offline
	t         *Target
	run       string
	pairs     []*pair
	measuring atomic.Bool
}

// Run stores, fetches and checks.
func (w Offline) Run(ctx context.Context, t *Target) (meter.Result, error) {
	r := meter.Result{Workload: "offline"}
	if 2*w.Pairs > t.Accounts {
		return r, fmt.Errorf("%d senders and their recipients need %d accounts, not %d", w.Pairs, 2*w.Pairs, t.Accounts)
	}
	if err := t.room(w.Pairs); err != nil {
		return r, err
	}
	r, err := t.start("offline")
	if err != nil {
		return r, err
	}
	r.Set("pairs", w.Pairs)
	r.Set("each", w.Messages)
	r.Set("window", w.Window)
	r.Set("ask_every", w.Every)
	if err := t.offersOffline(ctx); err != nil {
		return r, err
	}
	f := &offline{Offline: w, t: t, run: newRun()}
	f.measuring.Store(true)
	if err := f.store(ctx, &r); err != nil {
		return r, err
	}
	if err := f.fetch(ctx, &r); err != nil {
		return r, err
	}
	for _, p := range f.pairs {
		r.Faults = r.Faults.Add(p.faults())
	}
	return r, t.finish(&r, 0, nil)
}

// offersOffline asks the server, and the account, for the feature of XEP-0160.
func (t *Target) offersOffline(ctx context.Context) error {
	c, err := t.login(ctx, 0, options{resource: "ask"})
	if err != nil {
		return err
	}
	defer c.Close()
	for i, to := range []string{t.Domain, t.bare(0)} {
		id := fmt.Sprint("disco", i)
		el, err := c.request("<iq type='get' id='"+id+"' to='"+to+"'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", id)
		if err == nil && bytes.Contains(el, []byte("msgoffline")) {
			return nil
		}
		if err != nil && !errors.Is(err, errRequestFailed) {
			return err
		}
	}
	return fmt.Errorf("offline messages: %w", ErrNotOffered)
}

// store sends the messages and waits for the acknowledgements.
func (f *offline) store(ctx context.Context, r *meter.Result) error {
	senders, err := f.t.loginMany(ctx, 0, f.Pairs, options{resource: "offline" + f.run, managed: true, every: max(f.Every, 1), buffer: chatBuffer})
	if err != nil {
		return err
	}
	defer f.t.closeMany(senders)
	t := newTexts(f.run, max(f.Body, fillerAt), false)
	for i, s := range senders {
		f.pairs = append(f.pairs, f.pair(i, s, t))
	}
	before, err := meter.Read(f.t.PID)
	if err != nil {
		return err
	}
	acked, err := f.send(ctx)
	if err != nil {
		return err
	}
	after, err := meter.Read(f.t.PID)
	if err != nil {
		return err
	}
	latency := new(meter.Histogram)
	for _, p := range f.pairs {
		latency.Merge(&p.latency)
	}
	r.Counted(acked, "stored messages", after.Since(before))
	r.Latencies(latency)
	return nil
}

// pair prepares a sender whose window is opened by acknowledgements.
func (f *offline) pair(i int, sender *Client, t *texts) *pair {
	p := newPair(i, sender, nil, t, f.t.bare(f.Pairs+i))
	p.window = int64(max(f.Window, 1))
	p.batch = max(p.window/4, 1)
	p.times = make([]atomic.Int64, p.window)
	p.measuring = &f.measuring
	before := sender.sm.sent
	sender.sm.onAck = func(h uint32) { p.acknowledged(int64(h - before)) }
	return p
}

// acknowledged notes that the server answers for so many messages.
func (p *pair) acknowledged(n int64) {
	now := time.Now().UnixNano()
	n = min(n, p.sent.Load()) // a server that counts too far has been noticed
	for i := p.got.Load(); i < n; i++ {
		p.latency.Add(time.Duration(now - p.times[i%p.window].Load()))
		p.got.Add(1)
	}
	p.open()
}

// send has everybody send and returns how many messages were acknowledged in
// the end. Those that were not count as acknowledged wrongly.
func (f *offline) send(ctx context.Context) (acked int64, err error) {
	sending, stop := context.WithCancel(ctx)
	var senders, readers sync.WaitGroup
	for _, p := range f.pairs {
		readers.Go(func() { p.drain(f.t) })
		senders.Go(func() { p.flood(sending, f.t, int64(f.Messages)) })
	}
	total := int64(f.Messages) * int64(len(f.pairs))
	err = f.t.wait(ctx, func() (int64, bool) {
		acked = 0
		for _, p := range f.pairs {
			acked += p.got.Load()
		}
		return acked, acked >= total
	})
	stop()
	for _, p := range f.pairs {
		p.sender.interrupt()
	}
	senders.Wait()
	readers.Wait()
	for _, p := range f.pairs {
		p.check.faults.WrongAck += p.sender.sm.wrong.Load() + p.sent.Load() - p.got.Load()
	}
	return acked, err
}

// fetch has the recipients log in twice.
func (f *offline) fetch(ctx context.Context, r *meter.Result) error {
	before, err := meter.Read(f.t.PID)
	if err != nil {
		return err
	}
	var n atomic.Int64
	err = crowd.Parallel(f.Pairs, f.t.logins(), func(i int) error {
		got, err := f.collect(ctx, i, f.Messages)
		n.Add(got)
		return err
	})
	if err != nil {
		return err
	}
	after, err := meter.Read(f.t.PID)
	if err != nil {
		return err
	}
	var fetched meter.Result
	fetched.Counted(n.Load(), "", after.Since(before))
	r.Set("fetched_per_second", int64(fetched.PerSecond))
	r.Set("fetched_per_server_cpu_s", int64(fetched.PerServerCPU))
	return crowd.Parallel(f.Pairs, f.t.logins(), func(i int) error {
		_, err := f.collect(ctx, i, 0)
		return err
	})
}

// quiet is how long a recipient listens that is to get nothing.
const quiet = 200 * time.Millisecond

// collect logs recipient i in and reads what is kept for it: until it has as
// many messages as it is to get and the server has answered a ping. It returns
// how many have come.
func (f *offline) collect(ctx context.Context, i, want int) (got int64, err error) {
	c, err := f.t.login(ctx, f.Pairs+i, options{resource: "fetch", managed: true, absent: true, buffer: chatBuffer})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.sendStanza("<presence/>"); err != nil {
		return 0, err
	}
	p, pinged, patience := f.pairs[i], false, f.t.patience()
	for {
		if got >= int64(want) && !pinged {
			pinged = true
			if err := c.sendStanza("<iq type='get' id='end' to='" + f.t.Domain + "'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
				return got, err
			}
		}
		c.goOn(patience)
		el, err := c.next()
		switch {
		case isTimeout(err):
			return got, nil // what has not come is lost
		case err != nil:
			return got, err
		case name(el) == "iq" && string(attribute(startTag(el), " id=")) == "end":
			if want > 0 {
				return got, nil
			}
			patience = quiet
		}
		if _, ours := p.check.check(el, p.sent.Load()); ours {
			got++
		}
	}
}
