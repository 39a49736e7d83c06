package xmpp

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Idle has clients log in and do nothing: what is measured is the memory that
// each of them costs the server.
type Idle struct {
	Clients int
	Settle  time.Duration // before memory is read
}

// warmUp is how many clients log in and out first, so that what the server needs
// once does not count.
const warmUp = 50

// Run measures. It should be the first to log clients in to the server.
func (w Idle) Run(ctx context.Context, t *Target) (meter.Result, error) {
	r := meter.Result{Workload: "idle"}
	if err := t.room(w.Clients); err != nil {
		return r, err
	}
	first, err := t.loginMany(ctx, 0, min(warmUp, w.Clients), options{resource: "warm"})
	if err != nil {
		return r, err
	}
	t.closeMany(first)
	if err := crowd.Sleep(ctx, w.Settle); err != nil {
		return r, err
	}
	if r, err = t.start("idle"); err != nil {
		return r, err
	}
	before, err := meter.Read(t.PID)
	if err != nil {
		return r, err
	}
	clients, err := t.loginMany(ctx, 0, w.Clients, options{resource: "idle", buffer: idleBuffer})
	if err != nil {
		return r, err
	}
	defer t.closeMany(clients)
	if err := crowd.Sleep(ctx, w.Settle); err != nil {
		return r, err
	}
	after, err := meter.Read(t.PID)
	if err != nil {
		return r, err
	}
	r.Counted(int64(w.Clients), "idle sessions", after.Since(before))
	var one *Client
	if len(clients) > 0 {
		one = clients[0]
	}
	return r, t.finish(&r, w.Clients, one)
}
