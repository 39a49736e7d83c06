package c2s

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestResumeStress lets many connections resume one session, while messages come,
// it is kicked, its time runs out or the listener ends: it ends once.
func TestResumeStress(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) { resumeStress(t, uint64(seed)) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func resumeStress(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := start(t, manage, func(r *rig) {
		r.sm.AckTimeout = time.Second
		r.fake.onKeep = func(waiting []stanza.Queued) []*stanza.Stanza {
			time.Sleep(50 * time.Millisecond)
			return stanzasOf(waiting)
		}
	})
	_, id := r.managed("ana", "boat")
	sink := r.fake.sink("ana@one.test/boat")
	var all sync.WaitGroup
	for i := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, i+1))
		all.Go(func() {
			for range 5 {
				resumeOnce(r, id, rnd)
			}
		})
	}
	kick, reason := rnd.IntN(80), []*stanza.StreamError{replaced, xmppstream.ErrShutdown}[rnd.IntN(2)]
	stop := rnd.IntN(3) == 0
	all.Go(func() {
		for i := range 40 {
			_ = sink.Deliver(numberedMessage(i))
			time.Sleep(100 * time.Millisecond)
			if i == kick {
				sink.Kick(reason)
			}
		}
	})
	if stop {
		time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
		_ = r.stop(errors.New("the end"))
		_ = r.ln.Close()
	}
	all.Wait()
	_ = r.stop(errors.New("the end"))
	synctest.Wait()
	if n := r.server.Stats(); len(r.fake.ended) != 1 || n.Sessions > 0 {
		t.Errorf("the session ended %d times, %+v, want once, none left", len(r.fake.ended), n)
	}
}

// resumeOnce is a client that resumes a session, says a few things, and stays for
// up to 3 s, after which it may leave its connection open.
func resumeOnce(r *rig, id string, rnd *rand.Rand) {
	conn := r.ln.Dial()
	r.feeding.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	text := header("one.test") + auth("PLAIN", "\x00ana\x00anchor") + header("one.test") + smResume(id, 0)
	for range rnd.IntN(5) {
		text += message("ana@one.test/boat", "x") + smRequest + smAck(rnd.IntN(3))
	}
	_, _ = fmt.Fprint(conn, text)
	time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
	if rnd.IntN(2) == 0 {
		_ = conn.Close()
	}
}
