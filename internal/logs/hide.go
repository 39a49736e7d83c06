package logs

import (
	"log/slog"
	"net/netip"
	"regexp"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// placeholder stands for what is hidden.
const placeholder = "(hidden)"

// sensitive reports whether an attribute may have to be hidden, or hold
// something that may.
func sensitive(a slog.Attr) bool {
	switch a.Key {
	case netserve.KeyListener, netserve.KeyPkg:
		return false
	case netserve.KeyPeer, netserve.KeyErr:
		return true
	}
	switch a.Value.Kind() {
	case slog.KindGroup, slog.KindLogValuer:
		return true
	case slog.KindString, slog.KindAny:
		return hasAddress(a.Value.String())
	default:
		return false
	}
}

// masked returns an attribute without addresses of peers: what is such an
// address is replaced, and where one stands in a text, as in errors of the
// network, that part of it.
func masked(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch {
	case a.Key == netserve.KeyListener: // our own
	case a.Key == netserve.KeyPeer:
		a.Value = slog.StringValue(placeholder)
	case a.Value.Kind() == slog.KindGroup:
		var inner []slog.Attr
		for _, m := range a.Value.Group() {
			inner = append(inner, masked(m))
		}
		a.Value = slog.GroupValue(inner...)
	case a.Value.Kind() == slog.KindString, a.Value.Kind() == slog.KindAny:
		if text := a.Value.String(); hasAddress(text) {
			a.Value = slog.StringValue(withoutAddresses(text))
		}
	}
	return a
}

// candidate matches what may be an address: IPv4 or IPv6, with a zone or not,
// in brackets or not, and a port.
var candidate = regexp.MustCompile(`\[[0-9A-Fa-f:.]*(?:%[0-9A-Za-z._-]+)?\](?::[0-9]+)?|[0-9]+(?:\.[0-9]+){3}(?::[0-9]+)?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._-]+)?`)

func hasAddress(text string) bool {
	return strings.ContainsAny(text, ".:") && withoutAddresses(text) != text
}

// withoutAddresses replaces the IP addresses in a text, with their ports.
func withoutAddresses(text string) string {
	return candidate.ReplaceAllStringFunc(text, func(s string) string {
		trimmed := strings.TrimRight(s, ":.")
		if !isAddress(trimmed) {
			return s
		}
		return placeholder + s[len(trimmed):]
	})
}

func isAddress(s string) bool {
	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}
