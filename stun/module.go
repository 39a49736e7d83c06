package stun

import (
	"context"
	"net"
)

// Module is a STUN and TURN listener.
type Module interface {
	// Listen serves the connections of ln. It blocks until ln is closed, and then
	// until the connections have ended, and returns nil; or until ctx is cancelled:
	// then it closes them and what they have allocated, and returns
	// context.Cause(ctx). No goroutine survives it. Connections that already do TLS
	// (tls.NewListener) are recognised. It returns an error at once when the options
	// contradict one another.
	Listen(ctx context.Context, ln net.Listener, o Options) error

	// ListenPacket is Listen for datagrams. When pc is closed instead of ctx being
	// cancelled, it may find out a second later. It may be called for several sockets
	// of one address (SO_REUSEPORT).
	ListenPacket(ctx context.Context, pc net.PacketConn, o Options) error
}
