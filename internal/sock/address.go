package sock

import (
	"net/netip"
	"strings"
)

// Datagram reports whether a network, as net.Listen names them, is one of
// datagrams.
func Datagram(network string) bool { return strings.HasPrefix(network, "udp") }

// Conflict reports whether two addresses cannot have their sockets at the same
// time.
func Conflict(network1, address1, network2, address2 string) bool {
	if network1 == "unix" || network2 == "unix" || Datagram(network1) != Datagram(network2) {
		return network1 == network2 && address1 == address2
	}
	x, xerr := netip.ParseAddrPort(address1)
	y, yerr := netip.ParseAddrPort(address2)
	switch {
	case xerr != nil || yerr != nil:
		return address1 == address2
	case x.Port() != y.Port() || x.Port() == 0:
		return false
	case x.Addr() == y.Addr():
		return true
	}
	wildcard := x.Addr().IsUnspecified() || y.Addr().IsUnspecified()
	return wildcard && families(network1, x.Addr())&families(network2, y.Addr()) != 0
}

const (
	family4 = 1 << iota
	family6
)

// families returns whose connections a socket takes. That of the network
// "tcp" or "udp" on the wildcard IPv6 address takes both.
func families(network string, a netip.Addr) int {
	switch dual := network == "tcp" || network == "udp"; {
	case a.Is4():
		return family4
	case dual && a.IsUnspecified():
		return family4 | family6
	}
	return family6
}

// Match says how well an inherited socket serves an entry.
type Match int

const (
	NoMatch       Match = iota
	NameMatch           // its name is the wanted one
	WildcardMatch       // both are wildcard addresses with the same port
	AddressMatch        // it is the wanted address
)

// Matches compares a socket with what is wanted.
func (i Inherited) Matches(network, address, name string) Match {
	if (i.PacketConn != nil) != Datagram(network) {
		return NoMatch
	}
	a := i.Addr()
	if network == "unix" && a.Network() == "unix" && a.String() == address {
		return AddressMatch
	}
	want, werr := netip.ParseAddrPort(address)
	have, herr := netip.ParseAddrPort(a.String())
	switch {
	case werr != nil || herr != nil || want.Port() != have.Port():
	case want == have:
		return AddressMatch
	case want.Addr().IsUnspecified() && have.Addr().IsUnspecified():
		return WildcardMatch
	}
	if i.Name == name {
		return NameMatch
	}
	return NoMatch
}
