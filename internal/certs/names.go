package certs

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// names returns the domains and IP addresses that a certificate is for. The
// common name counts only when there is neither in subjectAltName (RFC 6125,
// section 6.4.4).
func names(c *x509.Certificate) []string {
	var out []string
	for _, n := range c.DNSNames {
		if n = asciiName(n); n != "" {
			out = append(out, n)
		}
	}
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			out = append(out, a.Unmap().String())
		}
	}
	if cn := c.Subject.CommonName; len(out) == 0 && cn != "" && !strings.ContainsAny(cn, " @/") {
		out = append(out, asciiName(cn))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// maxName bounds the names that are converted, in bytes: the longest domain of
// a JID (RFC 7622, section 3.2).
const maxName = 1023

// wildcardOf returns the wildcard that covers name: its left-most label, and
// no more than that, replaced by an asterisk (RFC 6125, section 6.4.3). "" if
// there can be none.
func wildcardOf(name string) string {
	label, rest, ok := strings.Cut(name, ".")
	if !ok || label == "" || rest == "" {
		return ""
	}
	return "*." + rest
}

// ASCIIName returns the form of a domain for the DNS and for the server name of
// TLS: lower case, A-labels for what is not ASCII, no dot at the end. The domain
// is in its canonical form, as that of a JID is; what cannot be converted stays as
// it is.
func ASCIIName(domain string) string { return asciiName(domain) }

// asciiName returns the form in which names are compared: lower case, A-labels
// for what is not ASCII, canonical IP addresses, no dot at the end. U-labels
// must be in their canonical form but for letter case, which is what the
// domains of JIDs are.
func asciiName(name string) string {
	if len(name) > maxName || !utf8.ValidString(name) {
		return name
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap().String()
	}
	if a, err := idna.Punycode.ToASCII(name); err == nil {
		return a
	}
	return name
}
