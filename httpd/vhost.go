package httpd

import (
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/jidprep"
)

// alias is a pattern of names that mean a virtual host.
type alias struct{ pattern, host string }

// newAliases returns the patterns in an order: of several that match the first in the
// alphabet counts.
func newAliases(hosts map[string]string) []alias {
	var list []alias
	for pattern, host := range hosts {
		list = append(list, alias{strings.ToLower(pattern), canonical(host)})
	}
	slices.SortFunc(list, func(a, b alias) int { return strings.Compare(a.pattern, b.pattern) })
	return list
}

// canonical returns the form of a domain by which Domains know it; what is no domain
// stays as it is, and is none of theirs.
func canonical(domain string) string {
	if name, err := jidprep.Domain(domain); err == nil {
		return name
	}
	return domain
}

// vhost returns the virtual host that a request is for. It returns false if its Host
// field is wrong.
func (l *listener) vhost(host string) (string, bool) {
	domains := l.srv.h.Domains
	name, ok := hostName(host)
	if !ok {
		return "", false
	}
	if domains == nil {
		return "", true
	}
	if name != "" && domains.IsLocal(name) {
		return name, true
	}
	plain := strings.Trim(name, "[]") // in a pattern these mean something else
	for _, a := range l.aliases {
		if ok, _ := path.Match(a.pattern, plain); ok && domains.IsLocal(a.host) {
			return a.host, true
		}
	}
	if l.o.DefaultHost != "" && domains.IsLocal(l.o.DefaultHost) {
		return l.o.DefaultHost, true
	}
	return domains.Default(), true
}

// hostName returns the name of a Host field without its port, in its canonical form, which
// has the brackets of an IPv6 address: "" for none.
func hostName(host string) (string, bool) {
	if rest, ok := strings.CutPrefix(host, "["); ok {
		text, port, ok := strings.Cut(rest, "]")
		addr, err := netip.ParseAddr(text)
		return "[" + addr.String() + "]", ok && err == nil && (port == "" || isPort(port))
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		if !isPort(host[i:]) {
			return "", false
		}
		host = host[:i]
	}
	if host == "" {
		return "", true
	}
	name, err := jidprep.Domain(host)
	if err != nil && strings.Contains(host, "_") {
		// No domain of XMPP has one, but names of machines within a network do.
		_, err = jidprep.Domain(strings.ReplaceAll(host, "_", "x"))
		name = strings.ToLower(host)
	}
	return name, err == nil
}

// isPort says whether s is a colon with a port, which may be missing.
func isPort(s string) bool {
	return s[0] == ':' && len(s) <= len(":65535") && strings.Trim(s[1:], "0123456789") == ""
}

// client returns where a request is from, and whether that was told by a proxy that is
// trusted. It returns false if such a proxy tells nonsense.
func (l *listener) client(r *http.Request) (from netip.AddrPort, proxied, ok bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	addr := peer.Addr().Unmap().WithZone("")
	from = netip.AddrPortFrom(addr, peer.Port())
	if len(l.o.TrustedProxies) == 0 || err == nil && !l.trusts(addr) || err != nil && !l.unix {
		return from, false, true
	}
	chain := forwarded(r.Header["X-Forwarded-For"])
	if len(chain) == 0 {
		return from, true, true
	}
	// Each proxy has added whom it had the request from. What is before a stranger only
	// the stranger says; and the address of the proxy, which may be allowed more than
	// others, must not be what one gets by that.
	for i, hop := range slices.Backward(chain) {
		a, err := netip.ParseAddr(hop)
		addr = a.Unmap().WithZone("")
		if err != nil || i == 0 || !l.trusts(addr) {
			return netip.AddrPortFrom(addr, 0), true, err == nil
		}
	}
	return from, true, true
}

// forwarded returns the elements of X-Forwarded-For.
func forwarded(values []string) (list []string) {
	for _, v := range values {
		list = append(list, strings.FieldsFunc(v, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })...)
	}
	return list
}

func (l *listener) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(l.o.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
