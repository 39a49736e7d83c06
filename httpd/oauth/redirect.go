package oauth

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// destination returns where the answer to a client goes: the address that it asks for,
// which has to be a registered one, character by character, but for the port of a
// program on the user's own machine (RFC 8252, section 7.3); or the only one that it
// has. ok is false if there is none.
func destination(c stanza.OAuthClient, asked string) (address string, ok bool) {
	if asked == "" {
		if len(c.Redirects) != 1 {
			return "", false
		}
		return c.Redirects[0], true
	}
	if slices.Contains(c.Redirects, asked) {
		return asked, true
	}
	local, isLocal := withoutPort(asked)
	return asked, isLocal && slices.ContainsFunc(c.Redirects, func(r string) bool {
		r, ok := withoutPort(r)
		return ok && r == local
	})
}

// withoutPort takes the port out of an address of a program on the user's machine: http
// with a loopback address. ok is false for any other, and for one that is not written as
// it is understood.
func withoutPort(address string) (rest string, ok bool) {
	after, ok := strings.CutPrefix(address, "http://")
	if !ok {
		return "", false
	}
	authority, path := after, ""
	if i := strings.IndexAny(after, `/?#\`); i >= 0 {
		authority, path = after[:i], after[i:]
	}
	if ap, err := netip.ParseAddrPort(authority); err == nil {
		authority = ap.Addr().String()
	} else if inner, ok := strings.CutPrefix(authority, "["); ok {
		if authority, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(authority, ":") {
			return "", false
		}
	} else if strings.Contains(authority, ":") {
		return "", false
	}
	a, err := netip.ParseAddr(authority)
	if err != nil || !a.IsLoopback() || a.Zone() != "" {
		return "", false
	}
	return a.String() + path, true
}

// answerURL returns the address with the answer, which is in its query, or in its
// fragment.
func answerURL(address string, answer url.Values, inFragment bool) string {
	if inFragment {
		return address + "#" + answer.Encode()
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + answer.Encode()
}

// source returns what of the address the policy of a page names (CSP, form-action): the
// origin, or the scheme where an origin cannot be written.
func source(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	odd := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != ':'
	}
	if (u.Scheme == "https" || u.Scheme == "http") && !strings.ContainsFunc(u.Host, odd) {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":"
}
