package all

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/s2s"
)

// reader applies configurations and keeps what they say about other servers.
type reader struct {
	*testing.T
	dir    string
	reg    *listen.Registry
	server *listen.Server
	got    s2s.Settings
}

func newReader(t *testing.T) *reader {
	r := &reader{T: t, dir: t.TempDir()}
	r.reg = listen.NewRegistry(servers(func(s s2s.Settings) { r.got = s })...)
	r.server = listen.New(r.reg, listen.ServerOptions{})
	t.Cleanup(func() { _ = r.server.Shutdown(t.Context()) })
	return r
}

func (r *reader) apply(src string) {
	r.Helper()
	c, err := listen.Parse(filepath.Join(r.dir, "main.yml"), []byte(src), r.reg)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.server.Apply(r.Context(), c); err != nil {
		r.Fatal(err)
	}
}

// certificate writes a certificate for a domain and returns it.
func (r *reader) certificate(file, domain string) []byte {
	r.Helper()
	cert, key, err := certs.SelfSigned([]string{domain})
	if err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, file), slices.Concat(key, cert), 0o600); err != nil {
		r.Fatal(err)
	}
	block, _ := pem.Decode(cert)
	return block.Bytes
}

func TestServerSettings(t *testing.T) {
	r := newReader(t)
	r.apply(`
hosts: [a.test, b.test, c.test]
acl: {friends: {server: [d.test]}}
access_rules: {friends: [{allow: friends}]}
shaper_rules: {max_s2s_connections: {3: friends, 2: all}}
s2s_use_starttls: on
s2s_access: friends
s2s_timeout: 10 min
s2s_dns_timeout: 5
s2s_dns_retries: 0
s2s_max_retry_delay: 1 min
outgoing_s2s_families: ipv4
outgoing_s2s_port: 15269
outgoing_s2s_timeout: 10000
outgoing_s2s_ipv4_address: "::ffff:192.0.2.1"
outgoing_s2s_ipv6_address: "2001:DB8::1"
max_fsm_queue: 50
negotiation_timeout: 30
modules: {mod_s2s_dialback: {access: friends}, mod_s2s_bidi: {}}
host_config:
  b.test:
    s2s_use_starttls: required_trusted
    s2s_access: all
    s2s_timeout: infinity
    outgoing_s2s_families: [ipv4, ipv6]
    max_fsm_queue: 60
    modules: {mod_s2s_dialback: {access: none}}
  c.test:
    modules: {mod_s2s_bidi: {}}
certfiles: ` + r.certificateFile("a.test") + "\n")
	s := r.got
	friend, stranger := acl.Subject{Server: "d.test", Host: "a.test"}, acl.Subject{Server: "e.test", Host: "a.test"}
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"starttls", s.UseStartTLS.For("a.test"), s2s.TLSOptional},
		{"starttls of b", s.UseStartTLS.For("b.test"), s2s.TLSRequiredTrusted},
		{"access of a friend", s.Access.For("a.test").Allow(friend), true},
		{"access of a stranger", s.Access.For("a.test").Allow(stranger), false},
		{"access of a stranger to b", s.Access.For("b.test").Allow(stranger), true},
		{"timeout", s.Timeout.For("a.test"), 10 * time.Minute},
		{"timeout of b", s.Timeout.For("b.test"), time.Duration(0)},
		{"DNS timeout", s.DNSTimeout.For("b.test"), 5 * time.Second},
		{"DNS retries", s.DNSRetries.For("a.test"), 0},
		{"retry delay", s.MaxRetryDelay, time.Minute},
		{"families", slices.Equal(s.Families.For("a.test"), []string{"ipv4"}), true},
		{"families of b", slices.Equal(s.Families.For("b.test"), []string{"ipv4", "ipv6"}), true},
		{"port", s.Port.For("a.test"), 15269},
		{"connect timeout", s.ConnectTimeout.For("a.test"), 10 * time.Second},
		{"IPv4", s.IPv4.For("a.test"), netip.MustParseAddr("192.0.2.1")},
		{"IPv6", s.IPv6.For("b.test"), netip.MustParseAddr("2001:db8::1")},
		{"queue", s.MaxFSMQueue.For("a.test"), 50},
		{"queue of b", s.MaxFSMQueue.For("b.test"), 60},
		{"negotiation timeout", s.NegotiationTimeout, 30 * time.Second},
		{"dialback", s.Dialback.For("a.test"), true},
		{"dialback of c, whose modules leave it out", s.Dialback.For("c.test"), false},
		{"dialback with a friend", s.DialbackAccess.For("a.test").Allow(friend), true},
		{"dialback with a stranger", s.DialbackAccess.For("a.test").Allow(stranger), false},
		{"dialback of b with a friend", s.DialbackAccess.For("b.test").Allow(friend), false},
		{"bidi", s.Bidi.For("a.test"), true},
		{"bidi of b, whose modules leave it out", s.Bidi.For("b.test"), false},
		{"bidi of c", s.Bidi.For("c.test"), true},
		{"what no option sets", s.AckTimeout, s2s.DefaultSettings().AckTimeout},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	if n, limited := s.MaxConnections.Limit(friend); n != 3 || !limited {
		t.Errorf("connections to a friend: got %d, %t, want 3", n, limited)
	}
}

// certificateFile writes a certificate and returns the name of its file.
func (r *reader) certificateFile(domain string) string {
	r.certificate(domain+".pem", domain)
	return domain + ".pem"
}

// A configuration that says nothing has dialback and streams in both directions.
func TestServerDefaults(t *testing.T) {
	r := newReader(t)
	r.apply("hosts: [a.test]\nmodules: {}\nhost_config: {a.test: {modules: {}}}\n")
	if got := r.got; !got.Dialback.For("a.test") || !got.Bidi.For("a.test") || !got.DialbackAccess.For("a.test").Allow(acl.Subject{}) || got.UseStartTLS.Value != s2s.TLSOptional {
		t.Errorf("got %+v", got)
	}
}

// shows returns the certificate that is shown to other servers by a domain.
func (r *reader) shows(domain string) []byte {
	c, err := r.got.TLS.GetCertificate(&tls.ClientHelloInfo{ServerName: domain})
	if err != nil {
		return nil
	}
	return c.Certificate[0]
}

// trusts reports whether a certificate, which signs itself, is vouched for in
// streams of a local domain.
func (r *reader) trusts(der []byte, local string) bool {
	r.Helper()
	cfg, err := certs.ForHost(r.got.TLS, local)
	if err != nil {
		r.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		r.Fatal(err)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: cfg.RootCAs})
	return err == nil
}

// What outgoing connections show and trust: s2s_cafile before ca_file, that of a
// virtual host before both; all of it changes with a reload.
func TestOutgoingTLS(t *testing.T) {
	r := newReader(t)
	r.apply("hosts: [a.test, b.test]\n")
	if r.got.TLS == nil || r.got.TLS.RootCAs != nil || r.shows("a.test") != nil {
		t.Fatalf("without any certificate: got %+v", r.got.TLS)
	}
	first := r.certificate("one.pem", "a.test")
	peers := r.certificate("peers.pem", "d.test")
	own := r.certificate("own.pem", "e.test")
	general := r.certificate("general.pem", "f.test")
	const file = `
hosts: [a.test, b.test]
certfiles: [one.pem]
ca_file: general.pem
s2s_cafile: peers.pem
s2s_protocol_options: [no_tlsv1_2]
host_config: {b.test: {s2s_cafile: own.pem, s2s_protocol_options: [no_tlsv1_3]}}
`
	r.apply(file)
	if got := r.shows("a.test"); !bytes.Equal(got, first) {
		t.Error("the certificate of the domain is not shown")
	}
	for _, c := range []struct {
		name, local string
		cert        []byte
		want        bool
	}{
		{"s2s_cafile", "a.test", peers, true},
		{"ca_file under s2s_cafile", "a.test", general, false},
		{"s2s_cafile of b", "a.test", own, false},
		{"s2s_cafile of b at b", "b.test", own, true},
		{"s2s_cafile at b", "b.test", peers, false},
	} {
		if got := r.trusts(c.cert, c.local); got != c.want {
			t.Errorf("%s: got trust %t, want %t", c.name, got, c.want)
		}
	}
	if b, err := certs.ForHost(r.got.TLS, "b.test"); err != nil || r.got.TLS.MinVersion != tls.VersionTLS13 || b.MaxVersion != tls.VersionTLS12 {
		t.Errorf("got TLS from %x and for b up to %x, %v", r.got.TLS.MinVersion, b.MaxVersion, err)
	}

	old := r.got.TLS
	second, renewed := r.certificate("one.pem", "a.test"), r.certificate("peers.pem", "d.test")
	r.apply(file)
	if !bytes.Equal(r.shows("a.test"), second) || !r.trusts(renewed, "a.test") || r.trusts(peers, "a.test") {
		t.Error("a reload has not renewed certificates and CAs")
	}
	r.got.TLS = old
	if !bytes.Equal(r.shows("a.test"), second) {
		t.Error("a connection that began before the reload is shown the old certificate")
	}
	r.apply("hosts: [a.test]\nca_file: general.pem\n")
	if !r.trusts(general, "a.test") || r.shows("a.test") != nil {
		t.Error("ca_file is not trusted, or a certificate that is gone is shown")
	}
}

// A program may have another way to other domains.
func TestNextStays(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := New(h, Options{})
	if h.Local.Next != m.S2S {
		t.Errorf("got %v, want the server of S2S", h.Local.Next)
	}
	New(h, Options{})
	if h.Local.Next != m.S2S {
		t.Error("what was set was replaced")
	}
}

// The secret of dialback is always the same for one secret of c2s, and tells
// nothing about it.
func TestDialbackSecret(t *testing.T) {
	secret := []byte("sixteen bytes, or more")
	a, b := dialbackSecret(secret), dialbackSecret(secret)
	if len(a) < 16 || !bytes.Equal(a, b) || bytes.Equal(a, secret) || bytes.Equal(a, dialbackSecret([]byte("another one, as long"))) {
		t.Errorf("got %x and %x", a, b)
	}
	if dialbackSecret(nil) != nil {
		t.Error("a secret was made of none")
	}
}
