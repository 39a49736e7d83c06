package s2s

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

func TestIncomingHeader(t *testing.T) {
	tests := []struct {
		name, header string
		want         string // condition; "": features come
	}{
		{"usual", inHeader("version='1.0' from='peer.test' to='one.test'"), ""},
		{"other case", inHeader("version='1.0' from='Peer.TEST' to='ONE.test'"), ""},
		{"higher version", inHeader("version='1.1' from='peer.test' to='one.test'"), ""},
		{"version 2", inHeader("version='2.0' from='peer.test' to='one.test'"), ""},
		{"without from", inHeader("version='1.0' to='one.test'"), ""},
		{"longest language", inHeader("version='1.0' from='peer.test' to='one.test' xml:lang='" + strings.Repeat("x", 35) + "'"), ""},
		{"language too long", inHeader("version='1.0' from='peer.test' to='one.test' xml:lang='" + strings.Repeat("x", 36) + "'"), "policy-violation"},
		{"client's namespace", strings.Replace(inHeader("version='1.0' from='peer.test' to='one.test'"), "jabber:server'", "jabber:client'", 1), "invalid-namespace"},
		{"no namespace", strings.Replace(inHeader("version='1.0' from='peer.test' to='one.test'"), "xmlns='jabber:server'", "", 1), "invalid-namespace"},
		{"stream's namespace", strings.Replace(inHeader("version='1.0' to='one.test'"), "http://etherx", "http://other", 1), "invalid-namespace"},
		{"without to", inHeader("version='1.0' from='peer.test'"), "improper-addressing"},
		{"to is no address", inHeader("version='1.0' from='peer.test' to='@'"), "improper-addressing"},
		{"to is a user", inHeader("version='1.0' from='peer.test' to='ana@one.test'"), "host-unknown"},
		{"to has a resource", inHeader("version='1.0' from='peer.test' to='one.test/x'"), "host-unknown"},
		{"to is foreign", inHeader("version='1.0' from='peer.test' to='three.test'"), "host-unknown"},
		{"from is no address", inHeader("version='1.0' from='' to='one.test'"), ""},
		{"from is bad", inHeader("version='1.0' from='a@@b' to='one.test'"), "improper-addressing"},
		{"from is a user", inHeader("version='1.0' from='ana@peer.test' to='one.test'"), "improper-addressing"},
		{"from has a resource", inHeader("version='1.0' from='peer.test/x' to='one.test'"), "improper-addressing"},
		{"from is ours", inHeader("version='1.0' from='two.test' to='one.test'"), "invalid-from"},
		{"from is to", inHeader("version='1.0' from='ONE.test' to='one.test'"), "invalid-from"},
		{"version is no number", inHeader("version='one' from='peer.test' to='one.test'"), "unsupported-version"},
		{"version without minor", inHeader("version='1' from='peer.test' to='one.test'"), "unsupported-version"},
		{"not XML", "GET / HTTP/1.1\r\n\r\n", "not-well-formed"},
		{"other root", "<stream xmlns='jabber:server'>", "invalid-namespace"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inStart(t)
			c := r.dial()
			c.Send(tt.header)
			if tt.want != "" {
				rest := c.expectError(tt.want)
				if !strings.Contains(rest, "<stream:stream xmlns='jabber:server'") {
					t.Errorf("got %s, want a header before the error", rest)
				}
				return
			}
			h := c.ExpectMatch(`<stream:stream[^>]*>`)[0]
			for _, want := range []string{"xmlns='jabber:server'", "xmlns:db='jabber:server:dialback'", " id='", " from='one.test'", " version='1.0'"} {
				if !strings.Contains(h, want) {
					t.Errorf("got the header %s, want %s in it", h, want)
				}
			}
			if named := strings.Contains(strings.ToLower(tt.header), "est' to="); named != strings.Contains(h, " to='peer.test'") {
				t.Errorf("got the header %s, want to in it: %v", h, named)
			}
			c.Expect("</stream:features>")
		})
	}
}

// TestIncomingOld plays servers from before XMPP 1.0: no version, no features.
func TestIncomingOld(t *testing.T) {
	for name, attrs := range map[string]string{
		"from and to":     "from='peer.test' to='one.test'",
		"nothing":         "",
		"to":              "to='one.test'",
		"version 0.9":     "version='0.9' to='one.test'",
		"from without to": "from='peer.test'",
	} {
		t.Run(name, func(t *testing.T) {
			r := inStart(t, inTLS)
			c := r.dial()
			if h := c.header(attrs); strings.Contains(h, "version") {
				t.Errorf("got %s, want no version", h)
			}
			c.Send(inResult("peer.test", "one.test", "good"))
			if got := c.Expect("/>"); got != inValid("peer.test", "one.test") {
				t.Errorf("got %s, want a result, and no features", got)
			}
			c.Send(inMessage("peer.test", "one.test", "1"))
			r.routes("1")
		})
	}
	t.Run("TLS required", func(t *testing.T) {
		r := inStart(t, inTLS, func(r *inRig) {
			r.set.UseStartTLS.Hosts = map[string]StartTLS{"two.test": TLSRequired}
		})
		c := r.dial()
		c.header("")
		c.Send(inResult("peer.test", "two.test", "good"))
		c.Expect("<db:result from='two.test' to='peer.test' type='error'><error type='modify'><policy-violation ")
		c.Expect("</db:result>")
		c.prove("peer.test", "one.test")
	})
	t.Run("domains of the header count", func(t *testing.T) {
		c := inStart(t).dial()
		c.Send(inHeader("to='three.test'"))
		c.expectError("host-unknown")
	})
}

// TestIncomingRestart checks what the headers after TLS and SASL may say.
func TestIncomingRestart(t *testing.T) {
	tests := []struct {
		name      string
		before    string
		after     string
		want      string // condition, "": features
		afterSASL bool
	}{
		{"the same", "from='peer.test' to='one.test'", "from='peer.test' to='one.test'", "", false},
		{"from first told under TLS", "to='one.test'", "from='peer.test' to='one.test'", "", false},
		{"other to", "from='peer.test' to='one.test'", "from='peer.test' to='two.test'", "host-unknown", false},
		{"no to", "from='peer.test' to='one.test'", "from='peer.test'", "improper-addressing", false},
		{"other from", "from='peer.test' to='one.test'", "from='other.test' to='one.test'", "invalid-from", false},
		{"after SASL", "from='peer.test' to='one.test'", "from='peer.test' to='one.test'", "", true},
		{"after SASL without from", "from='peer.test' to='one.test'", "to='one.test'", "", true},
		{"after SASL other from", "from='peer.test' to='one.test'", "from='other.test' to='one.test'", "invalid-from", true},
		{"after SASL other to", "from='peer.test' to='one.test'", "from='peer.test' to='two.test'", "host-unknown", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inStart(t, inTLS)
			c := r.dial()
			c.header("version='1.0' " + tt.before)
			c.Expect("</stream:features>")
			c.startTLS(r.client("peer.test"))
			if tt.afterSASL {
				c.header("version='1.0' " + tt.before)
				c.Expect("</stream:features>")
				c.Send(inAuth("="))
				c.Expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
			}
			c.Send(inHeader("version='1.0' " + tt.after))
			if tt.want != "" {
				c.expectError(tt.want)
				return
			}
			c.Expect("</stream:features>")
		})
	}
}

// TestIncomingSNI wants the domain of the header to be the one that was named in
// TLS, if that is one of ours.
func TestIncomingSNI(t *testing.T) {
	for name, want := range map[string]string{"one.test": "", "two.test": "host-unknown", "machine.test": ""} {
		t.Run(name, func(t *testing.T) {
			r := inStart(t, inTLS, func(r *inRig) {
				r.wrap = inDirect(r)
			})
			c := r.dial()
			c.handshake(&tls.Config{ServerName: name, InsecureSkipVerify: true})
			c.Send(inHeader("version='1.0' from='peer.test' to='one.test'"))
			if want != "" {
				c.expectError(want)
				return
			}
			c.Expect("</stream:features>")
		})
	}
}

// inUnix is a connection of a unix socket.
type inUnix struct{ net.Conn }

func (inUnix) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "/run/s2s"} }

// inUnixListener makes all connections those of a unix socket.
type inUnixListener struct{ net.Listener }

func (l inUnixListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return inUnix{c}, nil
}

// TestIncomingUnix wants that a unix socket needs no encryption, and that its
// streams are not counted as those of one address.
func TestIncomingUnix(t *testing.T) {
	r := inStart(t, inTLS, inUse(TLSRequired), func(r *inRig) {
		r.o.MaxStreamsPerIP = 1
		r.wrap = func(ln net.Listener) net.Listener { return inUnixListener{ln} }
	})
	for range 3 {
		c := r.dial()
		if f := c.open("peer.test", "one.test"); strings.Contains(f, "starttls") || !strings.Contains(f, "<dialback") {
			t.Errorf("got %s, want dialback and no starttls", f)
		}
		c.prove("peer.test", "one.test")
		c.Send(inMessage("peer.test", "one.test", "1"))
		r.routes("1")
	}
	r.log.Expect(t, "server has connected", "peer=unix", "transport=unix")
}
