package c2s_test

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestRFC6120SASL(t *testing.T) {
	ok := []string{"<success " + rfcSASL + "/>"}
	fail := func(conditions string) []string { return []string{rfcFailure(conditions)} }
	empty := "<challenge " + rfcSASL + "/>"
	scram := (&rfcSCRAM{mechanism: "SCRAM-SHA-1", user: "romeo"}).auth()
	response := func(data string) string { return "<response " + rfcSASL + ">" + data + "</response>" }
	plain := func(message string) string { return rfcAuth("PLAIN", rfcBase64(message)) }
	encoding, malformed := fail("incorrect-encoding"), fail("malformed-request|not-authorized")
	rfcRows(t, rfcOpened, nil, []rfcRow{
		{name: "6.4.6 PLAIN", send: rfcPlain("romeo", rfcPassword), want: ok},
		{name: "6.3.6 user in other case", send: rfcPlain("ROMEO", rfcPassword), want: ok},
		{name: "6.4.2 PLAIN without initial response", send: "<auth " + rfcSASL + " mechanism='PLAIN'/>", want: []string{empty},
			then: []rfcTurn{{send: response(rfcBase64("\x00romeo\x00" + rfcPassword)), want: ok}}},
		{name: "6.4.2 initial response of length zero", send: rfcAuth("PLAIN", "="), want: malformed},
		{name: "6.4.2 response of length zero", send: "<auth " + rfcSASL + " mechanism='PLAIN'/>", want: []string{empty},
			then: []rfcTurn{{send: "<response " + rfcSASL + "/>", want: malformed}}},
		{name: "6.4.4 abort", send: scram, want: []string{"<challenge " + rfcSASL + ">*</challenge>"},
			then: []rfcTurn{{send: "<abort " + rfcSASL + "/>", want: fail("aborted")}, {send: rfcPlain("romeo", rfcPassword), want: ok}}},
		{name: "6.4.4 abort of nothing", send: "<abort " + rfcSASL + "/>", want: fail("aborted|malformed-request"), or: rfcClosed},
		{name: "6.4.3 response to nothing", send: response("AA=="), want: fail("aborted|malformed-request|not-authorized"), or: rfcClosed},
		{name: "6.5.7 unknown mechanism", send: rfcAuth("FOO", "AA=="), want: fail("invalid-mechanism")},
		{name: "6.5.7 no mechanism", send: "<auth " + rfcSASL + ">AA==</auth>", want: fail("invalid-mechanism|malformed-request")},
		{name: "6.5.7 ANONYMOUS is off", send: rfcAuth("ANONYMOUS", "="), want: fail("invalid-mechanism")},
		{name: "6.5.7 EXTERNAL without certificate", send: rfcAuth("EXTERNAL", "="), want: fail("invalid-mechanism")},
		{name: "6.5.7 channel binding without TLS", send: rfcAuth("SCRAM-SHA-1-PLUS", rfcBase64("p=tls-exporter,,n=romeo,r=abcdefgh")), want: fail("invalid-mechanism")},
		{name: "6.5.7 X-OAUTH2 without tokens", send: rfcAuth("X-OAUTH2", rfcBase64("\x00romeo\x00x")), want: fail("invalid-mechanism")},
		{name: "6.5.5 no base64", send: rfcAuth("PLAIN", "!!!!"), want: encoding},
		{name: "6.5.5 no padding", send: rfcAuth("PLAIN", strings.TrimRight(rfcBase64("\x00romeo\x00secret"), "=")), want: encoding},
		{name: "6.5.5 line break", send: rfcAuth("PLAIN", "AHJvbWVv\nAHNlY3JldA=="), want: encoding},
		{name: "6.5.5 padding first", send: rfcAuth("PLAIN", "=AHJ"), want: encoding},
		{name: "6.5.5 padding within", send: rfcAuth("PLAIN", "AH==AHJv"), want: encoding},
		{name: "6.5.5 in a response", send: "<auth " + rfcSASL + " mechanism='PLAIN'/>", want: []string{empty}, then: []rfcTurn{{send: response("!!"), want: encoding}}},
		{name: "6.5.8 PLAIN without NUL", send: plain("romeo"), want: malformed},
		{name: "6.5.8 PLAIN with one NUL", send: plain("romeo\x00secret"), want: malformed},
		{name: "6.5.8 PLAIN with three NUL", send: plain("\x00romeo\x00secret\x00"), want: malformed},
		{name: "6.5.8 PLAIN without user", send: plain("\x00\x00secret"), want: malformed},
		{name: "6.5.8 PLAIN without password", send: plain("\x00romeo\x00"), want: malformed},
		{name: "6.5.8 PLAIN in broken UTF-8", send: plain("\x00romeo\x00\xff"), want: malformed},
		{name: "6.5.8 SCRAM without sense", send: rfcAuth("SCRAM-SHA-1", rfcBase64("hello")), want: malformed},
		{name: "6.3.8 own authorization identity", send: plain("romeo@one.example\x00romeo\x00secret"), want: ok},
		{name: "6.5.6 another authorization identity", send: plain("juliet@one.example\x00romeo\x00secret"), want: fail("invalid-authzid")},
		{name: "6.5.6 authorization identity elsewhere", send: plain("romeo@two.example\x00romeo\x00secret"), want: fail("invalid-authzid")},
		{name: "6.5.6 authorization identity is no JID", send: plain("@\x00romeo\x00secret"), want: fail("invalid-authzid")},
		{name: "6.5.10 wrong password", send: rfcPlain("romeo", "wrong"), want: fail("not-authorized"), then: []rfcTurn{{send: rfcPlain("romeo", rfcPassword), want: ok}}},
		{name: "6.5.10 unknown user", send: rfcPlain("tybalt", rfcPassword), want: fail("not-authorized")},
		{name: "6.5.10 user is no localpart", send: rfcPlain("romeo@one.example", "wrong"), want: fail("not-authorized|malformed-request|invalid-authzid")},
		{name: "6.5.10 prefix of the password", send: rfcPlain("romeo", "secre"), want: fail("not-authorized")},
		{name: "6.5.10 password with NUL after", send: rfcPlain("romeo", "secret\x00x"), want: malformed},
	})
}

func TestRFC6120SASLMechanisms(t *testing.T) {
	offered := func(want string) []string {
		return []string{rfcHeader, "<stream:features><mechanisms " + rfcSASL + "><mechanism>" + want + "</mechanism></mechanisms></stream:features>"}
	}
	anonymous := func(c *rfcConfig) {
		c.host.Options.AuthMethod = stanza.PerHost[[]string]{Value: []string{"internal"}, Hosts: map[string][]string{rfcDomain: {"anonymous"}}}
	}
	rfcRows(t, rfcDialled, nil, []rfcRow{
		{name: "6.3.3 SCRAM-SHA-1 is offered", send: rfcOpen, want: offered("SCRAM-SHA-1")},
		{name: "6.3.3 SCRAM-SHA-256 is offered", send: rfcOpen, want: offered("SCRAM-SHA-256")},
		{name: "6.3.3 SCRAM-SHA-512 is offered", send: rfcOpen, want: offered("SCRAM-SHA-512")},
		{name: "6.3.3 PLAIN where it was allowed", send: rfcOpen, want: offered("PLAIN")},
		{name: "6.3.3 ANONYMOUS where it is on", with: anonymous, send: rfcOpen, want: offered("ANONYMOUS")},
	})
	rfcRows(t, rfcOpened, anonymous, []rfcRow{
		{name: "6.4.6 ANONYMOUS", send: rfcAuth("ANONYMOUS", "="), want: []string{"<success " + rfcSASL + "/>"},
			then: []rfcTurn{{send: rfcOpen, want: []string{rfcHeader, rfcFeatures}},
				{send: rfcBindIQ("x"), want: []string{"<iq type='result'><bind " + rfcBind + "><jid>~[^@/]{8,}@one\\.example/.+</jid></bind></iq>"}}}},
		{name: "6.5.7 PLAIN where only ANONYMOUS is on", send: rfcPlain("romeo", rfcPassword), want: []string{rfcFailure("invalid-mechanism|not-authorized")}},
	})
	for _, m := range []string{"ANONYMOUS", "EXTERNAL", "SCRAM-SHA-1-PLUS", "X-OAUTH2", "DIGEST-MD5", "CRAM-MD5", "LOGIN"} {
		rfcTest(t, "6.3.3 not offered: "+m, nil, func(t *testing.T, s *rfcServer) {
			if features := s.dial().must(rfcOpen, rfcHeader, rfcFeatures)[1]; strings.Contains(features.raw, ">"+m+"<") {
				t.Errorf("features: got %s, want no %s", features.raw, m)
			}
		})
	}
	rfcTest(t, "6.3.3 PLAIN needs TLS by default", func(c *rfcConfig) { c.options = c2s.Defaults() }, func(t *testing.T, s *rfcServer) {
		c := s.dial()
		if features := c.open(); strings.Contains(features.raw, ">PLAIN<") {
			t.Errorf("features: got %s, want no PLAIN", features.raw)
		}
		rfcCheck(t, "PLAIN", c.ask(rfcPlain("romeo", rfcPassword)), []string{rfcFailure("encryption-required|invalid-mechanism")})
	})
	rfcTest(t, "6.4.6 features after login", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("romeo", "", rfcOpened)
		c.must(rfcPlain("romeo", rfcPassword), "<success "+rfcSASL+"/>")
		features := c.open()
		if features.child("mechanisms") != nil || features.child("bind") == nil {
			t.Errorf("features: got %s, want bind and no mechanisms", features.raw)
		}
	})
}

// TestRFC6120Retries: between 2 and 5 of them, and the stream ends.
// See RFC 6120, section 6.4.5.
func TestRFC6120Retries(t *testing.T) {
	for name, send := range map[string]string{
		"6.4.5 wrong passwords": rfcPlain("romeo", "wrong"),
		"6.4.5 unknown users":   rfcPlain("tybalt", "wrong"),
		"6.4.5 no mechanism":    rfcAuth("FOO", "="),
		"6.4.5 no base64":       rfcAuth("PLAIN", "!"),
	} {
		rfcTest(t, name, nil, func(t *testing.T, s *rfcServer) {
			c := s.dial().login("", "", rfcOpened)
			failures := 0
			for ; failures < 20; failures++ {
				got := c.ask(send)
				if len(got) == 1 {
					continue
				}
				rfcCheck(t, send, got, append([]string{"?<failure " + rfcSASL + "/>"}, rfcStreamError("policy-violation|not-authorized")...))
				break
			}
			if failures < 2 || failures > 6 {
				t.Errorf("attempts before the one that ends the stream: got %d, want 2 to 6", failures)
			}
		})
	}
	rfcTest(t, "6.4.5 two retries", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		for range 2 {
			c.must(rfcPlain("romeo", "wrong"), rfcFailure("not-authorized"))
		}
		c.must(rfcPlain("romeo", rfcPassword), "<success "+rfcSASL+"/>")
	})
	rfcTest(t, "6.4.4 endless aborts", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		for range 100 {
			got := c.ask((&rfcSCRAM{mechanism: "SCRAM-SHA-1", user: "romeo"}).auth() + "<abort " + rfcSASL + "/>")
			if got[len(got)-1].name.Local == rfcEOF {
				return
			}
		}
		t.Error("100 exchanges were aborted, want the stream to end before")
	})
	rfcTest(t, "6.5.1 disabled account", nil, func(t *testing.T, s *rfcServer) {
		romeo, err := stanza.ParseJID("romeo@one.example")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.host.Accounts.SetDisabled(t.Context(), romeo, true); err != nil {
			t.Fatal(err)
		}
		c := s.dial().login("", "", rfcOpened)
		c.must(rfcPlain("romeo", "wrong"), rfcFailure("not-authorized"))
		c.must(rfcPlain("romeo", rfcPassword), rfcFailure("account-disabled"))
	})
}
