package c2s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestClientCloses(t *testing.T) {
	r := start(t)
	c := r.login("ana", "boat")
	r.fake.sink("ana@one.test/boat").Deliver(&stanza.Stanza{Kind: stanza.Message, ID: "last"})
	c.Send(message("bo@one.test", "x") + "</stream:stream>")
	if got := c.ExpectEOF(); !strings.HasSuffix(got, "<message id='last'/></stream:stream>") {
		t.Errorf("got %s, want what was queued and the end of the stream", got)
	}
	c.wellFormed()
	receive(t, "stanza", r.fake.routed)
	end := receive(t, "end", r.fake.ended)
	if end.reason != nil || len(end.undelivered) > 0 || end.info.JID.String() != "ana@one.test/boat" || end.info.Mechanism != "PLAIN" {
		t.Errorf("got %+v, want an end in order", end)
	}
	if len(r.fake.released) != 1 {
		t.Errorf("released %v, want ana@one.test/boat once", r.fake.released)
	}
	c.Close()
	r.drain()
	if strings.Contains(r.log.String(), "failed") {
		t.Errorf("got log %s, want no failure", r.log.String())
	}
}

func TestConnectionBreaks(t *testing.T) {
	for name, partial := range map[string]string{"between stanzas": "", "in a stanza": "<message to='bo@one"} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			c := r.login("ana", "boat")
			c.Send(partial)
			c.Close()
			end := receive(t, "end", r.fake.ended)
			if !errors.Is(end.reason, io.ErrUnexpectedEOF) {
				t.Errorf("got reason %v, want %v", end.reason, io.ErrUnexpectedEOF)
			}
		})
	}
}

func TestKick(t *testing.T) {
	r := start(t)
	c := r.login("ana", "boat")
	sink := r.fake.sink("ana@one.test/boat")
	sink.Kick(&stanza.StreamError{Condition: stanza.StreamConflict, Text: "another session"})
	c.expectError("conflict")
	end := receive(t, "end", r.fake.ended)
	if want := (&stanza.StreamError{Condition: stanza.StreamConflict}); !errors.Is(end.reason, want) {
		t.Errorf("got reason %v, want conflict", end.reason)
	}
	if err := sink.Deliver(&stanza.Stanza{Kind: stanza.Message}); !errors.Is(err, stanza.ErrClosed) {
		t.Errorf("got %v from Deliver, want %v", err, stanza.ErrClosed)
	}
	sink.Kick(&stanza.StreamError{Condition: stanza.StreamReset}) // has no effect
}

// TestKickedClientIsNotHeard checks that what a client sends after its session
// was ended goes nowhere, also while the last stanzas to it are still being
// written: its account may be disabled, its address another session's.
func TestKickedClientIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.login("ana", "boat")
		sink := r.fake.sink("ana@one.test/boat")
		for range 20 { // more than the connection takes
			sink.Deliver(bigMessage("x"))
		}
		sink.Kick(&stanza.StreamError{Condition: stanza.StreamConflict})
		synctest.Wait()
		if _, err := io.WriteString(c.conn, message("bo@one.test", "x")+"<presence/>"); err != nil {
			t.Fatal(err)
		}
		if end := receive(t, "end", r.fake.ended); !errors.Is(end.reason, &stanza.StreamError{Condition: stanza.StreamConflict}) {
			t.Errorf("got reason %v, want conflict", end.reason)
		}
		if n := len(r.fake.routed); n > 0 {
			t.Errorf("%d stanzas were routed after the session had been ended, want none", n)
		}
	})
}

// TestShutdown cancels a listener with clients in each state.
func TestShutdown(t *testing.T) {
	r := start(t)
	clients := map[string]*client{
		"before the header": r.dial(), "negotiating": r.open(), "before binding": r.authenticated("ana"), "in session": r.login("bo", "pier"),
	}
	login := r.open()
	login.Send(auth("SCRAM-SHA-1", "n,,n=ana,r=x"))
	login.Expect("</challenge>")
	clients["in the middle of a login"] = login
	cause := errors.New("the host stops")
	r.cancel(cause)
	for name, c := range clients {
		if got := c.expectError("system-shutdown"); got == "" {
			t.Errorf("%s: got nothing", name)
		}
	}
	if err := r.wait(); !errors.Is(err, cause) {
		t.Errorf("got %v from Listen, want %v", err, cause)
	}
	if end := receive(t, "end", r.fake.ended); end.info.JID.String() != "bo@one.test/pier" {
		t.Errorf("got the end of %v, want that of bo@one.test/pier", end.info.JID)
	}
	if strings.Contains(r.log.String(), "failed") {
		t.Errorf("got log %s, want no failure", r.log.String())
	}
}

// TestShutdownOfStuckClient checks that a client that does not read is cut off
// after the grace period.
func TestShutdownOfStuckClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.Grace, r.o.SendTimeout = 3*time.Second, 0 })
		r.login("ana", "boat")
		sink := r.fake.sink("ana@one.test/boat")
		for range 20 {
			sink.Deliver(bigMessage("x"))
		}
		synctest.Wait()
		began := time.Now()
		r.stop(errors.New("the host stops"))
		if took := time.Since(began); took > r.o.Grace {
			t.Errorf("got the end after %v, want it within %v", took, r.o.Grace)
		}
		if end := receive(t, "end", r.fake.ended); len(end.undelivered) == 0 {
			t.Error("got nothing undelivered, want what the client did not read")
		}
	})
}

// TestDrain closes a listener: its sessions go on.
func TestDrain(t *testing.T) {
	r := start(t)
	c := r.login("ana", "boat")
	_ = r.ln.Close()
	c.Send(message("bo@one.test", "x"))
	receive(t, "stanza", r.fake.routed)
	c.Send("</stream:stream>")
	c.ExpectEOF()
	c.Close()
	r.drain()
}

func TestPanic(t *testing.T) {
	r := start(t, func(r *rig) {
		r.host.IQ = iqFunc(func(context.Context, *stanza.Stanza, stanza.Peer) (*stanza.Stanza, error) { panic("oh no") })
	})
	other, c := r.login("bo", "pier"), r.login("ana", "boat")
	c.Send("<iq id='1' type='get'><q xmlns='urn:x'/></iq>")
	c.expectError("internal-server-error")
	if end := receive(t, "end", r.fake.ended); end.info.JID.Local() != "ana" || end.reason == nil {
		t.Errorf("got end %+v, want that of ana and a reason", end)
	}
	other.Send(message("cy@one.test", "x"))
	receive(t, "stanza", r.fake.routed)
	other.Send("</stream:stream>")
	other.ExpectEOF()
	other.Close()
	r.drain()
	r.log.Expect(t, "panic: oh no")
	r.log.Expect(t, "(*stream).answer") // the stack
}

// bigMessage makes a message of about 10 KB.
func bigMessage(id string) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.Message, ID: id, Inner: "<body>" + strings.Repeat("x", 10000) + "</body>"}
}

// TestQueueBound checks what becomes of a session whose client does not read
// while others write to it: the queue has a bound, the session ends there, and
// what did not get out is handed over, in order and complete.
func TestQueueBound(t *testing.T) {
	for name, limit := range map[string]func(o *Options){
		"in stanzas": func(o *Options) { o.MaxFSMQueue = 20 },
		"in bytes":   func(o *Options) { o.MaxQueueBytes = 200_000 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(r *rig) { limit(&r.o) })
				r.login("ana", "boat")
				sink := r.fake.sink("ana@one.test/boat")
				taken := 0
				var err error
				for ; err == nil; taken++ {
					if taken > 100 {
						t.Fatal("got 100 stanzas taken, want a bound")
					}
					err = sink.Deliver(bigMessage(fmt.Sprint(taken)))
				}
				taken--
				if !errors.Is(err, stanza.ErrQueueFull) {
					t.Errorf("got %v, want %v", err, stanza.ErrQueueFull)
				}
				end := receive(t, "end", r.fake.ended)
				if want := (&stanza.StreamError{Condition: stanza.StreamResourceConstraint}); !errors.Is(end.reason, want) {
					t.Errorf("got reason %v, want resource-constraint", end.reason)
				}
				for i, s := range end.undelivered {
					if want := fmt.Sprint(taken - len(end.undelivered) + i); s.Stanza.ID != want {
						t.Errorf("got undelivered stanza %s, want %s", s.Stanza.ID, want)
					}
				}
				if len(end.undelivered) < taken-7 { // the connection takes 64 KiB
					t.Errorf("got %d of %d undelivered", len(end.undelivered), taken)
				}
			})
		})
	}
}

// TestOwnAnswersFillQueue checks that a client cannot make the server queue
// answers without bound.
func TestOwnAnswersFillQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) {
			r.o.MaxFSMQueue = 20
			r.host.IQ = iqFunc(func(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
				return iq.Result(bigMessage("").Inner), nil
			})
		})
		c := r.login("ana", "boat")
		for range 100 {
			if _, err := io.WriteString(c.conn, "<iq id='1' type='get'><q xmlns='urn:x'/></iq>"); err != nil {
				break
			}
		}
		end := receive(t, "end", r.fake.ended)
		if want := (&stanza.StreamError{Condition: stanza.StreamResourceConstraint}); !errors.Is(end.reason, want) {
			t.Errorf("got reason %v, want resource-constraint", end.reason)
		}
	})
}

// TestSendTimeout checks that a client that does not read loses its session
// when one write has taken too long, and not before.
func TestSendTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.SendTimeout = 10 * time.Second })
		r.login("ana", "boat")
		sink := r.fake.sink("ana@one.test/boat")
		began := time.Now()
		for range 20 {
			if err := sink.Deliver(bigMessage("x")); err != nil {
				t.Fatal(err)
			}
		}
		end := <-r.fake.ended
		if took := time.Since(began); took < r.o.SendTimeout || took > 2*r.o.SendTimeout {
			t.Errorf("got the end after %v, want it soon after %v", took, r.o.SendTimeout)
		}
		if end.reason == nil || len(end.undelivered) == 0 {
			t.Errorf("got reason %v, %d undelivered, want a reason and stanzas", end.reason, len(end.undelivered))
		}
	})
}

// TestIdleGoroutines checks that a session that waits costs one goroutine.
func TestIdleGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions = 100
		const others = 10 // the count is the process's: what the runtime and other tests begin and end
		r := start(t)
		synctest.Wait()
		before := runtime.NumGoroutine()
		for i := range sessions {
			r.login("ana", fmt.Sprint(i))
		}
		synctest.Wait()
		if got := runtime.NumGoroutine() - before; got < sessions-others || got > sessions+others {
			t.Errorf("got %d goroutines for %d sessions, want one each", got, sessions)
		}
	})
}

// BenchmarkIdleSession measures the memory of a session that waits, with its
// two ends of a connection in memory.
func BenchmarkIdleSession(b *testing.B) { benchmarkIdle(b, (*rig).login) }

// BenchmarkIdleManagedSession does the same with stream management.
func BenchmarkIdleManagedSession(b *testing.B) {
	benchmarkIdle(b, func(r *rig, user, resource string) *client {
		c, _ := r.managed(user, resource)
		return c
	})
}

// BenchmarkDetachedSession measures the memory of a session without connection.
func BenchmarkDetachedSession(b *testing.B) {
	benchmarkIdle(b, func(r *rig, user, resource string) *client {
		c, _ := r.managed(user, resource)
		before := r.server.Stats().Detached
		c.Close()
		for r.server.Stats().Detached == before {
			runtime.Gosched()
		}
		c.conn = nil
		return c
	})
}

func benchmarkIdle(b *testing.B, begin func(r *rig, user, resource string) *client) {
	r := start(b, manage, func(r *rig) { r.host.Session, r.host.Log = nil, nil })
	inUse := func() (heap, stack float64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc), float64(m.StackInuse)
	}
	begin(r, "ana", "first")
	heap, stack := inUse()
	conns := make([]net.Conn, 0, b.N)
	for i := range b.N {
		c := begin(r, "ana", fmt.Sprint(i))
		conns = append(conns, c.conn)
		c.seen.Reset()
	}
	heapNow, stackNow := inUse()
	b.ReportMetric((heapNow-heap)/float64(b.N), "heap-B/session")
	b.ReportMetric((stackNow-stack)/float64(b.N), "stack-B/session")
	runtime.KeepAlive(conns)
}

// BenchmarkStanza measures a message from one client to another, through both
// sessions.
func BenchmarkStanza(b *testing.B) {
	const batch = 100
	r := start(b)
	ana, bo := r.login("ana", "boat").conn, r.login("bo", "pier").conn
	for _, c := range []net.Conn{ana, bo} {
		_ = c.SetDeadline(time.Time{})
	}
	body := strings.Repeat("x", 100)
	text := []byte(strings.Repeat(message("bo@one.test/pier", body), batch))
	answer := make([]byte, batch*len("<message from='ana@one.test/boat' to='bo@one.test/pier'><body></body></message>"+body))
	b.ReportAllocs()
	b.SetBytes(int64(len(text) / batch))
	b.ResetTimer()
	for range (b.N + batch - 1) / batch {
		if _, err := ana.Write(text); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(bo, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// TestIdle checks that a session without traffic lives on: the deadlines of the
// negotiation are gone.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.login("ana", "boat")
		time.Sleep(24 * time.Hour)
		sink := r.fake.sink("ana@one.test/boat")
		sink.Deliver(&stanza.Stanza{Kind: stanza.Message, ID: "tomorrow"})
		c.Expect("<message id='tomorrow'/>")
		time.Sleep(24 * time.Hour)
		c.Send(" <message id='back'/>")
		if got := <-r.fake.routed; got.ID != "back" {
			t.Errorf("got %v, want the message", got)
		}
	})
}
