package c2s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestLogin logs in with each mechanism, as far as the bound resource.
func TestLogin(t *testing.T) {
	tests := []struct {
		mechanism string
		data      string // of the initial response
		user      string
	}{
		{"PLAIN", "\x00ana\x00anchor", "ana"},
		{"PLAIN", "ana@one.test\x00ANA\x00anchor", "ana"},
		{"X-OAUTH2", "\x00ana\x00token", "ana"},
		{"X-OAUTH2", "\x00Ana@one.test\x00token", "ana"},
		{"OAUTHBEARER", "n,a=ana@one.test,\x01auth=Bearer token\x01\x01", "ana"},
		{"ANONYMOUS", "somebody", "stranger"},
	}
	for _, tt := range tests {
		t.Run(tt.mechanism, func(t *testing.T) {
			r := start(t, func(r *rig) { r.host.Token, r.host.Anonymous = r.fake, r.fake })
			c := r.open()
			c.Send(auth(tt.mechanism, tt.data))
			c.Expect("<success xmlns='" + nsSASL + "'/>")
			c.open("one.test")
			c.bind(tt.user, "boat")
			info := receive(t, "session", r.fake.bound)
			if info.JID.String() != tt.user+"@one.test/boat" || info.Mechanism != tt.mechanism || info.Peer.Name != "tcp" {
				t.Errorf("got %+v, want a session of %s by %s", info, tt.user, tt.mechanism)
			}
			r.log.Expect(t, "user="+tt.user+"@one.test/boat")
			r.log.Expect(t, "mechanism="+tt.mechanism)
		})
	}
	for _, mechanism := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			c := start(t).open()
			if got := c.scram(mechanism, newSCRAMClient(mechanism, "ana", "anchor")); got != "success" {
				t.Fatalf("got %s, want success", got)
			}
			c.open("one.test")
			c.bind("ana", "boat")
		})
	}
}

// TestFailedLogin checks the conditions of RFC 6120, section 6.5. The client
// may try again.
func TestFailedLogin(t *testing.T) {
	const abort = "<abort xmlns='" + nsSASL + "'/>"
	response := func(data string) string { return "<response xmlns='" + nsSASL + "'>" + data + "</response>" }
	scram := auth("SCRAM-SHA-1", "n,,n=ana,r=x")
	tests := []struct {
		name, send, want string
	}{
		{"wrong password", auth("PLAIN", "\x00ana\x00ankle"), "not-authorized"},
		{"disabled account", auth("PLAIN", "\x00off\x00anchor"), "account-disabled"},
		{"store is down", auth("PLAIN", "\x00slow\x00anchor"), "temporary-auth-failure"},
		{"authzid of another user", auth("PLAIN", "bo@one.test\x00ana\x00anchor"), "invalid-authzid"},
		{"authzid at another host", auth("PLAIN", "ana@two.test\x00ana\x00anchor"), "invalid-authzid"},
		{"unknown mechanism", auth("DIGEST-MD5", ""), "invalid-mechanism"},
		{"mechanism without service", auth("EXTERNAL", ""), "invalid-mechanism"},
		{"channel binding without TLS", auth("SCRAM-SHA-1-PLUS", "p=tls-exporter,,n=ana,r=x"), "invalid-mechanism"},
		{"no mechanism", "<auth xmlns='" + nsSASL + "'/>", "invalid-mechanism"},
		{"not base64", "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>!!!</auth>", "incorrect-encoding"},
		{"space in base64", "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'> AGFuYQBhbmNob3I=</auth>", "incorrect-encoding"},
		{"child element", "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'><x/></auth>", "malformed-request"},
		{"no user name", auth("PLAIN", "\x00\x00anchor"), "malformed-request"},
		{"abort", scram + abort, "aborted"},
		{"abort at the empty challenge", "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'/>" + abort, "aborted"},
		{"response that is not base64", scram + response("!"), "incorrect-encoding"},
		{"response that is not SCRAM", scram + response("eA=="), "malformed-request"},
		{"second auth", scram + scram, "malformed-request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t)
			c := r.open()
			c.Send(tt.send)
			c.Expect("<failure xmlns='" + nsSASL + "'><" + tt.want + "/></failure>")
			c.plain("ana")
			c.bind("ana", "boat")
			if got := r.log.String(); strings.Contains(got, "ankle") || strings.Contains(got, "anchor") {
				t.Errorf("got log %s, want no passwords", got)
			}
		})
	}
	t.Run("empty challenge first", func(t *testing.T) {
		c := start(t).open()
		c.Send("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'/>")
		c.Expect("<challenge xmlns='" + nsSASL + "'/>")
		c.Send(response(base64.StdEncoding.EncodeToString([]byte("\x00ana\x00anchor"))))
		c.Expect("<success")
	})
	t.Run("OAUTHBEARER", func(t *testing.T) { // RFC 7628, section 3.2.3
		r := start(t, func(r *rig) { r.host.Token = r.fake })
		c := r.open()
		c.Send(auth("OAUTHBEARER", "n,a=ana@one.test,\x01auth=Bearer buoy\x01\x01"))
		c.Expect("</challenge>")
		c.Send(response("AQ=="))
		c.Expect("<failure xmlns='" + nsSASL + "'><not-authorized/></failure>")
		c.plain("ana")
		if got := r.log.String(); strings.Contains(got, "buoy") {
			t.Errorf("got log %s, want no tokens", got)
		}
	})
	t.Run("SCRAM", func(t *testing.T) {
		c := start(t).open()
		for _, s := range []*scramClient{
			newSCRAMClient("SCRAM-SHA-1", "ana", "ankle"),
			newSCRAMClient("SCRAM-SHA-1", "nobody", "anchor"),
		} {
			if got := c.scram("SCRAM-SHA-1", s); got != "not-authorized" {
				t.Errorf("%s with %s: got %s, want not-authorized", s.user, s.password, got)
			}
		}
	})
}

// TestDuringLogin checks what ends the stream in the middle of a login.
func TestDuringLogin(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{"stanza", "<message/>", "not-authorized"},
		{"malformed stanza", "<message to='@'/>", "not-authorized"},
		{"unknown element", "<r xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"},
		{"STARTTLS", "<starttls xmlns='" + nsTLS + "'/>", "unsupported-stanza-type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t).open()
			c.Send(auth("SCRAM-SHA-1", "n,,n=ana,r=x"))
			c.Expect("</challenge>")
			c.Send(tt.send)
			c.expectError(tt.want)
		})
	}
}

// TestRetries checks that the number of failed logins has a bound, in the range
// that RFC 6120, section 6.4.5, gives: two to five retries.
func TestRetries(t *testing.T) {
	for name, send := range map[string]string{
		"wrong password":    auth("PLAIN", "\x00ana\x00ankle"),
		"unknown mechanism": auth("X", ""),
		"abort":             auth("SCRAM-SHA-1", "n,,n=ana,r=x") + "<abort xmlns='" + nsSASL + "'/>",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			c := r.open()
			for range maxFailures {
				c.Send(send)
				c.Expect("</failure>")
			}
			c.expectError("policy-violation")
			r.drain()
			r.log.Expect(t, "after a failed login")
		})
	}
	if maxFailures < 3 || maxFailures > 6 {
		t.Errorf("got %d attempts, want 3 to 6", maxFailures)
	}
}

// brokenAnonymous gives users of another host.
type brokenAnonymous struct{ *fakeHost }

func (brokenAnonymous) Anonymous(context.Context, string) (stanza.JID, error) {
	return stanza.NewJID("stranger", "two.test", "")
}

func TestUserOfAnotherHost(t *testing.T) {
	c := start(t, func(r *rig) { r.host.Anonymous = brokenAnonymous{r.fake} }).open()
	c.Send(auth("ANONYMOUS", ""))
	c.Expect("<temporary-auth-failure/>")
}

// TestLoginStorm checks that wrong passwords on many connections do not keep a
// client with the right one out, and are few lines in the log.
func TestLoginStorm(t *testing.T) {
	r := start(t)
	var clients []*client
	for range 50 {
		c := r.open()
		for range maxFailures {
			c.Send(auth("PLAIN", "\x00ana\x00ankle"))
		}
		clients = append(clients, c)
	}
	r.login("bo", "boat").Send("</stream:stream>")
	for _, c := range clients {
		c.expectError("policy-violation")
	}
	r.drain()
	if n := strings.Count(r.log.String(), "failed login"); n == 0 || n > 20 {
		t.Errorf("got %d lines about failed logins, want a few", n)
	}
}

// certificates is a CertificateVerifier.
type certificates func(user stanza.JID, leaf *x509.Certificate) error

func (f certificates) VerifyCertificate(_ context.Context, user stanza.JID, leaf *x509.Certificate) error {
	return f(user, leaf)
}

// externalTLS asks for certificates of clients, over TLS from the start.
func externalTLS(r *rig, ca *authority) {
	r.o.TLSVerify = true
	r.o.TLS = &tls.Config{ClientCAs: ca.pool}
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.server(r.t, "one.test")}, ClientAuth: tls.RequestClientCert}
	r.wrap = func(ln net.Listener) net.Listener { return netserve.NewTLSListener(ln, cfg) }
}

// TestExternal logs in with client certificates, over TLS from the start.
func TestExternal(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	agree := certificates(func(user stanza.JID, _ *x509.Certificate) error {
		if user.Local() == "banned" {
			return stanza.ErrNotAuthorized
		}
		return nil
	})
	tests := []struct {
		name    string
		host    CertificateVerifier
		cert    []tls.Certificate
		authzid string
		want    string // "not offered", a condition, or the user
	}{
		{"by its name", agree, []tls.Certificate{ca.client(t, "ana@one.test")}, "", "ana"},
		{"by its name, asked for", agree, []tls.Certificate{ca.client(t, "ana@one.test")}, "ana@one.test", "ana"},
		{"without name, any user", agree, []tls.Certificate{ca.client(t)}, "bo@one.test", "bo"},
		{"without name, nobody", agree, []tls.Certificate{ca.client(t)}, "", "not-authorized"},
		{"of another user", agree, []tls.Certificate{ca.client(t, "ana@one.test")}, "bo@one.test", "invalid-authzid"},
		{"of another host", agree, []tls.Certificate{ca.client(t, "ana@two.test")}, "ana@two.test", "invalid-authzid"},
		{"authzid with resource", agree, []tls.Certificate{ca.client(t, "ana@one.test")}, "ana@one.test/x", "invalid-authzid"},
		{"the host does not agree", agree, []tls.Certificate{ca.client(t, "banned@one.test")}, "", "not-authorized"},
		{"no certificate", agree, nil, "", "not offered"},
		{"certificate of another CA", agree, []tls.Certificate{stranger.client(t, "ana@one.test")}, "", "not offered"},
		{"host without the service", nil, []tls.Certificate{ca.client(t, "ana@one.test")}, "", "not offered"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, func(r *rig) { externalTLS(r, ca); r.host.Certificate = tt.host })
			c := r.dial()
			c.startTLS(&tls.Config{RootCAs: ca.pool, ServerName: "one.test", Certificates: tt.cert})
			offered := strings.Contains(c.open("one.test"), "<mechanism>EXTERNAL</mechanism>")
			if offered == (tt.want == "not offered") {
				t.Fatalf("got EXTERNAL offered: %v, want %s", offered, tt.want)
			}
			data := "="
			if tt.authzid != "" {
				data = base64.StdEncoding.EncodeToString([]byte(tt.authzid))
			}
			c.Send("<auth xmlns='" + nsSASL + "' mechanism='EXTERNAL'>" + data + "</auth>")
			switch {
			case !offered:
				c.Expect("<invalid-mechanism/>")
			case strings.Contains(tt.want, "-"):
				c.Expect("<failure xmlns='" + nsSASL + "'><" + tt.want + "/></failure>")
			default:
				c.Expect("<success")
				c.open("one.test")
				c.bind(tt.want, "boat")
			}
		})
	}
}
