package s2s

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// inAccess is an access rule.
type inAccess func(s acl.Subject) bool

func (f inAccess) Allow(s acl.Subject) bool { return f(s) }

// inDirect makes the connections of a listener TLS from the start.
func inDirect(r *inRig) func(net.Listener) net.Listener {
	return func(ln net.Listener) net.Listener {
		cfg := r.o.TLS.Clone()
		cfg.ClientAuth = tls.RequestClientCert
		return netserve.NewTLSListener(ln, cfg)
	}
}

// TestIncomingFeatures checks what a stream offers, before TLS, with it, and once
// authenticated.
func TestIncomingFeatures(t *testing.T) {
	const (
		starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls>"
		required = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
		external = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
		dialback = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
		bidi     = "<bidi xmlns='urn:xmpp:features:bidi'/>"
		sm       = "<sm xmlns='urn:xmpp:sm:3'/>"
	)
	trusted := []func(*inRig){inTLS, inUse(TLSRequiredTrusted)}
	without := func(f func(*Settings)) func(*inRig) { return func(r *inRig) { f(&r.set) } }
	tests := []struct {
		name    string
		prepare []func(*inRig)
		get     func(r *inRig) string
		want    string
	}{
		{"no TLS here", nil, inPlain, dialback + bidi},
		{"off", []func(*inRig){inTLS, inUse(TLSOff)}, inPlain, dialback + bidi},
		{"optional", []func(*inRig){inTLS}, inPlain, starttls + dialback + bidi},
		{"required", []func(*inRig){inTLS, inUse(TLSRequired)}, inPlain, required},
		{"trusted", trusted, inPlain, required},
		{"encrypted", []func(*inRig){inTLS}, inWith("peer.test", "peer.test"), external + dialback + bidi},
		{"second name", []func(*inRig){inTLS}, inWith("peer.test", "other.test"), external + dialback + bidi},
		{"wildcard", []func(*inRig){inTLS}, inWith("*.wild.test", "a.wild.test"), external + dialback + bidi},
		{"wildcard, two labels", []func(*inRig){inTLS}, inWith("*.wild.test", "a.b.wild.test"), dialback + bidi},
		{"another's name", []func(*inRig){inTLS}, inWith("peer.test", "bank.test"), dialback + bidi},
		{"CA unknown", []func(*inRig){inTLS}, inWith("selfmade", "peer.test"), dialback + bidi},
		{"no certificate", []func(*inRig){inTLS}, inWith("", "peer.test"), dialback + bidi},
		{"trusted and encrypted", trusted, inWith("peer.test", "peer.test"), external + bidi},
		{"no dialback", []func(*inRig){inTLS, without(func(c *Settings) { c.Dialback.Value = false })}, inWith("peer.test", "peer.test"), external + bidi},
		{"no bidi", []func(*inRig){inTLS, without(func(c *Settings) { c.Bidi.Value = false })}, inPlain, starttls + dialback},
		{"authenticated", []func(*inRig){inTLS}, inAuthenticated, sm + dialback},
		{"no acknowledgements", []func(*inRig){inTLS, without(func(c *Settings) { c.AckTimeout = 0 })}, inAuthenticated, dialback},
		{"other domain", []func(*inRig){inTLS, inUse(TLSRequired), without(func(c *Settings) {
			c.UseStartTLS.Hosts = map[string]StartTLS{"one.test": TLSOff}
		})}, inPlain, dialback + bidi},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.get(inStart(t, tt.prepare...))
			if want := "<stream:features>" + tt.want + "</stream:features>"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func inPlain(r *inRig) string { return r.dial().open("peer.test", "one.test") }

func inWith(cert, from string) func(*inRig) string {
	return func(r *inRig) string {
		_, f := r.secure(cert, from, "one.test")
		return f
	}
}

func inAuthenticated(r *inRig) string {
	c, _ := r.secure("peer.test", "peer.test", "one.test")
	c.Send(inAuth("="))
	c.Expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	return c.open("peer.test", "one.test")
}

// TestIncomingRequired checks that before TLS nothing else is taken.
func TestIncomingRequired(t *testing.T) {
	const failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/></failure>"
	policy := func(name string) string {
		return "<db:" + name + " from='one.test' to='peer.test'"
	}
	tests := []struct{ name, send, want string }{
		{"SASL", inAuth("="), failure},
		{"SASL PLAIN", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>", failure},
		{"dialback", inResult("peer.test", "one.test", "good"), policy("result") + " type='error'><error type='modify'><policy-violation "},
		{"verify", "<db:verify from='peer.test' to='one.test' id='x'>k</db:verify>", policy("verify") + " id='x' type='error'><error type='modify'><policy-violation "},
		{"stanza", inMessage("peer.test", "one.test", "1"), "<stream:error><not-authorized "},
		{"bidi", inBidi, "<stream:error><policy-violation "},
	}
	for _, u := range []StartTLS{TLSRequired, TLSRequiredTrusted} {
		for _, tt := range tests {
			t.Run(string(u)+"/"+tt.name, func(t *testing.T) {
				r := inStart(t, inTLS, inUse(u))
				c := r.open("peer.test", "one.test")
				c.Send(tt.send)
				c.Expect(tt.want)
				r.routesNothing()
				if n := len(r.fake.asked); n > 0 {
					t.Errorf("got %d keys asked for, want none", n)
				}
			})
		}
	}
}

// TestIncomingUntrusted wants that a server whose certificate proves nothing is
// told why, where only certificates count, and so is the log.
func TestIncomingUntrusted(t *testing.T) {
	tests := []struct{ name, cert, from, want string }{
		{"CA unknown", "selfmade", "peer.test", "certificate of peer.test: "},
		{"no certificate", "", "peer.test", "certificate of peer.test: peer showed no certificate"},
		{"another's name", "peer.test", "bank.test", "certificate of bank.test: certificate is not for &quot;bank.test&quot;"},
	}
	for _, tt := range tests {
		for name, prepare := range map[string]func(*inRig){
			"required_trusted": inUse(TLSRequiredTrusted),
			"without dialback": func(r *inRig) { r.set.Dialback.Value = false },
			"denied dialback": func(r *inRig) {
				r.set.DialbackAccess.Value = inAccess(func(s acl.Subject) bool { return s.Server != "peer.test" && s.Server != "bank.test" })
			},
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				r := inStart(t, inTLS, prepare)
				c := r.open(tt.from, "one.test")
				c.startTLS(r.client(tt.cert))
				c.Send(inHeader("version='1.0' from='" + tt.from + "' to='one.test'"))
				rest := c.expectError("policy-violation")
				if !strings.Contains(rest, ">"+tt.want) {
					t.Errorf("got %s, want %s", rest, tt.want)
				}
				r.log.Expect(t, "msg=\"connection failed\"", "peer=198.51.100.1:", "from="+tt.from, "to=one.test", "certificate of "+tt.from)
			})
		}
	}
	t.Run("one domain denied dialback", func(t *testing.T) {
		r := inStart(t, func(r *inRig) {
			r.set.DialbackAccess.Value = inAccess(func(s acl.Subject) bool { return s.Server != "bank.test" || s.Host != "one.test" })
		})
		c := r.open("peer.test", "one.test")
		c.Send(inResult("bank.test", "one.test", "good"))
		c.Expect("to='bank.test' type='error'><error type='auth'><not-authorized ")
		c.Expect("</db:result>")
		c.prove("bank.test", "two.test")
		c.prove("peer.test", "one.test")
	})
	t.Run("dialback on a trusted stream", func(t *testing.T) {
		r := inStart(t, inTLS, inUse(TLSRequiredTrusted))
		c := r.external("peer.test", "one.test")
		c.prove("other.test", "one.test") // the certificate does
		c.Send(inResult("bank.test", "one.test", "good"))
		c.Expect("type='error'><error type='auth'><not-authorized ")
		c.Expect("certificate of bank.test: certificate is not for &quot;bank.test&quot;")
		c.Expect("</db:result>")
		if n := len(r.fake.asked); n > 0 {
			t.Errorf("got %d keys asked for, want none", n)
		}
		c.Send(inMessage("bank.test", "one.test", "1"))
		c.expectError("invalid-from")
	})
}

// TestIncomingDirectTLS plays a server on a connection that is TLS from the start.
func TestIncomingDirectTLS(t *testing.T) {
	r := inStart(t, inTLS, inUse(TLSRequiredTrusted), func(r *inRig) { r.wrap = inDirect(r) })
	c := r.dial()
	c.handshake(r.client("peer.test"))
	if f := c.open("peer.test", "one.test"); strings.Contains(f, "starttls") || !strings.Contains(f, "EXTERNAL") {
		t.Errorf("got %s, want EXTERNAL and no starttls", f)
	}
	c.Send(inAuth("peer.test"))
	c.Expect("<success")
	c.Expect(">")
	c.open("peer.test", "one.test")
	c.Send(inMessage("peer.test", "one.test", "1"))
	r.routes("1")
	r.log.Expect(t, "msg=\"server has connected\"", "from=peer.test", "to=one.test", "mechanism=EXTERNAL", "encrypted=true", "transport=tcp")
}

// TestIncomingStartTLSRefused wants a failure where TLS is not offered.
func TestIncomingStartTLSRefused(t *testing.T) {
	for name, prepare := range map[string][]func(*inRig){
		"no TLS here": nil, "off": {inTLS, inUse(TLSOff)},
	} {
		t.Run(name, func(t *testing.T) {
			r := inStart(t, prepare...)
			c := r.open("peer.test", "one.test")
			c.Send(inStartTLS)
			if rest := c.ExpectEOF(); rest != "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>" {
				t.Errorf("got %s, want a failure and the end", rest)
			}
		})
	}
}

// TestIncomingInjection wants that what comes after <starttls/> in the clear is
// not taken for what came by TLS.
func TestIncomingInjection(t *testing.T) {
	for name, evil := range map[string]string{
		"header":       inHeader("version='1.0' from='peer.test' to='one.test'"),
		"bidi":         inBidi,
		"dialback":     inResult("peer.test", "one.test", "good"),
		"half a thing": "<db:result from='bank.test' ",
	} {
		t.Run(name, func(t *testing.T) {
			r := inStart(t, inTLS)
			c := r.open("peer.test", "one.test")
			c.Send(inBidi + inStartTLS + evil)
			c.Expect(inProceed)
			c.handshake(r.client("peer.test"))
			c.open("peer.test", "one.test")
			c.Send(inAuth("="))
			c.Expect("<success")
			c.Expect(">")
			c.open("peer.test", "one.test")
			c.Send(inMessage("peer.test", "one.test", "1"))
			r.routes("1")
			if n := len(r.fake.asked); n > 0 {
				t.Errorf("got %d keys asked for, want none", n)
			}
			if got := r.fake.adopted; got != nil {
				t.Errorf("got %v for both directions, want none: it was asked for in the clear", got)
			}
		})
	}
}

// TestAskForCertificate checks each way in which certificates can be asked for.
func TestAskForCertificate(t *testing.T) {
	if got := askForCertificate(nil); got != nil {
		t.Errorf("nil: got %v", got)
	}
	plain := new(tls.Config)
	if got := askForCertificate(plain); got.ClientAuth != tls.RequestClientCert || plain.ClientAuth != tls.NoClientCert {
		t.Errorf("got %v, and %v in what was given; want %v and %v", got.ClientAuth, plain.ClientAuth, tls.RequestClientCert, tls.NoClientCert)
	}
	strict := &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	if got := askForCertificate(strict); got.ClientAuth != tls.RequireAnyClientCert {
		t.Errorf("got %v, want what was given", got.ClientAuth)
	}
	variants := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch hello.ServerName {
		case "plain":
			return plain, nil
		case "strict":
			return strict, nil
		}
		return nil, nil
	}}
	got := askForCertificate(variants)
	choose := func(name string) *tls.Config {
		c, err := got.GetConfigForClient(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := choose("plain"); c.ClientAuth != tls.RequestClientCert || choose("plain") != c {
		t.Errorf("plain variant: got %v, want %v and always the same value", c.ClientAuth, tls.RequestClientCert)
	}
	if c := choose("strict"); c != strict {
		t.Errorf("strict variant: got %v, want what was given", c)
	}
	if c := choose("none"); c != nil {
		t.Errorf("no variant: got %v, want none", c)
	}
	if got.ClientAuth != tls.RequestClientCert {
		t.Errorf("without variant: got %v, want %v", got.ClientAuth, tls.RequestClientCert)
	}
}

// TestIncomingVariants checks that a certificate is asked for, and verified, where
// the configuration depends on the domain.
func TestIncomingVariants(t *testing.T) {
	r := inStart(t, inTLS, func(r *inRig) {
		mine := r.o.TLS
		r.o.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if hello.ServerName == "one.test" {
				return mine, nil
			}
			other := mine.Clone()
			other.ClientCAs = nil
			return other, nil
		}}
	})
	if _, f := r.secure("peer.test", "peer.test", "one.test"); !strings.Contains(f, "EXTERNAL") {
		t.Errorf("one.test: got %s, want EXTERNAL", f)
	}
	if _, f := r.secure("peer.test", "peer.test", "two.test"); strings.Contains(f, "EXTERNAL") {
		t.Errorf("two.test: got %s, want no EXTERNAL: its CAs are others", f)
	}
}
