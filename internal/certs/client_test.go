package certs

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// A client's configuration has the CAs that were read for it, be they in use for
// servers or not, and options of its own for a virtual host.
func TestBuildClient(t *testing.T) {
	dir, ref := t.TempDir(), &Ref{}
	first, second, own := newCA(nil, nil, "first"), newCA(nil, nil, "second"), newCA(nil, nil, "own")
	file := write(t, dir, "ca.pem", first.certPEM())
	spec := Spec{CAFile: file, ALPN: []string{"xmpp-server"}, Hosts: map[string]Spec{
		"bücher.test": {CAFile: write(t, dir, "own.pem", own.certPEM()), ProtocolOptions: []string{"no_tlsv1_3"}},
	}}
	build := func() *tls.Config {
		cfg, problems := spec.BuildClient(ref)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return cfg
	}
	trusts := func(cfg *tls.Config, ca *pair) bool {
		_, err := ca.Verify(x509.VerifyOptions{Roots: cfg.RootCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err == nil
	}
	cfg := build()
	if _, err := cfg.GetCertificate(&tls.ClientHelloInfo{}); err == nil {
		t.Error("a certificate came from an empty Ref")
	}
	if !trusts(cfg, first) || trusts(cfg, own) || len(cfg.NextProtos) != 1 {
		t.Errorf("got %+v", cfg)
	}
	for name, want := range map[string]*pair{"bücher.test": own, "xn--bcher-kva.test": own, "other.test": first, "": first} {
		if got, err := ForHost(cfg, name); err != nil || !trusts(got, want) {
			t.Errorf("%q: got other CAs or %v", name, err)
		}
	}
	write(t, dir, "ca.pem", second.certPEM())
	renewed := build() // not swapped in
	if !trusts(renewed, second) || trusts(renewed, first) || !trusts(cfg, first) {
		t.Error("want the new CA in the new configuration alone")
	}
	ref.Swap(nil)
	if again := build(); !trusts(again, second) {
		t.Error("want the new CA after Swap, too")
	}
}

func TestBuildClientProblems(t *testing.T) {
	spec := Spec{CAFile: "missing.pem", Hosts: map[string]Spec{"a.test": {Compression: true}}}
	cfg, problems := spec.BuildClient(&Ref{})
	if cfg != nil || len(problems) != 2 || problems[0].Host != "" || problems[1].Host != "a.test" {
		t.Errorf("got %v, %v, want a problem of the file and one of a.test", cfg, problems)
	}
}

func TestForHostWithout(t *testing.T) {
	if cfg, err := ForHost(nil, "a.test"); cfg != nil || err != nil {
		t.Errorf("nil: got %v, %v", cfg, err)
	}
	plain := &tls.Config{}
	if cfg, err := ForHost(plain, "a.test"); cfg != plain || err != nil {
		t.Errorf("without hosts: got %p, %v, want %p", cfg, err, plain)
	}
}
