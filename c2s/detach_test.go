package c2s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestDetachOrEnd tells which ends of a stream leave a session that can be
// resumed: XEP-0198, section 7.
func TestDetachOrEnd(t *testing.T) {
	const acksOnly = "<enable xmlns='" + nsSM + "'/>"
	closed := func(_ *rig, c *client) { c.Close() }
	silent := func(r *rig, _ *client) { r.deliver("ana@one.test/boat", 1, 1) }
	tests := []struct {
		name   string
		enable string // "": not at all
		end    func(r *rig, c *client)
		detach bool
	}{
		{"connection breaks", smEnable, closed, true},
		{"connection breaks in a stanza", smEnable, func(_ *rig, c *client) { c.Send("<message to='bo"); c.Close() }, true},
		{"client reads no more", smEnable, func(r *rig, _ *client) {
			for range 20 {
				_ = r.fake.sink("ana@one.test/boat").Deliver(bigMessage("x"))
			}
		}, true},
		{"client acknowledges no more", smEnable, silent, true},
		{"client reports an error", smEnable, func(_ *rig, c *client) {
			c.Send("<stream:error><connection-timeout xmlns='" + nsStreams + "'/></stream:error>")
		}, true},
		{"client closes the stream", smEnable, func(_ *rig, c *client) { c.Send("</stream:stream>") }, false},
		{"client breaks a rule", smEnable, func(_ *rig, c *client) { c.Send("<x/>") }, false},
		{"client sends no XML", smEnable, func(_ *rig, c *client) { c.Send("<<") }, false},
		{"session is kicked", smEnable, func(r *rig, _ *client) { r.fake.sink("ana@one.test/boat").Kick(replaced) }, false},
		{"session is kicked and the connection breaks", smEnable, func(r *rig, c *client) {
			r.fake.sink("ana@one.test/boat").Kick(replaced)
			c.Close()
		}, false},
		{"listener is stopped", smEnable, func(r *rig, _ *client) { r.cancel(errors.New("the end")) }, false},
		{"acks only, connection breaks", acksOnly, closed, false},
		{"acks only, client acknowledges no more", acksOnly, silent, false},
		{"not managed", "", closed, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				c := r.login("ana", "boat")
				if tt.enable != "" {
					c.Send(tt.enable)
					c.ExpectMatch("<enabled [^>]*/>")
				}
				tt.end(r, c)
				time.Sleep(2 * time.Minute) // ack_timeout, but not resume_timeout
				n := r.server.Stats()
				if got := len(r.fake.detached) == 1; got != tt.detach || (n.Detached == 1) != tt.detach || n.Sessions != n.Detached {
					t.Errorf("got detached %v, %+v, want %v", got, n, tt.detach)
				}
				if got := len(r.fake.ended) == 1; got == tt.detach {
					t.Errorf("got ended %v, want %v", got, !tt.detach)
				}
				c.Close()
				if tt.detach && (r.fake.sink("ana@one.test/boat") == nil || len(r.fake.released) > 0) {
					t.Error("the router has lost the session, want it bound")
				}
			})
		})
	}
}

// TestDetachedInfo checks what the host hears of a session without connection.
func TestDetachedInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, id := r.managed("ana", "boat")
		c.Close()
		info := <-r.fake.detached
		if info.JID.String() != "ana@one.test/boat" || info.Mechanism != "PLAIN" || info.Peer.Name != "tcp" {
			t.Errorf("got %+v, want ana@one.test/boat by PLAIN over tcp", info)
		}
		r.resume("ana", id, 0)
		if again := <-r.fake.resumed; again.JID != info.JID || again.Peer.Addr == info.Peer.Addr {
			t.Errorf("got %+v, want the same session from another port", again)
		}
		synctest.Wait()
		r.log.Expect(t, "waits to be resumed")
		r.log.Expect(t, "client has resumed its session")
	})
}

// TestExpires ends a session that is not resumed in time: nothing is lost, and
// nothing comes twice.
func TestExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, _ := r.managed("ana", "boat")
		r.deliver("ana@one.test/boat", 1, 3)
		c.Expect(smRequest)
		c.Send(smAck(1))
		synctest.Wait()
		c.Close()
		<-r.fake.detached
		began := time.Now()
		r.deliver("ana@one.test/boat", 4, 5)
		sink := r.fake.sink("ana@one.test/boat").(stanza.Confirmer)
		var events []string
		r.fake.onEnded = func() { events = append(events, "ended") }
		sink.Confirm(func() { events = append(events, "confirmed") })
		end := <-r.fake.ended
		if took := time.Since(began); took != r.sm.ResumeTimeout {
			t.Errorf("the session ended after %v, want %v", took, r.sm.ResumeTimeout)
		}
		synctest.Wait()
		if undelivered(end) != "2 3 4 5" || !errors.Is(end.reason, errExpired) || !errors.Is(end.reason, io.ErrUnexpectedEOF) {
			t.Errorf("got %q undelivered, reason %v, want 2 3 4 5 and that its time is over", undelivered(end), end.reason)
		}
		if got := strings.Join(events, " "); got != "ended confirmed" || len(r.fake.released) != 1 {
			t.Errorf("got %q, released %d times, want the end and then the confirmation, released once", got, len(r.fake.released))
		}
		if err := sink.Deliver(numberedMessage(6)); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("Deliver: got %v, want %v", err, stanza.ErrClosed)
		}
		if n := r.server.Stats(); n.Sessions+n.Detached+n.Queued+n.Unacked > 0 {
			t.Errorf("got %+v, want nothing left", n)
		}
	})
}

// TestEndOfDetached ends detached sessions otherwise.
func TestEndOfDetached(t *testing.T) {
	conflict := &stanza.StreamError{Condition: stanza.StreamConflict}
	tests := []struct {
		name string
		end  func(t *testing.T, r *rig, sink stanza.Sink)
		want stanza.StreamCondition
	}{
		{"kick", func(_ *testing.T, _ *rig, sink stanza.Sink) { sink.Kick(conflict); sink.Kick(xmppstream.ErrShutdown) }, stanza.StreamConflict},
		{"full queue", func(t *testing.T, _ *rig, sink stanza.Sink) {
			var err error
			for i := 2; err == nil && i < 100; i++ {
				err = sink.Deliver(numberedMessage(i))
			}
			if !errors.Is(err, stanza.ErrQueueFull) {
				t.Errorf("got %v, want %v", err, stanza.ErrQueueFull)
			}
		}, stanza.StreamResourceConstraint},
		{"listener is stopped", func(t *testing.T, r *rig, _ stanza.Sink) {
			if err := r.stop(io.EOF); !errors.Is(err, io.EOF) {
				t.Errorf("got %v from Listen, want the cause", err)
			}
			if len(r.fake.ended) != 1 {
				t.Errorf("Listen returned after %d ends, want 1", len(r.fake.ended))
			}
		}, stanza.StreamSystemShutdown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage, func(r *rig) { r.sm.MaxAckQueue = 10 })
				c, id := r.managed("ana", "boat")
				r.deliver("ana@one.test/boat", 1, 1)
				c.Expect(smRequest)
				c.Close()
				<-r.fake.detached
				synctest.Wait()
				began := time.Now()
				tt.end(t, r, r.fake.sink("ana@one.test/boat"))
				end := <-r.fake.ended
				if time.Since(began) > 0 {
					t.Errorf("the end took %v, want it at once", time.Since(began))
				}
				if !errors.Is(end.reason, &stanza.StreamError{Condition: tt.want}) || !strings.HasPrefix(undelivered(end), "1") {
					t.Errorf("got %q undelivered, reason %v, want %s", undelivered(end), end.reason, tt.want)
				}
				if tt.want == stanza.StreamSystemShutdown {
					return
				}
				c = r.authenticated("ana")
				c.Send(smResume(id, 0))
				c.Expect("<item-not-found ")
			})
		})
	}
}

// TestDrainWaits checks that a listener whose socket was closed waits for its
// detached sessions, until they are resumed elsewhere or their time is over.
func TestDrainWaits(t *testing.T) {
	for _, resume := range []bool{false, true} {
		t.Run(fmt.Sprint("resumed ", resume), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				c, id := r.managed("ana", "boat")
				other := r.second(nil)
				c.Close()
				<-r.fake.detached
				began := time.Now()
				_ = r.ln.Close()
				synctest.Wait()
				if len(r.result) > 0 {
					t.Fatal("Listen returned while a session waits")
				}
				want := r.sm.ResumeTimeout
				if resume {
					c, _ = other.resume("ana", id, 0)
					want = 0
				}
				if err := r.wait(); err != nil || time.Since(began) != want {
					t.Errorf("Listen returned %v after %v, want nil after %v", err, time.Since(began), want)
				}
				if resume {
					c.Send(message("bo@one.test", "x"))
					<-r.fake.routed
				} else if len(r.fake.ended) != 1 {
					t.Error("the session has not ended")
				}
			})
		})
	}
}

// second starts another listener of the same server.
func (r *rig) second(change func(o *Options)) *rig {
	r.t.Helper()
	s := newRig(r.t)
	s.fake, s.server, s.host, s.o, s.sm = r.fake, r.server, r.host, r.o, r.sm
	if change != nil {
		change(&s.o)
	}
	s.listen()
	return s
}

// TestShutdownOfManyDetached ends all detached sessions before Listen returns,
// though each end takes its time.
func TestShutdownOfManyDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * atOnce
		var mu sync.Mutex
		now, most := 0, 0
		r := start(t, manage, func(r *rig) {
			r.fake.onEnded = func() {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				now--
				mu.Unlock()
			}
		})
		for i := range n {
			c, _ := r.managed("ana", fmt.Sprint(i))
			c.Close()
		}
		synctest.Wait()
		r.stop(io.EOF)
		if len(r.fake.ended) != n || most > atOnce {
			t.Errorf("got %d ends, %d at the same time, want %d, at most %d", len(r.fake.ended), most, n, atOnce)
		}
	})
}

// TestDetachDuringShutdown breaks a connection in the moment in which the
// listener is stopped.
func TestDetachDuringShutdown(t *testing.T) {
	for i := range 50 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, manage)
			c, _ := r.managed("ana", "boat")
			r.deliver("ana@one.test/boat", 1, 1)
			var both sync.WaitGroup
			both.Go(func() { c.conn.Close() })
			if i%2 == 0 {
				synctest.Wait()
			}
			r.stop(io.EOF)
			both.Wait()
			if end := <-r.fake.ended; undelivered(end) != "1" || end.reason == nil {
				t.Errorf("got %q undelivered, reason %v, want 1, and a reason", undelivered(end), end.reason)
			}
		})
	}
}

// TestKeep checks that what waits goes into the care of the host, and that its
// copies come to the client, and back.
func TestKeep(t *testing.T) {
	for _, resume := range []bool{false, true} {
		t.Run(fmt.Sprint("resumed ", resume), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &keeper{stored: map[uint64]bool{}}
				var asked []string
				blocked := make(chan struct{})
				r := start(t, manage, func(r *rig) {
					r.fake.onKeep = func(waiting []stanza.Queued) []*stanza.Stanza {
						asked = append(asked, undelivered(ending{undelivered: waiting}))
						<-blocked
						return store.keep(waiting)
					}
				})
				c, id := r.managed("ana", "boat")
				r.deliver("ana@one.test/boat", 1, 3)
				c.Expect(smRequest)
				c.Send(smAck(1))
				synctest.Wait()
				c.Close()
				<-r.fake.detached
				synctest.Wait()
				r.deliver("ana@one.test/boat", 4, 4) // while the store is busy
				var safe atomic.Int32
				sink := r.fake.sink("ana@one.test/boat").(stanza.Confirmer)
				sink.Confirm(func() { safe.Add(1) })
				close(blocked)
				synctest.Wait()
				if fmt.Sprint(asked) != "[2 3]" || safe.Load() > 0 {
					t.Errorf("got Keep with %v, confirmed %d times, want 2 3, and not yet", asked, safe.Load())
				}
				if !resume {
					end := <-r.fake.ended
					if undelivered(end) != "2 3 4" || end.undelivered[0].Stanza.Kept != 1 || end.undelivered[2].Stanza.Kept != 0 {
						t.Errorf("got %q undelivered, want 2 3 4, the first two with keys", undelivered(end))
					}
					return
				}
				c, _ = r.resume("ana", id, 1)
				got := c.Expect(smRequest)
				if i, k := strings.Index(got, "id='2'"), strings.Index(got, "id='4'"); i < 0 || k < i || strings.Contains(got, "id='1'") {
					t.Errorf("got %s, want 2 3 4", got)
				}
				c.Send(smAck(4))
				synctest.Wait()
				store.check(t, r.fake.arrived)
				if safe.Load() != 1 {
					t.Errorf("got it confirmed %d times, want once", safe.Load())
				}
			})
		})
	}
}

// TestKeepOfAnotherLength must not mix up the numbers.
func TestKeepOfAnotherLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage, func(r *rig) {
			r.fake.onKeep = func(waiting []stanza.Queued) []*stanza.Stanza { return stanzasOf(waiting[1:]) }
		})
		c, id := r.managed("ana", "boat")
		r.deliver("ana@one.test/boat", 1, 3)
		c.Expect(smRequest)
		c.Close()
		<-r.fake.detached
		c, _ = r.resume("ana", id, 1)
		if got := c.Expect(smRequest); !strings.Contains(got, "id='2'") || !strings.Contains(got, "id='3'") {
			t.Errorf("got %s, want 2 3", got)
		}
		r.log.Expect(t, "another length")
	})
}

// TestKickWhileKeeping kicks a session while the store is busy with it.
func TestKickWhileKeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		r := start(t, manage, func(r *rig) {
			r.fake.onKeep = func(waiting []stanza.Queued) []*stanza.Stanza {
				<-blocked
				return stanzasOf(waiting)
			}
		})
		c, _ := r.managed("ana", "boat")
		r.deliver("ana@one.test/boat", 1, 1)
		c.Expect(smRequest)
		c.Close()
		<-r.fake.detached
		r.fake.sink("ana@one.test/boat").Kick(&stanza.StreamError{Condition: stanza.StreamConflict})
		synctest.Wait()
		if len(r.fake.ended) > 0 {
			t.Error("the session ended in the middle of Keep")
		}
		close(blocked)
		if end := <-r.fake.ended; !errors.Is(end.reason, &stanza.StreamError{Condition: stanza.StreamConflict}) || undelivered(end) != "1" {
			t.Errorf("got %q undelivered, reason %v, want 1, conflict", undelivered(end), end.reason)
		}
	})
}

// TestServeTransportDetached checks that a stream on another transport leaves a
// session that can be resumed, on TCP too, and that ServeTransport waits for
// that.
func TestServeTransportDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		f := newFakeTransport(true)
		result := make(chan error, 1)
		go func() { result <- r.server.ServeTransport(context.Background(), f, r.o) }()
		var id string
		for _, send := range []string{"", auth("PLAIN", "\x00ana\x00anchor"), "", bindRequest("boat"), smEnable} {
			f.in <- send
			synctest.Wait()
			for len(f.sent) > 0 {
				id = <-f.sent
			}
		}
		_, id, _ = strings.Cut(id, "id='")
		id, _, _ = strings.Cut(id, "'")
		f.in <- message("bo@one.test", "x")
		<-r.fake.routed
		f.Close(nil) // the connection breaks
		<-r.fake.detached
		synctest.Wait()
		if len(result) > 0 {
			t.Error("ServeTransport returned while the session waits")
		}
		c, h := r.resume("ana", id, 0)
		if err := <-result; err == nil || h != "1" {
			t.Errorf("got %v from ServeTransport, %s stanzas handled, want an error, 1", err, h)
		}
		c.Send("</stream:stream>")
		<-r.fake.ended
	})
}
