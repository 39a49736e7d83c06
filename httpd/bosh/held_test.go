package bosh_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A request is answered in the same way however long it has waited: at first in its
// handler, then in httpd.
func TestLongWaits(t *testing.T) {
	for _, waited := range []time.Duration{0, time.Second - 1, time.Second, time.Second + 1, 10 * time.Second} {
		t.Run(waited.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				c, _ := s.login()
				l := s.dial()
				for _, text := range []string{"one", "two", "three"} {
					l.send("/bosh", c.next("", ""))
					time.Sleep(waited)
					s.backend.deliver(t, text)
					began := time.Now()
					a := l.read()
					a.has(t, text)
					if took := time.Since(began); a.status != http.StatusOK || took != 0 {
						t.Errorf("%s: got %d after %v, want 200 at once", text, a.status, took)
					}
					for field, want := range map[string]string{"Content-Type": "text/xml; charset=utf-8", "Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"} {
						if got := a.header.Get(field); got != want {
							t.Errorf("%s: got %q for %s, want %q", text, got, field, want)
						}
					}
				}
				request := c.next("", "") // the client goes while it waits, and comes back
				l.send("/bosh", request)
				time.Sleep(waited)
				_ = l.c.Close()
				synctest.Wait()
				s.backend.deliver(t, "four")
				time.Sleep(20 * time.Second)
				l = s.dial()
				l.send("/bosh", request)
				l.read().has(t, "four")
				l.send("/bosh", c.next("", "")) // nobody has anything to say
				began := time.Now()
				if a := l.read(); a.status != http.StatusOK || time.Since(began) != time.Minute {
					t.Errorf("got %d after %v, want 200 after a minute", a.status, time.Since(began))
				}
				s.rig.end()
				s.end()
			})
		})
	}
}

// The end of a listener is told to those who wait, however long they have.
func TestListenerEndsInLongWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		l := s.dial()
		l.send("/bosh/", creation("ver='1.6'"))
		a := l.read()
		c := &client{s.rig, a.attributes()["sid"], ridBefore}
		l.send("/bosh", c.next("", ""))
		time.Sleep(30 * time.Second)
		s.stop(errTest)
		l.read().has(t, "<system-shutdown ")
		s.end()
	})
}
