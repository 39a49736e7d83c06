package stun

import (
	"net/netip"
	"slices"
)

// scope is how far the addresses of a kind reach.
type scope int

const (
	scopeNone    scope = iota // no peer has one, or nobody may reach it by a relay
	scopePrivate              // of a private network
	scopeGlobal
)

// reaches says whether the clients of a relay may reach the peers of an address.
// An address of IPv4 in the form of IPv6 is none that a peer has.
func (set *settings) reaches(relay, peer netip.Addr) bool {
	translated, isTranslated := embedded(peer)
	switch {
	case peer.Is4In6(), contains(set.Blacklist, peer), isTranslated && contains(set.Blacklist, translated):
		return false
	case contains(set.Whitelist, peer):
		return true
	}
	s := scopeOf(peer)
	return s == scopeGlobal || s == scopePrivate && scopeOf(relay) == scopePrivate
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ranges are addresses of less than global scope, most of them of the registries of
// special-purpose addresses (RFC 6890).
type ranges []scopedRange

type scopedRange struct {
	prefix netip.Prefix
	scope  scope
}

func rangesOf(s scope, list ...string) (r ranges) {
	for _, p := range list {
		r = append(r, scopedRange{netip.MustParsePrefix(p), s})
	}
	return r
}

func (r ranges) scope(a netip.Addr) scope {
	for _, e := range r {
		if e.prefix.Contains(a) {
			return e.scope
		}
	}
	return scopeGlobal
}

// specials are read only.
var specials = append(
	rangesOf(scopeNone,
		"0.0.0.0/8",      // this network
		"127.0.0.0/8",    // loopback
		"169.254.0.0/16", // link-local
		"192.0.0.0/24",   // protocol assignments
		"224.0.0.0/4",    // multicast
		"240.0.0.0/4",    // reserved, and broadcast
		"::/8",           // unspecified, loopback, mapped and compatible: see also nat64
		"2001::/32",      // Teredo and
		"2002::/16",      // 6to4, which packets could go round in (RFC 8656, section 21.4)
		"fe80::/10",      // link-local
		"ff00::/8",       // multicast
	),
	rangesOf(scopePrivate,
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
		"100.64.0.0/10", // shared by the customers of a provider
		"198.18.0.0/15", // for benchmarks
		"fc00::/7",      // unique local
		"fec0::/10",     // site-local
	)...,
)

// nat64 are the addresses in which a translator finds those of IPv4 (RFC 6052, RFC
// 8215).
var nat64 = ranges{
	{netip.MustParsePrefix("64:ff9b::/96"), scopeGlobal},
	{netip.MustParsePrefix("64:ff9b:1::/48"), scopePrivate},
}

// scopeOf returns the scope of an address.
func scopeOf(a netip.Addr) scope {
	if translated, ok := embedded(a); ok {
		return min(nat64.scope(a), specials.scope(translated))
	}
	return specials.scope(a)
}

// embedded returns the address of IPv4 at the end of one that is translated into it.
func embedded(a netip.Addr) (netip.Addr, bool) {
	for _, e := range nat64 {
		if e.prefix.Contains(a) {
			b := a.As16()
			return netip.AddrFrom4([4]byte(b[12:])), true
		}
	}
	return netip.Addr{}, false
}

// isTunnel says whether an address is known to be the end of a tunnel. Clients there
// get no allocation (RFC 8656, section 21.4).
func isTunnel(a netip.Addr) bool { return teredo.Contains(a) || sixToFour.Contains(a) }

var (
	teredo    = netip.MustParsePrefix("2001::/32")
	sixToFour = netip.MustParsePrefix("2002::/16")
)
