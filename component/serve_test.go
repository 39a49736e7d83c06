package component

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestStanzaErrors(t *testing.T) {
	tests := []struct{ name, send, want string }{
		{"no from", "<message to='b@house.test'/>", "improper-addressing"},
		{"no to", "<message from='a@bot.test'/>", "improper-addressing"},
		{"no addresses", "<iq type='get' id='1'><x xmlns='urn:x'/></iq>", "improper-addressing"},
		{"wrong and without to", "<iq type='what' id='1' from='a@bot.test'/>", "improper-addressing"},
		{"wrong and from elsewhere", "<iq type='what' id='1' from='a@house.test' to='b@house.test'/>", "invalid-from"},
		{"other namespace", "<message xmlns='jabber:client' from='a@bot.test' to='b@house.test'/>", "unsupported-stanza-type"},
		{"unknown element", "<log type='warn' from='bot.test'>x</log>", "unsupported-stanza-type"},
		{"not well-formed", "<message></presence>", "not-well-formed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t)
			c := r.connect("bot.test")
			c.Send(tt.send)
			c.expectError(tt.want)
			r.drain()
			r.log.Expect(t, "level=WARN", "component has left", tt.want)
		})
	}
}

// A stanza that is wrong in itself is answered, and the stream goes on.
func TestWrongStanza(t *testing.T) {
	r := start(t)
	c := r.connect("bot.test")
	c.Send("<iq type='get' id='1' from='a@bot.test' to='b@house.test'/>")
	c.Expect("<iq from='b@house.test' to='a@bot.test' type='error' id='1'><error type='modify'><bad-request")
	c.Send("<message id='3' from='a@@b' to='b@house.test'/>")
	c.Expect("<message from='b@house.test' type='error' id='3'><error type='modify'><jid-malformed")
	c.Send("<message id='4' from='a@bot.test' to='a@@b'/>")
	c.Expect("<message to='a@bot.test' type='error' id='4'><error type='modify'><jid-malformed")
	c.Send("<iq type='result' from='a@bot.test' to='b@house.test'/>" + message("a@bot.test", "b@house.test", "2"))
	if st := r.next(); st.ID != "2" {
		t.Errorf("got %v, want the message", st)
	}
	c.end()
}

// Children in the content namespace stay there on their way.
func TestContentNamespace(t *testing.T) {
	r := start(t)
	c := r.connect("bot.test")
	_ = r.deliver("<message from='ana@house.test' to='bot.test'><body xmlns='jabber:client'>x</body></message>")
	c.Expect("<body xmlns='jabber:component:accept'>x</body>")
	c.Send("<message from='bot.test' to='ana@house.test'><body xmlns='jabber:component:accept'>y</body></message>")
	if st := r.next(); st.Inner != "<body xmlns='jabber:client'>y</body>" || st.Child != (stanza.Name{Space: stanza.NSClient, Local: "body"}) {
		t.Errorf("got %v, want the body in jabber:client", st)
	}
	c.end()
}

// The language of the stream is that of stanzas without one.
func TestLanguage(t *testing.T) {
	r := start(t)
	c := r.dial()
	c.Send(strings.Replace(header("bot.test"), " to=", " xml:lang='de' to=", 1))
	c.handshakeFrom(c.ExpectMatch("<stream:stream[^>]* id='([^']*)'[^>]*>")[1])
	c.Send(message("bot.test", "ana@house.test", "1") + "<message from='bot.test' to='ana@house.test' xml:lang='fr'/>")
	for _, want := range []string{"de", "fr"} {
		if st := r.next(); st.Lang != want {
			t.Errorf("got language %q, want %q", st.Lang, want)
		}
	}
	c.end()
}

func (c *client) handshakeFrom(id string) {
	c.t.Helper()
	c.Send(proof(id, "anchor"))
	c.Expect("<handshake/>")
}

func TestRouterErrors(t *testing.T) {
	r := start(t, func(r *rig) { r.router.onRoute = func(*stanza.Stanza) error { return errors.New("no route") } })
	c := r.connect("bot.test")
	for range 3 {
		c.Send(message("bot.test", "ana@house.test", "1"))
	}
	c.end()
	r.drain()
	r.log.Expect(t, "level=WARN", "routing a stanza failed", "domain=bot.test", "no route")
	if n := strings.Count(r.log.String(), "no route"); n != 1 {
		t.Errorf("got %d lines, want 1", n)
	}
}

// A panic of the router costs one stream; its domain is free again.
func TestPanics(t *testing.T) {
	t.Run("route", func(t *testing.T) {
		r := start(t, func(r *rig) { r.router.onRoute = func(*stanza.Stanza) error { panic("route") } })
		c := r.connect("bot.test")
		c.Send(message("bot.test", "ana@house.test", "1"))
		c.expectError("internal-server-error")
		r.connect("bot.test").end()
	})
	t.Run("register", func(t *testing.T) {
		first := true
		r := start(t, func(r *rig) {
			r.router.onRegister = func(d string) error {
				if first && d == "b.test" {
					first = false
					panic("register")
				}
				return nil
			}
			hosts("a.test", "b.test")(&r.o)
		})
		c := r.open("a.test")
		c.handshake("anchor")
		c.expectError("internal-server-error")
		r.connect("a.test").end()
	})
	t.Run("release", func(t *testing.T) {
		first := true
		r := start(t, func(r *rig) {
			r.router.onRelease = func(d string) {
				if first {
					first = false
					r.router.mu.Lock()
					delete(r.router.sinks, d)
					r.router.mu.Unlock()
					panic("release")
				}
			}
		})
		r.connect("bot.test").end()
		r.connect("bot.test").end()
		r.drain()
		r.log.Expect(t, "level=ERROR", "component's stream panicked", "domain=bot.test")
	})
}
