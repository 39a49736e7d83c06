package datagram

import "net/netip"

// ICMP is an error that the network reported of a datagram that was sent.
type ICMP struct {
	// Peer is where the datagram was going.
	Peer netip.AddrPort

	// Type and Code are those of the message: ICMP if the peer's address is one of
	// IPv4, ICMPv6 otherwise.
	Type, Code uint8

	// Data is what the message is about: the MTU of ICMP type 3 code 4 and of ICMPv6
	// type 2, zero for others (RFC 8656, section 18.13).
	Data uint32
}
