package component

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Who asks again and again whether his stanzas are safe, while a member comes that
// waits for a slow one, costs no more and no more memory.
func TestConfirmationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.SendTimeout = time.Hour })
		fast := r.connect("bot.test")
		slow := r.connect("bot.test")
		synctest.Wait()
		for i := range 40 {
			r.stall(user(i), "bot.test")
			fast.drain()
		}
		coming := r.connect("bot.test") // waits for slow
		synctest.Wait()
		g := r.router.sink("bot.test").(*group)
		asked := 20_000 // more than any queue is long
		var all stanza.Receipt
		for range asked {
			all.Via(g)
			all.Mark(func() {})
		}
		g.mu.Lock()
		held := len(g.coming.after)
		g.mu.Unlock()
		if held > 10_000 {
			t.Errorf("got %d callbacks that wait for the one that comes, after as many acknowledgements; want a bound", held)
		}
		fast.Close()
		slow.Close()
		coming.Close()
		_ = r.stop(errors.New("end"))
	})
}
