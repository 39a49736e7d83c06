package certs

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSetCertificate(t *testing.T) {
	old := issue(nil, nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "example.org", "old.example.org")
	exact, wild := issue(nil, nil, nil, "example.org", "a.example.com"), issue(nil, nil, nil, "*.example.com", "example.com")
	idn := issue(nil, nil, nil, "xn--bcher-kva.example")
	cn := issue(nil, nil, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "cn.example"} })
	not := issue(nil, nil, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "ignored.example"} }, "named.example", "w*.part.example")
	s, problems := Load([]string{write(t, t.TempDir(), "all.pem", old.both(), exact.both(), wild.both(), idn.both(), cn.both(), not.both())})
	if failed(problems) {
		t.Fatalf("problems = %v", problems)
	}
	tests := []struct {
		name string
		want *pair
	}{
		{"example.org", exact}, // the first has expired
		{"EXAMPLE.org.", exact},
		{"old.example.org", old},
		{"a.example.com", exact},
		{"b.example.com", wild},
		{"example.com", wild},
		{"a.b.example.com", exact}, // unmatched: the first, or rather its renewal
		{"bücher.example", idn},
		{"xn--bcher-kva.example", idn},
		{"cn.example", cn},
		{"named.example", not},
		{"ignored.example", exact},
		{"www.part.example", exact},
		{"nobody.example", exact},
		{"", exact},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.Certificate(tt.name).Leaf; !got.Equal(tt.want.Certificate) {
				t.Errorf("Certificate(%q) is for %v, want %v", tt.name, got.DNSNames, tt.want.DNSNames)
			}
		})
	}
}

// TestSetDefault takes the first file in the order of certfiles.
func TestSetDefault(t *testing.T) {
	dir := t.TempDir()
	z, a := issue(nil, nil, nil, "z.example"), issue(nil, nil, nil, "a.example")
	s := load(t, write(t, dir, "z.pem", z.both()), write(t, dir, "a.pem", a.both()))
	if got := s.Certificate("other.example").Leaf; !got.Equal(z.Certificate) {
		t.Errorf("default = %v, want z.example", got.DNSNames)
	}
	leaves := s.Leaves()
	if len(leaves) != 2 || !strings.HasSuffix(leaves[0].File, "z.pem") || !leaves[1].NotAfter.Equal(a.NotAfter) {
		t.Errorf("Leaves() = %+v, want z.pem, then a.pem", leaves)
	}
	if got, want := s.Domains(), []string{"a.example", "z.example"}; !slices.Equal(got, want) {
		t.Errorf("Domains() = %v, want %v", got, want)
	}
}

func TestSetEmpty(t *testing.T) {
	for name, s := range map[string]*Set{"nil": nil, "no files": load(t)} {
		if s.Len() != 0 || s.Certificate("example.org") != nil || s.Leaves() != nil || s.Domains() != nil {
			t.Errorf("%s: Set is not empty", name)
		}
		if c, err := s.GetCertificate(&tls.ClientHelloInfo{}); c != nil || err == nil {
			t.Errorf("%s: GetCertificate() = %v, %v, want an error", name, c, err)
		}
	}
}

// TestSetByClient chooses between RSA and ECDSA by what the client supports.
func TestSetByClient(t *testing.T) {
	ca := newCA(nil, nil, "Root")
	ec, rs := issue(ca, nil, nil, "example.org"), issue(ca, rsaKey(), nil, "example.org")
	onlyRSA := func(c *tls.Config) {
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	}
	onlyEC := func(c *tls.Config) {
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	}
	tests := []struct {
		name   string
		order  [][]byte
		client func(*tls.Config)
		want   *pair
	}{
		{"both, ECDSA first", [][]byte{ec.both(), rs.both()}, func(*tls.Config) {}, ec},
		{"both, RSA first", [][]byte{rs.both(), ec.both()}, func(*tls.Config) {}, rs},
		{"RSA only", [][]byte{ec.both(), rs.both()}, onlyRSA, rs},
		{"ECDSA only", [][]byte{rs.both(), ec.both()}, onlyEC, ec},
	}
	for _, tt := range tests {
		for _, sni := range []string{"example.org", ""} {
			t.Run(tt.name+" sni="+sni, func(t *testing.T) {
				var ref Ref
				ref.Swap(load(t, write(t, t.TempDir(), "all.pem", tt.order...)))
				cfg, _ := Spec{}.Build(&ref)
				client := trust(sni, ca)
				if sni == "" {
					client.InsecureSkipVerify = true
				}
				tt.client(client)
				c := dial(t, cfg, client)
				if c.err != nil {
					t.Fatal(c.err)
				}
				if !c.presentation[0].Equal(tt.want.Certificate) {
					t.Errorf("server showed a certificate with %v, want %v", c.presentation[0].PublicKeyAlgorithm, tt.want.PublicKeyAlgorithm)
				}
			})
		}
	}
}
