package stun

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Binding has clients ask for their address.
type Binding struct {
	Sockets  int
	Window   int           // requests of a socket that may be under way at once
	Rate     float64       // requests a second, of all sockets, evenly paced; 0: as fast as possible
	TCP      bool          // over connections of TCP
	Warm     time.Duration // before measuring
	Duration time.Duration // of measuring
}

// Run measures.
func (w Binding) Run(ctx context.Context, t *Target) (r meter.Result, err error) {
	r.Workload = "stun"
	r.Set("sockets", w.Sockets)
	r.Set("window", w.Window)
	if w.Rate > 0 {
		r.Set("rate", w.Rate)
	}
	if w.Sockets < 1 || w.Window < 1 {
		return r, errors.New("want one socket or more, and a window")
	}
	if err := errors.Join(crowd.Room(w.Sockets, t.PID), r.Before(t.PID)); err != nil {
		return r, err
	}
	if w.TCP {
		r.Set("transport", "tcp")
		err = w.streams(ctx, t, &r)
	} else {
		err = w.datagrams(ctx, t, &r)
	}
	return r, errors.Join(err, r.After(t.PID, 0))
}

// answers is what the workload counts.
const answers = "answers"

// bindingAnswer is how long the answer of a server may be.
const bindingAnswer = 512

// datagrams asks over UDP.
func (w Binding) datagrams(ctx context.Context, t *Target, r *meter.Result) error {
	if err := t.reach(ctx); err != nil {
		return err
	}
	l, err := newLoop(t, w.Window, bindingAnswer, w.Rate)
	if err != nil {
		return err
	}
	defer l.close()
	for i := range w.Sockets {
		conn, err := t.dial()
		if err != nil {
			return err
		}
		if err := l.add(conn, &binding{number: uint32(i), own: localAddr(conn)}, w.Window); err != nil {
			return err
		}
	}
	spent, drops, err := t.measure(ctx, span{w.Warm, w.Duration}, []func(*phase) error{l.run})
	if err != nil {
		return err
	}
	l.report(r, answers, spent, drops, t.Loss)
	return nil
}

// reach makes sure that there is a server, from a socket of its own: a server that has
// just started may answer late, and then each request that was made again.
func (t *Target) reach(ctx context.Context) error {
	conn, err := t.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	b, err := t.newClient(conn).ask(ctx, newRequest(bindingRequest))
	if err == nil && addressOf(b, attrXORMappedAddress) != localAddr(conn) {
		err = fmt.Errorf("the address of %v is told as %v", localAddr(conn), addressOf(b, attrXORMappedAddress))
	}
	return err
}

// streams asks over TCP.
func (w Binding) streams(ctx context.Context, t *Target, r *meter.Result) error {
	if w.Rate > 0 {
		return errors.New("requests are not paced over connections")
	}
	all := make([]*stream, w.Sockets)
	jobs := make([]func(*phase) error, w.Sockets)
	defer func() {
		for _, s := range all {
			if s != nil {
				s.conn.Close()
			}
		}
	}()
	for i := range all {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp4", t.Addr)
		if err != nil {
			return err
		}
		all[i] = newStream(conn, uint32(i), w.Window, t.timeout())
		jobs[i] = all[i].run
	}
	spent, drops, err := t.measure(ctx, span{w.Warm, w.Duration}, jobs)
	if err != nil {
		return err
	}
	var sum tally
	for _, s := range all {
		sum.add(&s.tally)
	}
	sum.report(r, answers, spent, drops, 0)
	return nil
}
