package s2s

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestIncomingStanzas checks which stanzas of an authenticated server are taken.
func TestIncomingStanzas(t *testing.T) {
	tests := []struct{ name, send, want string }{ // want: a condition; "": it is routed
		{"message", inMessage("ana@peer.test/x", "bo@one.test/y", "1"), ""},
		{"presence", "<presence from='ana@peer.test/x' to='bo@one.test' id='1'/>", ""},
		{"request", "<iq from='peer.test' to='one.test' id='1' type='get'><query xmlns='q'/></iq>", ""},
		{"result", "<iq from='peer.test' to='one.test' id='1' type='result'/>", ""},
		{"error", "<message from='peer.test' to='one.test' id='1' type='error'/>", ""},
		{"other case", inMessage("ANA@Peer.Test", "bo@ONE.test", "1"), ""},
		{"other sender", inMessage("bank.test", "one.test", "1"), "invalid-from"},
		{"subdomain", inMessage("rooms.peer.test", "one.test", "1"), "invalid-from"},
		{"our domain as sender", inMessage("one.test", "one.test", "1"), "invalid-from"},
		{"other domain of ours", inMessage("peer.test", "two.test", "1"), "invalid-from"},
		{"foreign recipient", inMessage("peer.test", "bank.test", "1"), "host-unknown"},
		{"without from", "<message to='one.test' id='1'/>", "improper-addressing"},
		{"without to", "<message from='peer.test' id='1'/>", "improper-addressing"},
		{"empty to", "<message from='peer.test' to='' id='1'/>", "improper-addressing"},
		{"client's namespace", "<message xmlns='jabber:client' from='peer.test' to='one.test' id='1'/>", "unsupported-stanza-type"},
		{"unknown element", "<x from='peer.test' to='one.test'/>", "unsupported-stanza-type"},
		{"not well-formed", "<message></presence>", "not-well-formed"},
		{"comment", "<!-- x -->", "restricted-xml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inStart(t)
			c := r.dialback("peer.test", "one.test")
			c.Send(tt.send)
			if tt.want == "" {
				r.routes("1")
				return
			}
			c.expectError(tt.want)
			r.routesNothing()
			r.log.Expect(t, "connection failed", "from=peer.test", "to=one.test", "err=\""+tt.want)
		})
	}
}

// TestIncomingLang wants the language of the stream on stanzas without one.
func TestIncomingLang(t *testing.T) {
	r := inStart(t)
	c := r.dial()
	c.header("version='1.0' from='peer.test' to='one.test' xml:lang='de'")
	c.prove("peer.test", "one.test")
	c.Send(inMessage("peer.test", "one.test", "1"))
	c.Send("<message from='peer.test' to='one.test' id='2' xml:lang='fr'/>")
	if got := r.routes("1").Lang; got != "de" {
		t.Errorf("got language %q, want that of the stream", got)
	}
	if got := r.routes("2").Lang; got != "fr" {
		t.Errorf("got language %q, want its own", got)
	}
}

// TestIncomingRefused wants that a stanza which is wrong in itself is answered by
// the stream that goes to its sender, and that this one goes on.
func TestIncomingRefused(t *testing.T) {
	r := inStart(t)
	c := r.dialback("peer.test", "one.test")
	for _, send := range []string{
		"<iq from='ana@peer.test' to='one.test' id='1' type='get'/>",
		"<iq from='ana@peer.test' to='one.test' id='1' type='odd'><x xmlns='x'/></iq>",
		"<presence from='ana@peer.test' to='one.test' id='1' type='odd'/>",
	} {
		c.Send(send)
		got := inReceive(t, "error", r.fake.returned)
		if got.Type != stanza.TypeError || got.To.String() != "ana@peer.test" || got.From.String() != "one.test" || got.ID != "1" || !strings.Contains(got.Inner, "<bad-request ") {
			t.Errorf("%s: got %s, want bad-request to its sender", send, got)
		}
	}
	c.Send("<iq from='peer.test' to='one.test' type='result'/>") // without id, and not answered
	c.Send(inMessage("peer.test", "one.test", "2"))
	r.routes("2")
	if n := len(r.fake.returned); n != 0 {
		t.Errorf("got %d more errors, want none", n)
	}
	c.Send("<iq from='bank.test' to='one.test' id='3' type='get'/>")
	c.expectError("invalid-from")
	if n := len(r.fake.returned); n != 0 {
		t.Errorf("got %d more errors, want none for a sender that was not proved", n)
	}
}

// TestIncomingMalformed wants that a malformed address, which may be one to another
// version of Unicode, concerns its stanza alone.
func TestIncomingMalformed(t *testing.T) {
	r := inStart(t)
	c := r.dialback("peer.test", "one.test")
	c.Send("<message from='@peer.test' to='one.test' id='1'/>")
	c.Send("<message from='ana@bank.test' to='@one.test' id='2'/>")
	c.Send("<message from='ana@peer.test' to='@one.test' id='3' type='error'/>")
	c.Send("<message from='ana@peer.test' to='@one.test' id='4'/>")
	got := inReceive(t, "error", r.fake.returned)
	if got.ID != "4" || got.From.String() != "one.test" || got.To.String() != "ana@peer.test" || !strings.Contains(got.Inner, "jid-malformed") {
		t.Errorf("got %s, want jid-malformed for the fourth from one.test", got)
	}
	c.Send(inMessage("ana@peer.test", "bo@one.test", "5"))
	r.routes("5")
	r.log.Expect(t, "a stanza was dropped")
}

// TestIncomingRouteFails wants that an error of the router ends nothing, and a
// panic just the stream.
func TestIncomingRouteFails(t *testing.T) {
	r := inStart(t, func(r *inRig) {
		r.fake.onRoute = func(_ context.Context, s *stanza.Stanza) error {
			switch s.ID {
			case "error":
				return errors.New("store is down")
			case "panic":
				panic("router")
			}
			r.fake.routed <- s
			return nil
		}
	})
	other := r.dialback("other.test", "one.test")
	c := r.dialback("peer.test", "one.test")
	c.Send(inMessage("peer.test", "one.test", "error") + inMessage("peer.test", "one.test", "1"))
	r.routes("1")
	r.log.Expect(t, "routing a stanza failed", "from=peer.test", "to=one.test", "store is down")
	c.Send(inMessage("peer.test", "one.test", "panic"))
	c.expectError("internal-server-error")
	other.Send(inMessage("other.test", "one.test", "2"))
	r.routes("2")
	other.Close()
	r.drain()
	r.log.Expect(t, "connection handler panicked", "panic: router")
}

// TestIncomingComplaints wants few lines however many stanzas the host fails on.
func TestIncomingComplaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, func(r *inRig) {
			r.fake.onRoute = func(_ context.Context, s *stanza.Stanza) error { return errors.New("store is down") }
		})
		c := r.dialback("peer.test", "one.test")
		for range 3 {
			for range 100 {
				c.Send(inMessage("peer.test", "one.test", "1"))
			}
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if n := strings.Count(r.log.String(), "routing a stanza failed"); n != 3 {
			t.Errorf("got %d lines in 3 seconds, want 3", n)
		}
	})
}

// TestIncomingEnd checks the ends of a stream that are nobody's fault.
func TestIncomingEnd(t *testing.T) {
	t.Run("in order", func(t *testing.T) {
		r := inStart(t)
		c := r.dialback("peer.test", "one.test")
		c.Send(inMessage("peer.test", "one.test", "1") + "</stream:stream>")
		c.expectEnd()
		r.routes("1")
		r.drain()
		if got := r.log.String(); strings.Contains(got, "failed") {
			t.Errorf("got the log %s, want no failure", got)
		}
	})
	t.Run("connection lost", func(t *testing.T) {
		r := inStart(t)
		c := r.dialback("peer.test", "one.test")
		c.Close()
		r.drain()
		r.log.Expect(t, "connection failed", "from=peer.test", "to=one.test")
	})
	t.Run("stream error", func(t *testing.T) {
		r := inStart(t)
		c := r.dialback("peer.test", "one.test")
		c.Send("<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
		c.expectEnd()
		r.drain()
		r.log.Expect(t, "connection failed", "from=peer.test", "to=one.test", "conflict")
	})
}

const inTimeout = 160 * time.Second

func inWithTimeout(r *inRig) {
	r.set.Timeout = stanza.PerHost[time.Duration]{Value: time.Hour, Hosts: map[string]time.Duration{"one.test": inTimeout, "two.test": 0}}
}

// TestIncomingIdle wants a stream to end in order when nothing has passed for the
// timeout of its domain, and not before.
func TestIncomingIdle(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := inStart(t, inWithTimeout)
			c := r.dialback("peer.test", "one.test")
			began := time.Now()
			r.waitEnd(c)
			if took := time.Since(began); took < inTimeout || took > inTimeout+inTimeout/slack {
				t.Errorf("got the end after %v, want %v and at most a 64th more", took, inTimeout)
			}
			if got := r.log.String(); strings.Contains(got, "failed") {
				t.Errorf("got the log %s, want no failure", got)
			}
		})
	})
	t.Run("elements", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := inStart(t, inWithTimeout)
			c := r.dialback("peer.test", "one.test")
			for range 100 {
				time.Sleep(inTimeout - 1)
				c.Send(inMessage("peer.test", "one.test", "1"))
				r.routes("1")
			}
			began := time.Now()
			r.waitEnd(c)
			if took := time.Since(began); took < inTimeout || took > inTimeout+inTimeout/slack {
				t.Errorf("got the end after %v, want %v and at most a 64th more", took, inTimeout)
			}
		})
	})
}

// TestIncomingLate wants a stanza to be taken that a server had sent before it read
// the end of an idle stream.
func TestIncomingLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, inWithTimeout)
		c := r.dialback("peer.test", "one.test")
		time.Sleep(inTimeout + inTimeout/slack)
		synctest.Wait()
		c.Send(inMessage("peer.test", "one.test", "1") + "</stream:stream>")
		r.routes("1")
		c.expectEnd()
		r.drain()
	})
}

// TestIncomingFinished wants the connection to end when the server does not end its
// side.
func TestIncomingFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, inWithTimeout)
		c := r.dialback("peer.test", "one.test")
		time.Sleep(inTimeout + inTimeout/slack)
		began := time.Now()
		r.drain()
		if took := time.Since(began); took > 2*finishTimeout {
			t.Errorf("got the end after %v, want it within %v", took, 2*finishTimeout)
		}
		c.Close()
	})
}

// TestIncomingNotIdle checks what keeps a stream.
func TestIncomingNotIdle(t *testing.T) {
	t.Run("what we send", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := inStart(t, inWithTimeout)
			c := r.dial()
			c.open("peer.test", "one.test")
			c.Send(inBidi)
			c.prove("peer.test", "one.test")
			synctest.Wait()
			for range 10 {
				time.Sleep(inTimeout - 1)
				if err := r.fake.out.Deliver(inStanza(t, inMessage("one.test", "peer.test", "9"))); err != nil {
					t.Fatal(err)
				}
				c.Expect("</message>")
			}
			r.waitEnd(c)
		})
	})
	t.Run("white space", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := inStart(t, inTLS, inWithTimeout)
			for _, open := range []func(from, to string) *inPeer{r.dialback, r.external} {
				c := open("peer.test", "one.test")
				for range 10 {
					time.Sleep(inTimeout - 1)
					c.Send(" ")
				}
				r.waitEnd(c)
			}
		})
	})
	t.Run("never", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := inStart(t, inWithTimeout)
			c := r.dialback("peer.test", "two.test")
			time.Sleep(1000 * time.Hour)
			c.Send(inMessage("peer.test", "two.test", "1"))
			r.routes("1")
		})
	})
}

// waitEnd waits for the end of a stream, however long it takes.
func (r *inRig) waitEnd(c *inPeer) {
	r.t.Helper()
	_ = c.conn.SetReadDeadline(time.Time{})
	var buf [256]byte
	n, _ := c.conn.Read(buf[:])
	if got := string(buf[:n]); got != "</stream:stream>" {
		r.t.Errorf("got %q, want the end of the stream", got)
	}
	c.Close()
}

func inStanza(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	st, err := stanza.Parse(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return st
}
