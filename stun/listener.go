package stun

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// listener is what the clients of one socket share.
type listener struct {
	srv     *Server
	addr    net.Addr
	network string         // of addr
	local   netip.AddrPort // not valid: it is a unix socket
	set     atomic.Pointer[settings]
	trouble *netserve.Sampler // for what peers can cause
	tuples  tuples
	socket  *datagram.Socket // nil: it is one of streams
	group   *datagram.Group  // reads the sockets
	running sync.WaitGroup   // lookups, and timers of allocations and reservations
	looking chan struct{}    // a place for each stream that waits for accounts

	// siblings are the other sockets with the local address: the system may hand a
	// client from one to another when sockets come or go. nil: there are none.
	siblings atomic.Pointer[[]*listener]
}

// newListener begins to serve a socket, which is nil if it is one of streams. It is
// closed once its clients are no longer heard.
func (s *Server) newListener(addr net.Addr, socket *datagram.Socket, o Options) (*listener, error) {
	l := &listener{srv: s, addr: addr, network: addr.Network(), local: addrPort(addr), socket: socket}
	set, err := s.settings(l.local, o)
	if err != nil {
		return nil, err
	}
	l.set.Store(set)
	if l.group, err = datagram.NewGroup(); err != nil {
		return nil, err
	}
	l.trouble = netserve.NewSampler(s.log, "further requests failed")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[l] = struct{}{}
	s.introduce(l)
	return l, nil
}

// isAt says whether the listener's socket has an address.
func (l *listener) isAt(addr net.Addr) bool {
	if l.network != addr.Network() || l.local != addrPort(addr) {
		return false
	}
	return l.local.IsValid() || l.addr.String() == addr.String()
}

// introduce tells the datagram sockets with the address of one of them, which has come
// or gone, of one another. s is locked.
func (s *Server) introduce(l *listener) {
	if !strings.HasPrefix(l.network, "udp") {
		return
	}
	var same []*listener
	for o := range s.listeners {
		if o.network == l.network && o.local == l.local {
			same = append(same, o)
		}
	}
	for _, o := range same {
		others := slices.DeleteFunc(slices.Clone(same), func(x *listener) bool { return x == o })
		o.siblings.Store(nil)
		if len(others) > 0 {
			o.siblings.Store(&others)
		}
	}
}

// allocation returns that of a client; nil if it has none.
func (l *listener) allocation(key netip.AddrPort) *allocation {
	a := l.tuples.get(key)
	if others := l.siblings.Load(); a == nil && others != nil {
		for _, o := range *others {
			if a = o.tuples.get(key); a != nil {
				break
			}
		}
	}
	return a
}

// update gives the listener other settings.
func (l *listener) update(set *settings) {
	l.set.Store(set)
	for _, a := range l.tuples.all() {
		a.review(set)
	}
}

// close ends what the clients have, and waits for it.
func (l *listener) close() {
	l.srv.mu.Lock()
	delete(l.srv.listeners, l)
	if l.socket != nil {
		l.srv.stats.drop(l.socket.Drops())
	}
	l.srv.introduce(l)
	l.srv.mu.Unlock()
	l.tuples.close()
	l.srv.reservations.drop(l)
	l.running.Wait()
	_ = l.group.Close()
	l.trouble.Flush()
}

// failed logs an error that is ours, with the peer that has caused it.
func (l *listener) failed(err error, peer netip.AddrPort) {
	args := []any{netserve.KeyPeer, peer.String(), netserve.KeyErr, err}
	if p := (*netserve.PanicError)(nil); errors.As(err, &p) {
		args = append(args, "stack", string(p.Stack))
	}
	l.trouble.Log(context.Background(), slog.LevelError, "handling a packet failed", args...)
}
