package certs

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refFor returns a Ref with one certificate for names, and its CA.
func refFor(t *testing.T, names ...string) (*Ref, *pair) {
	t.Helper()
	ca := newCA(nil, nil, "Root")
	ref := &Ref{}
	ref.Swap(load(t, write(t, t.TempDir(), "a.pem", issue(ca, nil, nil, names...).both())))
	return ref, ca
}

// build builds a Spec that has no problems.
func build(t *testing.T, s Spec, ref *Ref) *tls.Config {
	t.Helper()
	cfg, problems := s.Build(ref)
	if len(problems) > 0 {
		t.Fatalf("problems = %v", problems)
	}
	return cfg
}

func TestBuildProblems(t *testing.T) {
	dir := t.TempDir()
	p, other := issue(nil, nil, nil, "example.org"), issue(nil, nil, nil, "example.net")
	text := write(t, dir, "text", []byte("hello"))
	key := write(t, dir, "key.pem", p.keyPEM())
	mismatch := write(t, dir, "mismatch.pem", p.certPEM(), other.keyPEM())
	none := filepath.Join(dir, "none.pem")
	tests := []struct {
		name    string
		spec    Spec
		key     string
		index   int
		path    string
		want    string
		warning bool
	}{
		{"certfile missing", Spec{CertFile: none}, "certfile", -1, none, "no such file or directory", false},
		{"certfile mismatch", Spec{CertFile: mismatch}, "certfile", -1, mismatch, "the private key does not belong", false},
		{"certfile without certificate", Spec{CertFile: key}, "certfile", -1, key, "private key without a certificate", true},
		{"cafile missing", Spec{CAFile: none}, "cafile", -1, none, "no such file or directory", false},
		{"cafile no PEM", Spec{CAFile: text}, "cafile", -1, text, "no PEM", false},
		{"cafile key", Spec{CAFile: key}, "cafile", -1, key, "no certificate in it", false},
		{"dhfile missing", Spec{DHFile: none}, "dhfile", -1, none, "no such file or directory", false},
		{"dhfile", Spec{DHFile: text}, "dhfile", -1, text, "has no effect", true},
		{"ciphers unknown", Spec{Ciphers: "HIGH:FOO"}, "ciphers", -1, "", `called "FOO"`, true},
		{"ciphers empty", Spec{Ciphers: "LOW"}, "ciphers", -1, "", "no cipher suite of TLS 1.2 is left", false},
		{"ciphers with TLS 1.3 alone", Spec{Ciphers: "LOW", ProtocolOptions: []string{"no_tlsv1_2"}}, "ciphers", -1, "", "has no effect", true},
		{"protocol option", Spec{ProtocolOptions: []string{"no_sslv3", "no_tlsv1|nonsense"}}, "protocol_options", 1, "", `unknown option "nonsense"`, true},
		{"no protocol", Spec{ProtocolOptions: []string{"no_tlsv1_2|no_tlsv1_3"}}, "protocol_options", -1, "", "leave no version of TLS", false},
		{"compression", Spec{Compression: true}, "tls_compression", -1, "", "has no compression", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, problems := tt.spec.Build(&Ref{})
			if len(problems) == 0 {
				t.Fatal("no problems")
			}
			p := problems[0]
			if p.Key != tt.key || p.Index != tt.index || p.Path != tt.path || p.Warning != tt.warning || !strings.Contains(p.Err.Error(), tt.want) {
				t.Errorf("problem = %+v, want %+v", *p, tt)
			}
			if (cfg == nil) != failed(problems) {
				t.Errorf("cfg = %v with problems %v", cfg, problems)
			}
		})
	}
	_, problems := Spec{CAFile: none}.Build(&Ref{})
	if !errors.Is(problems[0], fs.ErrNotExist) {
		t.Errorf("errors.Is(%v, fs.ErrNotExist) = false", problems[0])
	}
}

// TestBuildHostProblems names the host at fault, and says only once what is
// wrong everywhere.
func TestBuildHostProblems(t *testing.T) {
	s := Spec{Ciphers: "HIGH:FOO", Hosts: map[string]Spec{
		"a.example": {Ciphers: "HIGH:FOO"},
		"b.example": {Compression: true},
	}}
	cfg, problems := s.Build(&Ref{})
	if cfg != nil || len(problems) != 2 || problems[0].Host != "" || problems[1].Host != "b.example" {
		t.Errorf("problems = %v, want one of the listener and one of b.example", problems)
	}
}

func TestVersions(t *testing.T) {
	ref, ca := refFor(t, "example.org")
	tests := []struct {
		name    string
		options []string
		want12  bool // a client with TLS 1.2 alone is served
		want13  bool
	}{
		{"default", nil, true, true},
		{"no-op words", []string{"no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1_1", "cipher_server_preference", "no_compression"}, true, true},
		{"no TLS 1.2", []string{"no_tlsv1_2"}, false, true},
		{"no TLS 1.3, joined", []string{"no_sslv3 | NO_TLSV1_3|"}, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := build(t, Spec{ProtocolOptions: tt.options}, ref)
			for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: tt.want12, tls.VersionTLS13: tt.want13} {
				client := trust("example.org", ca)
				client.MinVersion, client.MaxVersion = version, version
				if c := dial(t, cfg, client); (c.err == nil) != want {
					t.Errorf("%s: error %v, want success: %t", tls.VersionName(version), c.err, want)
				}
			}
		})
	}
}

// TestInsecureByName serves a suite that has to be named to be on.
func TestInsecureByName(t *testing.T) {
	ca := newCA(nil, nil, "Root")
	var ref Ref
	ref.Swap(load(t, write(t, t.TempDir(), "a.pem", issue(ca, rsaKey(), nil, "example.org").both())))
	for list, want := range map[string]bool{"HIGH:RSA": false, "HIGH:AES128-SHA": true} {
		cfg, problems := Spec{Ciphers: list}.Build(&ref)
		if len(problems) > 0 != want || failed(problems) {
			t.Errorf("%s: problems = %v, want a warning: %t", list, problems, want)
		}
		client := trust("example.org", ca)
		client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		if c := dial(t, cfg, client); (c.err == nil) != want {
			t.Errorf("%s: error %v, want success: %t", list, c.err, want)
		}
	}
}

// TestHosts applies the options of a virtual host to the clients that ask for
// it.
func TestHosts(t *testing.T) {
	ref, ca := refFor(t, "example.org", "old.example.org", "xn--bcher-kva.example")
	cfg := build(t, Spec{
		Ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256",
		Hosts: map[string]Spec{
			"old.example.org": {Ciphers: "ECDHE-ECDSA-AES256-SHA", ProtocolOptions: []string{"no_tlsv1_3"}},
			"bücher.example":  {ProtocolOptions: []string{"no_tlsv1_2"}, VerifyClient: true},
		},
	}, ref)
	tests := []struct {
		sni     string
		max     uint16
		version uint16
		suite   uint16
	}{
		{"example.org", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		{"example.org", tls.VersionTLS13, tls.VersionTLS13, 0},
		{"old.example.org", tls.VersionTLS13, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA},
		{"xn--bcher-kva.example", tls.VersionTLS13, tls.VersionTLS13, 0},
		{"xn--bcher-kva.example", tls.VersionTLS12, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.sni+" "+tls.VersionName(tt.max), func(t *testing.T) {
			client := trust(tt.sni, ca)
			client.MaxVersion = tt.max
			c := dial(t, cfg, client)
			if (c.err == nil) != (tt.version != 0) {
				t.Fatalf("error = %v, want version %s", c.err, tls.VersionName(tt.version))
			}
			if c.err != nil {
				return
			}
			got := c.client.ConnectionState()
			if got.Version != tt.version || tt.suite != 0 && got.CipherSuite != tt.suite {
				t.Errorf("got %s with %s, want %s with %s", tls.VersionName(got.Version), tls.CipherSuiteName(got.CipherSuite),
					tls.VersionName(tt.version), tls.CipherSuiteName(tt.suite))
			}
		})
	}
}

// TestResumption resumes sessions across the configurations of hosts, unless
// tickets are off.
func TestResumption(t *testing.T) {
	ref, ca := refFor(t, "example.org", "old.example.org")
	cafile := write(t, t.TempDir(), "ca.pem", ca.certPEM())
	tests := []struct {
		name string
		spec Spec
		want bool
	}{
		{"plain", Spec{}, true},
		{"with CAs", Spec{CAFile: cafile, VerifyClient: true}, true},
		{"with hosts", Spec{Hosts: map[string]Spec{"example.org": {CAFile: cafile}, "old.example.org": {}}}, true},
		{"no_ticket", Spec{ProtocolOptions: []string{"no_ticket"}}, false},
	}
	for _, tt := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+" "+tls.VersionName(version), func(t *testing.T) {
				cfg := build(t, tt.spec, ref)
				client := trust("example.org", ca)
				client.MaxVersion = version
				client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
				me := issue(ca, nil, nil, "me")
				client.Certificates = []tls.Certificate{{Certificate: [][]byte{me.Raw}, PrivateKey: me.key}}
				for i, want := range []bool{false, tt.want} {
					c := dial(t, cfg, client)
					if c.err != nil {
						t.Fatal(c.err)
					}
					if got := c.client.ConnectionState().DidResume; got != want {
						t.Errorf("connection %d: resumed %t, want %t", i, got, want)
					}
					c.close()
				}
			})
		}
	}
}

// TestALPN follows RFC 7301, section 3.2: a client that offers protocols, none
// of them ours, is refused; XEP-0368 wants no exception.
func TestALPN(t *testing.T) {
	ref, ca := refFor(t, "example.org")
	tests := []struct {
		name           string
		server, client []string
		want           string
		refused        bool
	}{
		{"match", []string{"xmpp-client"}, []string{"h2", "xmpp-client"}, "xmpp-client", false},
		{"client without", []string{"xmpp-client"}, nil, "", false},
		{"server without", nil, []string{"xmpp-client"}, "", false},
		{"no match", []string{"xmpp-client"}, []string{"xmpp-server"}, "", true},
		{"ours first", []string{"h2", "http/1.1"}, []string{"http/1.1", "h2"}, "h2", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := trust("example.org", ca)
			client.NextProtos = tt.client
			c := dial(t, build(t, Spec{ALPN: tt.server}, ref), client)
			if (c.err != nil) != tt.refused {
				t.Fatalf("error = %v, want one: %t", c.err, tt.refused)
			}
			if got := c.server.NegotiatedProtocol; got != tt.want {
				t.Errorf("protocol = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestReloadCAs renews the CAs of peers below a configuration, which stays the
// same pointer in between.
func TestReloadCAs(t *testing.T) {
	ref, _ := refFor(t, "example.org")
	oldCA, newCA := newCA(nil, nil, "Old"), newCA(nil, nil, "New")
	path := write(t, t.TempDir(), "ca.pem", oldCA.certPEM())
	spec := Spec{CAFile: path, VerifyClient: true, Hosts: map[string]Spec{"plain.example": {}}}
	cfg := build(t, spec, ref)
	ask := func(name string) *tls.Config {
		c, err := cfg.GetConfigForClient(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := ask("example.org")
	if err := os.WriteFile(path, newCA.certPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	build(t, spec, ref)
	if ask("example.org") != before {
		t.Error("the configuration changed before Swap")
	}
	ref.Swap(ref.Set())
	after := ask("example.org")
	if after == before || after != ask("example.org") {
		t.Error("after Swap the configuration should be another one, and stay it")
	}
	if ask("plain.example").ClientCAs != nil {
		t.Error("a host without CAs has some")
	}
	me := issue(newCA, nil, nil, "me")
	client := &tls.Config{ServerName: "example.org", InsecureSkipVerify: true, Certificates: []tls.Certificate{{Certificate: [][]byte{me.Raw}, PrivateKey: me.key}}}
	c := dial(t, cfg, client)
	if c.err != nil {
		t.Fatal(c.err)
	}
	if _, err := VerifyPeer(cfg, "example.org", c.server); err != nil {
		t.Errorf("VerifyPeer by the new CA: %v", err)
	}
}

func TestSpecString(t *testing.T) {
	full := Spec{
		CertFile: "a.pem", CAFile: "ca.pem", DHFile: "dh.pem", Ciphers: "HIGH", ProtocolOptions: []string{"no_tlsv1_2"},
		VerifyClient: true, ALPN: []string{"x"}, Hosts: map[string]Spec{"a.example": {Ciphers: "AES"}},
	}
	same := full
	same.ProtocolOptions = []string{"NO_TLSV1_2 | no_tlsv1_2"}
	same.Hosts = map[string]Spec{"A.example.": {Ciphers: "AES"}}
	if full.String() != same.String() {
		t.Errorf("got %s and %s, want equal", full, same)
	}
	for i, change := range []func(*Spec){
		func(s *Spec) { s.CertFile = "" },
		func(s *Spec) { s.CAFile = "b" },
		func(s *Spec) { s.DHFile = "b" },
		func(s *Spec) { s.Ciphers = "" },
		func(s *Spec) { s.ProtocolOptions = nil },
		func(s *Spec) { s.Compression = true },
		func(s *Spec) { s.VerifyClient = false },
		func(s *Spec) { s.ALPN = []string{"x", "y"} },
		func(s *Spec) { s.Hosts = nil },
		func(s *Spec) { s.Hosts = map[string]Spec{"a.example": {Ciphers: "AES256"}} },
		func(s *Spec) { s.Hosts = map[string]Spec{"b.example": {Ciphers: "AES"}} },
	} {
		s := full
		if change(&s); s.String() == full.String() {
			t.Errorf("change %d: String() stays %s", i, s)
		}
	}
}
