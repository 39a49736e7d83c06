package stun

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/shaper"
)

var _ Module = (*Server)(nil)

// Listen implements Module. A connection without a message for 60 s ends, unless it
// has an allocation; and an allocation ends with its connection. What peers send to a
// client that does not read is dropped.
//
// An allocation may be one of TCP (RFC 6062). Then it has 10 connections with peers at
// most, those among them that are being made; more are refused (508).
//
// Clients of a unix socket without a PROXY header have no address that could be told:
// Binding answers say 0.0.0.0:0, and for quotas they are all one.
func (s *Server) Listen(ctx context.Context, ln net.Listener, o Options) error {
	l, err := s.newListener(ln.Addr(), nil, o)
	if err != nil {
		return err
	}
	l.looking = make(chan struct{}, maxLookups)
	sl := &streamListener{listener: l}
	err = netserve.Serve(ctx, ln, sl.serve, netserve.Config{Grace: o.Grace, Log: s.log})
	l.close()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// streamListener has the connections of a listener.
type streamListener struct {
	*listener
	count atomic.Uint64 // of connections that there ever were
}

// serve serves a connection until its end.
func (l *streamListener) serve(ctx context.Context, c net.Conn) error {
	s := &stream{l: l.listener, conn: c, addr: clientAddress(c), id: l.nextKey()}
	if r := l.set.Load().Shaper; r != nil {
		if rate := r.Rate(acl.Subject{IP: s.addr.Addr()}); rate != (shaper.Rate{}) {
			s.conn = shaper.NewConn(c, rate).Expose()
		}
	}
	return s.serve(ctx)
}

// nextKey returns a key that no other connection of the listener has.
func (l *streamListener) nextKey() netip.AddrPort {
	var k [16]byte
	binary.BigEndian.PutUint64(k[8:], l.count.Add(1))
	return netip.AddrPortFrom(netip.AddrFrom16(k), 0)
}

// unknownAddress is that of clients that have none of the internet.
var unknownAddress = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)

func clientAddress(c net.Conn) netip.AddrPort {
	if a := addrPort(c.RemoteAddr()); a.IsValid() {
		return a
	}
	return unknownAddress
}
