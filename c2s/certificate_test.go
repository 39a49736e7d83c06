package c2s

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// authority is a CA for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// The object identifiers of RFC 5280, section 4.2.1.6, and RFC 6120, section
// 13.7.1.4.
var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidXMPPAddr       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
)

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate from a template of names and usage.
func (a *authority) issue(t testing.TB, tmpl x509.Certificate) tls.Certificate {
	t.Helper()
	key := newKey(t)
	tmpl.SerialNumber = big.NewInt(2)
	tmpl.NotBefore = time.Unix(0, 0)
	if tmpl.NotAfter.IsZero() {
		tmpl.NotAfter = a.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) server(t testing.TB, names ...string) tls.Certificate {
	return a.issue(t, x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) client(t testing.TB, addrs ...string) tls.Certificate {
	tmpl := x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, Subject: pkix.Name{CommonName: "client"}}
	if len(addrs) > 0 {
		tmpl.ExtraExtensions = []pkix.Extension{{Id: oidSubjectAltName, Value: altNames(t, addrs...)}}
	}
	return a.issue(t, tmpl)
}

// altNames encodes a subjectAltName with a DNS name, a name of a foreign type
// and the xmppAddrs.
func altNames(t testing.TB, addrs ...string) []byte {
	t.Helper()
	names := []asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("host.test")},
		otherName(t, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}, "_xmpp-client.one.test"),
	}
	for _, a := range addrs {
		names = append(names, otherName(t, oidXMPPAddr, a))
	}
	return marshal(t, names)
}

func otherName(t testing.TB, id asn1.ObjectIdentifier, value string) asn1.RawValue {
	t.Helper()
	text, err := asn1.MarshalWithParams(value, "explicit,tag:0,utf8")
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{
		Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true,
		Bytes: slices.Concat(marshal(t, id), text),
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustJID(t testing.TB, s string) stanza.JID {
	t.Helper()
	if s == "" {
		return stanza.JID{}
	}
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestCertifiedUser(t *testing.T) {
	ca := newAuthority(t)
	const same = "same"
	tests := []struct {
		name    string
		addrs   []string
		authzid string
		own     string // what a CA of our own gives; "": refused
		public  string // what a CA of the system gives
	}{
		{"its only address", []string{"ana@one.test"}, "", "ana@one.test", same},
		{"the same address twice", []string{"ana@one.test", "Ana@ONE.test"}, "", "ana@one.test", same},
		{"its only address here", []string{"ana@two.test", "bo@one.test"}, "", "bo@one.test", same},
		{"two addresses here and none asked for", []string{"ana@one.test", "bo@one.test"}, "", "", same},
		{"two addresses here and one asked for", []string{"ana@one.test", "bo@one.test"}, "bo@one.test", "bo@one.test", same},
		{"address of another host", []string{"ana@two.test"}, "", "", same},
		{"address of another host, asked for", []string{"ana@two.test"}, "ana@two.test", "", same},
		{"address of another user", []string{"ana@one.test"}, "bo@one.test", "", same},
		{"full address counts as bare", []string{"ana@one.test/phone"}, "ana@one.test", "ana@one.test", same},
		{"no address, none asked for", nil, "", "", same},
		{"no address, any user", nil, "bo@one.test", "bo@one.test", ""},
		{"no address, user of another host", nil, "bo@two.test", "", same},
		{"no address, the domain itself", nil, "one.test", "", same},
		{"no address, a full address", nil, "bo@one.test/x", "", same},
		{"domain, any user", []string{"one.test"}, "bo@one.test", "bo@one.test", ""},
		{"domain, none asked for", []string{"one.test"}, "", "", same},
		{"another domain", []string{"two.test"}, "bo@one.test", "", same},
		{"malformed address speaks for nobody", []string{"@one.test"}, "bo@one.test", "", same},
		{"malformed address spoils the others", []string{"bo@one.test", "a@b@c"}, "bo@one.test", "", same},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			leaf, authzid := ca.client(t, tt.addrs...).Leaf, mustJID(t, tt.authzid)
			for _, own := range []bool{true, false} {
				want := tt.own
				if !own && tt.public != same {
					want = tt.public
				}
				got, err := certifiedUser(leaf, authzid, "one.test", own)
				if got.String() != want || (err == nil) != (want != "") {
					t.Errorf("own CA %v: got %q, %v, want %q", own, got, err, want)
				}
			}
		})
	}
}

func TestVerifyClient(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	expired := ca.issue(t, x509.Certificate{
		NotAfter: time.Unix(1, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	one := &tls.Config{ClientCAs: ca.pool}
	perHost := &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if h.ServerName == "one.test" {
			return one, nil
		}
		return nil, nil
	}}
	tests := []struct {
		name string
		cfg  *tls.Config
		cs   *tls.ConnectionState
		ok   bool
	}{
		{"client of the CA", one, shown(ca.client(t)), true},
		{"client of the host's CA", perHost, shown(ca.client(t)), true},
		{"no TLS", one, nil, false},
		{"no certificate", one, shown(), false},
		{"client of another CA", one, shown(stranger.client(t)), false},
		{"certificate of a server", one, shown(ca.server(t, "one.test")), false},
		{"expired", one, shown(expired), false},
		{"CA that the system does not know", nil, shown(ca.client(t)), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &listener{o: Options{TLS: tt.cfg}}
			leaf, own, err := l.verifyClient(tt.cs, "one.test")
			if (err == nil) != tt.ok || (leaf != nil) != tt.ok || own != tt.ok {
				t.Errorf("got %v, own CA %v, %v, want success: %v", leaf, own, err, tt.ok)
			}
		})
	}
}

func shown(certs ...tls.Certificate) *tls.ConnectionState {
	cs := new(tls.ConnectionState)
	for _, c := range certs {
		cs.PeerCertificates = append(cs.PeerCertificates, c.Leaf)
	}
	return cs
}

func FuzzXMPPAddr(f *testing.F) {
	f.Add(altNames(f, "ana@one.test"))
	f.Add(marshal(f, []asn1.RawValue{otherName(f, oidXMPPAddr, "one.test")}))
	f.Add([]byte{0x30, 0x00})
	f.Fuzz(func(t *testing.T, san []byte) {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: oidSubjectAltName, Value: san}}}
		jids, err := xmppAddrs(cert)
		if err != nil {
			if jids != nil {
				t.Errorf("got %v with error %v", jids, err)
			}
			return
		}
		for _, j := range jids {
			// Each name stands in the extension, in a form that reads the same.
			again, err := stanza.ParseJID(j.String())
			if err != nil || again != j || j.IsFull() {
				t.Errorf("got %q, which reads as %q, %v", j, again, err)
			}
		}
	})
}
