// Package udp sends and receives datagrams of IPv4 in batches, with few system
// calls, so that a load generator costs little beside the server that it measures.
// It does that on Linux; elsewhere what makes sockets and polls returns
// errors.ErrUnsupported.
package udp
