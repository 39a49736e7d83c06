package stun

import (
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// refresh answers a Refresh request (RFC 8656, section 8.2).
func (r *request) refresh() {
	asked, ok := r.lifetime()
	if !ok {
		r.fail(codeBadRequest)
		return
	}
	which, code := r.refreshed()
	if code != 0 {
		r.fail(code)
		return
	}
	var d time.Duration
	if asked > 0 {
		d = r.set.lifetime(asked)
	}
	r.a.prolong(which, d, r.now)
	r.succeed()
	r.b.AddUint32(stun.AttrLifetime, uint32(d/time.Second))
	r.finish()
}

// refreshed returns the families whose relays the request is about.
func (r *request) refreshed() (which [families]bool, code int) {
	v, one := r.m.Get(stun.AttrRequestedAddressFamily)
	if !one {
		return [families]bool{true, true}, 0
	}
	asked, ok := wire.Family(v)
	if !ok {
		return which, codeBadRequest
	}
	switch asked {
	case wire.FamilyIPv4:
		which[ipv4] = r.a.has(ipv4)
	case wire.FamilyIPv6:
		which[ipv6] = r.a.has(ipv6)
	}
	if which == [families]bool{} {
		return which, codePeerFamily
	}
	return which, 0
}

// has says whether there is a relay of a family.
func (a *allocation) has(f family) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.relays[f] != nil
}
