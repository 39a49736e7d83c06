package c2s

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// broken makes a session of ana's, whose connection breaks, beside another one: it
// has sent two stanzas and acknowledged two of four.
func (r *rig) broken() (id string) {
	r.t.Helper()
	c, id := r.managed("ana", "boat")
	r.managed("bo", "pier")
	c.Send(message("cy@one.test", "x") + message("cy@one.test", "x"))
	r.deliver("ana@one.test/boat", 1, 4)
	c.Expect(smRequest)
	c.Send(smAck(2))
	synctest.Wait()
	c.Close()
	<-r.fake.detached
	return id
}

// TestResume goes through what comes of a request to resume: XEP-0198, section
// 5. The session has handled 2 stanzas of the client's, which has acknowledged 2
// of 4.
func TestResume(t *testing.T) {
	tests := []struct {
		name  string
		user  string
		send  func(id string) string
		after time.Duration // since the connection broke
		want  string        // "": it is resumed
		left  int           // sessions
	}{
		{"nothing was lost", "ana", func(id string) string { return smResume(id, 4) }, 0, "", 2},
		{"all was lost", "ana", func(id string) string { return smResume(id, 2) }, 0, "", 2},
		{"just in time", "ana", func(id string) string { return smResume(id, 2) }, 300*time.Second - 1, "", 2},
		{"too late", "ana", func(id string) string { return smResume(id, 2) }, 300 * time.Second,
			"<failed xmlns='" + nsSM + "' h='2'><item-not-found xmlns='" + stanza.NSStanzas + "'/></failed>", 1},
		{"much too late, by another user", "bo", func(id string) string { return smResume(id, 2) }, time.Hour, failedWith("item-not-found"), 1},
		{"wrong id", "ana", func(id string) string { return smResume(id[1:]+"A", 2) }, 0, failedWith("item-not-found"), 2},
		{"part of the id", "ana", func(id string) string { return smResume(id[1:], 2) }, 0, failedWith("item-not-found"), 2},
		{"another user", "bo", func(id string) string { return smResume(id, 2) }, 0, failedWith("item-not-found"), 2},
		{"h too low", "ana", func(id string) string { return smResume(id, 1) }, 0, failedWith("item-not-found"), 2},
		{"without h", "ana", func(id string) string { return "<resume xmlns='" + nsSM + "' previd='" + id + "'/>" }, 0, failedWith("bad-request"), 2},
		{"without id", "ana", func(string) string { return "<resume xmlns='" + nsSM + "' h='2'/>" }, 0, failedWith("bad-request"), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				id := r.broken()
				time.Sleep(tt.after)
				synctest.Wait()
				c := r.authenticated(tt.user)
				c.Send(tt.send(id))
				if tt.want != "" {
					c.Expect(tt.want)
					if n := r.server.Stats(); n.Sessions != tt.left || n.ResumesFailed != 1 || n.Resumed != 0 {
						t.Errorf("got %+v, want %d sessions, and one failure", n, tt.left)
					}
					c.bind(tt.user, "other") // instead
					return
				}
				c.Expect("<resumed xmlns='" + nsSM + "' previd='" + id + "' h='2'/>")
				r.deliver("ana@one.test/boat", 5, 5)
				want := "<message id='5'>"
				if tt.name != "nothing was lost" {
					want = "<message id='3'><body>x</body></message><message id='4'><body>x</body></message>"
				}
				if got := c.Expect(smRequest); !strings.HasPrefix(got, want) {
					t.Errorf("got %s, want %s", got, want)
				}
				c.Send(message("cy@one.test", "x") + smRequest)
				c.Expect(smAck(3))
				if n := r.server.Stats(); n.Sessions != tt.left || n.ResumesFailed != 0 || n.Resumed != 1 || n.Detached != 0 {
					t.Errorf("got %+v, want %d sessions, one of them resumed", n, tt.left)
				}
				if len(r.fake.ended) > 0 || len(r.fake.bound) != 2 || len(r.fake.resumed) != 1 {
					t.Errorf("got %d ended, %d bound, %d resumed, want none, 2, 1", len(r.fake.ended), len(r.fake.bound), len(r.fake.resumed))
				}
			})
		})
	}
}

// TestResumeTooHigh ends the new stream and leaves the session alone.
func TestResumeTooHigh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, id := r.managed("ana", "boat")
		r.deliver("ana@one.test/boat", 1, 2)
		c.Expect(smRequest)
		c.Close()
		<-r.fake.detached
		c = r.authenticated("ana")
		c.Send(smResume(id, 3))
		if got := c.ExpectEOF(); !strings.Contains(got, "<stream:error><undefined-condition") || !strings.Contains(got, "h='3' send-count='2'/>") {
			t.Errorf("got %s, want handled-count-too-high", got)
		}
		r.resume("ana", id, 2)
	})
}

// TestResumeTwice resumes again and again: the numbers go on.
func TestResumeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, id := r.managed("ana", "boat")
		for i := range 5 {
			r.deliver("ana@one.test/boat", i+1, i+1)
			c.Expect(fmt.Sprintf("<message id='%d'>", i+1))
			c.Expect(smRequest)
			c.Send(message("bo@one.test", "x"))
			<-r.fake.routed
			c.Close()
			<-r.fake.detached
			var h string
			if c, h = r.resume("ana", id, i+1); h != fmt.Sprint(i+1) {
				t.Errorf("got %s stanzas handled, want %d", h, i+1)
			}
		}
		if got := c.last(); strings.Contains(got, "<message") {
			t.Errorf("got %s, want nothing twice", got)
		}
	})
}

// TestTakeOver resumes a session whose connection is still there.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		old, id := r.managed("ana", "boat")
		old.Send(message("bo@one.test", "x"))
		r.deliver("ana@one.test/boat", 1, 2)
		old.Expect(smRequest)
		synctest.Wait()
		began := time.Now()
		c, h := r.resume("ana", id, 1)
		if got := c.Expect(smRequest); h != "1" || !strings.HasPrefix(got, "<message id='2'>") || time.Since(began) > 0 {
			t.Errorf("got %s handled, and %s after %v, want 1, and message 2 at once", h, got, time.Since(began))
		}
		old.expectError("conflict")
		time.Sleep(10 * time.Second)
		c.Send(smAck(2) + message("bo@one.test", "x") + smRequest)
		c.Expect(smAck(2))
		if len(r.fake.ended)+len(r.fake.detached)+len(r.fake.released) > 0 || len(r.fake.resumed) != 1 {
			t.Errorf("got %d ended, %d detached, %d resumed, want only one resumed", len(r.fake.ended), len(r.fake.detached), len(r.fake.resumed))
		}
		c.Send("</stream:stream>")
		if end := <-r.fake.ended; undelivered(end) != "" || end.reason != nil {
			t.Errorf("got %q undelivered, reason %v, want an end in order", undelivered(end), end.reason)
		}
	})
}

// TestTakeOverOfStuckClient does so where the old connection is full: nobody
// waits for it.
func TestTakeOverOfStuckClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		_, id := r.managed("ana", "boat")
		for i := range 20 {
			if err := r.fake.sink("ana@one.test/boat").Deliver(bigMessage(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		began := time.Now()
		c, _ := r.resume("ana", id, 0)
		for i := range 20 {
			c.Expect(fmt.Sprintf("<message id='%d'>", i))
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("got everything after %v, want it soon", took)
		}
	})
}

// TestTakeOverWaitsForHandler checks that what the client sent by its old stream
// is handled once, whatever it does meanwhile.
func TestTakeOverWaitsForHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := start(t, manage, func(r *rig) {
			r.fake.onRoute = func(context.Context, *stanza.Stanza) error {
				n++
				time.Sleep(10 * time.Second)
				return nil
			}
		})
		old, id := r.managed("ana", "boat")
		old.Send("<message id='1'/><message id='2'/>")
		synctest.Wait()
		began := time.Now()
		c := r.authenticated("ana")
		c.Send(smResume(id, 0))
		time.Sleep(9 * time.Second)
		c.Expect(" h='1'/>")
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("resumed after %v, want 10 s", took)
		}
		c.Send("<message id='2'/>" + smRequest)
		time.Sleep(9 * time.Second)
		c.Expect(smAck(2))
		if n != 2 {
			t.Errorf("got %d stanzas handled, want 2", n)
		}
		old.expectError("conflict")
	})
}

// TestTakeOverGivesUp checks that a handler that never ends does not hold up the
// next stream for ever.
func TestTakeOverGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		r := start(t, manage, func(r *rig) {
			r.o.NegotiationTimeout = 5 * time.Second
			r.fake.onRoute = func(context.Context, *stanza.Stanza) error { <-stuck; return nil }
		})
		old, id := r.managed("ana", "boat")
		old.Send("<message id='1'/>")
		synctest.Wait()
		c := r.authenticated("ana")
		began := time.Now()
		c.Send(smResume(id, 0))
		c.ExpectEOF()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the stream ended after %v, want 5 s", took)
		}
		close(stuck)
	})
}

// TestResumeElsewhere resumes on another listener: its rules apply.
func TestResumeElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		access, rate := new(asked), new(asked)
		r := start(t, manage)
		c, id := r.managed("ana", "boat")
		closed := r.second(func(o *Options) { o.Access = nil })
		other := r.second(func(o *Options) { o.Access, o.Shaper = access, rate })
		c.Close()
		<-r.fake.detached

		c = closed.authenticated("ana")
		c.Send(smResume(id, 0))
		c.Expect(failedWith("not-allowed"))

		c, _ = other.resume("ana", id, 0)
		full := acl.Subject{User: "ana", Server: "one.test", Resource: "boat", Host: "one.test", IP: r.fake.binding.Peer.Addr.Addr()}
		if len(access.list) != 1 || access.list[0] != full {
			t.Errorf("the access rule was asked about %+v, want %+v", access.list, full)
		}
		if got := rate.list[len(rate.list)-1]; got != full {
			t.Errorf("the shaper rule was asked about %+v at last, want %+v", got, full)
		}
		// The session is the new listener's now.
		r.drain()
		c.Close()
		<-r.fake.detached
		_ = other.stop(errors.New("the end"))
		if end := <-r.fake.ended; !errors.Is(end.reason, xmppstream.ErrShutdown) {
			t.Errorf("got reason %v, want system-shutdown", end.reason)
		}
	})
}

// TestKickDuringResumption checks that a session that is kicked just when it is
// resumed ends with the reason, and once.
func TestKickDuringResumption(t *testing.T) {
	for i := range 50 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, manage)
			c, id := r.managed("ana", "boat")
			r.deliver("ana@one.test/boat", 1, 1)
			c.Expect(smRequest)
			if i%2 == 0 {
				c.Close()
				<-r.fake.detached
			}
			c = r.authenticated("ana")
			c.Send(smResume(id, 0))
			r.fake.sink("ana@one.test/boat").Kick(&stanza.StreamError{Condition: stanza.StreamConflict})
			end := <-r.fake.ended
			if !errors.Is(end.reason, &stanza.StreamError{Condition: stanza.StreamConflict}) || undelivered(end) != "1" {
				t.Errorf("got %q undelivered, reason %v, want 1, conflict", undelivered(end), end.reason)
			}
			time.Sleep(time.Hour)
			if len(r.fake.ended) > 0 {
				t.Error("the session ended twice")
			}
		})
	}
}

// TestRepeatedStanzas checks that stanzas that were handled but are not safe are
// sent again by the client, and not handled again.
func TestRepeatedStanzas(t *testing.T) {
	tests := []struct {
		name   string
		again  string // what the client sends after the resumption
		routed string // of it
		h      int    // in the end
	}{
		{"all again", "<message id='2'/><message id='3'/><message id='4'/>", "4", 4},
		{"a part", "<message id='2'/>", "", 2},
		{"one left out", "<message id='3'/><message id='4'/>", "3 4", 3},
		{"only new ones", "<message id='4'/>", "4", 2},
		{"one is another", "<message id='2'/><message id='3'><body>y</body></message>", "3", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dones []func()
				var routed []string
				r := start(t, manage, func(r *rig) {
					r.fake.onRoute = func(ctx context.Context, s *stanza.Stanza) error {
						routed = append(routed, s.ID)
						if s.ID != "1" && len(dones) == 0 {
							dones = append(dones, stanza.ReceiptOf(ctx).Begin())
						}
						return nil
					}
				})
				c, id := r.managed("ana", "boat")
				c.Send("<message id='1'/>" + smRequest)
				c.Expect(smAck(1))
				c.Send("<message id='2'/><message id='3'/>" + smRequest)
				synctest.Wait()
				c.Close()
				<-r.fake.detached
				var h string
				if c, h = r.resume("ana", id, 0); h != "1" {
					t.Errorf("got %s stanzas handled and safe, want 1", h)
				}
				routed = nil
				c.Send(tt.again)
				synctest.Wait()
				if got := strings.Join(routed, " "); got != tt.routed {
					t.Errorf("got %q routed, want %q", got, tt.routed)
				}
				dones[0]()
				c.Send(smRequest)
				c.Expect(smAck(tt.h))
				c.Close()
				<-r.fake.detached
				if _, h := r.resume("ana", id, 0); h != fmt.Sprint(tt.h) && tt.name != "a part" {
					t.Errorf("got %s stanzas handled and safe, want %d", h, tt.h)
				}
			})
		})
	}
}

// TestRepeatedBound checks that what is known of stanzas that are not safe has a
// bound: those beyond it are handled again, none is forgotten.
func TestRepeatedBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = maxRecent + 100
		counts := make(map[string]int)
		var done func()
		r := start(t, manage, func(r *rig) {
			r.fake.onRoute = func(ctx context.Context, s *stanza.Stanza) error {
				if counts[s.ID]++; done == nil {
					done = stanza.ReceiptOf(ctx).Begin()
				}
				return nil
			}
		})
		c, id := r.managed("ana", "boat")
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, "<message id='%d'/>", i)
		}
		c.Send(all.String())
		synctest.Wait()
		m := r.fake.sink("ana@one.test/boat").(*session).m
		if len(m.recent) > maxRecent {
			t.Errorf("%d stanzas are known, want at most %d", len(m.recent), maxRecent)
		}
		c.Close()
		<-r.fake.detached
		c, h := r.resume("ana", id, 0)
		if h != "0" {
			t.Errorf("got %s stanzas safe, want 0", h)
		}
		c.Send(all.String() + smRequest)
		synctest.Wait()
		done()
		c.Expect(smAck(n))
		for i := range n {
			want := 1
			if i >= maxRecent {
				want = 2
			}
			if got := counts[fmt.Sprint(i)]; got != want {
				t.Errorf("message %d was handled %d times, want %d", i, got, want)
			}
		}
		if cap(m.recent) > idleRecent || len(m.replay) > 0 {
			t.Errorf("room for %d stanzas is kept, %d are expected again", cap(m.recent), len(m.replay))
		}
	})
}

// TestPastBound checks that the server remembers only so many sessions that
// were not resumed.
func TestPastBound(t *testing.T) {
	var m memorial
	jid, err := stanza.ParseJID("ana@one.test/boat")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxOver / 2 {
		m.add(jid, fmt.Sprint(i), uint32(i))
	}
	for i, want := range map[int]bool{0: false, maxOver/2 - 1: false, maxOver / 2: true, 3*maxOver/2 - 1: true} {
		if h, ok := m.find(jid.Bare(), fmt.Sprint(i)); ok != want || ok && h != uint32(i) {
			t.Errorf("session %d: got %d, %v, want it known: %v", i, h, ok, want)
		}
	}
	if len(m.list) != maxOver {
		t.Errorf("%d sessions are remembered, want %d", len(m.list), maxOver)
	}
}

// TestStats checks the numbers.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		a, id := r.managed("ana", "boat")
		r.login("bo", "pier")
		r.deliver("ana@one.test/boat", 1, 3)
		a.Expect(smRequest)
		synctest.Wait()
		size := numberedMessage(1).Size()
		want := Stats{Sessions: 2, Unacked: 3, UnackedBytes: 3 * size, AckRequests: 1}
		if got := r.server.Stats(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		a.Close()
		<-r.fake.detached
		synctest.Wait()
		r.deliver("ana@one.test/boat", 4, 4)
		want.Detached, want.Queued, want.QueuedBytes = 1, 1, size
		if got := r.server.Stats(); got != want {
			t.Errorf("detached: got %+v, want %+v", got, want)
		}
		a, _ = r.resume("ana", id, 3)
		a.Expect(smRequest)
		a.Send(smAck(4) + "</stream:stream>")
		<-r.fake.ended
		if got, want := r.server.Stats(), (Stats{Sessions: 1, AckRequests: 2, Resumed: 1}); got != want {
			t.Errorf("resumed and ended: got %+v, want %+v", got, want)
		}
	})
}
