package s2s

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const inSASL = "urn:ietf:params:xml:ns:xmpp-sasl"

func inFailure(condition string) string {
	return "<failure xmlns='" + inSASL + "'><" + condition + "/></failure>"
}

type inLogin struct {
	name, cert, from, send string
	want                   string // domain; else a failure
}

// inLogins are logins, and what comes of them.
func inLogins() []inLogin {
	plain := func(name, text string) string {
		return "<auth xmlns='" + inSASL + "' mechanism='" + name + "'>" + text + "</auth>"
	}
	bare := "<auth xmlns='" + inSASL + "' mechanism='EXTERNAL'/>"
	response := "<response xmlns='" + inSASL + "'/>"
	return []inLogin{
		{"empty response", "peer.test", "peer.test", inAuth("="), "peer.test"},
		{"own name", "peer.test", "peer.test", inAuth("peer.test"), "peer.test"},
		{"own name, other case", "peer.test", "peer.test", inAuth("PEER.test"), "peer.test"},
		{"challenge", "peer.test", "peer.test", bare + response, "peer.test"},
		{"other proven name", "peer.test", "peer.test", inAuth("other.test"), "other.test"},
		{"no from, name", "peer.test", "", inAuth("peer.test"), "peer.test"},
		{"no from, no name", "peer.test", "", inAuth("="), inFailure("invalid-authzid")},
		{"no from, foreign name", "peer.test", "", inAuth("bank.test"), inFailure("invalid-authzid")},
		{"foreign name", "peer.test", "peer.test", inAuth("bank.test"), inFailure("invalid-authzid")},
		{"our name", "peer.test", "peer.test", inAuth("two.test"), inFailure("invalid-authzid")},
		{"user", "peer.test", "peer.test", inAuth("ana@peer.test"), inFailure("invalid-authzid")},
		{"resource", "peer.test", "peer.test", inAuth("peer.test/x"), inFailure("invalid-authzid")},
		{"no address", "peer.test", "peer.test", inAuth("@@"), inFailure("invalid-authzid")},
		{"bad base64", "peer.test", "peer.test", plain("EXTERNAL", "=====x"), inFailure("incorrect-encoding")},
		{"children", "peer.test", "peer.test", plain("EXTERNAL", "<x/>"), inFailure("malformed-request")},
		{"abort", "peer.test", "peer.test", bare + "<abort xmlns='" + inSASL + "'/>", inFailure("aborted")},
		{"two at once", "peer.test", "peer.test", bare + bare, inFailure("malformed-request")},
		{"no mechanism", "peer.test", "peer.test", "<auth xmlns='" + inSASL + "'/>", inFailure("invalid-mechanism")},
		{"other mechanism", "peer.test", "peer.test", plain("SCRAM-SHA-1", ""), inFailure("invalid-mechanism")},
		{"not offered", "peer.test", "bank.test", inAuth("="), inFailure("invalid-mechanism")},
		{"not offered, proven name", "peer.test", "bank.test", inAuth("peer.test"), inFailure("invalid-mechanism")},
		{"no certificate", "", "peer.test", inAuth("="), inFailure("invalid-mechanism")},
	}
}

func TestIncomingExternal(t *testing.T) {
	for _, tt := range inLogins() {
		t.Run(tt.name, func(t *testing.T) {
			r := inStart(t, inTLS)
			c := r.dial()
			from := ""
			if tt.from != "" {
				from = " from='" + tt.from + "'"
			}
			c.header("version='1.0' to='one.test'" + from)
			c.Expect("</stream:features>")
			c.startTLS(r.client(tt.cert))
			c.header("version='1.0' to='one.test'" + from)
			c.Expect("</stream:features>")
			c.Send(tt.send)
			if strings.HasPrefix(tt.want, "<") {
				c.Expect(tt.want)
				c.Send(inMessage("peer.test", "one.test", "1"))
				c.expectError("not-authorized")
				r.routesNothing()
				return
			}
			c.Expect("<success xmlns='" + inSASL + "'/>")
			c.header("version='1.0' to='one.test'")
			c.Expect("</stream:features>")
			c.Send(inMessage(tt.want, "one.test", "1"))
			r.routes("1")
			if got := r.server.Incoming(); got != 1 {
				t.Errorf("got %d streams, want 1", got)
			}
			c.Send(inMessage("bank.test", "one.test", "2"))
			c.expectError("invalid-from")
			r.routesNothing()
		})
	}
}

// TestIncomingRetries wants that a few logins may fail, and that a server whose
// login fails can prove itself by dialback.
func TestIncomingRetries(t *testing.T) {
	r := inStart(t, inTLS)
	c, _ := r.secure("peer.test", "peer.test", "one.test")
	for range maxFailures - 1 {
		c.Send(inAuth("bank.test"))
		c.Expect(inFailure("invalid-authzid"))
	}
	c.prove("peer.test", "one.test")

	c, _ = r.secure("peer.test", "peer.test", "one.test")
	for range maxFailures {
		c.Send(inAuth("bank.test"))
		c.Expect(inFailure("invalid-authzid"))
	}
	c.expectError("policy-violation")
	r.log.Expect(t, "connection failed", "from=peer.test", "too many failed logins", "invalid-authzid")
}

// TestIncomingAccess wants that a pair of domains that may not talk is refused,
// whichever way it is proved.
func TestIncomingAccess(t *testing.T) {
	deny := func(r *inRig) {
		r.set.Access = stanza.PerHost[acl.Access]{Value: acl.All, Hosts: map[string]acl.Access{"two.test": nil}}
	}
	t.Run("EXTERNAL", func(t *testing.T) {
		r := inStart(t, inTLS, deny)
		c, _ := r.secure("peer.test", "peer.test", "two.test")
		c.Send(inAuth("="))
		if rest := c.expectError("policy-violation"); !strings.Contains(rest, "two.test and peer.test") || strings.Contains(rest, "success") {
			t.Errorf("got %s, want the two domains and no success", rest)
		}
		r.log.Expect(t, "connection failed", "from=peer.test", "to=two.test", "two.test and peer.test")
	})
	t.Run("dialback", func(t *testing.T) {
		r := inStart(t, deny)
		c := r.open("peer.test", "two.test")
		c.Send(inResult("peer.test", "two.test", "good"))
		c.Expect("<db:result from='two.test' to='peer.test' type='error'><error type='modify'><policy-violation ")
		c.Expect("two.test and peer.test")
		c.prove("peer.test", "one.test")
		c.Send(inMessage("peer.test", "two.test", "1"))
		c.expectError("invalid-from")
		r.log.Expect(t, "dialback failed", "from=peer.test", "to=two.test", "policy-violation")
	})
}
