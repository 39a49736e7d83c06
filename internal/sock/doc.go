// Package sock opens the sockets of package listen, or takes them over from
// systemd, and wraps their connections.
//
// The layers of a connection are, from the bottom: the socket; the count of
// connections; the PROXY protocol; the count of bytes; TLS where the listener
// speaks it from the first byte; the module. A [Conn] is the layers from the
// second to the fourth. They see every byte, so raw reads and writes past them
// (syscall.RawConn) are refused; the options of the socket can be reached.
package sock
