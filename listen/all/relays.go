package all

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/stun"
)

// relayUsers gives stun's name to the error of those who have no relays.
type relayUsers struct{ users *host.TURN }

// HA1 implements stun.Accounts.
func (r relayUsers) HA1(ctx context.Context, user, realm, hash string) ([]byte, error) {
	key, err := r.users.HA1(ctx, user, realm, hash)
	if errors.Is(err, stanza.ErrNoAccount) {
		err = stun.ErrNoAccount
	}
	return key, err
}

// relayKind runs the STUN module for a configuration, and knows where it listens.
type relayKind struct {
	*stun.Server

	mu      sync.Mutex
	running map[*relayListener]struct{}
}

// relayListener is a socket that takes clients.
type relayListener struct {
	addr    net.Addr
	options stun.Options
}

func (k *relayKind) add(l *relayListener) (remove func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running[l] = struct{}{}
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.running, l)
	}
}

// Listen counts a listener until it takes no more connections: the sessions may
// take longer.
func (k *relayKind) Listen(ctx context.Context, ln net.Listener, o stun.Options) error {
	remove := k.add(&relayListener{ln.Addr(), o})
	defer remove()
	return k.Server.Listen(ctx, &closing{ln, remove}, o)
}

func (k *relayKind) ListenPacket(ctx context.Context, pc net.PacketConn, o stun.Options) error {
	defer k.add(&relayListener{pc.LocalAddr(), o})()
	return k.Server.ListenPacket(ctx, pc, o)
}

// Update implements listen.Updater.
func (k *relayKind) Update(addr net.Addr, o stun.Options) error {
	err := k.Server.Update(addr, o)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for l := range k.running {
		if l.addr.Network() == addr.Network() && l.addr.String() == addr.String() {
			l.options = o
		}
	}
	return nil
}

// closing tells when a listener takes no more connections.
type closing struct {
	net.Listener
	closed func()
}

func (c *closing) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if errors.Is(err, net.ErrClosed) {
		c.closed()
	}
	return conn, err
}

func (c *closing) Close() error {
	c.closed()
	return c.Listener.Close()
}

// local returns the listeners as clients are told of them (XEP-0215): datagrams
// first, TLS last.
func (k *relayKind) local() []extdisco.Local {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []extdisco.Local
	for l := range k.running {
		if offer, ok := l.offer(); ok {
			list = append(list, offer)
		}
	}
	slices.SortFunc(list, func(a, b extdisco.Local) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port))
	})
	return list
}

func rank(l extdisco.Local) int {
	switch {
	case l.TLS:
		return 2
	case l.TCP:
		return 1
	}
	return 0
}

// offer returns false for what nobody can be told of, such as a unix socket. A
// certificate is for a name; without TLS an address is as good and sure to be
// right, as the name of a virtual host may be that of another machine.
func (l *relayListener) offer() (extdisco.Local, bool) {
	at, err := netip.ParseAddrPort(l.addr.String())
	if err != nil {
		return extdisco.Local{}, false
	}
	o := extdisco.Local{Port: int(at.Port()), TCP: l.addr.Network() == "tcp", TLS: l.options.TLS != nil, TURN: l.options.UseTURN}
	if l.options.AuthType == stun.AuthUser {
		o.Realm = l.options.AuthRealm
	}
	switch a := at.Addr().Unmap(); {
	case o.TLS:
	case !a.IsUnspecified():
		o.Host = a.String()
	case l.options.IPv4Address.IsValid():
		o.Host = l.options.IPv4Address.String()
	case l.options.IPv6Address.IsValid() && a.Is6():
		o.Host = l.options.IPv6Address.String()
	}
	return o, true
}
