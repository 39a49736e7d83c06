package stun

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// relaySocket is a socket of a relay, and where peers reach it.
type relaySocket struct {
	socket *datagram.Socket
	addr   netip.AddrPort
}

// hasFamily says whether there are relays of a family.
func (set *settings) hasFamily(f family, relays Relays) bool {
	return set.relays[f].IsValid() || f == ipv4 && relays != nil
}

// openSocket opens a socket as an Allocate request wants it; next is the one with the
// next higher port if it is to be reserved.
func (s *Server) openSocket(set *settings, f family, w wish) (here, next relaySocket, err error) {
	if s.h.Relays != nil {
		return openForeign(s.h.Relays, set, f, w)
	}
	ip := set.relays[f]
	var b *datagram.Socket
	switch {
	case w.reserve:
		here.socket, b, err = s.ports.OpenPair(ip, set.ports)
	case w.even:
		here.socket, err = s.ports.OpenEven(ip, set.ports)
	default:
		here.socket, err = s.ports.Open(ip, set.ports)
	}
	if err != nil {
		return here, next, err
	}
	here.addr = here.socket.LocalAddr()
	if b != nil {
		next = relaySocket{b, b.LocalAddr()}
	}
	return here, next, nil
}

// foreignTries is how many ports are tried for EVEN-PORT when the host opens the
// sockets.
const foreignTries = 64

// openForeign is openSocket where the host opens the sockets.
func openForeign(relays Relays, set *settings, f family, w wish) (here, next relaySocket, err error) {
	if !w.even {
		here, err = openAt(relays, f, 0)
		return here, next, err
	}
	low, n := (int(set.ports.Min)+1)/2, (int(set.ports.Max)+1)/2
	if n <= low {
		return here, next, datagram.ErrNoPort
	}
	for range foreignTries {
		port := 2 * (low + rand.IntN(n-low))
		if here, err = openAt(relays, f, port); err != nil {
			continue
		}
		if !w.reserve {
			return here, next, nil
		}
		if next, err = openAt(relays, f, port+1); err == nil {
			return here, next, nil
		}
		_ = here.socket.Close()
	}
	return here, next, err
}

// openAt opens a socket with a port, 0 is any.
func openAt(relays Relays, f family, port int) (s relaySocket, err error) {
	err = netserve.Guard(func() error {
		pc, addr, err := relays.AllocatePacketConn(f.network(), port)
		if err != nil {
			return err
		}
		s = relaySocket{datagram.NewSocket(pc), addrPort(addr)}
		return nil
	})
	if err != nil {
		return s, err
	}
	if familyOf(s.addr.Addr()) != f || s.addr.Port() == 0 || port != 0 && int(s.addr.Port()) != port {
		_ = s.socket.Close()
		return s, fmt.Errorf("host opened a relay at %s, want one of %s with port %d", s.addr, f.network(), port)
	}
	return s, nil
}
