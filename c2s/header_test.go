package c2s

import (
	"context"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestHeader checks what RFC 6120, section 4, says of the client's stream
// header.
func TestHeader(t *testing.T) {
	const xmlns = " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
	tests := []struct {
		name   string
		header string
		want   string // condition of the stream error, "" for none
	}{
		{"usual", "<?xml version='1.0'?><stream:stream" + xmlns + " version='1.0' to='one.test'>", ""},
		{"no XML declaration", "<stream:stream" + xmlns + " version='1.0' to='one.test'>", ""},
		{"host in upper case", "<stream:stream" + xmlns + " version='1.0' to='ONE.test'>", ""},
		{"minor version above", "<stream:stream" + xmlns + " version='1.11' to='one.test'>", ""},
		{"major version above", "<stream:stream" + xmlns + " version='2.0' to='one.test'>", ""},
		{"longest language", "<stream:stream" + xmlns + " version='1.0' to='one.test' xml:lang='" + strings.Repeat("x", 35) + "'>", ""},
		{"from", "<stream:stream" + xmlns + " version='1.0' to='one.test' from='ana@one.test'>", ""},
		{"no version", "<stream:stream" + xmlns + " to='one.test'>", "unsupported-version"},
		{"version before", "<stream:stream" + xmlns + " version='0.9' to='one.test'>", "unsupported-version"},
		{"version without minor", "<stream:stream" + xmlns + " version='1' to='one.test'>", "unsupported-version"},
		{"version in words", "<stream:stream" + xmlns + " version='a.b' to='one.test'>", "unsupported-version"},
		{"no host", "<stream:stream" + xmlns + " version='1.0'>", "improper-addressing"},
		{"host is no address", "<stream:stream" + xmlns + " version='1.0' to='@'>", "improper-addressing"},
		{"host in a false A-label", "<stream:stream" + xmlns + " version='1.0' to='xn--one-.test'>", "improper-addressing"},
		{"unknown host", "<stream:stream" + xmlns + " version='1.0' to='three.test'>", "host-unknown"},
		{"user for a host", "<stream:stream" + xmlns + " version='1.0' to='ana@one.test'>", "host-unknown"},
		{"resource at the host", "<stream:stream" + xmlns + " version='1.0' to='one.test/x'>", "host-unknown"},
		{"language too long", "<stream:stream" + xmlns + " version='1.0' to='one.test' xml:lang='" + strings.Repeat("x", 36) + "'>", "policy-violation"},
		{"from is no address", "<stream:stream" + xmlns + " version='1.0' to='one.test' from='@@'>", "improper-addressing"},
		{"namespace of servers", "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='one.test'>", "invalid-namespace"},
		{"no content namespace", "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='one.test'>", "invalid-namespace"},
		{"other stream namespace", "<stream:stream xmlns='jabber:client' xmlns:stream='urn:x' version='1.0' to='one.test'>", "invalid-namespace"},
		{"other root", "<stream:flow" + xmlns + " version='1.0' to='one.test'>", "bad-format"},
		{"DTD", "<!DOCTYPE stream [<!ENTITY a 'b'>]><stream:stream" + xmlns + " version='1.0' to='one.test'>", "restricted-xml"},
		{"comment", "<!-- x --><stream:stream" + xmlns + " version='1.0' to='one.test'>", "restricted-xml"},
		{"duplicate attribute", "<stream:stream" + xmlns + " version='1.0' to='one.test' to='two.test'>", "not-well-formed"},
		{"another encoding", "<?xml version='1.0' encoding='latin1'?><stream:stream" + xmlns + " version='1.0' to='one.test'>", "unsupported-encoding"},
		{"not XML", "GET / HTTP/1.1\r\n\r\n", "not-well-formed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t).dial()
			c.Send(tt.header)
			if tt.want != "" {
				c.expectError(tt.want)
				return
			}
			got := c.Expect("</stream:features>")
			for _, part := range []string{" from='one.test'", " version='1.0'", " xml:lang='en'", " id='"} {
				if !strings.Contains(got, part) {
					t.Errorf("got %s, want %q in it", got, part)
				}
			}
			c.Send("</stream:stream>")
			if got := c.ExpectEOF(); got != "</stream:stream>" {
				t.Errorf("got %q, want the end of the stream", got)
			}
			c.wellFormed()
		})
	}
}

// TestHeaderIsEscaped checks that nothing of the client's gets into our header
// as it is.
func TestHeaderIsEscaped(t *testing.T) {
	c := start(t).dial()
	c.Send(strings.Replace(header("one.test"), " to=", ` from="ana@one.test/it's &lt;x>" to=`, 1))
	got := c.Expect("</stream:features>")
	if !strings.Contains(got, " to='ana@one.test'") {
		t.Errorf("got %s, want it addressed to ana@one.test", got)
	}
	c.Send("</stream:stream>")
	c.ExpectEOF()
	c.wellFormed()
}

// TestRestart checks the header that follows a login.
func TestRestart(t *testing.T) {
	tests := []struct {
		name, header, want string
	}{
		{"same host", header("one.test"), ""},
		{"same host, other spelling", header("One.Test"), ""},
		{"own address", strings.Replace(header("one.test"), " to=", " from='ana@one.test/x' to=", 1), ""},
		{"another host of ours", header("two.test"), "host-unknown"},
		{"address of another user", strings.Replace(header("one.test"), " to=", " from='bo@one.test' to=", 1), "invalid-from"},
		{"no header", bindRequest("x"), "invalid-namespace"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t).open()
			c.Send(auth("PLAIN", "\x00ana\x00anchor"))
			c.Expect("<success xmlns='" + nsSASL + "'/>")
			c.Send(tt.header)
			if tt.want != "" {
				c.expectError(tt.want)
				return
			}
			got := c.Expect("</stream:features>")
			want := "<stream:features><bind xmlns='" + nsBind + "'/>" +
				"<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session></stream:features>"
			if !strings.HasSuffix(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// moreFeatures offers a feature before and one after the login.
type moreFeatures struct{}

func (moreFeatures) StreamFeatures(domain string, authenticated bool) string {
	if authenticated {
		return "<ver xmlns='urn:xmpp:features:rosterver'/>"
	}
	return "<register xmlns='http://jabber.org/features/iq-register'/>"
}

func TestFeatures(t *testing.T) {
	scram := "<mechanism>SCRAM-SHA-512</mechanism><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
	tests := []struct {
		name    string
		to      string
		prepare func(r *rig)
		want    string
	}{
		{"without TLS no PLAIN", "one.test", func(r *rig) { r.o.AllowPlainWithoutTLS = false },
			"<mechanisms xmlns='" + nsSASL + "'>" + scram + "</mechanisms>"},
		{"PLAIN allowed", "one.test", nil,
			"<mechanisms xmlns='" + nsSASL + "'>" + scram + "<mechanism>PLAIN</mechanism></mechanisms>"},
		{"disabled mechanisms, in any case", "one.test", func(r *rig) { r.o.DisabledMechanisms.Value = []string{"scram-sha-1", "PLAIN"} },
			"<mechanisms xmlns='" + nsSASL + "'><mechanism>SCRAM-SHA-512</mechanism><mechanism>SCRAM-SHA-256</mechanism></mechanisms>"},
		{"disabled on another host", "one.test", func(r *rig) { r.o.DisabledMechanisms.Hosts = map[string][]string{"two.test": {"PLAIN"}} },
			"<mechanisms xmlns='" + nsSASL + "'>" + scram + "<mechanism>PLAIN</mechanism></mechanisms>"},
		{"disabled on this host", "two.test", func(r *rig) { r.o.DisabledMechanisms.Hosts = map[string][]string{"two.test": {"PLAIN"}} },
			"<mechanisms xmlns='" + nsSASL + "'>" + scram + "</mechanisms>"},
		{"all services", "one.test", func(r *rig) { r.host.Token, r.host.Anonymous = r.fake, r.fake },
			"<mechanisms xmlns='" + nsSASL + "'>" + scram + "<mechanism>OAUTHBEARER</mechanism><mechanism>X-OAUTH2</mechanism><mechanism>PLAIN</mechanism><mechanism>ANONYMOUS</mechanism></mechanisms>"},
		{"a host without strangers and tokens", "two.test", func(r *rig) { r.host.Token, r.host.Anonymous = r.fake, r.fake },
			"<mechanisms xmlns='" + nsSASL + "'>" + scram + "<mechanism>PLAIN</mechanism></mechanisms>"},
		{"no services", "one.test", func(r *rig) { r.host.SCRAM, r.host.Password = nil, nil }, ""},
		{"the host's", "one.test", func(r *rig) { r.host.SCRAM, r.host.Password, r.host.Features = nil, nil, moreFeatures{} },
			"<register xmlns='http://jabber.org/features/iq-register'/>"},
		{"STARTTLS without certificate", "one.test", func(r *rig) { r.host.SCRAM, r.host.Password, r.o.StartTLS = nil, nil, true }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, func(r *rig) {
				if tt.prepare != nil {
					tt.prepare(r)
				}
			})
			got := r.dial().open(tt.to)
			if want := "<stream:features>" + tt.want + "</stream:features>"; !strings.HasSuffix(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestBeforeLogin checks what ends a stream that has not been authenticated.
func TestBeforeLogin(t *testing.T) {
	tests := []struct {
		name, send, want string
	}{
		{"message", message("bo@one.test", "x"), "not-authorized"},
		{"presence", "<presence/>", "not-authorized"},
		{"request", "<iq id='1' type='get'><query xmlns='jabber:iq:roster'/></iq>", "not-authorized"},
		{"binding", bindRequest("x"), "not-authorized"},
		{"malformed stanza", "<message to='@'/>", "not-authorized"},
		{"unknown element", "<r xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"},
		{"SASL response", "<response xmlns='" + nsSASL + "'/>", "unsupported-stanza-type"},
		{"text", "hello", "bad-format"},
		{"stanza of servers", "<message xmlns='jabber:server'/>", "unsupported-stanza-type"},
		{"entity", "<message>&a;</message>", "restricted-xml"},
		{"wrong nesting", "<a><b></a></b>", "not-well-formed"},
		{"not UTF-8", "<a>\xff</a>", "unsupported-encoding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t).open()
			c.Send(tt.send)
			c.expectError(tt.want)
		})
	}
}

func TestRequestBeforeLogin(t *testing.T) {
	echo := iqFunc(func(_ context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
		switch {
		case !iq.From.IsZero() || iq.To.String() != "one.test" || p.Name != "tcp":
			t.Errorf("got a request from %q to %q over %s, want one from nobody to one.test over tcp", iq.From, iq.To, p.Name)
		case iq.Child.Space == "jabber:iq:roster":
			return nil, stanza.ErrNotSupported
		case iq.Type == stanza.TypeSet:
			return nil, &stanza.Error{Condition: stanza.Conflict}
		case iq.ID == "later":
			return nil, nil
		}
		return iq.Result("<query xmlns='jabber:iq:register'/>"), nil
	})
	query := "<query xmlns='jabber:iq:register'/>"
	tests := []struct {
		name, send, want string
	}{
		{"result", "<iq id='1' type='get'>" + query + "</iq>", "<iq from='one.test' type='result' id='1'>" + query + "</iq>"},
		{"to the host", "<iq id='1' to='one.test' type='get'>" + query + "</iq>", "<iq from='one.test' type='result' id='1'>" + query + "</iq>"},
		{"error", "<iq id='1' type='set'>" + query + "</iq>", "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"},
		{"malformed", "<iq type='get'>" + query + "</iq>", "<bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"},
		{"no answer yet", "<iq id='later' type='get'>" + query + "</iq><iq id='1' type='get'>" + query + "</iq>", "id='1'"},
		{"what the host refuses to hear", "<iq id='1' type='get'><query xmlns='jabber:iq:roster'/></iq>", "<not-authorized xmlns='" + nsStreams + "'/>"},
		{"to somebody else", "<iq id='1' to='bo@one.test' type='get'>" + query + "</iq>", "<not-authorized xmlns='" + nsStreams + "'/>"},
		{"a result", "<iq id='1' type='result'/>", "<not-authorized xmlns='" + nsStreams + "'/>"},
		{"a message", "<message/>", "<not-authorized xmlns='" + nsStreams + "'/>"},
		{"more than a person makes", strings.Repeat("<iq id='1' type='get'>"+query+"</iq>", maxRequests+1), "<policy-violation xmlns='" + nsStreams + "'/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, func(r *rig) { r.host.PreAuthIQ = echo }).open()
			c.Send(tt.send)
			c.Expect(tt.want)
		})
	}
}
