package s2s

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestMutual has two servers begin to talk to one another at the same time: each
// stanza arrives once. Nothing breaks on the network.
func TestMutual(t *testing.T) {
	enc := inEncrypt(t)
	modes := map[string]func(string, *inServer){
		"plain":    func(string, *inServer) {},
		"external": enc(true, TLSOptional),
		"nobidi":   func(_ string, s *inServer) { s.set.Bidi.Value = false },
	}
	for name, prepare := range modes {
		t.Run(name, func(t *testing.T) {
			var all bothFate
			for seed := range uint64(300) {
				synctest.Test(t, func(t *testing.T) {
					r := bothStart(t, seed, 0, prepare)
					for range 20 {
						r.send(r.a, r.b)
						time.Sleep(time.Duration(r.rnd.IntN(40)) * time.Millisecond)
						r.send(r.b, r.a)
						time.Sleep(time.Duration(r.rnd.IntN(40)) * time.Millisecond)
					}
					time.Sleep(20 * time.Second)
					all.add(r.fate())
				})
			}
			if all != (bothFate{sent: all.sent}) {
				t.Errorf("got %+v, want all to arrive, once", all)
			}
		})
	}
}
