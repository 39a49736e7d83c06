package s2s

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
)

func bothKey(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func bothCert(t testing.TB, tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A CA that may certify nothing but corp.test (RFC 5280, section 4.2.1.10) cannot
// vouch for other domains, in whatever form it names them.
func TestNameConstraints(t *testing.T) {
	rootKey, subKey, leafKey := bothKey(t, elliptic.P256()), bothKey(t, elliptic.P256()), bothKey(t, elliptic.P256())
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	}
	tmpl := ca("root")
	root := bothCert(t, tmpl, tmpl, &rootKey.PublicKey, rootKey)
	tmpl = ca("corp")
	tmpl.PermittedDNSDomainsCritical, tmpl.PermittedDNSDomains = true, []string{"corp.test"}
	sub := bothCert(t, tmpl, root, &subKey.PublicKey, rootKey)
	roots := x509.NewCertPool()
	roots.AddCert(root)

	// SEQUENCE { [0] { OID id-on-xmppAddr, [0] UTF8String } }
	utf8 := asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("victim.test")}
	inner, _ := asn1.Marshal(utf8)
	oid, _ := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5})
	value, _ := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner})
	san, _ := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(oid, value...)}})

	tests := map[string]*x509.Certificate{
		"dNSName":  {DNSNames: []string{"victim.test"}},
		"CN":       {Subject: pkix.Name{CommonName: "victim.test"}},
		"xmppAddr": {ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}}},
	}
	for name, tmpl := range tests {
		t.Run(name, func(t *testing.T) {
			leaf := bothCert(t, tmpl, sub, &leafKey.PublicKey, subKey)
			state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, sub}}
			if err := proves(state, roots, pair{"one.test", "victim.test"}); err == nil {
				t.Error("the certificate proves victim.test; want an error: its CA is constrained to corp.test")
			}
		})
	}
}

// What a key costs does not depend on how many certificates the server has shown,
// none of which leads to a CA that is trusted.
func TestChainCost(t *testing.T) {
	key := bothKey(t, elliptic.P521())
	name := pkix.Name{CommonName: "x"}
	leaf := bothCert(t, &x509.Certificate{DNSNames: []string{"evil.test"}}, &x509.Certificate{Subject: name}, &key.PublicKey, key)
	shown := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	for range 110 {
		k := bothKey(t, elliptic.P521())
		tmpl := &x509.Certificate{Subject: name, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		shown.Certificate = append(shown.Certificate, bothCert(t, tmpl, tmpl, &k.PublicKey, k).Raw)
	}
	r := inStart(t, inTLS, func(r *inRig) { r.set.DialbackAccess.Value = acl.None; r.set.UseStartTLS.Value = TLSOptional })
	c := r.dial()
	c.open("", "one.test")
	c.startTLS(&tls.Config{RootCAs: r.pool, ServerName: "one.test", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }})
	c.open("", "one.test")
	const most = 1000 // to look for a chain takes many more
	each := testing.AllocsPerRun(20, func() {
		c.Send(inResult("evil.test", "one.test", "key"))
		c.Expect("</db:result>")
	})
	if each > most {
		t.Errorf("got %v allocations for each <db:result/> of a server that is nobody yet, want at most %d", each, most)
	}
	c.Close()
}
