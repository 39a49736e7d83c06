package stun

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Allocations has clients come, each from an address of its own and without
// credentials: it asks for an allocation, is challenged, gets it, and gives it back.
type Allocations struct {
	AtATime  int
	Warm     time.Duration // before measuring
	Duration time.Duration // of measuring
}

// Run measures. A latency is the time until a client has its allocation.
func (w Allocations) Run(ctx context.Context, t *Target) (r meter.Result, err error) {
	r.Workload = "allocations"
	r.Set("at_a_time", w.AtATime)
	if w.AtATime < 1 {
		return r, errors.New("want one client or more at a time")
	}
	if err := errors.Join(crowd.Room(2*w.AtATime, t.PID), r.Before(t.PID)); err != nil {
		return r, err
	}
	if err := t.reach(ctx); err != nil {
		return r, err
	}
	if err := t.visit(ctx, func(time.Duration) {}); err != nil {
		return r, err
	}
	workers := make([]visits, w.AtATime)
	jobs := make([]func(*phase) error, w.AtATime)
	for i := range jobs {
		jobs[i] = func(p *phase) error { return workers[i].run(ctx, t, p) }
	}
	spent, drops, err := t.measure(ctx, span{w.Warm, w.Duration}, jobs)
	if err != nil {
		return r, err
	}
	var sum tally
	for i := range workers {
		sum.add(&workers[i].tally)
		if err := workers[i].err; err != nil {
			r.Note = err.Error()
		}
	}
	sum.report(&r, "allocations", spent, drops, 0)
	return r, r.After(t.PID, 0)
}

// visits are what one worker does.
type visits struct {
	tally
	err error // the last one
}

// run is the job. What the server refuses is a fault.
func (v *visits) run(ctx context.Context, t *Target, p *phase) error {
	for !p.ended() {
		var took time.Duration
		err := t.visit(ctx, func(d time.Duration) { took = d })
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		v.sent++
		if err != nil {
			v.faults.Broken++
			v.err = err
			continue
		}
		v.note(onTime, took, p.measuring())
	}
	return nil
}

// visit is all that a client does. It calls got when it has its allocation.
func (t *Target) visit(ctx context.Context, got func(time.Duration)) error {
	conn, err := t.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	c, start := t.newClient(conn), time.Now()
	if _, err := c.allocate(ctx); err != nil {
		return err
	}
	got(time.Since(start))
	return c.free(context.WithoutCancel(ctx))
}

// IdleAllocations has clients make an allocation with a permission and a channel, and
// do nothing: what is measured is the memory of the server's process that each of
// them costs. What the kernel needs for a socket is not in it.
type IdleAllocations struct {
	Clients int
	Settle  time.Duration // before memory is read
}

const (
	// warmUp is how many clients come and go first, so that what the server needs once
	// does not count.
	warmUp = 50
	// atOnce is how many clients come at a time.
	atOnce = 16
)

// Run measures. It should be the first to make allocations.
func (w IdleAllocations) Run(ctx context.Context, t *Target) (r meter.Result, err error) {
	r.Workload = "idle-allocations"
	if err := crowd.Room(w.Clients, t.PID); err != nil {
		return r, err
	}
	if err := t.reach(ctx); err != nil {
		return r, err
	}
	first, err := t.settleIn(ctx, min(warmUp, w.Clients))
	if err = errors.Join(err, leave(ctx, first)); err != nil {
		return r, err
	}
	if err := errors.Join(crowd.Sleep(ctx, w.Settle), r.Before(t.PID)); err != nil {
		return r, err
	}
	before, err := meter.Read(t.PID)
	if err != nil {
		return r, err
	}
	clients, err := t.settleIn(ctx, w.Clients)
	defer func() { err = errors.Join(err, leave(ctx, clients)) }()
	if err != nil {
		return r, err
	}
	if err := crowd.Sleep(ctx, w.Settle); err != nil {
		return r, err
	}
	after, err := meter.Read(t.PID)
	if err != nil {
		return r, err
	}
	r.Counted(int64(w.Clients), "idle allocations", after.Since(before))
	return r, r.After(t.PID, w.Clients)
}

// settleIn has n clients make an allocation each. Those that have one are returned
// after an error, too.
func (t *Target) settleIn(ctx context.Context, n int) ([]*client, error) {
	clients := make([]*client, n)
	err := crowd.Parallel(n, atOnce, func(i int) error {
		conn, err := t.dial()
		if err != nil {
			return err
		}
		c := t.newClient(conn)
		if _, err := c.allocate(ctx); err != nil {
			return errors.Join(err, conn.Close())
		}
		clients[i] = c
		own := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		peer := netip.AddrPortFrom(own.Addr().Unmap(), discard)
		return errors.Join(c.permit(ctx, peer), c.bind(ctx, channelNumber, peer))
	})
	return clients, err
}

// discard is the port of peers that are never sent anything.
const discard = 9

// leave has clients give their allocations back, also when ctx has ended, and closes
// their sockets.
func leave(ctx context.Context, clients []*client) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), freeTimeout)
	defer cancel()
	err := crowd.Parallel(len(clients), atOnce, func(i int) error {
		if clients[i] == nil {
			return nil
		}
		return clients[i].free(ctx)
	})
	for _, c := range clients {
		if c != nil {
			err = errors.Join(err, c.conn.Close())
		}
	}
	return err
}
