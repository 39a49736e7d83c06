package stun

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// hasTCP says whether there are relays of TCP.
func (s *Server) hasTCP() bool {
	if s.h.Relays == nil {
		return canShare
	}
	_, ok := s.h.Relays.(StreamRelays)
	return ok
}

// listenTCP opens a relay of TCP, and returns where peers reach it.
func (s *Server) listenTCP(set *settings, f family) (net.Listener, netip.AddrPort, error) {
	if s.h.Relays == nil {
		return s.listenInRange(set, f)
	}
	var ln net.Listener
	var addr net.Addr
	err := netserve.Guard(func() (err error) {
		ln, addr, err = s.h.Relays.(StreamRelays).AllocateListener(f.tcp(), 0)
		return err
	})
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	at := addrPort(addr)
	if at.Port() == 0 || familyOf(at.Addr()) != f {
		_ = ln.Close()
		return nil, at, &net.AddrError{Err: "relay has an address that was not asked for", Addr: addr.String()}
	}
	return ln, at, nil
}

// listenInRange tries the ports in order, from one at random to that before it.
func (s *Server) listenInRange(set *settings, f family) (net.Listener, netip.AddrPort, error) {
	count := int(set.ports.Max) - int(set.ports.Min) + 1
	start := rand.IntN(count)
	for i := range count {
		at := netip.AddrPortFrom(set.relays[f], set.ports.Min+uint16((start+i)%count))
		if s.liveTCP.has(at) {
			continue
		}
		ln, err := net.Listen(f.tcp(), at.String())
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err == nil {
			err = share(ln)
		}
		return ln, at, err
	}
	return nil, netip.AddrPort{}, datagram.ErrNoPort
}

// dialTCP connects a relay to a peer, from its own address.
func (s *Server) dialTCP(ctx context.Context, relay, peer netip.AddrPort) (net.Conn, error) {
	network := familyOf(relay.Addr()).tcp()
	if s.h.Relays != nil {
		return s.h.Relays.(StreamRelays).Connect(ctx, network, relay, peer)
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(relay), Control: shareControl}
	return d.DialContext(ctx, network, peer.String())
}

// tcp is the family's name for the functions of package net.
func (f family) tcp() string { return [families]string{"tcp4", "tcp6"}[f] }

// ownListener gives the allocation a relay of TCP, before it starts.
func (a *allocation) ownListener(ln net.Listener, at netip.AddrPort) {
	f := familyOf(at.Addr())
	a.tcp = true
	r := &relay{a: a, listener: ln, addr: at}
	r.ctx, r.stop = context.WithCancel(context.Background())
	a.relays[f] = r
	a.answer.relays[f] = at
	a.live().add(at)
}

// live returns the relays that can be peers of this one.
func (a *allocation) live() *liveRelays {
	if a.tcp {
		return &a.l.srv.liveTCP
	}
	return &a.l.srv.live
}

// start has the relay hear its peers.
func (r *relay) start() error {
	if r.listener == nil {
		return r.a.l.group.Add(r.socket, r)
	}
	r.a.l.running.Go(func() {
		err := netserve.Guard(func() error {
			netserve.Accept(r.ctx, r.listener, r.a.l.trouble, r.accept)
			return nil
		})
		if err != nil {
			r.a.l.failed(err, r.addr)
		}
	})
	return nil
}

func (r *relay) close() {
	r.a.live().remove(r.addr)
	if r.listener != nil {
		r.stop()
		_ = r.listener.Close()
		return
	}
	_ = r.socket.Close()
	r.a.l.srv.stats.drop(r.socket.Drops())
}
