package c2s_test

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// rfcBoundAs is the answer to a bind request.
func rfcBoundAs(jid string) string {
	return "<iq type='result' id='bind'><bind " + rfcBind + " only=''><jid>" + jid + "</jid></bind></iq>"
}

func TestRFC6120Bind(t *testing.T) {
	const made, own = "~romeo@one\\.example/.{8,}", "romeo@one.example/"
	request := func(inner string) string {
		return "<iq type='set' id='bind'><bind " + rfcBind + ">" + inner + "</bind></iq>"
	}
	refused := func(conditions string) []string { return []string{rfcError("iq", "id='bind'", conditions)} }
	bad, generated := refused("bad-request"), []string{rfcBoundAs(made)}
	rfcRows(t, rfcAuthenticated, nil, []rfcRow{
		{name: "7.6 server chooses", send: request(""), want: generated},
		{name: "7.6 empty element", send: "<iq type='set' id='bind'><bind " + rfcBind + "/></iq>", want: generated},
		{name: "7.7 client chooses", send: rfcBindIQ("balcony"), want: []string{rfcBoundAs(own + "balcony")}},
		{name: "7.7 to the server", send: "<iq type='set' id='bind' to='one.example'><bind " + rfcBind + "><resource>balcony</resource></bind></iq>", want: []string{rfcBoundAs(own + "balcony")}},
		{name: "7.7 case is kept", send: rfcBindIQ("Balcony"), want: []string{rfcBoundAs(own + "Balcony")}},
		{name: "7.7 further white space", send: "<iq type='set' id='bind'>\n <bind " + rfcBind + ">\n <resource>balcony</resource>\n </bind>\n</iq>", want: []string{rfcBoundAs(own + "balcony")}},
		{name: "7.7 slash and at", send: rfcBindIQ("a/b@c"), want: []string{rfcBoundAs(own + "a/b@c")}},
		{name: "7.7 characters that XML escapes", send: rfcBindIQ("a&lt;&amp;&quot;&apos;b"), want: []string{rfcBoundAs(own + "a&lt;&amp;\"'b")}},
		{name: "7.7 resource is normalised", send: rfcBindIQ("e\u0301"), want: []string{rfcBoundAs(own + "\u00e9")}},
		{name: "7.7 outside the BMP", send: rfcBindIQ("\U00020000"), want: []string{rfcBoundAs(own + "\U00020000")}},
		{name: "7.7 1023 bytes", send: rfcBindIQ(strings.Repeat("x", 1023)), want: []string{rfcBoundAs(own + strings.Repeat("x", 1023))}},
		{name: "7.7.2.1 1024 bytes", send: rfcBindIQ(strings.Repeat("x", 1024)), want: bad, or: generated},
		{name: "7.7.2.1 empty resource", send: rfcBindIQ(""), want: bad, or: generated},
		{name: "7.7.2.1 control character", send: rfcBindIQ("a\u007fb"), want: bad, or: generated},
		{name: "7.7.2.1 and again", send: rfcBindIQ("a\u007fb"), want: bad, then: []rfcTurn{{send: rfcBindIQ("balcony"), want: []string{rfcBoundAs(own + "balcony")}}}},
		{name: "7.6 type get", send: "<iq type='get' id='bind'><bind " + rfcBind + "/></iq>", want: refused("bad-request|not-allowed|feature-not-implemented|service-unavailable|not-acceptable"), or: rfcStreamError("not-authorized")},
		{name: "8.2.3 two payloads", send: "<iq type='set' id='bind'><bind " + rfcBind + "/><x xmlns='urn:x'/></iq>", want: bad},
		{name: "8.2.3 no id", send: "<iq type='set'><bind " + rfcBind + "/></iq>", want: []string{rfcError("iq", "id='absent'", "bad-request")}, or: rfcClosed},
		{name: "7.1 message before bind", send: "<message to='juliet@one.example'><body>x</body></message>", want: rfcStreamError("not-authorized"), or: []string{rfcError("message", "", "not-authorized|not-allowed|unexpected-request")}},
		{name: "7.1 presence before bind", send: "<presence/>", want: rfcStreamError("not-authorized"), or: []string{rfcError("presence", "", "not-authorized|not-allowed|unexpected-request")}},
		{name: "7.1 request to a user before bind", send: "<iq type='get' id='1' to='juliet@one.example/x'><ping xmlns='urn:xmpp:ping'/></iq>", want: rfcStreamError("not-authorized"),
			or: []string{rfcError("iq", "id='1'", "not-authorized|not-allowed|unexpected-request")}},
	})
	rfcRows(t, rfcBound, nil, []rfcRow{
		{name: "7.7.2 twice", send: rfcBindIQ("balcony"), want: refused("not-allowed|bad-request|conflict|unexpected-request|service-unavailable|feature-not-implemented"),
			then: []rfcTurn{{send: rfcPing, want: []string{"<iq type='result' id='ping' to='romeo@one.example/orchard'/>"}}}},
	})
	rfcRows(t, rfcAuthenticated, func(c *rfcConfig) { c.options.Access = nil }, []rfcRow{
		{name: "7.6.2.2 access denied", send: request(""), want: refused("not-allowed"), then: []rfcTurn{{send: "<presence/>", want: rfcStreamError("not-authorized")}}},
	})
}

func TestRFC6120BindAgain(t *testing.T) {
	rfcTest(t, "7.6 resources are not to be guessed", nil, func(t *testing.T, s *rfcServer) {
		seen := map[string]bool{}
		for range 20 {
			jid := s.dial().login("romeo", "", rfcAuthenticated).must("<iq type='set' id='bind'><bind "+rfcBind+"/></iq>", rfcBoundAs("*"))[0].child("bind").child("jid").text
			if seen[jid] {
				t.Errorf("resource: got %s twice", jid)
			}
			seen[jid] = true
		}
	})
	// At least 5 retries and at most 10.
	rfcTest(t, "7.7.3 retries", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("romeo", "", rfcAuthenticated)
		failures := 0
		for ; failures < 30; failures++ {
			got := c.ask(rfcBindIQ("a\u007fb"))
			if len(got) == 1 {
				continue
			}
			rfcCheck(t, "bind", got, append([]string{"?<iq type='error'/>"}, rfcStreamError("policy-violation")...))
			break
		}
		if failures < 5 || failures > 11 {
			t.Errorf("attempts before the one that ends the stream: got %d, want 5 to 11", failures)
		}
	})
}

func TestRFC6120Conflict(t *testing.T) {
	policy := func(p stanza.ConflictPolicy) func(*rfcConfig) {
		return func(c *rfcConfig) { c.options.ResourceConflict.Value = p }
	}
	taken := []string{rfcBoundAs("romeo@one.example/orchard")}
	for name, row := range map[string]struct {
		with     func(*rfcConfig)
		old, new []string
	}{
		"7.7.2.2 default":     {nil, rfcStreamError("conflict"), taken},
		"7.7.2.2 closeold":    {policy(stanza.CloseOld), rfcStreamError("conflict"), taken},
		"7.7.2.2 acceptnew":   {policy(stanza.AcceptNew), rfcStreamError("conflict"), taken},
		"7.7.2.2 closenew":    {policy(stanza.CloseNew), nil, []string{rfcError("iq", "id='bind'", "conflict")}},
		"7.7.2.2 setresource": {policy(stanza.SetResource), nil, []string{rfcBoundAs("~romeo@one\\.example/(?:[^o].*|o[^r].*)")}},
	} {
		rfcTest(t, name, row.with, func(t *testing.T, s *rfcServer) {
			first := s.dial().login("romeo", "orchard", rfcBound)
			second := s.dial().login("romeo", "", rfcAuthenticated)
			rfcCheck(t, "bind", second.ask(rfcBindIQ("orchard")), row.new)
			got := first.take()
			if row.old == nil {
				rfcCheck(t, "bind of another", got, nil)
			} else {
				rfcCheck(t, "bind of another", got, row.old, row.old[:2])
			}
		})
	}
	rfcTest(t, "7.7.2.2 the old session is gone for the others", nil, func(t *testing.T, s *rfcServer) {
		first := s.dial().login("romeo", "orchard", rfcBound)
		first.ask("<presence/>")
		second := s.dial().login("romeo", "orchard", rfcBound)
		juliet := s.dial().login("juliet", "balcony", rfcBound)
		rfcCheck(t, "message", juliet.ask("<message to='romeo@one.example/orchard'><body>x</body></message>"), nil)
		rfcCheck(t, "message", second.take(), []string{"<message from='juliet@one.example/balcony'/>"})
	})
	rfcTest(t, "7.7.2.2 another account", nil, func(t *testing.T, s *rfcServer) {
		first := s.dial().login("romeo", "orchard", rfcBound)
		s.dial().login("juliet", "orchard", rfcBound)
		rfcCheck(t, "bind of another", first.take(), nil)
	})
	rfcTest(t, "7.7 several resources", nil, func(t *testing.T, s *rfcServer) {
		first := s.dial().login("romeo", "orchard", rfcBound)
		s.dial().login("romeo", "garden", rfcBound)
		first.must(rfcPing, rfcPong)
	})
	rfcTest(t, "7.7.2.2 resources are compared as prepared", nil, func(t *testing.T, s *rfcServer) {
		first := s.dial().login("romeo", "\u00e9", rfcBound)
		s.dial().login("romeo", "", rfcAuthenticated).must(rfcBindIQ("e\u0301"), rfcBoundAs("romeo@one.example/\u00e9"))
		got := first.take()
		rfcCheck(t, "bind of another", got, rfcStreamError("conflict"), rfcStreamError("conflict")[:2])
	})
}
