package component

import (
	"errors"
	"testing"
	"testing/synctest"
)

// A component that gives a hostname back and goes at once gives up all of them.
func TestUnbindAndLeaveAtOnce(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t)
			c := r.loggedIn("bot.test")
			c.bind("bot.test")
			c.bind("foo.test")
			c.bind("spare.test")
			c.Send(bindRequest("unbind", "bot.test") + "</stream:stream>")
			c.ExpectEOF()
			c.Close()
			synctest.Wait()
			_ = r.stop(errors.New("end"))
			for _, d := range []string{"bot.test", "foo.test", "spare.test"} {
				if r.router.sink(d) != nil {
					t.Errorf("%s is still registered, with nobody to serve it", d)
				}
			}
		})
		if t.Failed() {
			return
		}
	}
}
