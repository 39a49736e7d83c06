package stun

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
)

// Host is what the module needs of the program around it. All of it is optional:
// without any, it answers Binding requests, and relays for those who need no
// credentials.
type Host struct {
	// Accounts hold the credentials of users (auth_type user). nil: nobody has an
	// account.
	Accounts Accounts

	// Secret is shared with those who hand out time-limited credentials (XEP-0215,
	// or a web application): a user name begins with the Unix time until which it is
	// good, and the password is the base64 form of HMAC-SHA1(Secret, user name).
	// Empty: such user names are those of accounts. The module does not change it.
	Secret []byte

	// Relays opens the sockets of allocations. nil: those of the system.
	Relays Relays

	Log *slog.Logger // nil discards
}

// Accounts are users with passwords.
type Accounts interface {
	// HA1 returns the digest of user:realm:password for the hash MD5 or SHA-256, which
	// is the key of the long-term credential mechanism (RFC 8489, section 9.2.2).
	// The user name is as it came: it is not prepared. ErrNoAccount: there is no such
	// user, or none whose digest is known. Any other error is logged and answered
	// with 500. It may block until ctx is done; the requests of a UDP socket do not
	// wait for it, those of a stream do.
	HA1(ctx context.Context, user, realm, hash string) ([]byte, error)
}

// ErrNoAccount says that a user has no account, or none for TURN.
var ErrNoAccount = errors.New("no such account")

// Relays opens the sockets on which allocations talk to peers. The
// turn.RelayAddressGenerator of github.com/pion/turn/v2 has these methods, too.
type Relays interface {
	// AllocatePacketConn returns a socket for a network (udp4 or udp6), and the
	// address by which peers reach it. port 0: any that is free.
	AllocatePacketConn(network string, port int) (net.PacketConn, net.Addr, error)
}

// StreamRelays are Relays that can relay TCP, too (RFC 6062). Clients who ask others
// for it are refused (442).
type StreamRelays interface {
	Relays

	// AllocateListener returns a listener for a network (tcp4 or tcp6), and the address
	// by which peers reach it. port 0: any that is free.
	AllocateListener(network string, port int) (net.Listener, net.Addr, error)

	// Connect connects a relay, named by the address that AllocateListener returned, to
	// a peer: from that address. It blocks until ctx is done at most.
	Connect(ctx context.Context, network string, relay, peer netip.AddrPort) (net.Conn, error)
}
