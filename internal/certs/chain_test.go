package certs

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"
)

// TestChain puts chains together from certificates in the wrong order and in
// several files.
func TestChain(t *testing.T) {
	root, otherRoot := newCA(nil, nil, "Root"), newCA(nil, nil, "Other Root")
	mid := newCA(root, nil, "Intermediate")
	low := newCA(mid, nil, "Issuing")
	crossed := newCA(otherRoot, root.key, "Root") // the root's key, certified by another
	impostor := newCA(nil, nil, "Issuing")        // same name, other key
	stale := issue(mid, low.key, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.Subject = true, x509.KeyUsageCertSign, low.Subject
		c.NotAfter = time.Now().Add(-time.Minute)
	})
	leaf := issue(low, nil, nil, "example.org")
	self := issue(nil, nil, nil, "self.example.org")
	tests := []struct {
		name  string
		files [][]byte
		leaf  *pair
		want  []*pair
	}{
		{"in order", [][]byte{leaf.both(), low.certPEM(), mid.certPEM()}, leaf, []*pair{leaf, low, mid}},
		{"in reverse", [][]byte{mid.certPEM(), low.certPEM(), leaf.both()}, leaf, []*pair{leaf, low, mid}},
		{"root left out", [][]byte{root.certPEM(), leaf.both(), mid.certPEM(), low.certPEM()}, leaf, []*pair{leaf, low, mid}},
		{"incomplete", [][]byte{leaf.both(), mid.certPEM()}, leaf, []*pair{leaf}},
		{"impostor", [][]byte{impostor.certPEM(), leaf.both(), low.certPEM()}, leaf, []*pair{leaf, low}},
		{"expired twin of the issuer", [][]byte{leaf.both(), stale.certPEM(), low.certPEM()}, leaf, []*pair{leaf, low}},
		{"cross-signed root", [][]byte{leaf.both(), low.certPEM(), mid.certPEM(), root.certPEM(), crossed.certPEM()}, leaf, []*pair{leaf, low, mid, crossed}},
		{"self-signed", [][]byte{self.both(), root.certPEM()}, self, []*pair{self}},
	}
	for _, tt := range tests {
		for _, split := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				dir := t.TempDir()
				paths := []string{write(t, dir, "all.pem", slices.Concat(tt.files...))}
				if split {
					paths = nil
					for i, f := range tt.files {
						paths = append(paths, write(t, dir, string(rune('a'+i)), f))
					}
				}
				cert := load(t, paths...).Certificate("")
				var want [][]byte
				for _, p := range tt.want {
					want = append(want, p.Raw)
				}
				if !slices.EqualFunc(cert.Certificate, want, func(a, b []byte) bool { return string(a) == string(b) }) {
					t.Errorf("chain of %d certificates, want %d (split %t)", len(cert.Certificate), len(want), split)
				}
			})
		}
	}
}

// TestChainLoop ends at two CAs that certify each other.
func TestChainLoop(t *testing.T) {
	a := newCA(nil, nil, "A")
	b := newCA(a, nil, "B")
	aByB := newCA(b, a.key, "A")
	leaf := issue(aByB, nil, nil, "example.org")
	cert := load(t, write(t, t.TempDir(), "all.pem", leaf.both(), aByB.certPEM(), b.certPEM())).Certificate("")
	if got, want := len(cert.Certificate), 3; got != want {
		t.Errorf("chain of %d certificates, want %d", got, want)
	}
}

// TestChainBound cuts chains that are longer than anybody needs.
func TestChainBound(t *testing.T) {
	ca := newCA(nil, nil, "CA 0")
	var all []byte
	for i := range 2 * maxChain {
		ca = newCA(ca, nil, "CA "+string(rune('a'+i)))
		all = append(all, ca.certPEM()...)
	}
	leaf := issue(ca, nil, nil, "example.org")
	cert := load(t, write(t, t.TempDir(), "all.pem", leaf.both(), all)).Certificate("")
	if got := len(cert.Certificate); got != maxChain {
		t.Errorf("chain of %d certificates, want %d", got, maxChain)
	}
}
