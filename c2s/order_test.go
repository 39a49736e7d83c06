package c2s

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestEnableDuringArrived checks that stream management works from <enabled/> on,
// also for a client that asks for it while the host hears of its offline
// messages: who sends to it is not told that a message is safe that it has not
// acknowledged.
func TestEnableDuringArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := make(chan struct{}), make(chan struct{})
		r := start(t, manage, func(r *rig) {
			r.fake.onArrived = func() {
				in <- struct{}{}
				<-out
			}
		})
		bo, _ := r.managed("bo", "pier")
		c := r.login("ana", "boat")
		if err := r.fake.sink("ana@one.test/boat").Deliver(keptMessage(5)); err != nil {
			t.Fatal(err)
		}
		<-in
		c.Send(smEnable)
		synctest.Wait()
		bo.Send(message("ana@one.test/boat", "precious"))
		synctest.Wait()
		close(out)
		c.Expect("<enabled ")
		c.Expect("precious")
		c.Expect(smRequest)
		bo.Send(smRequest)
		if got := bo.Expect("/>"); got != smAck(0) {
			t.Errorf("got %s, want %s: ana has acknowledged nothing", got, smAck(0))
		}
		c.Send(smAck(1))
		bo.Expect(smAck(1))
		c.Close()
		<-r.fake.detached
	})
}

// TestAckAfterAnswer checks that an <a/> does not come before what answers the
// stanza that it covers: a client that has it forgets the stanza.
func TestAckAfterAnswer(t *testing.T) {
	tests := []struct {
		name, send, want string
	}{
		{"error of the router", "<message id='mine' to='nobody@one.test'><body/></message>", "type='error' id='mine'>"},
		{"error of ours", "<message id='mine' to='@'><body/></message>", "type='error' id='mine'>"},
		{"result", "<iq type='get' id='mine'><q xmlns='urn:x'/></iq>", "type='result' id='mine'/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage, func(r *rig) {
					r.fake.onRoute = func(_ context.Context, s *stanza.Stanza) error {
						return r.fake.sink("ana@one.test/boat").Deliver(s.ErrorReply(&stanza.Error{Condition: stanza.ServiceUnavailable}))
					}
					r.host.IQ = iqFunc(func(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
						return iq.Result(""), nil
					})
				})
				c, _ := r.managed("ana", "boat")
				deliverBig(r, c)
				synctest.Wait() // the connection is full
				c.Send(tt.send + smRequest)
				synctest.Wait()
				got := c.Expect(smAck(1))
				if !strings.Contains(got, tt.want) {
					t.Errorf("got the acknowledgement in %d bytes without %s", len(got), tt.want)
				}
			})
		})
	}
}

// TestBoundFirst checks that the host hears of a session before it hears of
// anything that the session has done, however soon that is.
func TestBoundFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		r := start(t, func(r *rig) {
			r.fake.onBind = func(b stanza.Binding) (stanza.JID, error) { return b.JID, b.Sink.Deliver(keptMessage(1)) }
			r.fake.onBound = func(stanza.SessionInfo) {
				for range 1000 { // the message is written meanwhile
					runtime.Gosched()
				}
				calls = append(calls, "bound")
			}
			r.fake.onArrived = func() { calls = append(calls, "arrived") }
			r.fake.onEnded = func() { calls = append(calls, "ended") }
		})
		c := r.login("ana", "boat")
		c.Expect("<message id='1'>")
		c.Send("</stream:stream>")
		<-r.fake.ended
		if got := strings.Join(calls, " "); got != "bound arrived ended" {
			t.Errorf("got %q, want bound arrived ended", got)
		}
	})
}

// TestRoom checks that a host can know how much a session takes: no more ends it.
func TestRoom(t *testing.T) {
	for _, managed := range []bool{false, true} {
		t.Run(fmt.Sprint("managed ", managed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				size := bigMessage("0").Size()
				r := start(t, manage, func(r *rig) { r.o.MaxFSMQueue, r.o.MaxQueueBytes, r.sm.MaxAckQueue = 50, 30*size, 100 })
				c := r.login("ana", "boat")
				if managed {
					c.enable()
				}
				synctest.Wait()
				sink := r.fake.sink("ana@one.test/boat").(interface {
					stanza.Sink
					Room() (stanzas, bytes int)
				})
				if stanzas, bytes := sink.Room(); stanzas != 50 || bytes != 30*size {
					t.Errorf("got room for %d stanzas, %d bytes, want 50, %d", stanzas, bytes, 30*size)
				}
				n := 0
				for {
					stanzas, bytes := sink.Room()
					if stanzas == 0 || bytes < size {
						break
					}
					if err := sink.Deliver(bigMessage("0")); err != nil {
						t.Fatalf("stanza %d: got %v where there is room for %d stanzas, %d bytes", n, err, stanzas, bytes)
					}
					if n++; n > 100 {
						t.Fatal("there is always room")
					}
				}
				if n < 30 {
					t.Errorf("there was room for %d stanzas, want 30 or more", n)
				}
				for range n {
					c.Expect("</message>")
				}
				if managed {
					c.Send(smAck(n))
				}
				synctest.Wait()
				if stanzas, bytes := sink.Room(); stanzas != 50 || bytes != 30*size {
					t.Errorf("got room for %d stanzas, %d bytes after all was taken, want 50, %d", stanzas, bytes, 30*size)
				}
			})
		})
	}
}
