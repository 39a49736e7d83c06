package certs

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
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

// asciiName returns the form in which names are compared: lower case, A-labels
// for what is not ASCII, canonical IP addresses, no dot at the end. U-labels
// must be in their canonical form but for letter case, which is what the
// domains of JIDs are.
func asciiName(name string) string {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap().String()
	}
	if len(name) > maxName || !utf8.ValidString(name) {
		return name
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if isASCII(name) {
		return name
	}
	labels := strings.Split(name, ".")
	for i, l := range labels {
		if !isASCII(l) {
			labels[i] = "xn--" + punycode(l)
		}
	}
	return strings.Join(labels, ".")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// punycode encodes a label. See RFC 3492, section 6.3.
func punycode(label string) string {
	const base, tmin, tmax, initialBias = 36, 1, 26, 72
	in := []rune(label)
	var out []byte
	for _, r := range in {
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(utf8.RuneSelf), 0, initialBias
	for done := basic; done < len(in); n++ {
		next := nextRune(in, n)
		delta += int(next-n) * (done + 1)
		n = next
		for _, r := range in {
			if r < n {
				delta++
			}
			if r != n {
				continue
			}
			q := delta
			for k := base; ; k += base {
				t := min(max(k-bias, tmin), tmax)
				if q < t {
					break
				}
				out = append(out, punycodeDigit(t+(q-t)%(base-t)))
				q = (q - t) / (base - t)
			}
			out = append(out, punycodeDigit(q))
			bias = punycodeAdapt(delta, done+1, done == basic)
			delta = 0
			done++
		}
		delta++
	}
	return string(out)
}

// nextRune returns the smallest of in that is not below n.
func nextRune(in []rune, n rune) rune {
	next := rune(utf8.MaxRune)
	for _, r := range in {
		if r >= n && r < next {
			next = r
		}
	}
	return next
}

func punycodeDigit(d int) byte {
	if d < 26 {
		return byte('a' + d)
	}
	return byte('0' + d - 26)
}

// punycodeAdapt is the bias adaptation of RFC 3492, section 6.1.
func punycodeAdapt(delta, points int, first bool) int {
	const base, tmin, tmax, skew, damp = 36, 1, 26, 38, 700
	if first {
		delta /= damp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for ; delta > (base-tmin)*tmax/2; k += base {
		delta /= base - tmin
	}
	return k + (base-tmin+1)*delta/(delta+skew)
}
