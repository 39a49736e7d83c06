package component

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Of two components that connect at the same moment for the same domains, one stays.
func TestConflictAtOnce(t *testing.T) {
	for _, policy := range []Conflict{CloseOld, CloseNew} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(r *rig) {
					r.o.Conflict = policy
					r.o.Hosts = map[string]HostOptions{"a.test": {}, "b.test": {}}
					r.router.onRegister = func(string) error { time.Sleep(time.Second); return nil } // so that both are at it
				})
				for _, d := range []string{"a.test", "b.test"} {
					c := r.open(d)
					c.handshake("anchor")
					go func() { // reads until its stream ends
						buf := make([]byte, 4096)
						for {
							if _, err := c.conn.Read(buf); err != nil {
								return
							}
						}
					}()
					defer c.Close()
				}
				time.Sleep(10 * time.Second)
				if n := len(r.server.Components()); n != 1 {
					t.Errorf("got %d components that stay, want 1", n)
				}
				_ = r.stop(errors.New("end"))
			})
		})
	}
}

// What is for one stream, such as the answer to its own request, goes to no other.
func TestAnswersStayWithTheirStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		first := r.loggedIn("bot.test")
		first.bind("bot.test")
		second := r.loggedIn("bot.test")
		second.bind("bot.test")
		synctest.Wait()
		for i := range 100 { // fills the connection to first, whoever is its
			r.stall(user(i), "bot.test")
			if i%10 == 9 {
				second.drain()
			}
		}
		first.Send(strings.Replace(bindRequest("bind", "secret-project.test"), "<iq ", "<iq from='bot.test' ", 1))
		synctest.Wait()
		first.Close()
		time.Sleep(5 * time.Second)
		if got := second.drain(); strings.Contains(got, "secret-project.test") {
			i := strings.Index(got, "<iq")
			t.Errorf("second got the answer to the request of first: %s", got[i:min(len(got), i+200)])
		}
		second.Close()
		_ = r.stop(errors.New("end"))
	})
}

// A hostname that is given back and bound again ends up as connected.
func TestEventsOfRebindInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.loggedIn("bot.test")
		c.bind("bot.test")
		r.expectEvent("connected", "bot.test")
		other := r.loggedIn("bot.test")
		other.bind("bot.test")
		r.expectEvent("connected", "bot.test")
		synctest.Wait()
		for i := range 40 {
			r.stall(user(i), "bot.test")
		}
		c.Send(bindRequest("unbind", "bot.test"))
		synctest.Wait()
		hold := make(chan struct{})
		r.router.sink("bot.test").(stanza.Confirmer).Confirm(func() { <-hold }) // a goroutine that is slow
		go func() {
			for {
				buf := make([]byte, 1<<16)
				if _, err := other.seen.Conn(other.conn).Read(buf); err != nil {
					return
				}
			}
		}()
		c.Expect("<iq type='result' id='unbind_bot.test'/>")
		synctest.Wait()
		c.Send(bindRequest("bind", "bot.test"))
		synctest.Wait()
		close(hold)
		c.Expect("<iq type='result' id='bind_bot.test'>")
		synctest.Wait()
		r.expectEvent("disconnected", "bot.test")
		r.expectEvent("connected", "bot.test")
		c.Close()
		other.Close()
		_ = r.stop(errors.New("end"))
	})
}

type trapdoor struct{ open atomic.Bool }

func (a *trapdoor) Allow(acl.Subject) bool {
	if a.open.Load() {
		panic("trapdoor")
	}
	return true
}

// An access rule that panics does not lock the domain.
func TestAccessPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		access := new(trapdoor)
		r := start(t, func(r *rig) { r.o.Access = access })
		first := r.connect("bot.test")
		r.stall("ana@house.test", "bot.test")
		_ = r.deliver(message("ana@house.test", "bot.test", "1"))
		second := r.connect("bot.test")
		access.open.Store(true)
		first.Close()
		synctest.Wait()
		access.open.Store(false)
		g := r.router.sink("bot.test").(*group)
		if !g.mu.TryLock() {
			t.Error("the group is locked for good: everybody who sends to the domain hangs")
		}
		g.mu.Unlock() // in any case, so that the test ends
		second.end()
		_ = r.stop(errors.New("end"))
	})
}
