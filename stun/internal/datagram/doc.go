// Package datagram moves datagrams in batches: the sockets of a STUN and TURN
// listener, and those of its relays.
//
// A Socket is read by a Group, which reads many, and written by any goroutine. On Linux a batch is one system call in each direction (recvmmsg
// and sendmmsg); elsewhere, and for a net.PacketConn that is no UDP socket, it is
// one call for each datagram, with the same results.
//
// Addresses are unmapped: an IPv4 peer of an IPv6 socket is 192.0.2.1, never
// ::ffff:192.0.2.1, in both directions. Those of IPv6 link-local peers keep
// their zone.
package datagram
