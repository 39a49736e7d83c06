package meter

import (
	"math/bits"
	"time"
)

// Steps of a Histogram to each power of two.
const (
	stepBits = 6
	steps    = 1 << stepBits
)

// Histogram counts durations in steps that grow with the duration, 64 to each
// power of two, so that a quantile is at most 1.6 % too high. The zero value is
// empty and ready. It is not safe for concurrent use.
type Histogram struct {
	counts [(64 - stepBits) * steps]uint64
	n      uint64
	max    time.Duration
}

// step returns the step that a number of nanoseconds belongs to.
func step(ns uint64) int {
	if ns < steps {
		return int(ns)
	}
	shift := bits.Len64(ns) - stepBits - 1
	return shift*steps + int(ns>>shift)
}

// above returns the first number of nanoseconds that is too large for a step.
func above(step int) uint64 {
	step++
	if step < 2*steps {
		return uint64(step)
	}
	shift := step/steps - 1
	return uint64(step%steps+steps) << shift
}

// Add counts a duration; one below 0 counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[step(uint64(d))]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds what another histogram has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count returns how many durations were added.
func (h *Histogram) Count() int64 { return int64(h.n) }

// Max returns the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the duration that the share q of all durations (0 to 1) did
// not exceed; 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.n))
	if float64(rank) < q*float64(h.n) {
		rank++
	}
	rank = min(max(rank, 1), h.n)
	var sum uint64
	for i, n := range h.counts {
		if sum += n; sum >= rank && n > 0 {
			return min(time.Duration(above(i)-1), h.max)
		}
	}
	return h.max
}
