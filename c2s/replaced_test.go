package c2s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// replaced is what a session is kicked with when a newer one takes its resource.
var replaced = &stanza.StreamError{Condition: stanza.StreamConflict, Text: "replaced"}

// deliverBig gives a session 20 messages, more than its connection takes.
func deliverBig(r *rig, _ *client) {
	r.t.Helper()
	for i := range 20 {
		if err := r.fake.sink("ana@one.test/boat").Deliver(bigMessage(fmt.Sprint(i))); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestReplaced checks that what a session has not delivered when a newer one
// takes its resource goes back to the host at once, in order, and that its own
// client is told nevertheless.
func TestReplaced(t *testing.T) {
	small := func(r *rig, c *client) {
		r.deliver("ana@one.test/boat", 1, 3)
		c.Expect("id='3'>")
	}
	all := "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19"
	tests := []struct {
		name    string
		managed bool
		before  func(r *rig, c *client)
		want    string
		within  time.Duration
		told    bool
	}{
		{"nothing waits", true, func(*rig, *client) {}, "", 0, true},
		{"nothing is acknowledged", true, small, "1 2 3", 0, true},
		{"a part is acknowledged", true, func(r *rig, c *client) { small(r, c); c.Send(smAck(2)) }, "3", 0, true},
		{"all is acknowledged", true, func(r *rig, c *client) { small(r, c); c.Send(smAck(3)) }, "", 0, true},
		{"client does not read", true, deliverBig, all, time.Second, false},
		{"not managed", false, small, "", 0, true},
		{"not managed, client does not read", false, deliverBig, all, time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				c := r.login("ana", "boat")
				if tt.managed {
					c.enable()
				}
				tt.before(r, c)
				synctest.Wait()
				began := time.Now()
				r.fake.sink("ana@one.test/boat").Kick(replaced)
				end := <-r.fake.ended
				if took := time.Since(began); took > tt.within {
					t.Errorf("the session ended after %v, want %v at most", took, tt.within)
				}
				if !strings.HasSuffix(tt.want, undelivered(end)) || tt.managed && undelivered(end) != tt.want || !errors.Is(end.reason, replaced) {
					t.Errorf("got %q undelivered, reason %v, want %q, %v", undelivered(end), end.reason, tt.want, replaced)
				}
				if tt.told {
					c.expectError("conflict")
				}
				time.Sleep(time.Hour)
				if len(r.fake.ended)+len(r.fake.detached) > 0 || len(r.fake.released) != 1 || r.server.Stats().Sessions > 0 {
					t.Errorf("got %d more ends, %d detached, released %d times, %+v, want one end",
						len(r.fake.ended), len(r.fake.detached), len(r.fake.released), r.server.Stats())
				}
				r.log.Expect(t, "replaced")
			})
		})
	}
}

// TestReplacedConnection checks that the connection of a session that was
// replaced is closed in a few seconds if the client says nothing.
func TestReplacedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		r.managed("ana", "boat")
		r.fake.sink("ana@one.test/boat").Kick(replaced)
		<-r.fake.ended
		began := time.Now()
		r.drain()
		if took := time.Since(began); took == 0 || took > 2*time.Second {
			t.Errorf("the connection was closed after %v, want it after a time for the client, at most 2 s", took)
		}
	})
}

// TestReplacedWhileHandling checks that a session does not end in the middle of
// what its client has sent, which is told at once.
func TestReplacedWhileHandling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handled := make(chan struct{})
		r := start(t, manage, func(r *rig) {
			r.fake.onRoute = func(context.Context, *stanza.Stanza) error { <-handled; return nil }
		})
		c, _ := r.managed("ana", "boat")
		r.deliver("ana@one.test/boat", 1, 1)
		c.Send("<message id='x'/>" + smAck(1))
		synctest.Wait()
		r.fake.sink("ana@one.test/boat").Kick(replaced)
		c.Expect("</stream:stream>")
		synctest.Wait()
		if len(r.fake.ended) > 0 {
			t.Error("the session ended while a stanza is handled")
		}
		close(handled)
		if end := <-r.fake.ended; undelivered(end) != "1" {
			t.Errorf("got %q undelivered, want 1: the acknowledgement came too late", undelivered(end))
		}
	})
}

// TestReplacedLastAck checks that the old client hears of what is safe, and
// that what it took is confirmed when it is in other hands, not before.
func TestReplacedLastAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, _ := r.managed("ana", "boat")
		r.deliver("ana@one.test/boat", 1, 1)
		c.Expect(smRequest)
		c.Send(message("bo@one.test", "x"))
		<-r.fake.routed
		synctest.Wait()
		var events []string
		r.fake.onEnded = func() { events = append(events, "ended") }
		sink := r.fake.sink("ana@one.test/boat").(stanza.Confirmer)
		sink.Confirm(func() { events = append(events, "confirmed") })
		sink.Kick(replaced)
		c.Expect(smAck(1) + "<stream:error><conflict ")
		synctest.Wait()
		if got := strings.Join(events, " "); got != "ended confirmed" {
			t.Errorf("got %q, want the end and then the confirmation", got)
		}
	})
}

// TestKickWritesTheQueue checks that a session that ends for another reason gets
// what is queued, and its host does not wait for the goodbye.
func TestKickWritesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, _ := r.managed("ana", "boat")
		began := time.Now()
		r.deliver("ana@one.test/boat", 1, 50)
		r.fake.sink("ana@one.test/boat").Kick(&stanza.StreamError{Condition: stanza.StreamReset})
		end := <-r.fake.ended
		if n := len(end.undelivered); n != 50 || time.Since(began) > 0 {
			t.Errorf("got %d undelivered after %v, want 50 at once", n, time.Since(began))
		}
		if got := c.expectError("reset"); !strings.Contains(got, "<message id='50'>") {
			t.Errorf("got %s, want all that was queued", got)
		}
	})
}

// TestAcksWhileEnding checks that what a client acknowledges while the last
// stanzas are being written is not handed back; nothing else that it sends is
// heard.
func TestAcksWhileEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage, func(r *rig) { r.sm.MaxAckQueue = 20 })
		c, id := r.managed("ana", "boat")
		sink := r.fake.sink("ana@one.test/boat")
		if err := sink.Deliver(keptMessage(100)); err != nil {
			t.Fatal(err)
		}
		for i := range 19 { // more than the connection takes
			if err := sink.Deliver(bigMessage(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := sink.Deliver(numberedMessage(101)); !errors.Is(err, stanza.ErrQueueFull) {
			t.Errorf("got %v, want %v", err, stanza.ErrQueueFull)
		}
		synctest.Wait()
		released := len(r.fake.released)
		c.Expect("<message id='9'>")
		c.Send("<message id='unheard' to='bo@one.test'/>" + smRequest + "<message to='@'/>" + smAck(5) + "<presence/>" + smAck(11))
		other := r.authenticated("ana")
		other.Send(smResume(id, 11))
		other.Expect(failedWith("item-not-found"))
		synctest.Wait()
		if len(r.fake.ended) > 0 || released != 1 {
			t.Errorf("got %d ends, released %d times, want it released and not ended while it is being written", len(r.fake.ended), released)
		}
		if got := fmt.Sprint(r.fake.arrived); got != "[100]" {
			t.Errorf("got %s arrived, want [100]", got)
		}
		if got := c.expectError("resource-constraint"); !strings.Contains(got, "<message id='18'>") || highestAck(t, got) > 0 {
			t.Errorf("got %d bytes, %d acknowledged, want all that was queued, and no acknowledgement", len(got), highestAck(t, got))
		}
		end := <-r.fake.ended
		if want := "10 11 12 13 14 15 16 17 18"; undelivered(end) != want {
			t.Errorf("got %q undelivered, want %q", undelivered(end), want)
		}
		if n := len(r.fake.routed); n > 0 {
			t.Errorf("%d stanzas were routed after the session had been ended, want none", n)
		}
		synctest.Wait()
		if n := r.server.Stats(); n.Sessions > 0 || len(r.fake.ended) > 0 || len(r.fake.detached) > 0 {
			t.Errorf("got %+v, %d more ends, %d detached, want nothing left", n, len(r.fake.ended), len(r.fake.detached))
		}
	})
}

// TestWrongAckWhileEnding checks that a client that lies to the last loses
// nothing but its connection.
func TestWrongAckWhileEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, _ := r.managed("ana", "boat")
		deliverBig(r, c)
		synctest.Wait()
		r.fake.sink("ana@one.test/boat").Kick(xmppstream.ErrShutdown)
		c.Send(smAck(1000))
		c.ExpectEOF()
		if end := <-r.fake.ended; len(end.undelivered) != 20 || !errors.Is(end.reason, xmppstream.ErrShutdown) {
			t.Errorf("got %d undelivered, reason %v, want 20, %v", len(end.undelivered), end.reason, xmppstream.ErrShutdown)
		}
		c.Close()
	})
}

// TestKickBeforeBound kicks a session as early as can be: it ends after the host
// has heard of it, once, and at once.
func TestKickBeforeBound(t *testing.T) {
	for _, where := range []string{"router", "log", "host"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var began time.Time
				var sink stanza.Sink
				kick := func() {
					began = time.Now()
					sink.Kick(replaced)
				}
				r := start(t, manage, func(r *rig) {
					r.fake.onBind = func(b stanza.Binding) (stanza.JID, error) {
						if sink = b.Sink; where == "router" {
							kick()
						}
						return b.JID, nil
					}
					switch where {
					case "log":
						r.host.Log = slog.New(onLog(kick))
					case "host":
						r.fake.onBound = func(stanza.SessionInfo) { kick() }
					}
				})
				c := r.authenticated("ana")
				c.Send(bindRequest("boat"))
				end := <-r.fake.ended
				if took := time.Since(began); took > 0 || !errors.Is(end.reason, replaced) {
					t.Errorf("the session ended after %v, reason %v, want it at once, %v", took, end.reason, replaced)
				}
				if n := len(r.fake.bound); where != "router" && n != 1 {
					t.Errorf("the host heard of it %d times before its end, want once", n)
				}
				c.expectError("conflict")
				time.Sleep(time.Hour)
				if len(r.fake.ended) > 0 || r.server.Stats().Sessions > 0 {
					t.Errorf("got %d more ends, %+v, want nothing left", len(r.fake.ended), r.server.Stats())
				}
			})
		})
	}
}

// onLog is a handler that does something when a client has logged in, and lets
// what comes of it happen.
type onLog func()

func (f onLog) Enabled(context.Context, slog.Level) bool { return true }
func (f onLog) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f onLog) WithGroup(string) slog.Handler            { return f }

func (f onLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "client has logged in" {
		f()
		synctest.Wait()
	}
	return nil
}

// TestEndsOnce lets whatever ends a session or moves it come together.
func TestEndsOnce(t *testing.T) {
	shut := &stanza.StreamError{Condition: stanza.StreamPolicyViolation}
	actions := []func(r *rig, c *client, id string, sink stanza.Sink){
		func(_ *rig, _ *client, _ string, sink stanza.Sink) { sink.Kick(replaced) },
		func(_ *rig, _ *client, _ string, sink stanza.Sink) { sink.Kick(shut) },
		func(_ *rig, c *client, _ string, _ stanza.Sink) { c.conn.Close() },
		func(_ *rig, c *client, _ string, _ stanza.Sink) { fmt.Fprint(c.conn, "</stream:stream>") },
		func(_ *rig, c *client, _ string, _ stanza.Sink) { fmt.Fprint(c.conn, "<x/>") },
		func(_ *rig, c *client, _ string, _ stanza.Sink) { fmt.Fprint(c.conn, smEnable) },
		func(r *rig, _ *client, id string, _ stanza.Sink) {
			c := r.second(nil).authenticated("ana")
			fmt.Fprint(c.conn, smResume(id, 0))
		},
		func(r *rig, _ *client, _ string, _ stanza.Sink) { r.cancel(errors.New("the end")) },
	}
	for i := range 2 * len(actions) * len(actions) {
		first, second := actions[i/2%len(actions)], actions[i/2/len(actions)]
		synctest.Test(t, func(t *testing.T) {
			r := start(t, manage)
			c := r.login("ana", "boat")
			id := "none"
			if i%2 == 0 {
				id = c.enable()
			}
			r.deliver("ana@one.test/boat", 1, 1)
			synctest.Wait()
			sink := r.fake.sink("ana@one.test/boat")
			var both sync.WaitGroup
			both.Go(func() { first(r, c, id, sink) })
			both.Go(func() { second(r, c, id, sink) })
			both.Wait()
			sink.Kick(replaced)
			end := <-r.fake.ended
			if i%2 == 0 && undelivered(end) != "1" || end.info.Sink != sink {
				t.Errorf("actions %d and %d: got %q undelivered of %v, want 1 of this session", i/2%len(actions), i/2/len(actions), undelivered(end), end.info)
			}
			time.Sleep(time.Hour)
			if len(r.fake.ended) > 0 || len(r.fake.released) != 1 || r.server.Stats().Sessions > 0 {
				t.Errorf("actions %d and %d: got %d more ends, released %d times, %+v, want one end",
					i/2%len(actions), i/2/len(actions), len(r.fake.ended), len(r.fake.released), r.server.Stats())
			}
		})
	}
}
