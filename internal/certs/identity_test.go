package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
)

// raw returns DER of a class, constructed or not.
func raw(class, tag int, constructed bool, content ...[]byte) []byte {
	return must(asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: constructed, Bytes: slices.Concat(content...)}))
}

// otherName is an entry of subjectAltName: a type and a value, which stands as DER.
func otherName(id asn1.ObjectIdentifier, value []byte) []byte {
	return raw(asn1.ClassContextSpecific, 0, true, must(asn1.Marshal(id)), raw(asn1.ClassContextSpecific, 0, true, value))
}

func utf8String(s string) []byte {
	return raw(asn1.ClassUniversal, asn1.TagUTF8String, false, []byte(s))
}
func ia5String(s string) []byte { return raw(asn1.ClassUniversal, asn1.TagIA5String, false, []byte(s)) }

func octets(s string) []byte {
	return raw(asn1.ClassUniversal, asn1.TagOctetString, false, []byte(s))
}

func xmppAddr(s string) []byte { return otherName(oidXMPPAddr, utf8String(s)) }
func srvName(s string) []byte  { return otherName(oidSRVName, ia5String(s)) }
func dnsName(s string) []byte {
	return raw(asn1.ClassContextSpecific, 2, false, []byte(s))
}

// named makes a certificate with a common name ("" for none) and entries of
// subjectAltName (none for no such extension), and reads it from its DER.
func named(cn string, names ...[]byte) *x509.Certificate {
	return issue(nil, nil, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: cn}
		if names != nil {
			c.ExtraExtensions = []pkix.Extension{{Id: oidSubjectAltName, Value: raw(asn1.ClassUniversal, asn1.TagSequence, true, names...)}}
		}
	}).Certificate
}

// identity is a certificate, and the domains that it is for and that it is not for.
type identity struct {
	name string
	cert *x509.Certificate
	yes  []string
	no   []string
}

func identities() []identity {
	const idn, ascii = "mühle.example", "xn--mhle-0ra.example"
	unknown := otherName(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, utf8String("example.org"))
	return []identity{
		{"dNSName", named("", dnsName("example.org"), dnsName("two.example")),
			[]string{"example.org", "two.example"}, []string{"a.example.org", "org", "xample.org", "example.org.evil.test", ""}},
		{"dNSName in another case, with a dot", named("", dnsName("Example.ORG.")), []string{"example.org"}, nil},
		{"wildcard", named("", dnsName("*.example.org")),
			[]string{"a.example.org", "conference.example.org"}, []string{"example.org", "a.b.example.org", "*.b.example.org", ".example.org"}},
		{"wildcard within a label", named("", dnsName("a*.example.org"), dnsName("*a.example.org"), dnsName("x*y.example.org")),
			nil, []string{"ab.example.org", "a.example.org", "ba.example.org", "xzy.example.org"}},
		{"wildcard further right", named("", dnsName("a.*.org"), dnsName("*.*.org")), nil, []string{"a.example.org", "b.example.org"}},
		{"wildcard alone", named("", dnsName("*")), nil, []string{"org", "example.org"}},
		{"wildcard of a top-level domain", named("", dnsName("*.org")), []string{"example.org"}, []string{"a.example.org", "org"}},
		{"SRVName", named("", srvName("_xmpp-server.example.org")), []string{"example.org"}, []string{"a.example.org", "_xmpp-server.example.org"}},
		{"SRVName in another case", named("", srvName("_XMPP-Server.EXAMPLE.org")), []string{"example.org"}, nil},
		{"SRVName of another service", named("", srvName("_xmpp-client.example.org"), srvName("_imaps.example.org"), srvName("example.org")), nil, []string{"example.org"}},
		{"SRVName with wildcard", named("", srvName("_xmpp-server.*.example.org")), nil, []string{"a.example.org"}},
		{"xmppAddr", named("", xmppAddr("example.org")), []string{"example.org"}, []string{"a.example.org"}},
		{"xmppAddr of a user", named("", xmppAddr("ana@example.org")), nil, []string{"example.org"}},
		{"xmppAddr with a resource", named("", xmppAddr("example.org/x")), nil, []string{"example.org"}},
		{"xmppAddr with wildcard", named("", xmppAddr("*.example.org")), nil, []string{"a.example.org"}},
		{"several", named("", xmppAddr("a.example"), srvName("_xmpp-server.b.example"), dnsName("c.example"), dnsName("*.d.example")),
			[]string{"a.example", "b.example", "c.example", "e.d.example"}, []string{"d.example", "e.example"}},
		{"another kind of name", named("", unknown, dnsName("a.example")), []string{"a.example"}, []string{"example.org"}},
		{"common name alone", named("example.org"), []string{"example.org"}, []string{"a.example.org"}},
		{"common name with wildcard", named("*.example.org"), nil, []string{"a.example.org"}},
		{"common name beside dNSName", named("example.org", dnsName("a.example")), []string{"a.example"}, []string{"example.org"}},
		{"common name beside SRVName", named("example.org", srvName("_xmpp-client.a.example")), nil, []string{"example.org"}},
		{"common name beside xmppAddr", named("example.org", xmppAddr("ana@a.example")), nil, []string{"example.org"}},
		{"A-label", named("", dnsName(ascii)), []string{idn, ascii}, []string{"mhle.example", "xn--mhle-0ra.test"}},
		{"A-label, SRVName", named("", srvName("_xmpp-server."+ascii)), []string{idn}, nil},
		{"U-label, xmppAddr", named("", xmppAddr(idn)), []string{idn, ascii}, nil},
		{"A-label, xmppAddr", named("", xmppAddr(ascii)), []string{idn}, nil},
		{"U-label below a wildcard", named("", dnsName("*.example")), []string{idn, ascii}, nil},
		{"U-label, common name", named(idn), []string{idn}, nil},
		{"nothing", named(""), nil, []string{"example.org"}},
		{"malformed xmppAddr", named("example.org", dnsName("example.org"), otherName(oidXMPPAddr, octets("example.org"))), nil, []string{"example.org"}},
		{"malformed SRVName", named("example.org", dnsName("example.org"), otherName(oidSRVName, octets("_xmpp-server.example.org"))), nil, []string{"example.org"}},
		{"other string types", named("", otherName(oidXMPPAddr, ia5String("a.example")), otherName(oidSRVName, utf8String("_xmpp-server.b.example"))), []string{"a.example", "b.example"}, nil},
		{"empty xmppAddr", named("example.org", dnsName("example.org"), xmppAddr("")), nil, []string{"example.org"}},
		{"NUL in a name", named("", xmppAddr("example.org\x00.evil.test")), nil, []string{"example.org"}},
		{"very long name", named("", xmppAddr(strings.Repeat("x", 5000)+".example.org")), nil, []string{"example.org"}},
	}
}

func TestServesDomain(t *testing.T) {
	for _, tt := range identities() {
		t.Run(tt.name, func(t *testing.T) {
			for _, d := range tt.yes {
				if !ServesDomain(tt.cert, d) {
					t.Errorf("%q: got false, want true", d)
				}
			}
			for _, d := range tt.no {
				if ServesDomain(tt.cert, d) {
					t.Errorf("%q: got true, want false", d)
				}
			}
		})
	}
}

func TestXMPPAddrs(t *testing.T) {
	value := func(der []byte) []byte { return otherName(oidXMPPAddr, der) }
	id := must(asn1.Marshal(oidXMPPAddr))
	entry := func(content ...[]byte) []byte { return raw(asn1.ClassContextSpecific, 0, true, content...) }
	tests := []struct {
		name string
		cert *x509.Certificate
		want []string
		ok   bool
	}{
		{"none", named("example.org"), nil, true},
		{"other kinds", named("", dnsName("example.org"), srvName("_xmpp-server.example.org")), nil, true},
		{"one", named("", xmppAddr("ana@example.org")), []string{"ana@example.org"}, true},
		{"as they stand there", named("", xmppAddr("Ana@Example.ORG"), dnsName("x.example"), xmppAddr("mühle.example")), []string{"Ana@Example.ORG", "mühle.example"}, true},
		{"of another string type", named("", value(ia5String("a@example.org"))), []string{"a@example.org"}, true},
		{"no string", named("", value(octets("a@example.org"))), nil, false},
		{"empty", named("", value(utf8String(""))), nil, false},
		{"not UTF-8", named("", value(utf8String("\xff\xfe"))), nil, false},
		{"two values", named("", value(append(utf8String("a"), utf8String("b")...))), nil, false},
		{"without value", named("", entry(id)), nil, false},
		{"value without its tag", named("", entry(id, utf8String("a@example.org"))), nil, false},
		{"without type", named("", entry(utf8String("a@example.org"))), nil, false},
		{"after a good one", named("", xmppAddr("a@example.org"), value(octets("b@example.org"))), nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := XMPPAddrs(tt.cert)
			if !slices.Equal(got, tt.want) || (err == nil) != tt.ok {
				t.Errorf("got %q, %v; want %q, success %t", got, err, tt.want, tt.ok)
			}
		})
	}
}

// TestMalformedAltName reads extensions that crypto/x509 would refuse, as a caller
// may have made the certificate itself.
func TestMalformedAltName(t *testing.T) {
	good := raw(asn1.ClassUniversal, asn1.TagSequence, true, xmppAddr("example.org"))
	for name, der := range map[string][]byte{
		"empty": {}, "cut off": good[:len(good)-1], "something behind": append(slices.Clone(good), 0), "no sequence": utf8String("x"),
	} {
		cert := &x509.Certificate{DNSNames: []string{"example.org"}, Extensions: []pkix.Extension{{Id: oidSubjectAltName, Value: der}}}
		if _, err := XMPPAddrs(cert); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if ServesDomain(cert, "example.org") {
			t.Errorf("%s: got true, want a malformed certificate to be for nobody", name)
		}
	}
}

// FuzzOtherNames reads any extension: nothing panics, and what is malformed is for
// nobody.
func FuzzOtherNames(f *testing.F) {
	f.Add(raw(asn1.ClassUniversal, asn1.TagSequence, true, xmppAddr("example.org"), srvName("_xmpp-server.example.org"), dnsName("example.org")))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: oidSubjectAltName, Value: der}}}
		names, err := XMPPAddrs(cert)
		if err != nil && (len(names) > 0 || ServesDomain(cert, "example.org")) {
			t.Errorf("got names %q with %v, want none", names, err)
		}
		for _, n := range names {
			if n == "" {
				t.Error("got an empty name")
			}
			if !strings.Contains(n, "@") && !strings.Contains(n, "/") && asciiName(n) == n && !ServesDomain(cert, n) {
				t.Errorf("got %q as xmppAddr, but not served", n)
			}
		}
	})
}
