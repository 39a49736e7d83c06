package main

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

func TestIssue(t *testing.T) {
	ca, cert, err := issue([]string{"one.example", "two.example"})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("got %s, want a certificate", ca)
	}
	pair, err := tls.X509KeyPair(cert, cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		o := x509.VerifyOptions{Roots: roots, DNSName: "two.example", KeyUsages: []x509.ExtKeyUsage{usage}}
		if _, err := pair.Leaf.Verify(o); err != nil {
			t.Errorf("usage %v: %v", usage, err)
		}
	}
	if err := pair.Leaf.VerifyHostname("three.example"); err == nil {
		t.Error("another name: want an error")
	}
}
