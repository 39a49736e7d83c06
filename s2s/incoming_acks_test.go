package s2s

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const inAsk = "<r xmlns='urn:xmpp:sm:3'/>"

func inAck(h string) string { return "<a xmlns='urn:xmpp:sm:3' h='" + h + "'/>" }

// inManaged makes a managed stream.
func (r *inRig) managed() *inPeer {
	r.t.Helper()
	c := r.dialback("peer.test", "one.test")
	c.Send(inEnable)
	c.Expect("<enabled xmlns='urn:xmpp:sm:3'/>")
	return c
}

func TestIncomingAcks(t *testing.T) {
	r := inStart(t)
	c := r.managed()
	c.Send(inAsk)
	c.Expect(inAck("0"))
	for range 3 {
		c.Send(inMessage("peer.test", "one.test", "1"))
	}
	c.Send("<iq from='peer.test' to='one.test' id='1' type='get'/>") // refused, but handled
	c.Send(inResult("other.test", "one.test", "good"))               // no stanza
	c.Send(inAsk)
	c.Expect(inAck("4"))
}

// TestIncomingAcksUnasked wants an acknowledgement now and then.
func TestIncomingAcksUnasked(t *testing.T) {
	r := inStart(t)
	c := r.managed()
	for range markEvery {
		c.Send(inMessage("peer.test", "one.test", "1"))
	}
	c.Expect(inAck("64"))
}

// TestIncomingAcksSafe wants stanzas to be acknowledged when they are safe, and a
// server that asks to be told of the others after a while.
func TestIncomingAcksSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var done []func()
		r := inStart(t, func(r *inRig) {
			r.fake.onRoute = func(ctx context.Context, s *stanza.Stanza) error {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, stanza.ReceiptOf(ctx).Begin())
				return nil
			}
		})
		c := r.managed()
		c.Send(inMessage("peer.test", "one.test", "1") + inAsk)
		began := time.Now()
		c.Expect(inAck("0"))
		if took := time.Since(began); took != lateAnswer {
			t.Errorf("got an answer after %v, want %v", took, lateAnswer)
		}
		c.Send(inMessage("peer.test", "one.test", "2") + inAsk)
		synctest.Wait()
		done[0]()
		c.Expect(inAck("1"))
		done[1]()
		c.Expect(inAck("2"))
		c.Send(inMessage("peer.test", "one.test", "3"))
		synctest.Wait()
		c.Send("</stream:stream>")
		synctest.Wait()
		done[2]()
		if got := c.ExpectEOF(); got != inAck("3")+"</stream:stream>" {
			t.Errorf("got %s, want the last acknowledgement before the end", got)
		}
		c.Close()
	})
}

// TestIncomingEnable checks when stream management is refused.
func TestIncomingEnable(t *testing.T) {
	failed := func(c string) string {
		return "<failed xmlns='urn:xmpp:sm:3'><" + c + " xmlns='" + stanza.NSStanzas + "'/></failed>"
	}
	t.Run("too early", func(t *testing.T) {
		r := inStart(t)
		c := r.open("peer.test", "one.test")
		c.Send(inEnable)
		c.Expect(failed("unexpected-request"))
		c.prove("peer.test", "one.test")
		c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		c.Expect("<enabled xmlns='urn:xmpp:sm:3'/>") // it cannot be resumed
		c.Send("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>")
		c.Expect(failed("feature-not-implemented"))
		c.Send(inEnable)
		if rest := c.expectError("policy-violation"); !strings.HasPrefix(rest, failed("unexpected-request")) {
			t.Errorf("got %s, want it refused first", rest)
		}
	})
	t.Run("off", func(t *testing.T) {
		r := inStart(t, func(r *inRig) { r.set.AckTimeout = 0 })
		c := r.dialback("peer.test", "one.test")
		c.Send(inEnable)
		c.Expect(failed("feature-not-implemented"))
	})
	t.Run("malformed", func(t *testing.T) {
		r := inStart(t)
		c := r.dialback("peer.test", "one.test")
		c.Send("<enable xmlns='urn:xmpp:sm:3' resume='perhaps'/>")
		c.Expect(failed("bad-request"))
		c.Send(inAsk)
		c.expectError("unsupported-stanza-type")
	})
	t.Run("too many acknowledged", func(t *testing.T) {
		r := inStart(t)
		c := r.managed()
		c.Send(inAck("1"))
		c.expectError("undefined-condition")
	})
}

// bidiDialback makes a stream in both directions by dialback.
func (r *inRig) bidiDialback() *inPeer {
	r.t.Helper()
	c := r.open("peer.test", "one.test")
	c.Send(inBidi)
	c.prove("peer.test", "one.test")
	return c
}

// bidiExternal makes a stream in both directions by a certificate.
func (r *inRig) bidiExternal() *inPeer {
	r.t.Helper()
	c, _ := r.secure("peer.test", "peer.test", "one.test")
	c.Send(inBidi + inAuth("="))
	c.Expect("<success xmlns='" + inSASL + "'/>")
	c.open("peer.test", "one.test")
	synctest.Wait()
	if r.fake.out != nil {
		r.t.Error("adopted before the server could enable stream management")
	}
	c.Send(inMessage("peer.test", "one.test", "0"))
	r.routes("0")
	return c
}

// TestIncomingBidi checks streams in both directions.
func TestIncomingBidi(t *testing.T) {
	for name, open := range map[string]func(r *inRig) *inPeer{"dialback": (*inRig).bidiDialback, "EXTERNAL": (*inRig).bidiExternal} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left []stanza.Queued
				r := inStart(t, inTLS, func(r *inRig) {
					r.fake.onOver = func(out *xmppstream.Outbox) {
						if err := out.Deliver(inStanza(t, inMessage("one.test", "peer.test", "9"))); err != stanza.ErrClosed {
							t.Errorf("got %v from Deliver in the end, want ErrClosed", err)
						}
						left = out.Undelivered()
						out.Settle()
					}
				})
				c := open(r)
				synctest.Wait()
				out := r.fake.out
				deliver := func(id string) {
					t.Helper()
					if err := out.Deliver(inStanza(t, inMessage("bo@one.test", "ana@peer.test", id))); err != nil {
						t.Fatal(err)
					}
				}
				deliver("1")
				c.Expect("<message from='bo@one.test' to='ana@peer.test' id='1'><body>x</body></message>")
				c.Send(inMessage("peer.test", "one.test", "2"))
				r.routes("2")
				c.Send(inEnable)
				c.Expect("<enabled xmlns='urn:xmpp:sm:3'/>")
				deliver("3")
				c.Expect("id='3'><body>x</body></message>" + inAsk)
				c.Send("</stream:stream>")
				c.expectEnd()
				r.drain()
				if len(left) != 1 || left[0].Stanza.ID != "3" || !left[0].Sent {
					t.Errorf("got %v undelivered, want the one that was not acknowledged", left)
				}
				if len(r.fake.adopted) != 1 || len(r.fake.over) != 1 || r.fake.over[0] != (pair{"one.test", "peer.test"}) {
					t.Errorf("got %v adopted, %v released; want one each", r.fake.adopted, r.fake.over)
				}
			})
		})
	}
}

// TestIncomingBidiManaged wants what goes out on the stream of another server to be
// managed from the first stanza on, where that server does that.
func TestIncomingBidiManaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, inTLS, func(r *inRig) {
			r.fake.onAdopt = func(_ pair, out *xmppstream.Outbox) bool {
				return out.Deliver(inStanza(t, inMessage("bo@one.test", "ana@peer.test", "1"))) == nil
			}
		})
		c, _ := r.secure("peer.test", "peer.test", "one.test")
		c.Send(inBidi + inAuth("="))
		c.Expect("<success xmlns='" + inSASL + "'/>")
		c.open("peer.test", "one.test")
		c.Send(inEnable)
		c.Expect("<enabled xmlns='urn:xmpp:sm:3'/><message from='bo@one.test' to='ana@peer.test' id='1'><body>x</body></message>" + inAsk)
		c.Send(inAck("1") + "</stream:stream>")
		c.expectEnd()
		r.drain()
	})
}

// TestIncomingNotBidi checks when a stream is not for both directions.
func TestIncomingNotBidi(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*inRig)
		send    string // before dialback
		after   string
	}{
		{"not wanted", nil, "", ""},
		{"too late", nil, "", inBidi},
		{"off", func(r *inRig) { r.set.Bidi.Value = false }, inBidi, ""},
		{"refused", func(r *inRig) {
			r.fake.onAdopt = func(pair, *xmppstream.Outbox) bool { return false }
		}, inBidi, ""},
		{"panics", func(r *inRig) {
			r.fake.onAdopt = func(pair, *xmppstream.Outbox) bool { panic("adopt") }
		}, inBidi, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inStart(t, func(r *inRig) {
				if tt.prepare != nil {
					tt.prepare(r)
				}
			})
			c := r.open("peer.test", "one.test")
			c.Send(tt.send)
			c.prove("peer.test", "one.test")
			c.Send(tt.after)
			c.Send(inMessage("peer.test", "one.test", "1"))
			r.routes("1")
			c.Send("</stream:stream>")
			c.expectEnd()
			r.drain()
			if r.fake.adopted != nil || r.fake.over != nil {
				t.Errorf("got %v adopted, %v released; want none", r.fake.adopted, r.fake.over)
			}
		})
	}
}

// TestIncomingBidiPairs wants each pair to be offered, once.
func TestIncomingBidiPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, func(r *inRig) {
			r.fake.onAdopt = func(p pair, _ *xmppstream.Outbox) bool { return p.remote != "more.test" }
		})
		c := r.open("peer.test", "one.test")
		c.Send(inBidi)
		for _, from := range []string{"peer.test", "rooms.test", "more.test", "rooms.test"} {
			c.prove(from, "one.test")
			synctest.Wait()
		}
		c.Close()
		r.drain()
		want := []pair{{"one.test", "peer.test"}, {"one.test", "rooms.test"}}
		for what, got := range map[string][]pair{"adopted": r.fake.adopted, "released": r.fake.over} {
			if !slices.Equal(got, want) {
				t.Errorf("got %v %s, want %v", got, what, want)
			}
		}
	})
}
