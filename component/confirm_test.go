package component

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What waits for a confirmation stays small however many members go meanwhile.
func TestConfirmOfManyThatGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members = 20
		r := start(t, func(r *rig) { r.o.SendTimeout = 10 * time.Minute })
		all := make([]*client, members)
		for i := range all {
			all[i] = r.connect("bot.test")
			synctest.Wait()
		}
		sink := r.router.sink("bot.test").(stanza.Confirmer)
		for i := range 400 { // every member has something that it does not read
			r.stall(user(i), "bot.test")
		}
		var confirmed atomic.Int32
		sink.Confirm(func() { confirmed.Add(1) })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, c := range all[:members-1] {
			c.Close()
			time.Sleep(5 * time.Second)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.Mallocs - before.Mallocs); grown > 200_000 {
			t.Errorf("one confirmation of %d members made %d allocations and keeps %d bytes while they go", members, grown, int64(after.HeapAlloc)-int64(before.HeapAlloc))
		}
		all[members-1].Close()
		_ = r.stop(errors.New("end"))
		if n := confirmed.Load(); n != 1 {
			t.Errorf("confirmed %d times, want once", n)
		}
	})
}

// Nothing is confirmed while it is on its way back to its sender.
func TestConfirmAfterReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		r := start(t, func(r *rig) {
			r.router.onRoute = func(st *stanza.Stanza) error {
				if st.Type == stanza.TypeError {
					<-hold // the host takes its time
				}
				return nil
			}
		})
		for name, others := range map[string]int{"alone": 0, "with another": 1} {
			first := r.connect("bot.test")
			sink := r.router.sink("bot.test").(stanza.Confirmer)
			r.stall("ana@house.test", "bot.test")
			r.stall("ana@house.test", "bot.test") // this one waits for the one before
			var rest []*client
			for range others {
				rest = append(rest, r.connect("bot.test"))
			}
			first.Close()
			time.Sleep(5 * time.Second)
			var confirmed atomic.Bool
			sink.Confirm(func() { confirmed.Store(true) })
			synctest.Wait()
			if confirmed.Load() {
				t.Errorf("%s: confirmed what nobody has got and the host has not back", name)
			}
			close(hold)
			for _, c := range rest {
				c.drain()
			}
			synctest.Wait()
			if !confirmed.Load() {
				t.Errorf("%s: not confirmed at last", name)
			}
			for _, c := range rest {
				c.end()
			}
			synctest.Wait()
			hold = make(chan struct{})
		}
		close(hold)
	})
}
