package s2s

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestDialbackKey has the examples of XEP-0185, section 3, and of XEP-0220,
// sections 2.1.1 and 2.1.2.
func TestDialbackKey(t *testing.T) {
	tests := []struct{ secret, to, from, id, want string }{
		{"s3cr3tf0rd14lb4ck", "xmpp.example.com", "example.org", "D60000229F", "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"},
		{"s3cr3tf0rd14lb4ck", "montague.example", "capulet.example", "D60000229F", "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3"},
		{"d14lb4ck43v3r", "capulet.example", "montague.example", "417GAF25", "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d"},
	}
	for _, tt := range tests {
		if got := dialbackKey([]byte(tt.secret), tt.to, tt.from, tt.id); got != tt.want {
			t.Errorf("%s, %s: got %s, want %s", tt.from, tt.to, got, tt.want)
		}
		if !isDialbackKey([]byte(tt.secret), tt.to, tt.from, tt.id, tt.want) {
			t.Errorf("%s, %s: got no key of ours, want one", tt.from, tt.to)
		}
		if isDialbackKey([]byte(tt.secret), tt.from, tt.to, tt.id, tt.want) {
			t.Errorf("%s, %s: got a key for the other direction", tt.from, tt.to)
		}
	}
}

func TestParseDialback(t *testing.T) {
	parse := func(t *testing.T, xml string) (dialback, pair, error) {
		t.Helper()
		e, err := stanza.ParseElement(xml)
		if err != nil {
			t.Fatal(err)
		}
		return parseDialback(e)
	}
	const ns = " xmlns:db='jabber:server:dialback' xmlns='jabber:server'"
	tests := []struct {
		name, xml string
		want      dialback
		pair      pair
	}{
		{"request", "<db:result" + ns + " from='A.test' to='b.test'> \n k </db:result>", dialback{Name: "result", From: "A.test", To: "b.test", Key: "k"}, pair{"b.test", "a.test"}},
		{"answer", "<db:verify" + ns + " from='a.test' to='b.test' id='1' type='valid'/>", dialback{Name: "verify", From: "a.test", To: "b.test", ID: "1", Type: "valid"}, pair{"b.test", "a.test"}},
		{"error", "<db:verify" + ns + " from='a.test' to='b.test' id='1' type='error'><error type='cancel'><item-not-found xmlns='" + stanza.NSStanzas + "'/><text xmlns='" + stanza.NSStanzas + "'>so</text></error></db:verify>",
			dialback{Name: "verify", From: "a.test", To: "b.test", ID: "1", Type: "error", Err: &stanza.Error{Condition: stanza.ItemNotFound, Text: "so"}}, pair{"b.test", "a.test"}},
		{"error without condition", "<db:verify" + ns + " from='a.test' to='b.test' type='error'/>",
			dialback{Name: "verify", From: "a.test", To: "b.test", Type: "error", Err: &stanza.Error{Condition: stanza.UndefinedCondition}}, pair{"b.test", "a.test"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, p, err := parse(t, tt.xml)
			if err != nil || p != tt.pair || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
				t.Errorf("got %+v, %v, %v; want %+v, %v", got, p, err, tt.want, tt.pair)
			}
			again, p, err := parse(t, strings.Replace(got.String(), got.Name, got.Name+ns, 1))
			if err != nil || p != tt.pair || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", tt.want) {
				t.Errorf("written and read again: got %+v, %v, %v; want %+v", again, p, err, tt.want)
			}
		})
	}
	for _, attrs := range []string{"", " from='a.test'", " to='b.test'", " from='x@a.test' to='b.test'", " from='a.test' to='b.test/x'", " from='' to='b.test'"} {
		if _, _, err := parse(t, "<db:result"+ns+attrs+">k</db:result>"); !errors.Is(err, &stanza.StreamError{Condition: stanza.StreamImproperAddressing}) {
			t.Errorf("%q: got %v, want improper-addressing", attrs, err)
		}
	}
}

func TestIncomingDialback(t *testing.T) {
	r := inStart(t)
	c := r.open("peer.test", "one.test")
	c.Send(inResult("peer.test", "one.test", "good"))
	c.Expect(inValid("peer.test", "one.test"))
	if got, want := <-r.fake.asked, (inQuestion{pair{"one.test", "peer.test"}, c.id, "good"}); got != want {
		t.Errorf("got %v asked, want %v", got, want)
	}
	c.Send(inMessage("ana@peer.test/x", "bo@one.test", "1"))
	r.routes("1")
	r.log.Expect(t, "msg=\"server has connected\"", "from=peer.test", "to=one.test", "mechanism=dialback", "encrypted=false", "transport=tcp")

	c.prove("peer.test", "one.test") // again: nobody is asked
	c.prove("rooms.peer.test", "one.test")
	c.prove("peer.test", "two.test")
	for _, p := range []pair{{"one.test", "peer.test"}, {"one.test", "rooms.peer.test"}, {"two.test", "peer.test"}} {
		c.Send(inMessage(p.remote, p.local, p.String()))
		r.routes(p.String())
	}
	if n := len(r.fake.asked); n != 2 {
		t.Errorf("got %d more keys asked for, want 2", n)
	}
	if got, want := r.server.IncomingStats(), (IncomingStats{Streams: 1, Authenticated: 1, Pairs: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c.Send(inMessage("rooms.peer.test", "two.test", "2")) // not this pair
	c.expectError("invalid-from")
	r.drain()
	if got := r.server.IncomingStats(); got != (IncomingStats{}) {
		t.Errorf("got %+v in the end, want nothing", got)
	}
}

// TestIncomingResultErrors wants errors that do not end the stream.
// See XEP-0220, section 2.5.
func TestIncomingResultErrors(t *testing.T) {
	tests := []struct {
		name, from, to, key string
		verify              error
		want                stanza.Condition
	}{
		{"to is foreign", "peer.test", "three.test", "good", nil, stanza.ItemNotFound},
		{"from is ours", "two.test", "one.test", "good", nil, stanza.NotAcceptable},
		{"no key", "peer.test", "one.test", "", nil, stanza.BadRequest},
		{"key too long", "peer.test", "one.test", strings.Repeat("k", maxKey+1), nil, stanza.BadRequest},
		{"not found", "peer.test", "one.test", "k", &stanza.Error{Condition: stanza.RemoteServerNotFound}, stanza.RemoteServerNotFound},
		{"asked the wrong server", "peer.test", "one.test", "k", &stanza.Error{Condition: stanza.ItemNotFound}, stanza.RemoteServerNotFound},
		{"timeout", "peer.test", "one.test", "k", &stanza.Error{Condition: stanza.RemoteServerTimeout}, stanza.RemoteServerTimeout},
		{"other error", "peer.test", "one.test", "k", errors.New("broken"), stanza.RemoteServerTimeout},
		{"panic", "peer.test", "one.test", "k", nil, stanza.InternalServerError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inStart(t, func(r *inRig) {
				r.fake.onVerify = func(context.Context, inQuestion) error {
					if tt.name == "panic" {
						panic("verify")
					}
					return tt.verify
				}
			})
			c := r.open("peer.test", "one.test")
			for range 2 { // the stream goes on
				c.Send(inResult(tt.from, tt.to, tt.key))
				got := c.Expect("</db:result>")
				for _, want := range []string{
					"<db:result from='" + tt.to + "' to='" + tt.from + "' type='error'><error type='",
					"<" + string(tt.want) + " xmlns='" + stanza.NSStanzas + "'/>",
				} {
					if !strings.Contains(got, want) {
						t.Errorf("got %s, want %s", got, want)
					}
				}
			}
			logged := string(tt.want)
			switch tt.name {
			case "other error":
				logged = "err=broken"
			case "asked the wrong server":
				logged = "item-not-found"
			}
			r.log.Expect(t, "dialback failed", "from="+tt.from, "to="+tt.to, logged)
			c.Send(inMessage(tt.from, "one.test", "1"))
			c.expectError("not-authorized")
			r.routesNothing()
		})
	}
}

// TestIncomingInvalid checks what comes of a key that is not right.
// See XEP-0220, section 2.2.1.
func TestIncomingInvalid(t *testing.T) {
	t.Run("first pair", func(t *testing.T) {
		r := inStart(t)
		c := r.open("peer.test", "one.test")
		c.Send(inResult("peer.test", "one.test", "bad"))
		if got, want := c.ExpectEOF(), "<db:result from='one.test' to='peer.test' type='invalid'/></stream:stream>"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		c.Close()
		r.drain()
		r.log.Expect(t, "dialback failed", "from=peer.test", "to=one.test", "dialback key is invalid")
		if got := r.log.String(); strings.Contains(got, "connection failed") {
			t.Errorf("got the log %s, want one line", got)
		}
	})
	t.Run("another pair", func(t *testing.T) {
		r := inStart(t)
		c := r.dialback("peer.test", "one.test")
		c.Send(inResult("bank.test", "one.test", "bad"))
		c.Expect("<db:result from='one.test' to='bank.test' type='error'><error type='auth'><forbidden ")
		c.Expect("</db:result>")
		c.Send(inMessage("peer.test", "one.test", "1"))
		r.routes("1")
		c.Send(inMessage("bank.test", "one.test", "2"))
		c.expectError("invalid-from")
		r.routesNothing()
	})
}

// TestIncomingCertificate wants that nobody is asked about a domain that the
// certificate proves (XEP-0344), and that others are asked about.
func TestIncomingCertificate(t *testing.T) {
	r := inStart(t, inTLS)
	c, _ := r.secure("peer.test", "bank.test", "one.test")
	c.prove("peer.test", "one.test")
	r.log.Expect(t, "server has connected", "from=peer.test", "mechanism=\"dialback with certificate\"", "encrypted=true")
	if n := len(r.fake.asked); n != 0 {
		t.Errorf("got %d keys asked for, want none", n)
	}
	c.prove("bank.test", "one.test")
	if got := <-r.fake.asked; got.remote != "bank.test" {
		t.Errorf("got %v asked, want bank.test", got)
	}
}

// TestIncomingWhileChecking wants the stream to go on while a key is checked.
func TestIncomingWhileChecking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t)
		c := r.dialback("peer.test", "one.test")
		release := make(chan struct{})
		r.fake.onVerify = func(ctx context.Context, q inQuestion) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		c.Send(inResult("slow.test", "one.test", "k"))
		c.Send(inMessage("peer.test", "one.test", "1"))
		r.routes("1")
		c.Send("<db:verify from='peer.test' to='one.test' id='x'>k</db:verify>")
		c.Expect("type='invalid'/>")
		c.Send(inResult("slow.test", "one.test", "k")) // the same pair again
		c.Expect("<db:result from='one.test' to='slow.test' type='error'><error type='wait'><resource-constraint ")
		c.Expect("</db:result>")
		close(release)
		c.Expect(inValid("slow.test", "one.test"))

		r.fake.onVerify = func(ctx context.Context, q inQuestion) error {
			<-ctx.Done()
			return ctx.Err()
		}
		c.Send(inResult("never.test", "one.test", "k"))
		began := time.Now()
		c.neverAnswered(r, began)
	})
}

// neverAnswered wants that an answer that never comes is given up after the
// negotiation timeout, and that the end of the stream does not wait for one.
func (c *inPeer) neverAnswered(r *inRig, began time.Time) {
	c.t.Helper()
	time.Sleep(r.o.NegotiationTimeout)
	c.Expect("<db:result from='one.test' to='never.test' type='error'><error type='wait'><remote-server-timeout ")
	c.Expect("</db:result>")
	if took := time.Since(began); took != r.o.NegotiationTimeout {
		c.t.Errorf("got the error after %v, want %v", took, r.o.NegotiationTimeout)
	}
	c.Send(inResult("never.test", "one.test", "k"))
	synctest.Wait()
	began = time.Now()
	c.Send("</stream:stream>")
	c.expectEnd()
	r.drain()
	if took := time.Since(began); took > time.Second {
		c.t.Errorf("got the end after %v, want it at once", took)
	}
}

// TestIncomingVerify checks the answers about keys of our own, which need no
// authentication.
func TestIncomingVerify(t *testing.T) {
	secret := []byte("a secret of enough bytes")
	key := dialbackKey(secret, "peer.test", "one.test", "stream1")
	tests := []struct{ name, attrs, key, want string }{
		{"right", "from='peer.test' to='one.test' id='stream1'", key, "from='one.test' to='peer.test' id='stream1' type='valid'/>"},
		{"right, other case", "from='Peer.test' to='ONE.test' id='stream1'", " " + key + "\n", "from='ONE.test' to='Peer.test' id='stream1' type='valid'/>"},
		{"other stream", "from='peer.test' to='one.test' id='stream2'", key, "id='stream2' type='invalid'/>"},
		{"no stream", "from='peer.test' to='one.test'", key, "type='invalid'/>"},
		{"other receiver", "from='bank.test' to='one.test' id='stream1'", key, "type='invalid'/>"},
		{"other sender", "from='peer.test' to='two.test' id='stream1'", key, "type='invalid'/>"},
		{"no key", "from='peer.test' to='one.test' id='stream1'", "", "type='invalid'/>"},
		{"shorter key", "from='peer.test' to='one.test' id='stream1'", key[:63], "type='invalid'/>"},
		{"foreign domain", "from='peer.test' to='three.test' id='stream1'", key, "from='three.test' to='peer.test' id='stream1' type='error'><error type='cancel'><item-not-found "},
		{"id to be escaped", "from='peer.test' to='one.test' id='&lt;&apos;'", key, "id='&lt;&apos;' type='invalid'/>"},
	}
	r := inStart(t, func(r *inRig) { r.host.Secret = secret })
	for _, state := range []struct {
		name string
		open func() *inPeer
	}{
		{"before authentication", func() *inPeer { return r.open("peer.test", "one.test") }},
		{"after", func() *inPeer { return r.dialback("peer.test", "one.test") }},
		{"old server", func() *inPeer {
			c := r.dial()
			c.header("")
			return c
		}},
	} {
		c := state.open()
		for _, tt := range tests {
			c.Send("<db:verify " + tt.attrs + ">" + tt.key + "</db:verify>")
			if got := c.ExpectMatch(`<db:verify [^>]*>(<error type='\w*'><[a-z-]* )?`)[0]; !strings.HasSuffix(got, tt.want) {
				t.Errorf("%s, %s: got %s, want %s", state.name, tt.name, got, tt.want)
			}
		}
	}
}

// TestIncomingUnsolicited wants that answers to what was never asked end the
// stream and prove nothing.
// See XEP-0220, section 3.1.
func TestIncomingUnsolicited(t *testing.T) {
	for _, send := range []string{
		"<db:result from='bank.test' to='one.test' type='valid'/>",
		"<db:result from='bank.test' to='one.test' type='invalid'/>",
		"<db:verify from='bank.test' to='one.test' id='1' type='valid'/>",
		"<db:verify from='bank.test' to='one.test' id='1' type='error'/>",
		"<db:result from='bank.test' to='one.test' type='x'>good</db:result>",
	} {
		for name, open := range map[string]func(*inRig) *inPeer{
			"before": func(r *inRig) *inPeer { return r.open("peer.test", "one.test") },
			"after":  func(r *inRig) *inPeer { return r.dialback("peer.test", "one.test") },
		} {
			t.Run(name+"/"+send, func(t *testing.T) {
				r := inStart(t)
				c := open(r)
				c.Send(send + inMessage("bank.test", "one.test", "1"))
				c.expectError("policy-violation")
				r.routesNothing()
			})
		}
	}
}

// TestIncomingMixed wants that nothing is negotiated any more once dialback has
// begun.
func TestIncomingMixed(t *testing.T) {
	for _, send := range []string{inStartTLS, inAuth("=")} {
		r := inStart(t, inTLS)
		c := r.dialback("peer.test", "one.test")
		c.Send(send)
		c.expectError("unsupported-stanza-type")
	}
}
