package meter

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestStepsHaveNoGaps(t *testing.T) {
	for _, ns := range []uint64{0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 1 << 20, 1<<20 + 1<<14, 1<<40 - 1, math.MaxInt64} {
		i := step(ns)
		if top := above(i); ns >= top {
			t.Errorf("%d ns belongs to step %d, which ends before %d", ns, i, top)
		}
		if i > 0 && ns < above(i-1) {
			t.Errorf("%d ns belongs to step %d, but the one before ends at %d", ns, i, above(i-1))
		}
	}
	var h Histogram
	if got := step(math.MaxInt64); got != len(h.counts)-1 {
		t.Errorf("the longest duration: got step %d, want the last, %d", got, len(h.counts)-1)
	}
}

func TestQuantileOfNothing(t *testing.T) {
	var h Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("got %v, want 0", got)
	}
}

func TestQuantiles(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var a, b Histogram
	for i := range 10000 {
		d := time.Duration(math.Exp(rnd.Float64() * 20))
		all = append(all, d)
		if i%3 == 0 {
			a.Add(d)
		} else {
			b.Add(d)
		}
	}
	a.Merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(math.Ceil(q*float64(len(all))))-1, 0)]
		got := a.Quantile(q)
		if got < want || float64(got) > float64(want)*1.016+1 {
			t.Errorf("quantile %v: got %d ns, want %d and up to 1.6 %% more", q, got, want)
		}
	}
	if a.Max() != all[len(all)-1] || a.Count() != int64(len(all)) {
		t.Errorf("got max %v of %d, want %v of %d", a.Max(), a.Count(), all[len(all)-1], len(all))
	}
}

func TestNegativeDurationCountsAsZero(t *testing.T) {
	var h Histogram
	h.Add(-time.Second)
	if h.Count() != 1 || h.Max() != 0 || h.Quantile(1) != 0 {
		t.Errorf("got %d durations, max %v, quantile %v; want 1, 0, 0", h.Count(), h.Max(), h.Quantile(1))
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Add(12345) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
