//go:build interop

package interop

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const c2sConfig = `
hosts: [localhost, second.test]
certfiles: [localhost.pem, second.pem]
acl:
  loopback:
    ip: [127.0.0.0/8, "::1"]
access_rules:
  local_only:
    - allow: loopback
modules:
  mod_register:
    ip_access: local_only
listen:
  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, starttls: true}
  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, tls: true}
registration_timeout: infinity
# slixmpp 1.8 knows no channel binding that TLS 1.3 has.
disable_sasl_mechanisms: [SCRAM-SHA-1-PLUS, SCRAM-SHA-256-PLUS, SCRAM-SHA-512-PLUS]
`

// c2sServer starts a server with accounts ana and bo and returns it with a
// scenario that trusts its certificates.
func c2sServer(t *testing.T) (*server, scenario) {
	t.Helper()
	ca := newAuthority(t)
	s := start(t, c2sConfig, map[string]string{
		"localhost.pem": ca.issue(t, "localhost"),
		"second.pem":    ca.issue(t, "second.test"),
		"ca.pem":        ca.pem,
	}, "-register", "ana@localhost:anchor", "-register", "bo@localhost:bollard")
	return s, scenario{CA: filepath.Join(s.dir, "ca.pem")}
}

func TestChat(t *testing.T) {
	s, base := c2sServer(t)
	ways := []struct {
		name       string
		echo, talk program
		tls, table string
	}{
		{"slixmpp with slixmpp over STARTTLS", slixmpp, slixmpp, "starttls", "STARTTLS"},
		{"slixmpp with xmpp.js over STARTTLS", slixmpp, xmppjs, "starttls", "STARTTLS"},
		{"xmpp.js with slixmpp over direct TLS", xmppjs, slixmpp, "direct", "TLS"},
		{"xmpp.js with xmpp.js over direct TLS", xmppjs, xmppjs, "direct", "TLS"},
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			base := base.at(s.find(t, w.table))
			base.TLS = w.tls
			bo := base
			bo.JID, bo.Password, bo.Action = "bo@localhost/pier", "bollard", "echo"
			echo := launch(t, w.echo, bo)
			ana := base
			ana.JID, ana.Password, ana.Action = "ana@localhost/boat", "anchor", "talk"
			ana.Peer = echo.ready(t)
			launch(t, w.talk, ana).finish(t)
			echo.finish(t)
		})
	}
}

func TestMechanisms(t *testing.T) {
	s, base := c2sServer(t)
	base = base.at(s.find(t, "STARTTLS"))
	base.TLS, base.JID, base.Password, base.Action = "starttls", "ana@localhost/boat", "anchor", "login"
	for _, mech := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", ""} {
		t.Run("slixmpp "+mech, func(t *testing.T) {
			base := base
			base.Mech = mech
			launch(t, slixmpp, base).finish(t)
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		for name, p := range map[string]program{"slixmpp": slixmpp, "xmpp.js": xmppjs} {
			base := base
			base.Password = "ankle"
			if said := launch(t, p, base).fails(t); said == "" {
				t.Errorf("%s said nothing", name)
			}
		}
	})
}

// A client certificate logs in by SASL EXTERNAL where tls_verify asks for one,
// if it is of the CA that the configuration names.
func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	s := start(t, `
hosts: [localhost]
certfiles: [localhost.pem]
listen:
  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, tls_verify: true, cafile: ca.pem}
  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, tls: true, tls_verify: true, cafile: ca.pem}
`, map[string]string{
		"localhost.pem": ca.issue(t, "localhost"),
		"ca.pem":        ca.pem,
		"client.pem":    ca.issueUser(t, "ana@localhost"),
		"stranger.pem":  newAuthority(t).issueUser(t, "ana@localhost"),
	}, "-register", "ana@localhost:anchor")
	for tls, table := range map[string]string{"starttls": "STARTTLS", "direct": "TLS"} {
		t.Run(tls, func(t *testing.T) {
			c := scenario{CA: filepath.Join(s.dir, "ca.pem"), JID: "ana@localhost/boat", TLS: tls, Mech: "EXTERNAL", Action: "login"}.at(s.find(t, table))
			c.Cert = filepath.Join(s.dir, "client.pem")
			launch(t, slixmpp, c).finish(t)
			c.Cert = filepath.Join(s.dir, "stranger.pem")
			launch(t, slixmpp, c).fails(t)
		})
	}
}

func TestRegisterAndRemove(t *testing.T) {
	s, base := c2sServer(t)
	base = base.at(s.find(t, "STARTTLS"))
	base.TLS, base.JID, base.Password = "starttls", "cy@localhost/raft", "capstan"
	as := func(action string) scenario { s := base; s.Action = action; return s }
	if got := launch(t, slixmpp, as("register")).finish(t); !slices.Contains(got, "registered cy@localhost") {
		t.Fatalf("slixmpp said %q", got)
	}
	launch(t, xmppjs, as("login")).finish(t)
	launch(t, slixmpp, as("unregister")).finish(t)
	launch(t, xmppjs, as("login")).fails(t)
	launch(t, slixmpp, as("register")).finish(t)
	launch(t, xmppjs, as("unregister")).finish(t)
}

func TestCertificateBySNI(t *testing.T) {
	s, _ := c2sServer(t)
	direct, starttls := s.find(t, "TLS"), s.find(t, "STARTTLS")
	cases := []struct {
		name string
		args []string
		want string
	}{
		{"direct TLS, localhost", []string{"-connect", "127.0.0.1:" + direct.port, "-servername", "localhost", "-alpn", "xmpp-client"}, "localhost"},
		{"direct TLS, second.test", []string{"-connect", "127.0.0.1:" + direct.port, "-servername", "second.test"}, "second.test"},
		{"direct TLS, no SNI: the first file", []string{"-connect", "127.0.0.1:" + direct.port, "-noservername"}, "localhost"},
		{"STARTTLS, SNI", []string{"-connect", "127.0.0.1:" + starttls.port, "-starttls", "xmpp", "-xmpphost", "second.test", "-servername", "second.test"}, "second.test"},
		{"STARTTLS, by the stream's to", []string{"-connect", "127.0.0.1:" + starttls.port, "-starttls", "xmpp", "-xmpphost", "second.test", "-noservername"}, "second.test"},
		{"TLS 1.2", []string{"-connect", "127.0.0.1:" + direct.port, "-servername", "second.test", "-tls1_2"}, "second.test"},
		{"TLS 1.3", []string{"-connect", "127.0.0.1:" + direct.port, "-servername", "second.test", "-tls1_3"}, "second.test"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"s_client", "-CAfile", filepath.Join(s.dir, "ca.pem"), "-verify_return_error", "-verify_hostname", c.want}, c.args...)
			out, err := run(t, "", "openssl", args...)
			if err != nil || !strings.Contains(out, "subject=CN = "+c.want) || !strings.Contains(out, "Verify return code: 0 (ok)") {
				t.Errorf("openssl: %v, want the certificate of %s; it printed:\n%s", err, c.want, out)
			}
		})
	}
}
