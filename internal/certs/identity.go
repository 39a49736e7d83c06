package certs

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
)

// otherNames are the names in a certificate's subjectAltName that crypto/x509
// does not know.
type otherNames struct {
	xmppAddr []string // id-on-xmppAddr: RFC 6120, section 13.7.1.4
	srv      []string // id-on-dnsSRV: RFC 4985
}

// The object identifiers of RFC 5280, section 4.2.1.6, RFC 6120 and RFC 4985.
var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidXMPPAddr       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
	oidSRVName        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}
)

var errBadName = errors.New("certificate has a malformed subjectAltName")

// XMPPAddrs returns the xmppAddr names of a certificate as they stand there. A
// malformed one is an error, not a name less: to some a certificate without names
// says more than one with.
func XMPPAddrs(cert *x509.Certificate) ([]string, error) {
	names, err := readOtherNames(cert)
	return names.xmppAddr, err
}

// ServesDomain reports whether a certificate is one for the XMPP server of a
// domain, which is in its canonical form: by a dNSName, whose left-most label may
// be an asterisk, by an SRVName for _xmpp-server, or by an xmppAddr that is the
// domain. The common name counts only where there is none of these.
// See RFC 6120, section 13.7.1.2, RFC 6125, section 6.4, and XEP-0178, section 3.
func ServesDomain(cert *x509.Certificate, domain string) bool {
	other, err := readOtherNames(cert)
	if err != nil {
		return false
	}
	name := asciiName(domain)
	wildcard := wildcardOf(name)
	is := func(n string) bool { return asciiName(n) == name }
	dns := func(n string) bool { n = asciiName(n); return n == name || wildcard != "" && n == wildcard }
	if slices.ContainsFunc(cert.DNSNames, dns) || slices.ContainsFunc(other.xmppAddr, is) {
		return true
	}
	for _, n := range other.srv {
		if service, host, ok := strings.Cut(n, "."); ok && strings.EqualFold(service, "_xmpp-server") && is(host) {
			return true
		}
	}
	none := len(cert.DNSNames) == 0 && len(other.xmppAddr) == 0 && len(other.srv) == 0
	return none && is(cert.Subject.CommonName)
}

// MayServe reports whether the CAs of a chain, the certificate first, may vouch for a
// domain that it is for (ServesDomain). The names that a CA is constrained to (RFC
// 5280, section 4.2.1.10) were compared with dNSNames alone: under such a CA no
// other form counts.
func MayServe(chain []*x509.Certificate, domain string) bool {
	constrained := func(c *x509.Certificate) bool {
		return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+
			len(c.PermittedURIDomains)+len(c.ExcludedURIDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges) > 0
	}
	if !slices.ContainsFunc(chain[1:], constrained) {
		return true
	}
	name := asciiName(domain)
	wildcard := wildcardOf(name)
	return slices.ContainsFunc(chain[0].DNSNames, func(n string) bool {
		n = asciiName(n)
		return n == name || wildcard != "" && n == wildcard
	})
}

// readOtherNames reads the subjectAltName of a certificate.
func readOtherNames(cert *x509.Certificate) (otherNames, error) {
	var all otherNames
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 {
			return otherNames{}, errBadName
		}
		for _, n := range names {
			if n.Class != asn1.ClassContextSpecific || n.Tag != 0 { // otherName
				continue
			}
			if err := all.add(n.Bytes); err != nil {
				return otherNames{}, err
			}
		}
	}
	return all, nil
}

// add decodes an otherName; one of another type is left out.
//
//	SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT UTF8String }
func (o *otherNames) add(der []byte) error {
	var id asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(der, &id)
	if err != nil {
		return errBadName
	}
	list, params := &o.xmppAddr, "explicit,tag:0,utf8"
	switch {
	case id.Equal(oidXMPPAddr):
	case id.Equal(oidSRVName):
		list, params = &o.srv, "explicit,tag:0,ia5"
	default:
		return nil
	}
	var name string
	rest, err = asn1.UnmarshalWithParams(rest, &name, params)
	if err != nil || len(rest) > 0 || name == "" {
		return errBadName
	}
	*list = append(*list, name)
	return nil
}
