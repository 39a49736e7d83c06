package component

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// drain reads all that has come by a connection so far.
func (c *client) drain() string {
	synctest.Wait()
	before := len(c.seen.String())
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
	buf := make([]byte, 1<<20)
	for {
		if _, err := c.seen.Conn(c.conn).Read(buf); err != nil {
			return c.seen.String()[before:]
		}
	}
}

// stall fills the connection to a component that does not read.
func (r *rig) stall(from, domain string) {
	r.t.Helper()
	big := strings.Replace(message(from, domain, "big"), "x<", strings.Repeat("x", 100_000)+"<", 1)
	if err := r.deliver(big); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func user(i int) string { return fmt.Sprintf("u%d@house.test", i) }

// whoServes sends something from each of many users, and says which component
// serves whom.
func (r *rig) whoServes(all []*client, users int) map[int]int {
	r.t.Helper()
	for i := range users {
		for _, resource := range []string{"", "/a", "/b"} {
			if err := r.deliver(message(user(i)+resource, "bot.test", "1")); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	served := make(map[int]int)
	for k, c := range all {
		got := c.drain()
		for i := range users {
			switch n := strings.Count(got, "from='"+user(i)+"'") + strings.Count(got, "from='"+user(i)+"/"); n {
			case 0:
			case 3:
				if _, twice := served[i]; twice {
					r.t.Errorf("two members serve user %d", i)
				}
				served[i] = k
			default:
				r.t.Errorf("got %d stanzas of user %d, want all 3 or none", n, i)
			}
		}
	}
	if len(served) != users {
		r.t.Errorf("got %d users served, want %d", len(served), users)
	}
	return served
}

// TestShare checks that each sender has one member, and that a member that comes or
// goes changes no more than its share.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 300
		r := start(t)
		all := []*client{r.connect("bot.test"), r.connect("bot.test"), r.connect("bot.test")}
		round := func() map[int]int { return r.whoServes(all, users) }
		before := round()
		all = append(all, r.connect("bot.test"))
		after := round()
		moved := 0
		for i, k := range after {
			if k != before[i] {
				moved++
				if k != 3 {
					t.Errorf("user %d moved from %d to %d, which was there before", i, before[i], k)
				}
			}
		}
		if moved < users/8 || moved > users/2 {
			t.Errorf("%d of %d users moved to a fourth member", moved, users)
		}
		all[3].end()
		all = all[:3]
		for i, k := range round() {
			if k != before[i] {
				t.Errorf("user %d is served by %d, before by %d", i, k, before[i])
			}
		}
		for _, c := range all {
			c.end()
		}
	})
}

func TestConflictPolicies(t *testing.T) {
	t.Run("closenew", func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.Conflict = CloseNew })
		first := r.connect("bot.test")
		second := r.open("bot.test")
		second.handshake("anchor")
		second.expectError("conflict")
		_ = r.deliver(message("ana@house.test", "bot.test", "1"))
		first.Expect("id='1'")
		first.end()
		r.connect("bot.test").end()
	})
	t.Run("closeold", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, func(r *rig) { r.o.Conflict = CloseOld })
			first := r.connect("bot.test")
			r.stall("ana@house.test", "bot.test")
			for i := range 10 {
				_ = r.deliver(message("ana@house.test", "bot.test", fmt.Sprint(i)))
			}
			second := r.connect("bot.test")
			_ = r.deliver(message("ana@house.test", "bot.test", "10"))
			for i := range 11 {
				second.Expect(fmt.Sprintf(" id='%d'", i))
			}
			if st := r.next(); st.ID != "big" || st.Type != stanza.TypeError {
				t.Errorf("got %v, want the stanza back that was half written", st)
			}
			first.ExpectEOF()
			first.Close()
			second.end()
			r.drain()
			r.log.Expect(t, "component has left", "another component has taken bot.test")
		})
	})
	t.Run("three at once, closeold", func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.Conflict = CloseOld })
		var last *client
		for range 3 {
			last = r.connect("bot.test")
		}
		last.Send(message("bot.test", "ana@house.test", "1"))
		r.next()
		last.end()
	})
}

// What a component has not got when it goes, and nobody takes, is returned.
func TestReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.connect("bot.test")
		r.stall("ana@house.test", "bot.test")
		for _, st := range []string{
			message("ana@house.test", "x@bot.test", "chat"),
			"<iq type='get' id='get' from='ana@house.test' to='bot.test'><q xmlns='urn:q'/></iq>",
			"<iq type='result' id='result' from='ana@house.test' to='bot.test'/>",
			"<message type='error' id='error' from='ana@house.test' to='bot.test'/>",
			"<presence id='join' from='ana@house.test' to='room@bot.test/ana'/>",
			"<presence type='unavailable' id='leave' from='ana@house.test' to='room@bot.test/ana'/>",
		} {
			if err := r.deliver(st); err != nil {
				t.Fatal(err)
			}
		}
		c.Send("</stream:stream>")
		for _, want := range []string{"big", "chat", "get", "join"} {
			st := r.next()
			if st.ID != want || st.Type != stanza.TypeError || st.To.String() != "ana@house.test" || !strings.Contains(st.Inner, "<recipient-unavailable") {
				t.Errorf("got %v, want the error for %s", st, want)
			}
		}
		c.ExpectEOF()
		c.Close()
		synctest.Wait()
		if n := len(r.router.routed); n != 0 {
			t.Errorf("got %d more stanzas back, want none", n)
		}
		if r.router.sink("bot.test") != nil {
			t.Error("the domain is still registered")
		}
	})
}

// Others get what a component has not got, in order, before anything newer.
func TestMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		first := r.connect("bot.test")
		r.stall("ana@house.test", "bot.test")
		for i := range 10 {
			_ = r.deliver(message("ana@house.test", "bot.test", fmt.Sprint(i)))
		}
		second := r.connect("bot.test") // gets its share once first has written
		for i := 10; i < 20; i++ {
			_ = r.deliver(message("ana@house.test", "bot.test", fmt.Sprint(i)))
		}
		first.Close()
		for i := range 20 {
			second.Expect(fmt.Sprintf(" id='%d'", i))
		}
		if st := r.next(); st.ID != "big" {
			t.Errorf("got %v, want the stanza that was half written", st)
		}
		second.end()
		if n := len(r.router.routed); n != 0 {
			t.Errorf("got %d more stanzas back, want none", n)
		}
	})
}

// What goes to others goes by their access rule and their bounds.
func TestMovedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		first := r.connect("bot.test")
		r.stall("ana@house.test", "bot.test")
		for i := range 10 {
			_ = r.deliver(message("ana@house.test", "bot.test", fmt.Sprint(i)))
		}
		for i := range 10 {
			_ = r.deliver(message("bo@house.test/x", "bot.test", fmt.Sprint("bo", i)))
		}
		o := r.another(func(r *rig) { r.o.Access, r.o.MaxFSMQueue = onlyFrom("bo@house.test/x"), 5 })
		second := o.connect("bot.test")
		first.Close()
		got := make(map[string]int)
		for range 16 {
			st := r.next()
			for _, c := range []stanza.Condition{stanza.NotAllowed, stanza.ResourceConstraint, stanza.RecipientUnavailable} {
				if strings.Contains(st.Inner, "<"+string(c)+" ") {
					got[string(c)]++
				}
			}
		}
		if got["not-allowed"] != 10 || got["resource-constraint"] != 5 || got["recipient-unavailable"] != 1 {
			t.Errorf("got %v back", got)
		}
		second.Expect("id='bo4'")
		second.end()
	})
}

// What waits for members that come and go is bounded, too.
func TestHeldIsBounded(t *testing.T) {
	for name, bound := range map[string]func(o *Options){
		"stanzas": func(o *Options) { o.MaxFSMQueue = 10 },
		"bytes":   func(o *Options) { o.MaxQueueBytes = 4096 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t)
				first := r.connect("bot.test")
				for i := range 30 { // somebody of them moves
					r.stall(user(i), "bot.test")
				}
				o := r.another(func(r *rig) { bound(&r.o) })
				second := o.connect("bot.test")
				refused := 0
				for i := range 30 * 50 {
					if err := r.deliver(message(user(i%30), "bot.test", fmt.Sprint(i))); errors.Is(err, stanza.ErrQueueFull) {
						refused++
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if refused < 50 || refused > 30*49 {
					t.Errorf("%d of 1,500 stanzas were refused, want those of the second member over its bound", refused)
				}
				first.Close()
				second.Close()
			})
		})
	}
}

// TestConfirm checks when a sender hears that his stanzas have arrived.
func TestConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		first := r.connect("bot.test")
		sink := r.router.sink("bot.test").(stanza.Confirmer)
		confirm := func() *atomic.Bool {
			done := new(atomic.Bool)
			sink.Confirm(func() { done.Store(true) })
			synctest.Wait()
			return done
		}
		if !confirm().Load() {
			t.Error("nothing is under way: got no confirmation")
		}
		r.stall("ana@house.test", "bot.test")
		_ = r.deliver(message("ana@house.test", "bot.test", "1"))
		waits := confirm()
		second := r.connect("bot.test")
		_ = r.deliver(message("ana@house.test", "bot.test", "2"))
		held := confirm()
		if waits.Load() || held.Load() {
			t.Error("got a confirmation before anything was written")
		}
		r.router.onRoute = func(*stanza.Stanza) error {
			if waits.Load() || held.Load() {
				t.Error("got a confirmation before a stanza was returned")
			}
			return nil
		}
		first.Close()
		time.Sleep(5 * time.Second)
		if !waits.Load() || !held.Load() {
			t.Errorf("all is written or returned: got %t and %t, want confirmations", waits.Load(), held.Load())
		}
		second.Expect("id='2'")
		second.end()
	})
}

func TestKickGroup(t *testing.T) {
	r := start(t)
	first, second := r.connect("bot.test"), r.connect("bot.test")
	r.router.sink("bot.test").Kick(&stanza.StreamError{Condition: stanza.StreamHostGone})
	first.expectError("host-gone")
	second.expectError("host-gone")
}

// A stanza for a domain whose last component has just gone is refused.
func TestDeliverToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.connect("bot.test")
		sink := r.router.sink("bot.test")
		c.end()
		synctest.Wait()
		st, _ := stanza.Parse(message("ana@house.test", "bot.test", "1"))
		if err := sink.Deliver(st); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("Deliver: got %v, want ErrClosed", err)
		}
		r.connect("bot.test").end()
	})
}

// A component that comes while the router forgets its domain waits for that.
func TestReconnectDuringRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.router.onRelease = func(string) { time.Sleep(time.Second) } })
		r.connect("bot.test").end()
		r.connect("bot.test").end()
	})
}

// Two listeners of a server share the domains.
func TestTwoListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		o := r.another(func(r *rig) { r.o.Access = acl.None })
		first, second := r.connect("bot.test"), o.connect("bot.test")
		denied := 0
		for i := range 100 {
			if err := r.deliver(message(user(i), "bot.test", "1")); err != nil {
				denied++
			}
		}
		if denied < 20 || denied > 80 {
			t.Errorf("%d of 100 stanzas were denied, want the share of the second listener", denied)
		}
		first.end()
		second.end()
	})
}
