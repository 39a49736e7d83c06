// Package jidprep prepares the parts of XMPP addresses (RFC 7622).
//
// Parts in plain ASCII that are prepared already, which is nearly all of them,
// cost one look at each byte and no allocation. Everything else goes through
// PRECIS and IDNA, again until it changes no more (RFC 8264, section 7), so that
// what is prepared stays as it is.
//
// Where the standards leave a choice, and where the preparation is stricter:
//
//   - a domainpart has no empty labels: "a..b" is refused. One dot at its end is
//     dropped (RFC 7622, section 3.2);
//   - a domainpart has no A-labels once prepared: xn-- names become what they
//     stand for, those that stand for nothing valid are refused;
//   - IPv6 addresses are written as RFC 5952 wants, so that each has one form;
//     those with a zone and those that stand for an IPv4 address are refused;
//   - a resourcepart of one space is allowed: the OpaqueString profile forbids no
//     spaces, and the part is not empty (RFC 7622, section 3.4).
package jidprep

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"mellium.im/xmpp/jid"
)

const maxPart = 1023 // bytes of a prepared part: RFC 7622, sections 3.2 to 3.4

// What can be wrong with a part.
var (
	ErrEmpty    = errors.New("part is empty")
	ErrTooLong  = errors.New("part is longer than 1023 bytes")
	ErrEncoding = errors.New("part is not valid UTF-8")
	ErrLabel    = errors.New("domain has a label that is not allowed")
	ErrUnstable = errors.New("part has no prepared form")
)

// Split cuts an address into its parts without preparing them. A part that its
// separator announces must not be empty.
// See RFC 7622, sections 3.1 and 3.2.
func Split(s string) (local, domain, resource string, err error) {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		s, resource = s[:i], s[i+1:]
		if resource == "" {
			return "", "", "", ErrEmpty
		}
	}
	if i := strings.IndexByte(s, '@'); i >= 0 {
		local, s = s[:i], s[i+1:]
		if local == "" {
			return "", "", "", ErrEmpty
		}
	}
	if s == "" {
		return "", "", "", ErrEmpty
	}
	return local, s, resource, nil
}

// Local prepares a localpart with the UsernameCaseMapped profile. An empty one
// stays empty.
// See RFC 7622, section 3.3.
func Local(s string) (string, error) {
	if plain(s, plainLocal) {
		return s, nil
	}
	return untilStable(s, func(s string) (string, error) {
		j, err := jid.New(s, anyDomain, "")
		return j.Localpart(), err
	})
}

// Resource prepares a resourcepart with the OpaqueString profile. An empty one
// stays empty.
// See RFC 7622, section 3.4.
func Resource(s string) (string, error) {
	if plain(s, plainResource) {
		return s, nil
	}
	return untilStable(s, func(s string) (string, error) {
		j, err := jid.New("", anyDomain, s)
		return j.Resourcepart(), err
	})
}

// Domain prepares a domainpart.
// See RFC 7622, section 3.2.
func Domain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return ipv6(s)
	}
	s = strings.TrimSuffix(s, ".")
	if plainDomain(s) {
		return s, nil
	}
	if strings.HasSuffix(s, ".") {
		return "", ErrLabel
	}
	d, err := untilStable(s, func(s string) (string, error) {
		j, err := jid.New("", s, "")
		return j.Domainpart(), err
	})
	if err != nil {
		return "", err
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || strings.HasPrefix(label, "xn--") {
			return "", ErrLabel
		}
	}
	return d, nil
}

// anyDomain stands for the domainpart where another part is prepared.
const anyDomain = "localhost"

// ipv6 prepares an IPv6 address in brackets.
func ipv6(s string) (string, error) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", ErrLabel
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || !ip.Is6() || ip.Is4In6() || ip.Zone() != "" {
		return "", ErrLabel
	}
	return "[" + ip.String() + "]", nil
}

// untilStable applies f until it changes nothing. See RFC 8264, section 7.
func untilStable(s string, f func(string) (string, error)) (string, error) {
	if !utf8.ValidString(s) {
		return "", ErrEncoding
	}
	if len(s) > 4*maxPart { // no profile shortens text that much; bounds the work
		return "", ErrTooLong
	}
	for range 4 {
		out, err := f(s)
		if err != nil {
			return "", err
		}
		if out == "" {
			return "", ErrEmpty
		}
		if out == s {
			return s, nil
		}
		s = out
	}
	return "", ErrUnstable
}
