package stun

import (
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// tally counts what one job has seen. Only count and the latencies are those of the
// measured time.
type tally struct {
	count   int64
	latency meter.Histogram
	lag     meter.Histogram // how late the pacer was

	sent, lost, late, skipped int64

	faults meter.Faults
}

// note counts what an answer was worth.
func (t *tally) note(v verdict, took time.Duration, measuring bool) {
	switch v {
	case onTime:
		if measuring {
			t.count++
			t.latency.Add(took)
		}
	case late:
		t.late++
	case duplicate:
		t.faults.Duplicate++
	case corrupt:
		t.faults.Corrupt++
	}
}

// add adds another tally.
func (t *tally) add(o *tally) {
	t.count += o.count
	t.latency.Merge(&o.latency)
	t.lag.Merge(&o.lag)
	t.sent += o.sent
	t.lost += o.lost
	t.late += o.late
	t.skipped += o.skipped
	t.faults = t.faults.Add(o.faults)
}

// report notes it all. What came in another shape, or late, is not lost as well.
func (t *tally) report(r *meter.Result, unit string, spent meter.Spent, drops meter.Drops, loss float64) {
	r.Counted(t.count, unit, spent)
	r.Latencies(&t.latency)
	r.Drops = drops
	r.Faults = t.faults
	r.Unanswered = max(0, t.lost-t.faults.Corrupt)
	if float64(r.Unanswered) > loss*float64(t.sent) {
		r.Faults.Lost = max(0, r.Unanswered-t.late)
	}
	if t.late > 0 {
		r.Set("late", t.late)
	}
	if t.skipped > 0 {
		r.Set("skipped", t.skipped) // there was no room in the windows for them
	}
	if t.lag.Count() > 0 {
		r.Set("pacer_late_p99_ms", float64(t.lag.Quantile(0.99))/1e6)
	}
}
