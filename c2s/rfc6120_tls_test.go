package c2s_test

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

func TestRFC6120StartTLS(t *testing.T) {
	start, proceed := "<starttls "+rfcTLS+"/>", "<proceed "+rfcTLS+"/>"
	failed := []string{"<failure " + rfcTLS + "/>", rfcEnd, rfcEOF}
	rfcRows(t, rfcDialled, rfcWithTLS, []rfcRow{
		{name: "5.3.1 offered", send: rfcOpen, want: []string{rfcHeader, "<stream:features><starttls " + rfcTLS + "/><mechanisms " + rfcSASL + "/></stream:features>"}},
	})
	rfcRows(t, rfcOpened, rfcWithTLS, []rfcRow{
		{name: "5.4.2.3 proceed", send: start, want: []string{proceed}},
		{name: "5.4.2.1 long form", send: "<starttls " + rfcTLS + "></starttls>", want: []string{proceed}},
		{name: "5.4.2.1 wrong namespace", send: "<starttls/>", want: rfcStreamError("unsupported-stanza-type|not-authorized|invalid-namespace")},
		{name: "6.5.4 PLAIN needs TLS", send: rfcPlain("romeo", rfcPassword), want: []string{rfcFailure("encryption-required|invalid-mechanism")}},
		{name: "6.5.4 PLAIN needs TLS whatever the password", send: rfcPlain("romeo", "wrong"), want: []string{rfcFailure("encryption-required|invalid-mechanism")}},
		{name: "5.3.1 voluntary", send: (&rfcSCRAM{mechanism: "SCRAM-SHA-1", user: "romeo"}).auth(), want: []string{"<challenge " + rfcSASL + "/>"}},
	})
	rfcRows(t, rfcOpened, nil, []rfcRow{
		{name: "5.4.2.2 not offered", send: start, want: failed, or: rfcStreamError("unsupported-stanza-type|not-authorized|unsupported-feature|policy-violation")},
	})
	required := func(c *rfcConfig) {
		rfcWithTLS(c)
		c.options.StartTLSRequired, c.options.AllowPlainWithoutTLS = true, true
		c.host.Register.Value.Access = c.options.Access
		c.host.Register.Value.AllowModules = []string{"all"}
		c.host.Register.Value.IPAccess = c.options.Access
	}
	refused := rfcStreamError("policy-violation|not-authorized")
	rfcRows(t, rfcDialled, required, []rfcRow{
		{name: "5.3.1 nothing else is offered when required", send: rfcOpen,
			want: []string{rfcHeader, "<stream:features only=''><starttls " + rfcTLS + " only=''><required/></starttls></stream:features>"}},
	})
	rfcRows(t, rfcOpened, required, []rfcRow{
		{name: "5.3.1 required: login", send: rfcPlain("romeo", rfcPassword), want: []string{rfcFailure("encryption-required|invalid-mechanism")}, or: refused},
		{name: "5.3.1 required: SCRAM", send: (&rfcSCRAM{mechanism: "SCRAM-SHA-1", user: "romeo"}).auth(), want: []string{rfcFailure("encryption-required|invalid-mechanism")}, or: refused},
		{name: "5.3.1 required: message", send: "<message to='juliet@one.example'/>", want: refused},
		{name: "5.3.1 required: registration", send: "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>", want: refused,
			or: []string{rfcError("iq", "id='1'", "policy-violation|not-allowed|forbidden|service-unavailable")}},
		{name: "5.3.1 required: end", send: "</stream:stream>", want: []string{rfcEnd, rfcEOF}},
	})
}

func TestRFC6120AfterTLS(t *testing.T) {
	rfcTest(t, "5.4.3.3 features", rfcWithTLS, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		c.startTLS()
		features := c.open()
		if features.child("starttls") != nil {
			t.Errorf("features: got %s, want no STARTTLS", features.raw)
		}
		for _, m := range []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS"} {
			rfcCheck(t, "features", []*rfcElement{features}, []string{"<stream:features><mechanisms " + rfcSASL + "><mechanism>" + m + "</mechanism></mechanisms></stream:features>"})
		}
		// XEP-0440, section 3.
		const binding = "<stream:features><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/></sasl-channel-binding></stream:features>"
		rfcCheck(t, "features", []*rfcElement{features}, []string{binding})
	})
	rfcTest(t, "5.4.2.2 TLS twice", rfcWithTLS, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		c.startTLS()
		c.open()
		rfcCheck(t, "starttls", c.ask("<starttls "+rfcTLS+"/>"), []string{"<failure " + rfcTLS + "/>", rfcEnd, rfcEOF},
			rfcStreamError("unsupported-stanza-type|not-authorized|unsupported-feature|policy-violation"))
	})
	rfcTest(t, "5.4.3.3 stanza in place of the restart", rfcWithTLS, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		c.startTLS()
		rfcCheck(t, "stanza", c.ask("<message to='juliet@one.example'/>"), append([]string{"<stream:stream id='*'/>"}, rfcClosed...))
	})
	rfcTest(t, "4.4 TLS is closed in order", rfcWithTLS, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		c.startTLS()
		c.login("romeo", "orchard", rfcBound)
		c.must("</stream:stream>", rfcEnd, rfcEOF)
	})
	rfcTest(t, "5.4.3.2 handshake fails", rfcWithTLS, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		c.must("<starttls "+rfcTLS+"/>", "<proceed "+rfcTLS+"/>")
		<-c.done
		c.send("<stream:stream to='one.example'" + rfcStream)
		synctest.Wait()
		rest, _ := io.ReadAll(c.conn)
		if strings.Contains(string(rest), "stream") {
			t.Errorf("after a broken handshake: got %q, want no XML", rest)
		}
	})
}

// TestRFC6120Injection: what comes before TLS must not be taken for what comes
// within. See RFC 6120, section 5.4.3.3.
func TestRFC6120Injection(t *testing.T) {
	for name, injected := range map[string]string{
		"5.4.3.3 login":  (&rfcSCRAM{mechanism: "SCRAM-SHA-1", user: "juliet"}).auth(),
		"5.4.3.3 header": rfcOpen + rfcPlain("juliet", rfcPassword),
		"5.4.3.3 end":    "</stream:stream>",
	} {
		rfcTest(t, name, rfcWithTLS, func(t *testing.T, s *rfcServer) {
			c := s.dial().login("", "", rfcOpened)
			got := c.ask("<starttls " + rfcTLS + "/>" + injected)
			if len(got) == 0 || got[0].name.Local != "proceed" {
				rfcCheck(t, injected, got, rfcClosed, []string{"<failure " + rfcTLS + "/>", rfcEnd, rfcEOF})
				return
			}
			<-c.done
			conn := tls.Client(c.conn, &tls.Config{ServerName: rfcDomain, RootCAs: s.pool})
			if err := conn.Handshake(); err != nil {
				return // taken for TLS, which it is not
			}
			c.conn = conn
			c.start()
			rfcCheck(t, "nothing", c.take(), nil)
			rfcCheck(t, rfcOpen, c.ask(rfcOpen), []string{rfcHeader, "<stream:features><mechanisms " + rfcSASL + "/></stream:features>"})
		})
	}
}

// TestRFCDirectTLS: TLS from the first byte (XEP-0368).
func TestRFCDirectTLS(t *testing.T) {
	direct := func(c *rfcConfig) {
		rfcWithTLS(c)
		c.options.TLS.NextProtos = []string{"xmpp-client"}
		c.direct = true
	}
	for name, protocols := range map[string][]string{"XEP-0368 with ALPN": {"xmpp-client"}, "XEP-0368 without ALPN": nil} {
		rfcTest(t, name, direct, func(t *testing.T, s *rfcServer) {
			conn := tls.Client(s.ln.Dial(), &tls.Config{ServerName: rfcDomain, RootCAs: s.pool, NextProtos: protocols})
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			if got := conn.ConnectionState().NegotiatedProtocol; len(protocols) > 0 && got != "xmpp-client" {
				t.Errorf("ALPN: got %q, want xmpp-client", got)
			}
			c := s.client(conn)
			features := c.open()
			if features.child("starttls") != nil || features.child("mechanisms") == nil {
				t.Errorf("features: got %s, want mechanisms and no STARTTLS", features.raw)
			}
			c.must(rfcPlain("romeo", rfcPassword), "<success "+rfcSASL+"/>")
			c.open()
			c.must(rfcBindIQ("orchard"), "<iq type='result' id='bind'/>")
			c.must("</stream:stream>", rfcEnd, rfcEOF)
		})
	}
}
