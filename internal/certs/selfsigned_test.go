package certs

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"testing"
	"time"
)

func TestSelfSigned(t *testing.T) {
	hosts := []string{"localhost", "*.Example.org", "bücher.example", "127.0.0.1", "::1"}
	certPEM, keyPEM, err := SelfSigned(hosts)
	if err != nil {
		t.Fatal(err)
	}
	set := load(t, write(t, t.TempDir(), "self.pem", certPEM, keyPEM))
	leaf := set.Certificate("").Leaf
	if got, want := set.Domains(), []string{"*.example.org", "127.0.0.1", "::1", "localhost", "xn--bcher-kva.example"}; !slices.Equal(got, want) {
		t.Errorf("names = %v, want %v", got, want)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 825*24*time.Hour || life < 365*24*time.Hour {
		t.Errorf("valid for %v, want at most 825 days and at least a year", life)
	}
	if _, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || leaf.IsCA || !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		t.Errorf("certificate %v with CA %t, usage %v; want one of a server with ECDSA", leaf.PublicKeyAlgorithm, leaf.IsCA, leaf.ExtKeyUsage)
	}
	var ref Ref
	ref.Swap(set)
	for _, name := range []string{"localhost", "a.example.org", "xn--bcher-kva.example", "127.0.0.1", "::1"} {
		client := trust(name, &pair{Certificate: leaf})
		if c := dial(t, build(t, Spec{}, &ref), client); c.err != nil {
			t.Errorf("client for %s: %v", name, c.err)
		}
	}
	again, _, _ := SelfSigned(hosts)
	if other := parsePEM(again).certs[0]; other.SerialNumber.Cmp(leaf.SerialNumber) == 0 || other.Equal(leaf) {
		t.Error("two certificates with the same serial number")
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Errorf("X509KeyPair: %v", err)
	}
}

func TestSelfSignedRefuses(t *testing.T) {
	for _, hosts := range [][]string{nil, {""}, {"localhost", "."}} {
		if _, _, err := SelfSigned(hosts); err == nil {
			t.Errorf("SelfSigned(%q): no error", hosts)
		}
	}
}
