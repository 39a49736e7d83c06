package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

// clientWith shows a chain and resumes sessions.
func clientWith(host string, chain []*pair) *tls.Config {
	cert := &tls.Certificate{}
	for _, p := range chain {
		cert.Certificate = append(cert.Certificate, p.Raw)
		cert.PrivateKey = chain[0].key
	}
	return &tls.Config{
		ServerName: host, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil },
	}
}

// TestVerifyPeer connects clients that all get in, and tells which of them can
// be believed.
func TestVerifyPeer(t *testing.T) {
	ref, _ := refFor(t, "example.org", "b.example")
	ca, caB := newCA(nil, nil, "A"), newCA(nil, nil, "B")
	mid := newCA(ca, nil, "Intermediate")
	dir := t.TempDir()
	cfg := build(t, Spec{
		CAFile:       write(t, dir, "a.pem", ca.certPEM()),
		VerifyClient: true,
		Hosts:        map[string]Spec{"b.example": {CAFile: write(t, dir, "b.pem", caB.certPEM()), VerifyClient: true}},
	}, ref)
	usage := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	tests := []struct {
		name   string
		chain  []*pair
		host   string
		usages []x509.ExtKeyUsage
		ok     bool
	}{
		{"no certificate", nil, "example.org", nil, false},
		{"without usage", []*pair{issue(ca, nil, nil, "me")}, "example.org", nil, true},
		{"for clients", []*pair{issue(ca, nil, usage(x509.ExtKeyUsageClientAuth), "me")}, "example.org", nil, true},
		{"for servers", []*pair{issue(ca, nil, usage(x509.ExtKeyUsageServerAuth), "me")}, "example.org", nil, false},
		{"for servers, asked for", []*pair{issue(ca, nil, usage(x509.ExtKeyUsageServerAuth), "me")}, "example.org",
			[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, true},
		{"with intermediate", []*pair{issue(mid, nil, nil, "me"), mid}, "example.org", nil, true},
		{"without its intermediate", []*pair{issue(mid, nil, nil, "me")}, "example.org", nil, false},
		{"expired", []*pair{issue(ca, nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "me")}, "example.org", nil, false},
		{"self-signed", []*pair{issue(nil, nil, nil, "me")}, "example.org", nil, false},
		{"other host's CA", []*pair{issue(ca, nil, nil, "me")}, "b.example", nil, false},
		{"the host's CA", []*pair{issue(caB, nil, nil, "me")}, "b.example", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := clientWith(tt.host, tt.chain)
			for range 2 { // the second is resumed
				c := dial(t, cfg, client)
				if c.err != nil {
					t.Fatalf("handshake: %v", c.err)
				}
				chains, err := VerifyPeer(cfg, tt.host, c.server, tt.usages...)
				if (err == nil) != tt.ok || (len(chains) > 0) != tt.ok {
					t.Errorf("resumed %t: %d chains, error %v, want success: %t", c.server.DidResume, len(chains), err, tt.ok)
				}
				if tt.chain == nil && !errors.Is(err, ErrNoCertificate) {
					t.Errorf("error = %v, want %v", err, ErrNoCertificate)
				}
				c.close()
			}
		})
	}
}

// TestVerifyPeerConfigs verifies with configurations that Build did not make.
func TestVerifyPeerConfigs(t *testing.T) {
	ca := newCA(nil, nil, "Root")
	state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{issue(ca, nil, nil, "me").Certificate}}
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	with := func(c *tls.Config, err error) *tls.Config {
		return &tls.Config{ClientCAs: pool, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c, err }}
	}
	tests := []struct {
		name string
		cfg  *tls.Config
		ok   bool
	}{
		{"none: the system's CAs", nil, false},
		{"plain", &tls.Config{ClientCAs: pool}, true},
		{"callback without answer", with(nil, nil), true},
		{"callback with another", with(&tls.Config{ClientCAs: x509.NewCertPool()}, nil), false},
		{"callback that fails", with(nil, errors.New("no")), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := VerifyPeer(tt.cfg, "example.org", state); (err == nil) != tt.ok {
				t.Errorf("error = %v, want success: %t", err, tt.ok)
			}
		})
	}
}
