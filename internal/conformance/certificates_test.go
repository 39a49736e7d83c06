package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"sync"
	"time"
)

// issuer signs certificates.
type issuer struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	chain [][]byte // of an intermediate one
}

// authorities are the CA that everybody trusts, one below it, and one that
// nobody knows.
var authorities = sync.OnceValue(func() (a struct{ root, sub, other *issuer }) {
	a.root, a.other = newIssuer("Root", nil), newIssuer("Other", nil)
	a.sub = newIssuer("Sub", a.root)
	return a
})

// trusted are the CAs that everybody trusts.
func trusted() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(authorities().root.cert)
	return pool
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// years is a time of the years around that of the bubbles, which is 2000.
func years(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }

func newIssuer(name string, parent *issuer) *issuer {
	i := &issuer{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: years(1990), NotAfter: years(2190),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signer := &issuer{cert: t, key: i.key}
	if parent != nil {
		signer = parent
	}
	der := must(x509.CreateCertificate(rand.Reader, t, signer.cert, i.key.Public(), signer.key))
	i.cert = must(x509.ParseCertificate(der))
	if parent != nil {
		i.chain = [][]byte{der}
	}
	return i
}

// issue makes a certificate; change says for whom.
func (i *issuer) issue(change func(*x509.Certificate)) *tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: years(1990), NotAfter: years(2190),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	change(t)
	der := must(x509.CreateCertificate(rand.Reader, t, i.cert, key.Public(), i.key))
	return &tls.Certificate{Certificate: append([][]byte{der}, i.chain...), PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}
}

func dnsNames(names ...string) func(*x509.Certificate) {
	return func(t *x509.Certificate) { t.DNSNames = names }
}

func commonName(name string) func(*x509.Certificate) {
	return func(t *x509.Certificate) { t.Subject.CommonName = name }
}

// The types of names of RFC 6120, section 13.7.1.4, and RFC 4985.
var (
	oidXMPPAddr = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
	oidSRVName  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}
)

// otherName adds a subjectAltName with one name of such a type, tag being that
// of its string: 12 for UTF8String, 22 for IA5String.
func otherName(id asn1.ObjectIdentifier, tag int, name string) func(*x509.Certificate) {
	text := must(asn1.Marshal(asn1.RawValue{Tag: tag, Bytes: []byte(name)}))
	value := must(asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: text}))
	other := asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: append(must(asn1.Marshal(id)), value...)}
	san := must(asn1.Marshal([]asn1.RawValue{other}))
	return func(t *x509.Certificate) {
		t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}}
	}
}

func both(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(t *x509.Certificate) {
		for _, c := range changes {
			c(t)
		}
	}
}

// certificate returns the one that scripts know by a name: that of a domain, or
// one of those below.
func certificate(name string) *tls.Certificate {
	if make, ok := certificates[name]; ok {
		return make()
	}
	return authorities().root.issue(dnsNames(name))
}

var certificates = map[string]func() *tls.Certificate{
	"none":       func() *tls.Certificate { return nil },
	"wildcard":   issued(dnsNames("*.two.example")),
	"upper":      issued(dnsNames("TWO.Example")),
	"several":    issued(dnsNames("first.example", "two.example", "three.example")),
	"srv":        issued(otherName(oidSRVName, 22, "_xmpp-server.two.example")),
	"srv-other":  issued(otherName(oidSRVName, 22, "_xmpp-client.two.example")),
	"srv-three":  issued(otherName(oidSRVName, 22, "_xmpp-server.three.example")),
	"addr":       issued(otherName(oidXMPPAddr, 12, "two.example")),
	"addr-user":  issued(otherName(oidXMPPAddr, 12, "juliet@two.example")),
	"addr-upper": issued(otherName(oidXMPPAddr, 12, "Two.Example")),
	"cn":         issued(commonName("two.example")),
	"cn-san":     issued(both(commonName("two.example"), dnsNames("three.example"))),
	"idn":        issued(dnsNames("xn--bcher-kva.example")),
	"expired":    issued(both(dnsNames("two.example"), func(t *x509.Certificate) { t.NotAfter = years(1999) })),
	"future":     issued(both(dnsNames("two.example"), func(t *x509.Certificate) { t.NotBefore = years(2001) })),
	"for-servers": issued(both(dnsNames("two.example"), func(t *x509.Certificate) {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})),
	"chain":   func() *tls.Certificate { return authorities().sub.issue(dnsNames("two.example")) },
	"unknown": func() *tls.Certificate { return authorities().other.issue(dnsNames("two.example")) },
	"broken-chain": func() *tls.Certificate {
		c := authorities().sub.issue(dnsNames("two.example"))
		c.Certificate = c.Certificate[:1]
		return c
	},
}

func issued(change func(*x509.Certificate)) func() *tls.Certificate {
	return func() *tls.Certificate { return authorities().root.issue(change) }
}
