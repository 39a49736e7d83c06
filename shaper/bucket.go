package shaper

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Bucket is the token bucket of one peer. It holds a credit, which starts at
// the burst, grows with the rate up to the burst and shrinks by what is read.
// It may fall below zero: what came in is accepted, and then there is a pause
// until the credit is back at zero.
//
// The zero Bucket is unlimited. Its methods do not block, do not allocate and
// are safe for concurrent use. A Bucket must not be copied.
type Bucket struct {
	limited atomic.Bool // there is a rate
	mu      sync.Mutex
	rate    Rate      // effective
	burst   int64     // of rate, in units; 0 without a rate
	credit  int64     // in units, at the time last
	last    time.Time // of the last change of credit
}

// Credit is counted in units of a billionth byte: a rate of one byte per second
// is one unit per nanosecond, so that nothing is ever rounded.
const (
	units    = int64(time.Second)
	maxBurst = math.MaxInt64 / 4 / units // bytes, 2.3 GB
	maxDebt  = maxBurst * units
)

// NewBucket returns a full bucket.
func NewBucket(r Rate) *Bucket {
	b := new(Bucket)
	b.SetRate(r)
	return b
}

// SetRate changes the rate from now on; the rate that it has already changes
// nothing. The credit starts at the new burst, but a debt stays, though it
// shrinks to the new burst if it is larger.
func (b *Bucket) SetRate(r Rate) {
	r = r.effective()
	b.mu.Lock()
	defer b.mu.Unlock()
	if r == b.rate {
		return
	}
	now := time.Now()
	credit := b.creditAt(now, 0)
	b.rate, b.last = r, now
	b.burst = min(r.Burst, maxBurst) * units
	if credit < 0 {
		b.credit = max(credit, -b.burst)
	} else {
		b.credit = b.burst
	}
	b.limited.Store(r != Rate{})
}

// Allow reports whether a datagram of n bytes may pass now, and takes it from
// the credit if so.
func (b *Bucket) Allow(n int) bool {
	if !b.limited.Load() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.creditAt(now, 0) < 0 {
		return false
	}
	b.credit, b.last = b.creditAt(now, n), now
	return true
}

// Take takes n bytes that have come in from the credit. It returns how long to
// wait before the next are read, 0 for not at all.
func (b *Bucket) Take(n int) time.Duration {
	if !b.limited.Load() {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.credit, b.last = b.creditAt(now, n), now
	return b.pause(b.credit)
}

// allowance returns how long to wait before the next read or, if that is 0, how
// much it may read at once.
func (b *Bucket) allowance() (pause time.Duration, most int) {
	if !b.limited.Load() {
		return 0, math.MaxInt
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.burst == 0 {
		return 0, math.MaxInt
	}
	credit := b.creditAt(time.Now(), 0)
	if credit < 0 {
		return b.pause(credit), 0
	}
	// A reader without credit gets a tenth of a second's worth, so that it is
	// neither woken for every byte nor goes into debt for long.
	least := min(b.rate.Burst, max(b.rate.BytesPerSecond/10, 512))
	return 0, int(min(max(credit/units, least), math.MaxInt))
}

// creditAt returns what the credit is once n bytes have been read:
// min(burst, credit + rate × elapsed - n).
func (b *Bucket) creditAt(now time.Time, n int) int64 {
	if b.burst == 0 {
		return 0
	}
	spent := min(int64(max(n, 0)), maxBurst) * units
	elapsed := max(int64(now.Sub(b.last)), 0)
	if elapsed > (b.burst-b.credit+spent)/b.rate.BytesPerSecond {
		return b.burst
	}
	return max(b.credit+elapsed*b.rate.BytesPerSecond-spent, -maxDebt)
}

// pause returns how long it takes until a credit is back at zero.
func (b *Bucket) pause(credit int64) time.Duration {
	if credit >= 0 {
		return 0
	}
	return time.Duration((-credit-1)/b.rate.BytesPerSecond + 1)
}
