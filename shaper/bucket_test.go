package shaper

import (
	"math/big"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBucketTake(t *testing.T) {
	huge := 1 << 30
	huge <<= 10
	type step struct {
		after time.Duration
		n     int
		want  time.Duration
	}
	tests := []struct {
		name  string
		rate  Rate
		steps []step
	}{
		{"unlimited", Rate{}, []step{{0, 1 << 30, 0}, {0, 1 << 30, 0}}},
		{"burst defaults to rate", Rate{BytesPerSecond: 1000}, []step{{0, 1000, 0}, {0, 1, time.Millisecond}}},
		{"burst", Rate{1000, 5000}, []step{{0, 5000, 0}, {0, 500, 500 * time.Millisecond}}},
		{"small burst", Rate{1000, 10}, []step{{0, 1000, 990 * time.Millisecond}}},
		{"debt adds up", Rate{1000, 1000}, []step{{0, 1500, 500 * time.Millisecond}, {0, 1500, 2 * time.Second}}},
		{"time pays", Rate{1000, 1000}, []step{{0, 3000, 2 * time.Second}, {1500 * time.Millisecond, 0, 500 * time.Millisecond}, {time.Second, 500, 0}, {0, 1, time.Millisecond}}},
		{"credit ends at the burst", Rate{1000, 2000}, []step{{0, 2000, 0}, {time.Hour, 0, 0}, {0, 2000, 0}, {0, 1, time.Millisecond}}},
		{"what came in over time is free", Rate{1000, 1000}, []step{{10 * time.Second, 10000, 0}, {0, 1000, 0}, {0, 1, time.Millisecond}}},
		{"rounds up to a nanosecond", Rate{3, 3}, []step{{0, 4, 333333334 * time.Nanosecond}}},
		{"a byte a second", Rate{1, 1}, []step{{0, 3, 2 * time.Second}, {2 * time.Second, 0, 0}}},
		{"negative size", Rate{10, 10}, []step{{0, -5, 0}, {0, 10, 0}, {0, 1, 100 * time.Millisecond}}},
		{"huge rate", Rate{1 << 62, 1 << 62}, []step{{0, 1 << 30, 0}, {time.Hour, 1 << 30, 0}}},
		{"huge debt", Rate{1 << 40, 1}, []step{{0, huge, time.Duration((maxDebt-units-1)>>40 + 1)}}},
	}
	for _, tt := range tests {
		if tt.name == "huge debt" && strconv.IntSize < 64 {
			continue // no int is that big
		}
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBucket(tt.rate)
				for i, s := range tt.steps {
					time.Sleep(s.after)
					if got := b.Take(s.n); got != s.want {
						t.Errorf("step %d: Take(%d): got %v, want %v", i, s.n, got, s.want)
					}
				}
			})
		})
	}
}

// TestBucketFormula compares with credit = min(burst, credit + rate × elapsed - n),
// reckoned exactly.
func TestBucketFormula(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			r := Rate{1 + rnd.Int64N(1<<rnd.IntN(34)), 1 + rnd.Int64N(1<<rnd.IntN(31))}
			b := NewBucket(r)
			rate, burst := big.NewRat(r.BytesPerSecond, units), big.NewRat(r.Burst, 1)
			credit := new(big.Rat).Set(burst)
			for range 50 {
				elapsed, n := rnd.Int64N(1<<rnd.IntN(40)), rnd.IntN(1<<rnd.IntN(24))
				time.Sleep(time.Duration(elapsed))
				got := b.Take(n)
				credit.Add(credit, new(big.Rat).Mul(rate, big.NewRat(elapsed, 1)))
				credit.Sub(credit, big.NewRat(int64(n), 1))
				if credit.Cmp(burst) > 0 {
					credit.Set(burst)
				}
				want := time.Duration(0)
				if credit.Sign() < 0 {
					want = ceil(new(big.Rat).Quo(new(big.Rat).Neg(credit), rate))
				}
				if got != want {
					t.Fatalf("%v: Take(%d) after %v: got %v, want %v", r, n, time.Duration(elapsed), got, want)
				}
			}
		}
	})
}

func ceil(r *big.Rat) time.Duration {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return time.Duration(q.Int64())
}

func TestBucketAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(Rate{1000, 1500})
		var got []bool
		for range 4 {
			got = append(got, b.Allow(1000))
		}
		if want := [4]bool{true, true, false, false}; [4]bool(got) != want {
			t.Errorf("at once: got %v, want %v", got, want)
		}
		time.Sleep(499 * time.Millisecond)
		if b.Allow(1) {
			t.Error("in debt: got true, want false")
		}
		time.Sleep(time.Millisecond)
		if !b.Allow(1) {
			t.Error("debt paid: got false, want true")
		}
		if b.Allow(1) {
			t.Error("in debt again: got true, want false")
		}
		// Over a long time no more passes than the rate and the burst.
		passed, start := 0, time.Now()
		for time.Since(start) < time.Minute {
			if b.Allow(100) {
				passed += 100
			}
			time.Sleep(time.Millisecond)
		}
		if most := 60*1000 + 1500; passed > most || passed < most-2000 {
			t.Errorf("in a minute: got %d bytes, want just under %d", passed, most)
		}
	})
}

func TestBucketSetRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Bucket
		take := func(what string, n int, want time.Duration) {
			t.Helper()
			if got := b.Take(n); got != want {
				t.Errorf("%s: Take(%d): got %v, want %v", what, n, got, want)
			}
		}
		take("zero bucket", 1<<30, 0)
		if !b.Allow(1 << 30) {
			t.Error("zero bucket: Allow: got false, want true")
		}
		b.SetRate(Rate{100, 1000})
		take("from unlimited: full burst", 1200, 2*time.Second)
		b.SetRate(Rate{100, 1000})
		take("same rate: nothing changes", 0, 2*time.Second)
		b.SetRate(Rate{200, 1000})
		take("faster: the debt is paid faster", 0, time.Second)
		time.Sleep(500 * time.Millisecond)
		b.SetRate(Rate{10, 50})
		take("slower: the debt is at most the burst", 0, 5*time.Second)
		time.Sleep(5 * time.Second)
		b.SetRate(Rate{10, 70})
		take("without debt: full burst", 70, 0)
		take("without debt: full burst", 10, time.Second)
		b.SetRate(Rate{})
		take("unlimited", 1<<30, 0)
		b.SetRate(Rate{-1, 5})
		take("negative rate is unlimited", 1<<30, 0)
	})
}

func TestBucketAllocs(t *testing.T) {
	for _, r := range []Rate{{}, {1000, 1000}} {
		b := NewBucket(r)
		got := testing.AllocsPerRun(100, func() {
			b.Take(10)
			b.Allow(10)
		})
		if got != 0 {
			t.Errorf("%v: got %v allocations, want 0", r, got)
		}
	}
}

// TestBucketConcurrent lets several goroutines use one bucket, for the race
// detector, and counts what passed.
func TestBucketConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(Rate{1000, 1000})
		var mu sync.Mutex
		passed := 0
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					if b.Allow(10) {
						mu.Lock()
						passed++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		if passed != 101 {
			t.Errorf("without time passing: got %d datagrams of 10 bytes, want 101", passed)
		}
		for range 4 {
			wg.Go(func() {
				for i := range 100 {
					b.SetRate(Rate{int64(i%3) * 100, 50})
					b.Take(5)
				}
			})
		}
		wg.Wait()
	})
}

func BenchmarkBucketUnlimited(b *testing.B) {
	var bucket Bucket
	b.ReportAllocs()
	for b.Loop() {
		bucket.Allow(1200)
	}
}

func BenchmarkBucketLimited(b *testing.B) {
	bucket := NewBucket(Rate{1 << 40, 1 << 30})
	b.ReportAllocs()
	for b.Loop() {
		bucket.Allow(1200)
	}
}
