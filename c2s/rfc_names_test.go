package c2s_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestRFCNames: user names and passwords are prepared, and escaped where the
// mechanism says so. See RFC 5802, section 5.1, RFC 4616, section 2, and
// RFC 4013.
func TestRFCNames(t *testing.T) {
	for name, row := range map[string]struct{ user, password, scram, plain, typed string }{
		"RFC 5802 §5.1 equals sign and comma":   {"a=b,c", "pw", "a=3Db=2Cc", "a=b,c", "pw"},
		"RFC 7622 §3.3 outside ASCII":           {"m\u00fcller", "pw", "m\u00fcller", "m\u00fcller", "pw"},
		"RFC 4013 §2.2 composed":                {"m\u00fcller", "pw", "mu\u0308ller", "mu\u0308ller", "pw"},
		"RFC 4013 §2.1 space in the password":   {"tybalt", "pass word", "tybalt", "tybalt", "pass\u00a0word"},
		"RFC 4013 §2.1 nothing in the password": {"tybalt", "password", "tybalt", "tybalt", "pass\u00adword"},
		"RFC 4013 §2.2 ligature":                {"tybalt", "fi", "tybalt", "tybalt", "\ufb01"},
		"RFC 4616 §2 password with a comma":     {"tybalt", "a,b=c", "tybalt", "tybalt", "a,b=c"},
		"RFC 4616 §2 password in UTF-8":         {"tybalt", "\u043f\u0430\u0440\u043e\u043b\u044c", "tybalt", "tybalt", "\u043f\u0430\u0440\u043e\u043b\u044c"},
	} {
		rfcTest(t, name, nil, func(t *testing.T, s *rfcServer) {
			if err := s.host.Accounts.Create(t.Context(), rfcJID(t, row.user+"@one.example"), row.password); err != nil {
				t.Fatal(err)
			}
			c := s.dial().login("", "", rfcOpened)
			c.must(rfcPlain(row.plain, row.typed), "<success "+rfcSASL+"/>")
			// The client prepares the password itself.
			scram := &rfcSCRAM{mechanism: "SCRAM-SHA-256", user: row.scram, password: row.password}
			scram.verify(t, scram.run(t, s.dial().login("", "", rfcOpened)))
		})
	}
}

func TestRFCDisabledMechanisms(t *testing.T) {
	disable := func(names ...string) func(*rfcConfig) {
		return func(c *rfcConfig) {
			rfcWithTLS(c)
			c.options.DisabledMechanisms.Value = names
		}
	}
	rfcTest(t, "6.3.3 PLAIN", disable("plain"), func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		c.startTLS()
		if features := c.open(); strings.Contains(features.raw, ">PLAIN<") {
			t.Errorf("features: got %s, want no PLAIN", features.raw)
		}
		rfcCheck(t, "PLAIN", c.ask(rfcPlain("romeo", rfcPassword)), []string{rfcFailure("invalid-mechanism")})
	})
	noPlus := disable("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS")
	for _, gs2 := range []string{"n,,", "y,,"} {
		rfcTest(t, "RFC 5802 §6 without -PLUS, "+gs2, noPlus, func(t *testing.T, s *rfcServer) {
			c := s.dial().login("", "", rfcOpened)
			c.startTLS()
			if features := c.open(); features.child("sasl-channel-binding") != nil {
				t.Errorf("features: got %s, want no channel binding (XEP-0440)", features.raw)
			}
			scram := &rfcSCRAM{mechanism: "SCRAM-SHA-1", user: "romeo", password: rfcPassword, gs2: gs2}
			scram.verify(t, scram.run(t, c))
		})
	}
	for _, kind := range []string{"tls-exporter", "tls-server-end-point"} {
		rfcTest(t, "RFC 9266 §4.2 TLS 1.2, "+kind, func(c *rfcConfig) {
			rfcWithTLS(c)
			c.options.TLS.MaxVersion = tls.VersionTLS12
		}, func(t *testing.T, s *rfcServer) {
			c := s.dial().login("", "", rfcOpened)
			c.startTLS()
			offered := strings.Contains(c.open().raw, kind)
			scram := &rfcSCRAM{mechanism: "SCRAM-SHA-256-PLUS", user: "romeo", password: rfcPassword, gs2: "p=" + kind + ",,", binding: c.rfcBinding(kind)}
			if !offered { // XEP-0440, section 3: what is not listed is not there
				rfcCheck(t, kind, scram.run(t, c), []string{rfcFailure("not-authorized|malformed-request")})
				return
			}
			scram.verify(t, scram.run(t, c))
		})
	}
}

func TestRFC6120SASLSyntax(t *testing.T) {
	ok := []string{"<success " + rfcSASL + "/>"}
	data := rfcBase64("\x00romeo\x00" + rfcPassword)
	scram := (&rfcSCRAM{mechanism: "SCRAM-SHA-1", user: "romeo"}).auth()
	challenge := []string{"<challenge " + rfcSASL + ">*</challenge>"}
	anyFailure := []string{"<failure " + rfcSASL + "/>"}
	rfcRows(t, rfcOpened, nil, []rfcRow{
		{name: "6.4.2 data in CDATA", send: rfcAuth("PLAIN", "<![CDATA["+data+"]]>"), want: ok},
		{name: "6.4.2 data in references", send: rfcAuth("PLAIN", "&#65;"+data[1:]), want: ok},
		{name: "6.4.2 prefix for the namespace", send: "<s:auth xmlns:s='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + data + "</s:auth>", want: ok, or: rfcStreamError("bad-namespace-prefix")},
		{name: "6.4.2 further attributes", send: strings.Replace(rfcAuth("PLAIN", data), "mechanism", "x='y' mechanism", 1), want: ok},
		{name: "6.4.2 mechanism in lower case", send: rfcAuth("plain", data), want: []string{rfcFailure("invalid-mechanism")}},
		{name: "6.4.2 wrong namespace", send: "<auth mechanism='PLAIN'>" + data + "</auth>", want: rfcStreamError("not-authorized|unsupported-stanza-type|invalid-namespace")},
		{name: "6.4.2 element in the data", send: rfcAuth("PLAIN", data[:8]+"<x/>"+data[8:]), want: anyFailure, or: rfcClosed},
		{name: "6.4.3 stanza within the exchange", send: scram, want: challenge, then: []rfcTurn{{send: rfcPing, want: rfcStreamError("not-authorized")}}},
		{name: "6.4.3 end within the exchange", send: scram, want: challenge, then: []rfcTurn{{send: "</stream:stream>", want: []string{rfcEnd, rfcEOF}}}},
		{name: "6.4.3 challenge from the client", send: scram, want: challenge, then: []rfcTurn{{send: "<challenge " + rfcSASL + "/>", want: rfcClosed, or: anyFailure}}},
		{name: "6.4.3 success from the client", send: scram, want: challenge, then: []rfcTurn{{send: "<success " + rfcSASL + "/>", want: rfcClosed, or: anyFailure}}},
		{name: "6.4.3 empty response to a challenge", send: scram, want: challenge, then: []rfcTurn{{send: "<response " + rfcSASL + "/>", want: []string{rfcFailure("malformed-request|not-authorized")}}}},
		{name: "6.4.3 response after failure", send: rfcPlain("romeo", "wrong"), want: []string{rfcFailure("not-authorized")},
			then: []rfcTurn{{send: "<response " + rfcSASL + ">" + data + "</response>", want: anyFailure, or: rfcClosed}}},
		{name: "4.7.1 from of the restart is another user", send: rfcPlain("romeo", rfcPassword), want: ok,
			then: []rfcTurn{{send: rfcTo("from='juliet@one.example' to='one.example' version='1.0'"), want: []string{rfcHeader, rfcFeatures}, or: append([]string{"<stream:stream/>"}, rfcStreamError("invalid-from")...)}}},
		{name: "4.7.5 restart without version", send: rfcPlain("romeo", rfcPassword), want: ok,
			then: []rfcTurn{{send: rfcTo("to='one.example'"), want: append([]string{"<stream:stream/>"}, rfcStreamError("unsupported-version")...)}}},
	})
}

// TestRFC6120ErrorTypes: the types that go with the conditions.
// See RFC 6120, section 8.3.3.
func TestRFC6120ErrorTypes(t *testing.T) {
	typed := func(kind, class, condition string) []string {
		return []string{"<" + kind + " type='error' id='1'><error type='" + class + "' only=''><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' only=''/></error></" + kind + ">",
			"?<never/>"}
	}
	text := func(kind, class, condition string) []string {
		const ns = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
		return []string{"<" + kind + " type='error' id='1'><error type='" + class + "' only=''><" + condition + " " + ns + "/><text " + ns + ">*</text></error></" + kind + ">"}
	}
	ping := "<ping xmlns='urn:xmpp:ping'/>"
	var rows []rfcRow
	for name, r := range map[string]struct{ send, kind, class, condition string }{
		"8.3.3.1 bad-request":              {"<iq type='get' id='1'/>", "iq", "modify", "bad-request"},
		"8.3.3.8 jid-malformed":            {"<message id='1' to='@'/>", "message", "modify", "jid-malformed"},
		"8.3.3.16 remote-server-not-found": {"<iq type='get' id='1' to='three.example'>" + ping + "</iq>", "iq", "cancel", "remote-server-not-found"},
		"8.3.3.19 service-unavailable":     {"<iq type='get' id='1' to='one.example'><x xmlns='urn:x'/></iq>", "iq", "cancel", "service-unavailable"},
		"8.3.3.19 of a message":            {"<message id='1' to='juliet@one.example'><body>x</body></message>", "message", "cancel", "service-unavailable"},
	} {
		rows = append(rows, rfcRow{name: name, send: r.send, want: typed(r.kind, r.class, r.condition), or: text(r.kind, r.class, r.condition)})
	}
	rfcRows(t, rfcBound, nil, rows)
	rfcTest(t, "4.9.2 the text of a stream error has a language", nil, func(t *testing.T, s *rfcServer) {
		got := s.dial().login("romeo", "orchard", rfcBound).ask("<foo/>")
		const text = "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='*'>*</text>"
		rfcCheck(t, "<foo/>", got[:1], []string{"<stream:error><unsupported-stanza-type xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" + text + "</stream:error>"},
			[]string{"<stream:error only=''><unsupported-stanza-type xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"})
	})
	rfcTest(t, "4.9.3.3 kicked by an operator", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("romeo", "orchard", rfcBound)
		s.host.Local.Kick(rfcJID(t, "romeo@one.example"), stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamPolicyViolation})
		rfcCheck(t, "nothing", c.take(), rfcStreamError("policy-violation"), rfcStreamError("policy-violation")[:2])
	})
	rfcTest(t, "4.4 the server does not wait for ever", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("romeo", "orchard", rfcBound)
		s.dial().login("romeo", "orchard", rfcBound)
		got := append(c.take(), c.pass(time.Minute)...)
		rfcCheck(t, "nothing", got, rfcStreamError("conflict"))
	})
}
