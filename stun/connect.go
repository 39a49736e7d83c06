package stun

import (
	"bytes"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// asksForUDP says whether an Allocate request has an attribute that there is for
// relays of UDP only (RFC 6062, section 5.1).
func (r *request) asksForUDP() bool {
	return r.m.Has(stun.AttrEvenPort) || r.m.Has(stun.AttrDontFragment) || r.m.Has(stun.AttrReservationToken)
}

// openTCP opens the relay of one family.
func (r *request) openTCP(a *allocation, f family) error {
	ln, at, err := r.l.srv.listenTCP(r.set, f)
	if err == nil {
		a.ownListener(ln, at)
	}
	return err
}

// connect begins to answer a Connect request (RFC 6062, section 5.2).
func (r *request) connect() {
	v, _ := r.m.Get(stun.AttrXORPeerAddress)
	peer, err := r.m.Address(v)
	if err != nil || peer.Port() == 0 {
		r.fail(codeBadRequest)
		return
	}
	a := r.a
	a.mu.Lock()
	defer a.mu.Unlock()
	relay, set := a.relays[familyOf(peer.Addr())], a.l.set.Load() // not of before a look-up
	switch {
	case !a.tcp:
		r.fail(codeForbidden)
		return
	case relay == nil:
		r.fail(codePeerFamily)
		return
	case peer == relay.addr, !set.reaches(relay.addr.Addr(), peer.Addr()) && !a.live().has(peer):
		r.fail(codeForbidden)
		return
	}
	c, code := a.enterPeer(relay.addr, peer)
	if code != 0 {
		r.fail(code)
		return
	}
	later := r.detach()
	r.l.running.Go(func() { later.connected(c) })
}

// detach returns the request without what is used again.
func (r *request) detach() *request {
	own, m := new(request), new(wire.Message)
	_ = m.Parse(bytes.Clone(r.m.Raw())) // it did already
	own.begin(r.l, m, r.client, time.Now(), nil)
	own.id, own.signed = r.id, r.signed
	return own
}

// connected makes the connection that the request asks for, and then answers.
func (r *request) connected(c *peerConn) {
	err := netserve.Guard(func() error {
		id, code := c.connect()
		if code != 0 {
			r.fail(code)
			r.l.srv.stats.refused.Add(1)
		} else {
			r.succeed()
			r.b.AddUint32(stun.AttrConnectionID, id)
			r.finish()
		}
		r.client.(*stream).out.notify(r.b.Bytes())
		return nil
	})
	if err != nil {
		r.l.failed(err, c.peer)
		c.end()
	}
}

// connectionBind answers a ConnectionBind request (RFC 6062, section 5.4). Somebody
// else's connection is as good as none, so that IDs cannot be tried out.
func (r *request) connectionBind() {
	s, isStream := r.client.(*stream)
	v, _ := r.m.Get(stun.AttrConnectionID)
	id, ok := wire.Uint32(v)
	if !isStream || !ok || r.a != nil || s.had {
		r.fail(codeBadRequest)
		return
	}
	c := r.l.srv.offers.get(id)
	if c == nil || !r.isOf(c.a) || !c.bind(s.conn) {
		r.fail(codeBadRequest)
		return
	}
	s.bound = c
	r.succeed()
	r.finish()
}

// isOf says whether the request is of the user who has an allocation.
func (r *request) isOf(a *allocation) bool {
	if r.signed {
		return a.users == r.users() && a.user == r.id.User
	}
	return a.users == nil && a.client.address().Addr() == r.client.address().Addr()
}
