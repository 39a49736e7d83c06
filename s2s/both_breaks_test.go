package s2s

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestBreaks has managed streams break: nothing is lost in silence, nothing arrives
// twice or comes back twice.
func TestBreaks(t *testing.T) {
	enc := inEncrypt(t)
	for _, bidi := range []bool{true, false} {
		t.Run(fmt.Sprintf("bidi %t", bidi), func(t *testing.T) {
			var all bothFate
			for seed := range uint64(60) {
				synctest.Test(t, func(t *testing.T) {
					r := bothStart(t, seed, 30, func(domain string, s *inServer) {
						enc(true, TLSRequiredTrusted)(domain, s)
						s.set.Bidi.Value = bidi
						s.set.AckTimeout = 5 * time.Second
					})
					for range 300 {
						from, to := r.a, r.b
						if r.rnd.IntN(2) == 1 {
							from, to = to, from
						}
						r.send(from, to)
						if r.rnd.IntN(4) == 0 {
							time.Sleep(time.Duration(r.rnd.IntN(100)) * time.Millisecond)
						}
					}
					time.Sleep(time.Minute)
					for _, s := range []*inServer{r.a, r.b} {
						ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
						if err := s.Shutdown(ctx); err != nil {
							t.Errorf("seed %d: got %v from Shutdown of %s, want nil", seed, err, s.domain)
						}
						stop()
					}
					all.add(r.fate())
				})
			}
			if all.lost+all.twice > 0 {
				t.Errorf("got %+v, want none lost and none twice", all)
			}
		})
	}
}
