package stun

import (
	"net/netip"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// fromChannel passes ChannelData of the client on to a peer (RFC 8656, section 12.6).
func (a *allocation) fromChannel(b []byte, out *datagram.Outbox, now time.Time, count *tally) {
	number, data, ok := wire.Channel(b)
	if !ok {
		count.dropped++
		return
	}
	a.mu.Lock()
	var peer netip.AddrPort
	var r *relay
	if c := a.byNumber[number]; c != nil && now.Before(c.expires) {
		peer = c.peer
		r = a.way(peer, now)
	}
	a.mu.Unlock()
	if r == nil || !a.allows(len(data)) {
		count.dropped++
		return
	}
	out.Add(r.socket, data, peer)
	count.relay(len(data))
}

// fromSend passes the data of a Send indication on to a peer (RFC 8656, section 11.2).
func (a *allocation) fromSend(m *wire.Message, out *datagram.Outbox, now time.Time, count *tally) {
	v, _ := m.Get(stun.AttrXORPeerAddress)
	peer, err := m.Address(v)
	data, ok := m.Get(stun.AttrData)
	if err != nil || !ok || peer.Port() == 0 {
		count.dropped++
		return
	}
	a.mu.Lock()
	r := a.way(peer, now)
	a.mu.Unlock()
	if r == nil || !a.allows(len(data)) {
		count.dropped++
		return
	}
	// From IPv6 to IPv4 it does not count (RFC 8656, section 13.3).
	if peer.Addr().Is4() && a.client.address().Addr().Is4() && m.Has(stun.AttrDontFragment) {
		out.Flush() // keeps the order
		if r.socket.WriteDF(data, peer) != nil {
			count.dropped++
			return
		}
	} else {
		out.Add(r.socket, data, peer)
	}
	count.relay(len(data))
}

// way returns the relay by which a peer is reached, nil if it may not be. a is locked.
func (a *allocation) way(peer netip.AddrPort, now time.Time) *relay {
	if a.tcp || !a.permits(peer, now) {
		return nil
	}
	return a.relays[familyOf(peer.Addr())]
}
