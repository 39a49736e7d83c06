package component

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl"

func modernHeader(from string) string {
	if from != "" {
		from = " from='" + from + "'"
	}
	return "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='house.test'" + from + ">"
}

// openModern returns the features.
func (c *client) openModern(from string) string {
	c.t.Helper()
	c.Send(modernHeader(from))
	return c.Expect("</stream:features>")
}

func auth(mechanism, data string) string {
	return "<auth xmlns='" + nsSASL + "' mechanism='" + mechanism + "'>" + base64.StdEncoding.EncodeToString([]byte(data)) + "</auth>"
}

// scram logs in and opens the next stream.
func (c *client) scram(domain, secret string) {
	c.t.Helper()
	if got := c.tryScram(domain, secret); !strings.Contains(got, "<success") {
		c.t.Fatalf("got %s, want success", got)
	}
	c.openModern(domain)
}

// tryScram returns the last answer.
func (c *client) tryScram(domain, secret string) string {
	c.t.Helper()
	user, err := scram.SHA256.NewClient(domain, secret, "")
	if err != nil {
		c.t.Fatal(err)
	}
	conv := user.NewConversation()
	first, _ := conv.Step("")
	c.Send(auth("SCRAM-SHA-256", first))
	got := c.ExpectMatch("<(challenge|failure) xmlns='" + nsSASL + "'>(.*?)</(challenge|failure)>")
	if got[1] == "failure" {
		return got[0]
	}
	challenge, err := base64.StdEncoding.DecodeString(got[2])
	if err != nil {
		c.t.Fatal(err)
	}
	final, err := conv.Step(string(challenge))
	if err != nil {
		c.t.Fatal(err)
	}
	c.Send("<response xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>")
	return c.ExpectMatch("<(success|failure) xmlns='" + nsSASL + "'>.*?</(success|failure)>")[0]
}

const bindHead = "<bind xmlns='urn:xmpp:component:0'><hostname>"

func bindRequest(verb, name string) string {
	return "<iq id='" + verb + "_" + name + "' type='set'><" + verb + " xmlns='urn:xmpp:component:0'><hostname>" + name + "</hostname></" + verb + "></iq>"
}

// bind binds a hostname.
func (c *client) bind(name string) {
	c.t.Helper()
	c.Send(bindRequest("bind", name))
	c.Expect("<iq type='result' id='bind_" + name + "'>" + bindHead + name + "</hostname></bind></iq>")
}

// loggedIn makes a component that has logged in by XEP-0225 and bound nothing.
func (r *rig) loggedIn(domain string) *client {
	r.t.Helper()
	c := r.dial()
	c.openModern(domain)
	c.scram(domain, "anchor")
	return c
}

// XEP-0225, sections 3 and 4, as their examples have it.
func TestModern(t *testing.T) {
	r := start(t)
	c := r.dial()
	c.Send(modernHeader("chat.test"))
	got := c.Expect("</stream:features>")
	for _, want := range []string{" xmlns='jabber:client'", " from='house.test'", " to='chat.test'", " version='1.0'", "<mechanism>SCRAM-SHA-1</mechanism>", "<mechanism>SCRAM-SHA-256</mechanism>"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	if strings.Contains(got, "PLAIN") || strings.Contains(got, "PLUS") || strings.Contains(got, "EXTERNAL") {
		t.Errorf("got %s, want SCRAM alone without TLS", got)
	}
	if got := c.tryScram("chat.test", "anchor"); !strings.Contains(got, "<success") {
		t.Fatalf("got %s, want success", got)
	}
	if got := c.openModern("chat.test"); !strings.HasSuffix(got, "<stream:features><bind xmlns='urn:xmpp:component:0'><required/></bind></stream:features>") {
		t.Errorf("got %s, want hostname binding alone", got)
	}
	c.bind("chat.test")
	r.expectEvent("connected", "chat.test")
	c.bind("foo.test")
	r.expectEvent("connected", "foo.test")
	for _, d := range []string{"chat.test", "foo.test"} {
		if err := r.deliver("<message from='ana@house.test' to='" + d + "'><body xmlns='jabber:client'>x</body></message>"); err != nil {
			t.Error(err)
		}
		c.Expect("<message from='ana@house.test' to='" + d + "'><body xmlns='jabber:client'>x</body></message>")
		c.Send(message("a@"+d, "ana@house.test", d))
		if st := r.next(); st.ID != d {
			t.Errorf("got %v, want the message of %s", st, d)
		}
	}
	c.Send(bindRequest("unbind", "foo.test"))
	c.Expect("<iq type='result' id='unbind_foo.test'/>")
	r.expectEvent("disconnected", "foo.test")
	c.Send(message("a@foo.test", "ana@house.test", "1"))
	c.expectError("invalid-from")
	r.expectEvent("disconnected", "chat.test")
	r.log.Expect(t, "component has connected", "domain=chat.test", "mechanism=SCRAM-SHA-256")
}

func TestModernHeaderErrors(t *testing.T) {
	tests := []struct{ name, send, want string }{
		{"no to", strings.Replace(modernHeader(""), " to='house.test'", "", 1), "improper-addressing"},
		{"bad from", modernHeader("a@@b"), "improper-addressing"},
		{"from a user", modernHeader("a@bot.test"), "host-unknown"},
		{"version", strings.Replace(modernHeader(""), "1.0'", "0.9'", 2), "unsupported-version"},
		{"long lang", strings.Replace(modernHeader(""), " to=", " xml:lang='"+strings.Repeat("x", 36)+"' to=", 1), "policy-violation"},
		{"stanza", modernHeader("bot.test") + message("bot.test", "ana@house.test", "1"), "not-authorized"},
		{"handshake", modernHeader("bot.test") + "<handshake/>", "unsupported-stanza-type"},
		{"stanza within the login", modernHeader("bot.test") + auth("SCRAM-SHA-1", "n,,n=bot.test,r=x") + message("bot.test", "ana@house.test", "1"), "not-authorized"},
		{"something within the login", modernHeader("bot.test") + auth("SCRAM-SHA-1", "n,,n=bot.test,r=x") + "<x xmlns='urn:x'/>", "unsupported-stanza-type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t)
				c := r.dial()
				c.Send(strings.Replace(tt.send, "version='0.9'?>", "version='1.0'?>", 1))
				c.expectError(tt.want)
			})
		})
	}
	t.Run("restart", func(t *testing.T) {
		for name, tt := range map[string]struct{ header, want string }{
			"other from":      {modernHeader("foo.test"), "invalid-from"},
			"other to":        {strings.Replace(modernHeader("bot.test"), "house", "other", 1), "host-unknown"},
			"other namespace": {header("bot.test"), "invalid-namespace"},
			"no version":      {strings.Replace(modernHeader("bot.test"), " version='1.0' to", " to", 1), "unsupported-version"},
		} {
			t.Run(name, func(t *testing.T) {
				r := start(t)
				c := r.dial()
				c.openModern("bot.test")
				c.tryScram("bot.test", "anchor")
				c.Send(tt.header)
				c.expectError(tt.want)
			})
		}
	})
}

// A login that fails looks the same for all domains, comes after a pause, and may be
// tried a few times.
func TestModernRefusals(t *testing.T) {
	tests := []struct{ name, domain, secret, reason string }{
		{"wrong secret", "bot.test", "ankor", "proof or channel binding is wrong"},
		{"secret of another", "bot.test", "anchor", "proof or channel binding is wrong"},
		{"unknown domain", "other.test", "anchor", "domain is none of hosts"},
		{"no password", "open.test", "anchor", "domain has no password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(r *rig) {
					r.o.Password = ""
					r.o.Hosts = map[string]HostOptions{"bot.test": {Password: "own"}, "open.test": {}}
				})
				c := r.dial()
				c.openModern(tt.domain)
				began := time.Now()
				for range maxFailures {
					if got := c.tryScram(tt.domain, tt.secret); got != "<failure xmlns='"+nsSASL+"'><not-authorized/></failure>" {
						t.Errorf("got %s, want not-authorized", got)
					}
				}
				if took := time.Since(began); took < maxFailures*refusePause {
					t.Errorf("%d attempts took %v, want at least %v", maxFailures, took, maxFailures*refusePause)
				}
				c.expectError("not-authorized")
				r.log.Expect(t, "component was refused", "domain="+tt.domain, tt.reason)
			})
		})
	}
	t.Run("then right", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t)
			c := r.dial()
			c.openModern("bot.test")
			c.tryScram("bot.test", "wrong")
			c.Send(auth("SCRAM-SHA-1", "n,,n=bot.test,r=x"))
			c.Expect("</challenge>")
			c.Send("<abort xmlns='" + nsSASL + "'/>")
			c.Expect("<aborted/>")
			c.Send(auth("PLAIN", "\x00bot.test\x00anchor"))
			c.Expect("<encryption-required/>")
			c.scram("bot.test", "anchor")
			c.bind("bot.test")
			c.end()
		})
	})
}

// The first message of SCRAM says nothing about a domain: all have one salt.
func TestSaltSaysNothing(t *testing.T) {
	r := start(t, func(r *rig) {
		r.o.Hosts = map[string]HostOptions{"a.test": {Password: "a"}, "b.test": {Password: "b"}, "bad.test": {Password: "\u0007"}}
	})
	seen := make(map[string]bool)
	for _, d := range []string{"a.test", "b.test", "bad.test", "unknown.test"} {
		c := r.dial()
		c.openModern(d)
		c.Send(auth("SCRAM-SHA-1", "n,,n="+d+",r=x"))
		b, err := base64.StdEncoding.DecodeString(c.ExpectMatch("<challenge[^>]*>([^<]*)</challenge>")[1])
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), ",")
		seen[rest] = true
		c.Close()
	}
	if len(seen) != 1 {
		t.Errorf("got %v, want one salt and iteration count", seen)
	}
}

// tlsRig is a listener that asks for certificates, of CAs of its own.
type tlsRig struct {
	*rig
	roots *x509.CertPool
	mine  tls.Certificate // for bot.test and foo.test
}

func startTLS(t *testing.T, cas bool) tlsRig {
	cert, pool := listentest.Certificate(t, "house.test")
	mine, ca := listentest.Certificate(t, "bot.test", "foo.test")
	r := start(t, func(r *rig) {
		r.o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert}
		if cas {
			r.o.TLS.ClientCAs = ca
		}
		r.wrap = func(ln net.Listener) net.Listener { return netserve.NewTLSListener(ln, r.o.TLS) }
		hosts("bot.test", "spare.test")(&r.o)
		r.o.GlobalRoutes = false
	})
	return tlsRig{r, pool, mine}
}

func (r tlsRig) dial(certs ...tls.Certificate) *client {
	c := r.rig.dial()
	c.use(tls.Client(c.conn, &tls.Config{ServerName: "house.test", RootCAs: r.roots, Certificates: certs}))
	return c
}

func TestModernTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startTLS(t, true).dial()
		if got := c.openModern("bot.test"); !strings.Contains(got, "SCRAM-SHA-256-PLUS") || !strings.Contains(got, "type='tls-exporter'") || strings.Contains(got, "EXTERNAL") {
			t.Errorf("got %s, want channel binding and no EXTERNAL", got)
		}
		c.Send(auth("PLAIN", "\x00bot.test\x00wrong"))
		c.Expect("<not-authorized/>")
		c.Send(auth("PLAIN", "\x00unknown.test\x00anchor"))
		c.Expect("<not-authorized/>")
		c.Send(auth("PLAIN", "bot.test\x00Bot.Test\x00anchor"))
		c.Expect("<success")
		c.openModern("")
		c.Send("<iq id='1' type='set'><bind xmlns='urn:xmpp:component:0'/></iq>")
		c.Expect(bindHead + "bot.test")
		c.end()
	})
}

func TestExternal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startTLS(t, true)
		c := r.dial(r.mine)
		if got := c.openModern("bot.test"); !strings.Contains(got, "<mechanism>EXTERNAL</mechanism>") {
			t.Fatalf("got %s, want EXTERNAL", got)
		}
		for _, authzid := range []string{"foo.test", "spare.test", "a@bot.test"} { // none of hosts, not in the certificate, no domain
			c.Send(auth("EXTERNAL", authzid))
			c.Expect("<invalid-authzid/>")
		}
		c.Send("<auth xmlns='" + nsSASL + "' mechanism='EXTERNAL'>=</auth>")
		c.Expect("<success")
		c.openModern("bot.test")
		c.Send(bindRequest("bind", "spare.test"))
		c.Expect("<not-allowed")
		c.bind("bot.test")
		c.end()
	})
}

// The CAs of the system certify everybody.
func TestExternalNeedsOwnCAs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startTLS(t, false)
		c := r.dial(r.mine)
		if got := c.openModern("bot.test"); strings.Contains(got, "EXTERNAL") {
			t.Errorf("got %s, want no EXTERNAL", got)
		}
		c.end()
	})
}

// twins are two domains with one password, one with another, and a virtual host.
func twins(r *rig) {
	r.o.GlobalRoutes = false
	r.o.Hosts = map[string]HostOptions{"bot.test": {}, "twin.test": {}, "other.test": {Password: "other"}, "house.test": {}}
}

func TestBindErrors(t *testing.T) {
	tests := []struct{ name, send, want string }{
		{"other password", bindRequest("bind", "other.test"), "not-allowed"},
		{"none of hosts", bindRequest("bind", "none.test"), "not-allowed"},
		{"virtual host", bindRequest("bind", "house.test"), "conflict"},
		{"user", bindRequest("bind", "a@bot.test"), "bad-request"},
		{"nonsense", bindRequest("bind", "a@@b"), "bad-request"},
		{"resource", bindRequest("bind", "bot.test/1"), "not-allowed"},
		{"to the server", strings.Replace(bindRequest("bind", "none.test"), "<iq ", "<iq to='house.test' ", 1), "not-allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, twins)
			c := r.loggedIn("bot.test")
			c.Send(tt.send)
			c.Expect("type='error'")
			c.Expect("<" + tt.want + " ")
			c.bind("bot.test")
			c.Send(tt.send)
			c.Expect("type='error'")
			c.Expect("<" + tt.want + " ")
			c.bind("twin.test")
			c.end()
		})
	}
}

func TestRebindErrors(t *testing.T) {
	r := start(t, twins)
	c := r.loggedIn("bot.test")
	c.Send("<iq id='1' type='set'><bind xmlns='urn:xmpp:component:0'></bind></iq>")
	c.Expect(bindHead + "bot.test")
	for send, want := range map[string]string{
		bindRequest("bind", "bot.test"):    "conflict",
		bindRequest("unbind", "twin.test"): "item-not-found",
		bindRequest("rebind", "bot.test"):  "feature-not-implemented",
		"<iq id='1' type='set'><bind xmlns='urn:xmpp:component:0'/><x xmlns='urn:x'/></iq>": "bad-request",
		"<iq id='1' type='get' from='bot.test' to='a@@b'><x xmlns='urn:x'/></iq>":           "jid-malformed",
	} {
		c.Send(send)
		c.Expect("<" + want + " ")
	}
	c.end()
}

func TestStanzaBeforeBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, twins)
		c := r.loggedIn("bot.test")
		c.Send(message("bot.test", "ana@house.test", "1"))
		c.expectError("not-authorized")
	})
}

func TestTooManyRefusedHostnames(t *testing.T) {
	r := start(t, twins)
	c := r.loggedIn("bot.test")
	for range maxRefusals {
		c.Send(bindRequest("bind", "none.test"))
	}
	c.expectError("policy-violation")
}

func TestHostnamesAreBounded(t *testing.T) {
	r := start(t)
	c := r.loggedIn("bot.test")
	for i := range maxHostnames {
		c.bind(fmt.Sprintf("h%d.test", i))
	}
	c.Send(bindRequest("bind", "more.test"))
	c.Expect("<resource-constraint ")
	c.end()
}

// What is queued for a hostname that is given back is still written, before others
// get what comes then.
func TestUnbind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		first, second := r.loggedIn("bot.test"), r.loggedIn("bot.test")
		first.bind("bot.test")
		first.bind("spare.test")
		r.stall("ana@house.test", "bot.test")
		for i := range 5 {
			_ = r.deliver(message("ana@house.test", "bot.test", fmt.Sprint(i)))
		}
		first.Send(bindRequest("unbind", "bot.test") + bindRequest("unbind", "bot.test"))
		synctest.Wait()
		second.bind("bot.test")
		for i := 5; i < 10; i++ {
			_ = r.deliver(message("ana@house.test", "bot.test", fmt.Sprint(i)))
		}
		second.ExpectNothing(time.Second)
		for i := range 5 {
			first.Expect(fmt.Sprintf(" id='%d'", i))
		}
		first.Expect("<iq type='result' id='unbind_bot.test'/>")
		first.Expect("<item-not-found ")
		for i := 5; i < 10; i++ {
			second.Expect(fmt.Sprintf(" id='%d'", i))
		}
		first.bind("bot.test") // again
		first.Send(bindRequest("unbind", "spare.test"))
		first.Expect("<iq type='result' id='unbind_spare.test'/>")
		synctest.Wait()
		if r.router.sink("spare.test") != nil {
			t.Error("the hostname is still registered")
		}
		first.end()
		second.end()
	})
}

// A component that goes while a hostname is being given back says so once.
func TestUnbindThenLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.loggedIn("bot.test")
		c.bind("bot.test")
		r.expectEvent("connected", "bot.test")
		r.stall("ana@house.test", "bot.test")
		_ = r.deliver(message("ana@house.test", "bot.test", "1"))
		c.Send(bindRequest("unbind", "bot.test"))
		synctest.Wait()
		c.Close()
		time.Sleep(5 * time.Second)
		r.expectEvent("disconnected", "bot.test")
		if n := len(r.events); n != 0 {
			t.Errorf("got %d more events, want none", n)
		}
		for _, want := range []string{"big", "1"} {
			if st := r.next(); st.ID != want || st.Type != stanza.TypeError {
				t.Errorf("got %v, want %s back", st, want)
			}
		}
	})
}
