package s2s

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestIdleClose sends a stanza while an idle stream is being closed by the one that
// takes it: it is not dropped, as nothing has gone wrong with the connection.
func TestIdleClose(t *testing.T) {
	var all bothFate
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			r := bothStart(t, seed, 0, func(domain string, s *inServer) {
				s.set.Bidi.Value = false
				if domain == "b.test" {
					s.set.Timeout.Value = 10 * time.Second
				}
			})
			for range 20 {
				time.Sleep(10*time.Second + time.Duration(r.rnd.IntN(300))*time.Millisecond)
				r.send(r.a, r.b)
			}
			time.Sleep(30 * time.Second)
			all.add(r.fate())
		})
	}
	if all.lost+all.both+all.twice > 0 {
		t.Errorf("got %+v, want none lost, and none both ways or twice", all)
	}
}
