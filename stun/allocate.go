package stun

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/shaper"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// Protocols of relays, by the numbers of IP.
const (
	protocolTCP = 6
	protocolUDP = 17
)

// allocate answers an Allocate request (RFC 8656, section 7.2).
func (r *request) allocate() {
	if r.a != nil {
		if r.a.answer.transaction != r.m.Transaction() || r.signed && r.id.User != r.a.user {
			r.fail(codeMismatch)
			return
		}
		r.granted(&r.a.answer)
		return
	}
	w, code := r.wish()
	switch {
	case code != 0:
	case isTunnel(r.client.address().Addr()), r.l.srv.live.has(r.client.address()):
		code = codeForbidden
	case r.mayRedirect():
		r.redirect()
		return
	default:
		code = r.grant(w)
	}
	if code != 0 {
		r.fail(code)
	}
}

// wish is what an Allocate request asks for.
type wish struct {
	tcp      bool
	family   family
	both     bool // families
	even     bool // port
	reserve  bool // the next higher port
	token    [8]byte
	hasToken bool
	lifetime time.Duration
}

// wish reads what the request asks for; code is why it cannot have it.
func (r *request) wish() (w wish, code int) {
	v, _ := r.m.Get(stun.AttrRequestedTransport)
	protocol, ok := wire.Transport(v)
	if !ok {
		return w, codeBadRequest
	}
	w.tcp = protocol == protocolTCP && r.l.srv.hasTCP()
	if protocol != protocolUDP && !w.tcp {
		return w, codeTransport
	}
	if w.tcp && (!r.client.isStream() || r.asksForUDP()) {
		return w, codeBadRequest
	}
	if w.lifetime, ok = r.lifetime(); !ok {
		return w, codeBadRequest
	}
	even, hasEven := r.m.Get(stun.AttrEvenPort)
	if w.even = hasEven; hasEven {
		if w.reserve, ok = wire.EvenPort(even); !ok {
			return w, codeBadRequest
		}
	}
	token, hasToken := r.m.Get(stun.AttrReservationToken)
	if w.hasToken = hasToken; hasToken {
		if w.token, ok = wire.Token(token); !ok {
			return w, codeBadRequest
		}
	}
	return w, r.wishFamily(&w)
}

// wishFamily reads the families that the request asks for.
func (r *request) wishFamily(w *wish) (code int) {
	requested, isRequested := r.m.Get(stun.AttrRequestedAddressFamily)
	additional, isAdditional := r.m.Get(wire.AttrAdditionalAddressFamily)
	if isRequested && isAdditional || (isRequested || isAdditional || w.even) && w.hasToken || isAdditional && w.reserve {
		return codeBadRequest
	}
	w.both = isAdditional
	if isAdditional {
		if f, ok := wire.Family(additional); !ok || f != wire.FamilyIPv6 {
			return codeBadRequest
		}
	}
	if isRequested {
		f, ok := wire.Family(requested)
		switch {
		case !ok:
			return codeBadRequest
		case f == wire.FamilyIPv6:
			w.family = ipv6
		case f != wire.FamilyIPv4:
			return codeFamily
		}
	}
	return 0
}

// lifetime returns for how long the request asks; false: LIFETIME is malformed.
func (r *request) lifetime() (time.Duration, bool) {
	v, asked := r.m.Get(stun.AttrLifetime)
	if !asked {
		return defaultLifetime, true
	}
	seconds, ok := wire.Uint32(v)
	return time.Duration(seconds) * time.Second, ok
}

// mayRedirect says whether the client is sent to another server: one that it can reach
// from its address (RFC 8489, section 14.15).
func (r *request) mayRedirect() bool {
	to := r.set.AlternateServer.Addr()
	return to.IsValid() && familyOf(to.Unmap()) == familyOf(r.client.address().Addr())
}

func (r *request) redirect() {
	r.beginError(codeTryAlternate, reason(codeTryAlternate))
	r.b.AddMapped(stun.AttrAlternateServer, r.set.AlternateServer)
	r.finish()
}

// grant makes an allocation and answers with it; code is why there is none.
func (r *request) grant(w wish) (code int) {
	a := &allocation{l: r.l, client: r.client}
	a.answer = answer{transaction: r.m.Transaction(), lifetime: r.set.lifetime(w.lifetime)}
	if r.signed {
		a.users, a.user = r.users(), r.id.User
		a.identity.Store(&identity{r.id, r.now})
	}
	if code := r.open(a, w); code != 0 {
		return code
	}
	a.limits[0] = shaper.NewBucket(perSecond(r.set.AllocationRate))
	a.limits[1] = r.l.srv.users.enter(a.userKey(), perSecond(r.set.UserRate))
	if code := a.start(r.now); code != 0 {
		if a.answer.hasToken {
			r.l.srv.reservations.cancel(a.answer.token)
		}
		return code
	}
	if set := r.l.set.Load(); set != r.set {
		a.review(set) // update may not have seen it
	}
	r.l.srv.log.Debug("allocation made", netserve.KeyPeer, a.client.address(), netserve.KeyUser, a.user, "relays", a.answer.relays)
	r.granted(&a.answer)
	return 0
}

// open opens the relays of an allocation, for which there is room in the quota of its
// client afterwards. code is why there are none.
func (r *request) open(a *allocation, w wish) (code int) {
	from := network(r.client.address().Addr())
	if w.hasToken {
		next, code := r.l.srv.reservations.take(w.token, from, r.set.MaxAllocations)
		if code == 0 {
			a.own(next)
		}
		return code
	}
	if !r.l.srv.quota.take(from, r.set.MaxAllocations) {
		return codeQuota
	}
	code = r.openRelay(a, w.family, w)
	if w.both {
		second := r.openRelay(a, ipv6, w)
		switch {
		case code == 0 && second != 0:
			a.answer.missing, a.answer.lacking = second, ipv6
		case code != 0 && second == 0:
			a.answer.missing, a.answer.lacking, code = code, ipv4, 0
		}
	}
	if code != 0 {
		r.l.srv.quota.put(from)
	}
	return code
}

// openRelay opens the relay of one family.
func (r *request) openRelay(a *allocation, f family, w wish) (code int) {
	if !r.set.hasFamily(f, r.l.srv.h.Relays) {
		return codeFamily
	}
	if w.tcp {
		return r.notOpened(r.openTCP(a, f))
	}
	here, next, err := r.l.srv.openSocket(r.set, f, w)
	if err != nil {
		return r.notOpened(err)
	}
	if w.reserve {
		token, ok := r.l.srv.reservations.add(r.l, next, network(r.client.address().Addr()), r.set.MaxAllocations)
		if !ok {
			_ = here.socket.Close()
			_ = next.socket.Close()
			return codeCapacity
		}
		a.answer.token, a.answer.hasToken = token, true
	}
	a.own(here)
	return 0
}

// notOpened returns the code for an error of opening a relay; 0 if there is none.
func (r *request) notOpened(err error) (code int) {
	if err == nil {
		return 0
	}
	if !errors.Is(err, datagram.ErrNoPort) {
		r.l.trouble.Log(context.Background(), slog.LevelError, "opening a relay failed", netserve.KeyErr, err)
	}
	return codeCapacity
}

// granted answers with what an allocation has (RFC 8656, section 7.2).
func (r *request) granted(is *answer) {
	r.succeed()
	for _, relay := range is.relays {
		if relay.IsValid() {
			r.b.AddAddress(stun.AttrXORRelayedAddress, relay)
		}
	}
	if is.missing != 0 {
		r.b.AddAddressError(is.lacking.number(), is.missing, reason(is.missing))
	}
	r.b.AddUint32(stun.AttrLifetime, uint32(is.lifetime/time.Second))
	if is.hasToken {
		r.b.Add(stun.AttrReservationToken, is.token[:])
	}
	r.b.AddAddress(stun.AttrXORMappedAddress, r.client.address())
	r.finish()
}
