package component

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// XEP-0114, section 3, as its examples have it.
func TestHandshake(t *testing.T) {
	r := start(t)
	c := r.dial()
	c.Send(header("Plays.Test"))
	got := c.ExpectMatch(`^<\?xml version='1.0'\?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='([^']{16,})' from='plays.test'>`)
	c.Send(proof(got[1], "anchor"))
	c.Expect("<handshake/>")
	if sink := r.expectEvent("connected", "plays.test"); sink.Deliver(&stanza.Stanza{Kind: stanza.Message, ID: "direct"}) != nil {
		t.Error("the stream's own sink takes nothing")
	}
	c.Expect("<message id='direct'/>")
	if err := r.deliver(message("ana@house.test/boat", "mermaid@plays.test", "1")); err != nil {
		t.Errorf("Deliver: %v", err)
	}
	c.Expect("<message from='ana@house.test/boat' to='mermaid@plays.test' type='chat' id='1'><body>x</body></message>")
	c.Send(message("mermaid@plays.test/sea", "ana@house.test", "2"))
	if st := r.next(); st.ID != "2" || st.From.String() != "mermaid@plays.test/sea" || st.Inner != "<body>x</body>" {
		t.Errorf("got %v, want the message", st)
	}
	r.log.Expect(t, "component has connected", "domain=plays.test", "peer=198.51.100.1:49152", "encrypted=false")
	info := r.server.Components()
	if len(info) != 1 || info[0].Domain != "plays.test" || info[0].Domains[0] != "plays.test" || info[0].Peer.String() != "198.51.100.1:49152" || info[0].Encrypted {
		t.Errorf("Components: got %+v", info)
	}
	c.end()
	r.expectEvent("disconnected", "plays.test")
	r.drain()
	r.log.Expect(t, "level=INFO", "component has left", "domain=plays.test")
}

// refusals are what must end with not-authorized, in the same words and after as
// long for all of them.
var refusals = []struct {
	name, domain string
	prepare      func(o *Options)
	send         func(c *client) string
	reason       string
}{
	{"wrong secret", "bot.test", nil, func(c *client) string { return proof(c.id, "ankor") }, "wrong secret"},
	{"secret of another stream", "bot.test", nil, func(c *client) string { return proof("0123456789", "anchor") }, "wrong secret"},
	{"upper case", "bot.test", nil, func(c *client) string {
		return strings.ReplaceAll(strings.ToUpper(proof(c.id, "anchor")), "HANDSHAKE", "handshake")
	}, "wrong secret"},
	{"empty", "bot.test", nil, func(*client) string { return "<handshake/>" }, "wrong secret"},
	{"with a child", "bot.test", nil, func(c *client) string {
		return strings.Replace(proof(c.id, "anchor"), "</", "<x/></", 1)
	}, "wrong secret"},
	{"unknown domain", "other.test", hosts("bot.test"), func(c *client) string { return proof(c.id, "anchor") }, "domain is none of hosts"},
	{"no password at all", "bot.test", func(o *Options) { o.Password = "" }, func(c *client) string { return proof(c.id, "") }, "domain has no password"},
	{"host without password", "bot.test", func(o *Options) { hosts("bot.test")(o); o.Password = "" }, func(c *client) string { return proof(c.id, "") }, "domain has no password"},
	{"stanza", "bot.test", nil, func(*client) string { return message("a@bot.test", "b@house.test", "1") }, "stanza before the handshake"},
	{"wrong stanza", "bot.test", nil, func(*client) string { return "<iq type='get' id='1' from='a@bot.test' to='house.test'/>" }, "stanza before the handshake"},
	{"another element", "bot.test", nil, func(*client) string { return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>" }, "element auth before the handshake"},
	{"handshake of another namespace", "bot.test", nil, func(c *client) string {
		return strings.Replace(proof(c.id, "anchor"), "<handshake", "<handshake xmlns='jabber:client'", 1)
	}, "element handshake before the handshake"},
}

// hosts names the hosts, without passwords of their own.
func hosts(names ...string) func(o *Options) {
	return func(o *Options) {
		o.Hosts = make(map[string]HostOptions)
		for _, n := range names {
			o.Hosts[n] = HostOptions{}
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(r *rig) {
					if tt.prepare != nil {
						tt.prepare(&r.o)
					}
				})
				c := r.open(tt.domain)
				began := time.Now()
				c.Send(tt.send(c))
				got := c.ExpectEOF()
				took := time.Since(began)
				if want := "<stream:error><not-authorized xmlns='" + nsStreams + "'/></stream:error></stream:stream>"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if took < refusePause || took > 2*refusePause {
					t.Errorf("got the refusal after %v, want %v to %v", took, refusePause, 2*refusePause)
				}
				c.Close()
				synctest.Wait()
				r.log.Expect(t, "level=WARN", "component was refused", "domain="+tt.domain, "peer=198.51.100.1:49152", `reason="`+tt.reason)
				if n := strings.Count(r.log.String(), "\n"); n != 1 {
					t.Errorf("got %d lines in the log, want 1: %s", n, r.log)
				}
			})
		})
	}
}

func TestHeaderErrors(t *testing.T) {
	const stream = " xmlns:stream='http://etherx.jabber.org/streams'"
	tests := []struct{ name, send, want string }{
		{"no to", "<stream:stream xmlns='jabber:component:accept'" + stream + ">", "improper-addressing"},
		{"bad to", header("a@@b"), "improper-addressing"},
		{"user", header("ana@bot.test"), "host-unknown"},
		{"resource", header("bot.test/x"), "host-unknown"},
		{"client", "<stream:stream xmlns='jabber:client' to='bot.test'" + stream + ">", "invalid-namespace"},
		{"connect", "<stream:stream xmlns='jabber:component:connect' to='bot.test'" + stream + ">", "invalid-namespace"},
		{"server", "<stream:stream xmlns='jabber:server' to='bot.test' version='1.0'" + stream + ">", "invalid-namespace"},
		{"long lang", "<stream:stream xmlns='jabber:component:accept' to='bot.test' xml:lang='" + strings.Repeat("x", 36) + "'" + stream + ">", "policy-violation"},
		{"no stream", "<x xmlns='jabber:component:accept'>", "invalid-namespace"},
		{"no XML", "GET / HTTP/1.1\r\n\r\n", "not-well-formed"},
		{"DOCTYPE", "<!DOCTYPE x>", "restricted-xml"},
		{"huge header", "<stream:stream xmlns='jabber:component:accept' to='" + strings.Repeat("x", preAuthBytes), "policy-violation"},
		{"huge handshake", header("bot.test") + "<handshake>" + strings.Repeat("x", preAuthBytes), "policy-violation"},
		{"many elements", header("bot.test") + "<handshake>" + strings.Repeat("<x/>", preAuthElements), "policy-violation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t)
			c := r.dial()
			c.Send(tt.send)
			if got := c.expectError(tt.want); strings.Count(got, "<stream:stream ") != 1 {
				t.Errorf("got %s, want one header before the error", got)
			}
		})
	}
}

// The version of a header is not for XEP-0114; ours has none.
func TestVersionIsIgnored(t *testing.T) {
	r := start(t)
	c := r.dial()
	c.Send(strings.Replace(header("bot.test"), " to=", " version='1.0' to=", 1))
	got := c.ExpectMatch("<stream:stream[^>]* id='([^']*)'[^>]*>")
	if strings.Contains(got[0], "version") {
		t.Errorf("got %s, want no version", got[0])
	}
	c.Send(proof(got[1], "anchor"))
	c.Expect("<handshake/>")
	c.end()
}

func TestTwice(t *testing.T) {
	r := start(t)
	c := r.connect("bot.test")
	c.handshake("anchor")
	c.expectError("unsupported-stanza-type")
}

func TestStreamErrorOfComponent(t *testing.T) {
	r := start(t)
	c := r.connect("bot.test")
	c.Send("<stream:error><reset xmlns='" + nsStreams + "'/></stream:error></stream:stream>")
	if got := c.ExpectEOF(); got != "</stream:stream>" {
		t.Errorf("got %s, want the end of the stream", got)
	}
	c.Close()
	r.drain()
	r.log.Expect(t, "component has left", `reports the stream error \"reset\"`)
}

// TestNegotiationTimeout checks that a component has only so long for its login,
// whatever it sends, and that others are served meanwhile.
func TestNegotiationTimeout(t *testing.T) {
	tests := []struct {
		name string
		do   func(c *client)
	}{
		{"silent", func(*client) {}},
		{"half a header", func(c *client) { c.Send(header("bot.test")[:60]) }},
		{"no handshake", func(c *client) { c.open("bot.test") }},
		{"no login", func(c *client) { c.openModern("bot.test") }},
		{"no hostname", func(c *client) { c.openModern("bot.test"); c.scram("bot.test", "anchor") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t)
				began := time.Now()
				c := r.dial()
				tt.do(c)
				time.Sleep(r.o.NegotiationTimeout - time.Since(began))
				c.expectError("connection-timeout")
				if took := time.Since(began); took != r.o.NegotiationTimeout {
					t.Errorf("got the end after %v, want %v", took, r.o.NegotiationTimeout)
				}
			})
		})
	}
}

// A refusal does not take longer than the negotiation may.
func TestRefusalWithinTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.NegotiationTimeout = time.Second / 10 })
		c := r.open("bot.test")
		began := time.Now()
		c.handshake("wrong")
		c.expectError("not-authorized")
		if took := time.Since(began); took > time.Second/10 {
			t.Errorf("got the refusal after %v, want it within 100 ms", took)
		}
	})
}

// TestManyStrangers lets a thousand connections hang while a component works.
func TestManyStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		var strangers []*client
		for i := range 1000 {
			c := r.dial()
			switch i % 4 {
			case 1:
				c.Send("<stream:stream ")
			case 2:
				c.open("bot.test")
			case 3:
				c.open("bot.test")
				c.handshake("wrong")
			}
			strangers = append(strangers, c)
		}
		c := r.connect("bot.test")
		c.Send(message("a@bot.test", "b@house.test", "1"))
		if st := r.next(); st.ID != "1" {
			t.Errorf("got %v, want the message", st)
		}
		time.Sleep(r.o.NegotiationTimeout)
		for i, s := range strangers {
			want := "connection-timeout"
			if i%4 == 3 {
				want = "not-authorized"
			}
			s.expectError(want)
		}
		if n := strings.Count(r.log.String(), "\n"); n > 100 {
			t.Errorf("got %d lines in the log, want few", n)
		}
		c.end()
	})
}
