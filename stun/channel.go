package stun

import (
	"net/netip"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

const (
	channelLifetime = 10 * time.Minute // RFC 8656, section 12

	// channelsPerPermission bounds the channels of an allocation: so many times the
	// permissions that it may have.
	channelsPerPermission = 16
)

// channel is a number for a peer.
type channel struct {
	number  uint16
	peer    netip.AddrPort
	expires time.Time
}

// channelBind answers a ChannelBind request (RFC 8656, section 12.2).
func (r *request) channelBind() {
	v, _ := r.m.Get(stun.AttrChannelNumber)
	number, ok := wire.ChannelNumber(v)
	v, _ = r.m.Get(stun.AttrXORPeerAddress)
	peer, err := r.m.Address(v)
	if !ok || !wire.ValidChannel(number) || err != nil || peer.Port() == 0 {
		r.fail(codeBadRequest)
		return
	}
	r.a.mu.Lock() // as in createPermission
	defer r.a.mu.Unlock()
	r.report(r.a.bind(r.a.l.set.Load(), number, peer, r.now))
}

// bind binds a channel, or prolongs its life, and gives permission for its peer. a is
// locked.
func (a *allocation) bind(set *settings, number uint16, peer netip.AddrPort, now time.Time) (code int) {
	a.expireChannel(a.byNumber[number], now)
	a.expireChannel(a.byPeer[peer], now)
	c := a.byNumber[number]
	if c != nil && c.peer != peer || c == nil && a.byPeer[peer] != nil {
		return codeBadRequest
	}
	if c == nil && !a.hasRoom(channelsPerPermission*set.MaxPermissions, now) {
		return codeCapacity
	}
	if code := a.permit(set, []netip.AddrPort{peer}, now); code != 0 {
		return code
	}
	if c == nil {
		c = &channel{number: number, peer: peer}
		if a.byNumber == nil {
			a.byNumber, a.byPeer = make(map[uint16]*channel), make(map[netip.AddrPort]*channel)
		}
		a.byNumber[number], a.byPeer[peer] = c, c
	}
	c.expires = now.Add(channelLifetime)
	return 0
}

// hasRoom says whether there are fewer than most channels. a is locked.
func (a *allocation) hasRoom(most int, now time.Time) bool {
	if len(a.byNumber) >= most {
		for _, old := range a.byNumber {
			a.expireChannel(old, now)
		}
	}
	return len(a.byNumber) < most
}

// expireChannel forgets a channel, if there is one and its time has come. a is locked.
func (a *allocation) expireChannel(c *channel, now time.Time) {
	if c != nil && !now.Before(c.expires) {
		a.unbind(c)
	}
}

// unbind forgets a channel. a is locked.
func (a *allocation) unbind(c *channel) {
	delete(a.byNumber, c.number)
	delete(a.byPeer, c.peer)
}
