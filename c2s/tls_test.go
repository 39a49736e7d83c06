package c2s

import (
	"crypto/sha256"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

const (
	starttls = "<starttls xmlns='" + nsTLS + "'/>"
	proceed  = "<proceed xmlns='" + nsTLS + "'/>"
)

// withTLS offers STARTTLS with a certificate for both hosts.
func withTLS(r *rig) {
	cert, pool := listentest.Certificate(r.t, "one.test", "two.test", "machine.test")
	r.o.StartTLS, r.o.AllowPlainWithoutTLS = true, false
	r.o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	r.pool = pool
}

// directTLS serves connections that are TLS from the start.
func directTLS(r *rig) {
	withTLS(r)
	r.o.StartTLS = false
	cfg := r.o.TLS
	r.wrap = func(ln net.Listener) net.Listener { return netserve.NewTLSListener(ln, cfg) }
}

func (r *rig) upgrade(c *client, sni string) tls.ConnectionState {
	r.t.Helper()
	c.Send(starttls)
	if got := c.Expect(">"); got != proceed {
		r.t.Fatalf("got %q, want %q", got, proceed)
	}
	return c.startTLS(&tls.Config{RootCAs: r.pool, ServerName: sni})
}

func TestStartTLS(t *testing.T) {
	r := start(t, withTLS)
	c := r.dial()
	got := c.open("one.test")
	if !strings.Contains(got, "<starttls xmlns='"+nsTLS+"'></starttls><mechanisms") || strings.Contains(got, "PLAIN") {
		t.Errorf("got %s, want STARTTLS and SCRAM, not required, and no PLAIN", got)
	}
	r.upgrade(c, "one.test")
	got = c.open("one.test")
	if strings.Contains(got, "starttls") || !strings.Contains(got, "<mechanism>PLAIN</mechanism>") ||
		!strings.Contains(got, "<mechanism>SCRAM-SHA-1-PLUS</mechanism>") ||
		!strings.Contains(got, "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/></sasl-channel-binding>") {
		t.Errorf("got %s, want PLAIN, channel binding, and no STARTTLS", got)
	}
	c.plain("ana")
	c.bind("ana", "boat")
	if info := receive(t, "session", r.fake.bound); info.Peer.TLS == nil || !info.Peer.Secure {
		t.Errorf("got peer %+v, want TLS", info.Peer)
	}
	r.log.Expect(t, "encrypted=true")
}

// TestChannelBinding logs in bound to the TLS channel, by both types.
func TestChannelBinding(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, kind := range []string{"tls-exporter", "tls-server-end-point"} {
			if version == tls.VersionTLS12 && kind == "tls-exporter" {
				continue // needs what crypto/tls does not tell
			}
			for _, prepare := range []func(*rig){withTLS, directTLS} {
				t.Run(tls.VersionName(version)+" "+kind, func(t *testing.T) {
					r := start(t, prepare)
					c := r.dial()
					cfg := &tls.Config{RootCAs: r.pool, ServerName: "one.test", MaxVersion: version}
					if r.wrap == nil {
						c.open("one.test")
						c.Send(starttls)
						c.Expect(proceed)
					}
					cs := c.startTLS(cfg)
					c.open("one.test")
					s := newSCRAMClient("SCRAM-SHA-256-PLUS", "ana", "anchor")
					s.gs2 = "p=" + kind + ",,"
					sum := sha256.Sum256(cs.PeerCertificates[0].Raw)
					s.binding = sum[:]
					if kind == "tls-exporter" {
						var err error
						if s.binding, err = cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err != nil {
							t.Fatal(err)
						}
					}
					if got := c.scram("SCRAM-SHA-256-PLUS", s); got != "success" {
						t.Fatalf("got %s, want success", got)
					}
					c.open("one.test")
					c.bind("ana", "boat")
				})
			}
		}
	}
}

// TestWrongChannelBinding plays a proxy in the middle, whose channel is another.
func TestWrongChannelBinding(t *testing.T) {
	r := start(t, withTLS)
	c := r.open()
	r.upgrade(c, "one.test")
	c.open("one.test")
	s := newSCRAMClient("SCRAM-SHA-256-PLUS", "ana", "anchor")
	s.gs2, s.binding = "p=tls-exporter,,", make([]byte, 32)
	if got := c.scram("SCRAM-SHA-256-PLUS", s); got != "not-authorized" {
		t.Errorf("another channel: got %s, want not-authorized", got)
	}
	s = newSCRAMClient("SCRAM-SHA-256", "ana", "anchor")
	s.gs2 = "y,,"
	if got := c.scram("SCRAM-SHA-256", s); got != "not-authorized" {
		t.Errorf("offer was taken out: got %s, want not-authorized", got)
	}
}

// TestStartTLSRequired checks that nothing else goes before TLS.
func TestStartTLSRequired(t *testing.T) {
	require := func(r *rig) { withTLS(r); r.o.StartTLS, r.o.StartTLSRequired = false, true }
	t.Run("features", func(t *testing.T) {
		got := start(t, require).dial().open("one.test")
		want := "<stream:features><starttls xmlns='" + nsTLS + "'><required/></starttls></stream:features>"
		if !strings.HasSuffix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("SASL", func(t *testing.T) {
		r := start(t, require)
		c := r.open()
		c.Send(auth("SCRAM-SHA-1", "n,,n=ana,r=x"))
		c.Expect("<failure xmlns='" + nsSASL + "'><encryption-required/></failure>")
		r.upgrade(c, "one.test")
		c.open("one.test")
		c.plain("ana")
		c.bind("ana", "boat")
	})
	for name, send := range map[string]string{
		"stanza":           message("bo@one.test", "x"),
		"malformed stanza": "<iq/>",
		"element":          "<r xmlns='urn:xmpp:sm:3'/>",
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, require).open()
			c.Send(send)
			c.expectError("policy-violation")
		})
	}
	t.Run("no certificate", func(t *testing.T) {
		c := start(t, func(r *rig) { require(r); r.o.TLS = nil }).dial()
		if got := c.open("one.test"); !strings.HasSuffix(got, "<stream:features></stream:features>") {
			t.Errorf("got %s, want nothing offered", got)
		}
		c.Send(auth("SCRAM-SHA-1", "n,,n=ana,r=x"))
		c.Expect("<encryption-required/>")
	})
}

// TestStartTLSRefused checks RFC 6120, section 5.4.2.2: failure, and the end of
// the stream and the connection.
func TestStartTLSRefused(t *testing.T) {
	const want = "<failure xmlns='" + nsTLS + "'/></stream:stream>"
	t.Run("not configured", func(t *testing.T) {
		c := start(t).open()
		c.Send(starttls)
		if got := c.ExpectEOF(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		c.wellFormed()
	})
	t.Run("not switched on", func(t *testing.T) {
		c := start(t, withTLS, func(r *rig) { r.o.StartTLS = false }).open()
		c.Send(starttls)
		if got := c.ExpectEOF(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	for name, prepare := range map[string]func(*rig){"twice": withTLS, "in TLS from the start": directTLS} {
		t.Run(name, func(t *testing.T) {
			r := start(t, prepare)
			c := r.dial()
			if r.wrap == nil {
				c.open("one.test")
				r.upgrade(c, "one.test")
			} else {
				c.startTLS(&tls.Config{RootCAs: r.pool, ServerName: "one.test"})
			}
			c.open("one.test")
			c.Send(starttls)
			if got := c.ExpectEOF(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestInjection checks that what was sent in the clear after <starttls/> is
// never taken for something that came through TLS.
func TestInjection(t *testing.T) {
	r := start(t, withTLS)
	c := r.open()
	c.Send(starttls + header("one.test") + auth("PLAIN", "\x00eve\x00anchor"))
	c.Expect(proceed)
	// The injected bytes are not a ClientHello: either they were thrown away
	// with the buffer, or the handshake fails. No answer is read in the clear.
	tc := tls.Client(c.Conn(), &tls.Config{RootCAs: r.pool, ServerName: "one.test"})
	if err := tc.Handshake(); err != nil {
		return
	}
	if _, err := tc.Write([]byte(header("one.test"))); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	n, err := tc.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(buf[:n]); strings.Count(got, "<stream:stream") != 1 || strings.Contains(got, "success") {
		t.Errorf("got %s, want one stream and no login", got)
	}
}

func TestBrokenHandshake(t *testing.T) {
	for name, prepare := range map[string]func(*rig){"STARTTLS": withTLS, "from the start": directTLS} {
		t.Run(name, func(t *testing.T) {
			r := start(t, prepare)
			c := r.dial()
			if r.wrap == nil {
				c.open("one.test")
				c.Send(starttls)
				c.Expect(proceed)
			}
			c.Send("this is no ClientHello")
			if got := c.ExpectEOF(); strings.Contains(got, "<") {
				t.Errorf("got %q, want no XML", got)
			}
		})
	}
}

// TestSNI checks that a stream is for the virtual host that the client has
// named in TLS.
func TestSNI(t *testing.T) {
	tests := []struct{ name, sni, to, want string }{
		{"the same", "one.test", "one.test", ""},
		{"the same in upper case", "ONE.test", "one.test", ""},
		{"none", "", "two.test", ""},
		{"name of the machine", "machine.test", "two.test", ""},
		{"another virtual host", "one.test", "two.test", "host-unknown"},
		{"unknown host", "one.test", "three.test", "host-unknown"},
	}
	for _, tt := range tests {
		t.Run("direct/"+tt.name, func(t *testing.T) {
			r := start(t, directTLS)
			c := r.dial()
			c.startTLS(&tls.Config{InsecureSkipVerify: true, ServerName: tt.sni})
			if tt.want == "" {
				c.open(tt.to)
				return
			}
			c.Send(header(tt.to))
			c.expectError(tt.want)
		})
	}
	t.Run("STARTTLS", func(t *testing.T) {
		r := start(t, withTLS)
		c := r.open()
		r.upgrade(c, "two.test")
		c.Send(header("one.test"))
		c.expectError("host-unknown")
	})
	t.Run("STARTTLS, host changes", func(t *testing.T) {
		r := start(t, withTLS)
		c := r.open()
		r.upgrade(c, "two.test")
		c.Send(header("two.test"))
		c.expectError("host-unknown")
	})
}

// TestNoBindingWithoutPlus checks that channel bindings are not listed where no
// mechanism uses them.
func TestNoBindingWithoutPlus(t *testing.T) {
	r := start(t, directTLS, func(r *rig) { r.host.SCRAM = nil })
	c := r.dial()
	c.startTLS(&tls.Config{RootCAs: r.pool, ServerName: "one.test"})
	if got := c.open("one.test"); strings.Contains(got, "sasl-channel-binding") || !strings.Contains(got, "PLAIN") {
		t.Errorf("got %s, want PLAIN and no channel bindings", got)
	}
}

// TestCertificateOfHost checks that a client without SNI gets the certificate
// of the host that its stream is for.
func TestCertificateOfHost(t *testing.T) {
	r := start(t, func(r *rig) {
		one, _ := listentest.Certificate(t, "one.test")
		two, _ := listentest.Certificate(t, "two.test")
		r.o.StartTLS = true
		r.o.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if h.ServerName == "two.test" {
				return &two, nil
			}
			return &one, nil
		}}
	})
	c := r.dial()
	c.open("two.test")
	c.Send(starttls)
	c.Expect(proceed)
	cs := c.startTLS(&tls.Config{InsecureSkipVerify: true})
	if err := cs.PeerCertificates[0].VerifyHostname("two.test"); err != nil {
		t.Error(err)
	}
}

// TestVerifyAsks checks that tls_verify implies STARTTLS, asks for a
// certificate, leaves the caller's configuration alone and lets those without
// one in.
func TestVerifyAsks(t *testing.T) {
	ca := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.server(t, "one.test")}, ClientCAs: ca.pool}
	r := start(t, func(r *rig) {
		r.pool = ca.pool
		r.o.TLS, r.o.TLSVerify = cfg, true
		r.host.Certificate = certificates(nil)
	})
	c := r.open()
	r.upgrade(c, "one.test")
	if got := c.open("one.test"); strings.Contains(got, "EXTERNAL") || !strings.Contains(got, "PLAIN") {
		t.Errorf("got %s, want PLAIN and no EXTERNAL", got)
	}
	c = r.open()
	c.Send(starttls)
	c.Expect(proceed)
	c.startTLS(&tls.Config{RootCAs: ca.pool, ServerName: "one.test", Certificates: []tls.Certificate{ca.client(t, "ana@one.test")}})
	if got := c.open("one.test"); !strings.Contains(got, "<mechanism>EXTERNAL</mechanism>") {
		t.Errorf("got %s, want EXTERNAL", got)
	}
	if cfg.ClientAuth != tls.NoClientCert {
		t.Errorf("got ClientAuth %v in the caller's configuration, want it unchanged", cfg.ClientAuth)
	}
}
