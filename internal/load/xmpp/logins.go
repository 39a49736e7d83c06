package xmpp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Logins has clients log in, from the connection to the presence.
type Logins struct {
	Clients int // that log in in one pass, after which all of them leave
	Passes  int // measured ones; one that is not measured comes before
}

// Run has the clients log in.
func (w Logins) Run(ctx context.Context, t *Target) (meter.Result, error) {
	r := meter.Result{Workload: "login"}
	if err := t.room(w.Clients); err != nil {
		return r, err
	}
	r, err := t.start("login")
	if err != nil {
		return r, err
	}
	r.Set("at_a_time", t.logins())
	var spent meter.Spent
	latency := new(meter.Histogram)
	var known int // keys derived before measuring: the client's own work
	for pass := range w.Passes + 1 {
		if pass == 1 {
			known = t.keys.misses()
			*latency = meter.Histogram{}
			spent = meter.Spent{}
		}
		one, err := w.pass(ctx, t, &r, latency)
		if err != nil {
			return r, err
		}
		spent = spent.Add(one)
	}
	if n := t.keys.misses() - known; n > 0 {
		r.Note = fmt.Sprintf("the client derived %d keys while it measured", n)
	}
	r.Counted(int64(w.Clients)*int64(w.Passes), "logins", spent)
	r.Latencies(latency)
	return r, t.finish(&r, 0, nil)
}

// pass has all clients log in and leave.
func (w Logins) pass(ctx context.Context, t *Target, r *meter.Result, latency *meter.Histogram) (meter.Spent, error) {
	clients := make([]*Client, w.Clients)
	defer func() { t.closeMany(clients) }()
	before, err := meter.Read(t.PID)
	if err != nil {
		return meter.Spent{}, err
	}
	var mu sync.Mutex
	err = crowd.Parallel(w.Clients, t.logins(), func(i int) error {
		start := time.Now()
		c, err := t.login(ctx, i, options{resource: "login"})
		took := time.Since(start)
		clients[i] = c
		mu.Lock()
		defer mu.Unlock()
		latency.Add(took)
		return err
	})
	if err != nil {
		return meter.Spent{}, err
	}
	after, err := meter.Read(t.PID)
	if len(clients) > 0 && clients[0].tls != "" {
		r.Set("tls", clients[0].tls)
	}
	return after.Since(before), err
}
