package xmpp

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// pair is two clients, one of which sends messages to the other. They may be the
// same, where somebody returns what is sent.
type pair struct {
	sender, receiver *Client
	author           *author  // the sender's
	check            *checker // the receiver's

	window int64 // messages that may be on the way at once
	batch  int64 // a sender without window goes on when so much of it is free

	sent    atomic.Int64
	got     atomic.Int64
	waiting atomic.Bool    // the sender waits for its window
	times   []atomic.Int64 // when the messages of the window were sent, in nanoseconds; may be nil
	wake    chan struct{}  // what it waits for

	measuring *atomic.Bool
	measured  atomic.Int64    // messages received meanwhile
	latency   meter.Histogram // of these; the receiver's

	bounced int64 // what came back to the sender; its reader's
	broken  atomic.Int64
	gone    chan struct{} // closed by leave when one of the two is broken
	leave   func()
}

func newPair(i int, sender, receiver *Client, t *texts, to string) *pair {
	p := &pair{sender: sender, receiver: receiver, author: newAuthor(t, i, to), wake: make(chan struct{}, 1)}
	p.check = newChecker(p.author, sender.JID)
	p.gone = make(chan struct{})
	p.leave = sync.OnceFunc(func() { close(p.gone) })
	return p
}

// receive checks what comes until it is interrupted.
func (p *pair) receive(t *Target) {
	for {
		if err := p.receiver.fill(); err != nil {
			p.failed(t, p.receiver, err)
			return
		}
		now := time.Now()
		n, err := p.take(now)
		if n > 0 {
			p.got.Add(n)
			p.open()
		}
		if err != nil {
			p.failed(t, p.receiver, err)
			return
		}
	}
}

// take checks what has been read and returns how many messages have come with
// it that had not come before.
func (p *pair) take(now time.Time) (n int64, err error) {
	measuring := p.measuring.Load()
	again := p.check.order.duplicate
	for {
		el, err := p.receiver.buffered()
		if el == nil {
			return n - (p.check.order.duplicate - again), err
		}
		at, ours := p.check.check(el, p.sent.Load())
		if !ours {
			continue
		}
		n++
		if measuring && !at.IsZero() {
			p.measured.Add(1)
			p.latency.Add(now.Sub(at))
		}
	}
}

// open wakes the sender if it waits for its window and may go on.
func (p *pair) open() {
	if p.waiting.Load() && p.free() >= p.batch && p.waiting.CompareAndSwap(true, false) {
		p.wake <- struct{}{}
	}
}

func (p *pair) free() int64 { return p.window - (p.sent.Load() - p.got.Load()) }

// drain reads what comes back to the sender until it is interrupted: errors,
// acknowledgements, presence.
func (p *pair) drain(t *Target) {
	for {
		el, err := p.sender.next()
		if err != nil {
			p.failed(t, p.sender, err)
			return
		}
		if bytes.HasPrefix(el, messageStart) && bytes.HasPrefix(attribute(startTag(el), " id="), []byte(p.author.id)) {
			p.bounced++
			t.complain("%s: %.300s", p.sender.JID, el)
		}
	}
}

// failed notes that a client cannot be read any more, unless we interrupted it.
func (p *pair) failed(t *Target, c *Client, err error) {
	if isTimeout(err) {
		return
	}
	p.broken.Add(1)
	p.leave()
	t.complain("%s: %v", c.JID, err)
}

// flood keeps the window full until ctx ends or most messages are sent.
func (p *pair) flood(ctx context.Context, t *Target, most int64) {
	for ctx.Err() == nil && p.broken.Load() == 0 && p.author.next < most {
		free := min(p.free(), most-p.author.next)
		if free < min(p.batch, most-p.author.next) {
			if !p.wait(ctx) {
				return
			}
			continue
		}
		if err := p.write(free); err != nil {
			p.failed(t, p.sender, err)
			return
		}
	}
}

// wait waits for the window to open; false: ctx has ended, or the pair is broken.
func (p *pair) wait(ctx context.Context) bool {
	p.waiting.Store(true)
	if p.free() >= p.batch && p.waiting.CompareAndSwap(true, false) {
		return true
	}
	select {
	case <-p.wake:
		return true
	case <-ctx.Done():
	case <-p.gone:
	}
	return false
}

// write sends n messages at once.
func (p *pair) write(n int64) error {
	c := p.sender
	now := time.Now()
	c.begin()
	// What is counted before it is sent is never more than was sent.
	p.sent.Add(n)
	for range n {
		if p.times != nil {
			p.times[p.author.next%int64(len(p.times))].Store(now.UnixNano())
		}
		c.out = p.author.append(c.out, now)
		c.count()
	}
	return c.flush()
}

// faults returns what went wrong; nothing may be running any more.
func (p *pair) faults() meter.Faults {
	p.check.faults.Bounced += p.bounced
	f := p.check.result(p.sent.Load())
	f.Broken += p.broken.Load()
	return f
}
