package c2s

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestPanicOfHost checks that a host that panics costs no more than a session.
func TestPanicOfHost(t *testing.T) {
	for _, where := range []string{"keep", "end", "end of a session that was replaced"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage, func(r *rig) {
					if where == "keep" {
						r.fake.onKeep = func([]stanza.Queued) []*stanza.Stanza { panic("oh no") }
					} else {
						r.fake.onEnded = func() { panic("oh no") }
					}
				})
				c, id := r.managed("ana", "boat")
				r.deliver("ana@one.test/boat", 1, 1)
				c.Expect(smRequest)
				if strings.Contains(where, "replaced") {
					r.fake.sink("ana@one.test/boat").Kick(replaced)
					c.expectError("conflict")
				}
				c.Close()
				time.Sleep(time.Hour) // resume_timeout
				r.log.Expect(t, "oh no")
				c = r.authenticated("ana")
				c.Send(smResume(id, 0))
				c.Expect("<item-not-found ")
				if n := r.server.Stats(); n.Sessions > 0 {
					t.Errorf("got %+v, want no session", n)
				}
			})
		})
	}
}

// TestArrivedPanics checks that a host that panics when it hears of what has
// arrived costs nothing else.
func TestArrivedPanics(t *testing.T) {
	for _, managed := range []bool{false, true} {
		t.Run(fmt.Sprint("managed ", managed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage, func(r *rig) { r.fake.onArrived = func() { panic("oh no") } })
				c := r.login("ana", "boat")
				if managed {
					c.enable()
				}
				if err := r.fake.sink("ana@one.test/boat").Deliver(keptMessage(1)); err != nil {
					t.Fatal(err)
				}
				c.Expect("<message id='1'>")
				if managed {
					c.Send(smAck(1))
				}
				synctest.Wait()
				r.log.Expect(t, "oh no")
				r.log.Expect(t, "user=ana@one.test/boat")
				r.deliver("ana@one.test/boat", 2, 2)
				c.Expect("<message id='2'>")
				if managed {
					c.Send(smAck(2))
				}
				c.Send("</stream:stream>")
				if end := <-r.fake.ended; undelivered(end) != "" || end.reason != nil {
					t.Errorf("got %q undelivered, reason %v, want an end in order", undelivered(end), end.reason)
				}
			})
		})
	}
}

func keptMessage(i int) *stanza.Stanza {
	s := numberedMessage(i)
	s.Kept = uint64(i)
	return s
}

// endings are ways in which a session ends.
var endings = map[string]func(r *rig, c *client){
	"client is gone":    func(_ *rig, c *client) { c.Close() },
	"client ends it":    func(_ *rig, c *client) { c.Send("</stream:stream>") },
	"kick":              func(r *rig, _ *client) { r.fake.sink("ana@one.test/boat").Kick(xmppstream.ErrShutdown) },
	"kick by a new one": func(r *rig, _ *client) { r.fake.sink("ana@one.test/boat").Kick(replaced) },
}

// TestEndedPanics checks that the sender of what was lost because the host
// panicked is not told that it is safe, and can go on and end nevertheless.
func TestEndedPanics(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				ana, _ := r.managed("ana", "boat")
				bo, _ := r.managed("bo", "pier")
				bo.Send(message("cy@one.test", "x") + smRequest)
				bo.Expect(smAck(1))
				bo.Send(message("ana@one.test/boat", "precious"))
				ana.Expect("precious")
				r.fake.onEnded = func() {
					r.fake.onEnded = nil
					panic("oh no")
				}
				end(r, ana)
				time.Sleep(time.Hour) // resume_timeout
				r.log.Expect(t, "panic: oh no")
				r.fake.onRoute = func(context.Context, *stanza.Stanza) error { return nil }
				bo.Send(strings.Repeat(message("cy@one.test", "x"), 3*maxRecent) + smRequest)
				if got := bo.Expect("/>"); got != smAck(1) {
					t.Errorf("got %s, want %s: ana has got nothing", got, smAck(1))
				}
				x := r.fake.sink("bo@one.test/pier").(*session)
				if n := len(x.m.recent); n > maxRecent {
					t.Errorf("%d stanzas are known, want at most %d", n, maxRecent)
				}
				began := time.Now()
				bo.Send("</stream:stream>")
				if got := bo.ExpectEOF(); got != smAck(1)+"</stream:stream>" {
					t.Errorf("got %s, want %s and the end", got, smAck(1))
				}
				if end := <-r.fake.ended; end.info.JID.Local() != "bo" || time.Since(began) > lateAnswer {
					t.Errorf("the session of %s ended after %v, want bo's within %v", end.info.JID, time.Since(began), lateAnswer)
				}
				if n := r.server.Stats(); n.Sessions > 0 {
					t.Errorf("got %+v, want no session", n)
				}
				ana.Close()
				bo.Close()
			})
		})
	}
}

// TestReleasePanics checks that a router that panics does not keep the host from
// getting what was not delivered, and that the sender is told after that.
func TestReleasePanics(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				ana, _ := r.managed("ana", "boat")
				bo, _ := r.managed("bo", "pier")
				bo.Send("<message id='precious' to='ana@one.test/boat'/>")
				ana.Expect("precious")
				r.fake.onRelease = func() { panic("oh no") }
				var early []string
				r.fake.onEnded = func() {
					bo.Send(smRequest)
					time.Sleep(2 * lateAnswer)
					early = append(early, bo.Expect("/>"))
				}
				end(r, ana)
				got := <-r.fake.ended
				if undelivered(got) != "precious" || len(early) != 1 || early[0] != smAck(0) {
					t.Errorf("got %q undelivered, the sender was told %q meanwhile, want precious, %s", undelivered(got), early, smAck(0))
				}
				bo.Expect(smAck(1))
				time.Sleep(time.Hour)
				r.log.Expect(t, "panic: oh no")
				if n := len(r.fake.ended); n > 0 {
					t.Errorf("got %d more ends, want one", n)
				}
				r.fake.onRelease, r.fake.onEnded = nil, nil
				ana.Close()
			})
		})
	}
}

// TestBindPanics checks that what was delivered to a session before its Bind
// panicked does not count as safe.
func TestBindPanics(t *testing.T) {
	for name, fail := range map[string]func() error{
		"panic": func() error { panic("oh no") },
		"error": func() error { return errors.New("oh no") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var safe atomic.Bool
				r := start(t, func(r *rig) {
					r.fake.onBind = func(b stanza.Binding) (stanza.JID, error) {
						if err := b.Sink.Deliver(numberedMessage(1)); err != nil {
							t.Errorf("Deliver: got %v", err)
						}
						b.Sink.(stanza.Confirmer).Confirm(func() { safe.Store(true) })
						return b.JID, fail()
					}
				})
				c := r.authenticated("ana")
				c.Send(bindRequest("boat"))
				if name == "error" {
					c.Expect("</iq>")
					c.Send("</stream:stream>")
				}
				c.ExpectEOF()
				c.Close()
				synctest.Wait()
				r.log.Expect(t, "oh no")
				if safe.Load() {
					t.Error("the message counts as safe")
				}
			})
		})
	}
}

// brittleConn panics in its next Write when it is told to.
type brittleConn struct {
	net.Conn
	broken *atomic.Bool
}

func (c brittleConn) Write(b []byte) (int, error) {
	if c.broken.CompareAndSwap(true, false) {
		panic("oh no")
	}
	return c.Conn.Write(b)
}

type brittleListener struct {
	net.Listener
	broken *atomic.Bool
}

func (l brittleListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return brittleConn{c, l.broken}, nil
}

// TestWritePanics checks that a panic while a session writes ends that session in
// order: the client is told, and what it has not got goes to the host.
func TestWritePanics(t *testing.T) {
	for _, managed := range []bool{false, true} {
		t.Run(fmt.Sprint("managed ", managed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Bool
				r := start(t, manage, func(r *rig) {
					r.wrap = func(ln net.Listener) net.Listener { return brittleListener{ln, &broken} }
				})
				c := r.login("ana", "boat")
				if managed {
					c.enable()
				}
				synctest.Wait()
				var safe atomic.Bool
				broken.Store(true)
				r.deliver("ana@one.test/boat", 1, 1)
				r.fake.sink("ana@one.test/boat").(*session).Confirm(func() { safe.Store(true) })
				r.fake.onEnded = func() {
					if safe.Load() {
						t.Error("the message counted as safe before the host had it")
					}
				}
				c.expectError("internal-server-error")
				end := <-r.fake.ended
				if want := (&stanza.StreamError{Condition: stanza.StreamInternalServerError}); undelivered(end) != "1" || !errors.Is(end.reason, want) {
					t.Errorf("got %q undelivered, reason %v, want 1, internal-server-error", undelivered(end), end.reason)
				}
				synctest.Wait()
				if !safe.Load() || len(r.fake.detached) > 0 || r.server.Stats().Sessions > 0 {
					t.Errorf("safe: %v, %d detached, %+v, want it safe with the host, no session left",
						safe.Load(), len(r.fake.detached), r.server.Stats())
				}
				r.log.Expect(t, "panic: oh no")
				r.log.Expect(t, "brittleConn") // the stack
			})
		})
	}
}

// TestWritePanicsAfterKick checks that such a panic is found in the log, whatever
// has ended the session.
func TestWritePanicsAfterKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		r := start(t, manage, func(r *rig) {
			r.wrap = func(ln net.Listener) net.Listener { return brittleListener{ln, &broken} }
		})
		c, _ := r.managed("ana", "boat")
		for i := range 12 {
			if err := r.fake.sink("ana@one.test/boat").Deliver(bigMessage(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // the connection is full
		r.fake.sink("ana@one.test/boat").Kick(xmppstream.ErrShutdown)
		broken.Store(true) // in the batch after the one that is being written
		c.ExpectEOF()
		<-r.fake.ended
		c.Close()
		synctest.Wait()
		r.log.Expect(t, "panic: oh no")
	})
}
