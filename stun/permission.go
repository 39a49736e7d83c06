package stun

import (
	"maps"
	"net/netip"
	"time"

	"github.com/pion/stun"
)

const permissionLifetime = 5 * time.Minute // RFC 8656, section 9

// permission lets the peers of an address through.
type permission struct {
	expires time.Time
	// relaysOnly says that the address is one of this server's, and nothing there may
	// be reached but relays of ours.
	relaysOnly bool
}

// createPermission answers a CreatePermission request (RFC 8656, section 10.2).
func (r *request) createPermission() {
	var peers []netip.AddrPort
	for v := range r.m.Each(stun.AttrXORPeerAddress) {
		peer, err := r.m.Address(v)
		if err != nil {
			r.fail(codeBadRequest)
			return
		}
		peers = append(peers, peer)
	}
	if len(peers) == 0 {
		r.fail(codeBadRequest)
		return
	}
	r.a.mu.Lock() // review comes before, with the settings of now, or after
	defer r.a.mu.Unlock()
	r.report(r.a.permit(r.a.l.set.Load(), peers, r.now))
}

// report answers a request of which nothing is to be told but whether it failed.
func (r *request) report(code int) {
	if code != 0 {
		r.fail(code)
		return
	}
	r.succeed()
	r.finish()
}

// permit gives or prolongs permissions: all of them or, with an error code, none. a is
// locked.
func (a *allocation) permit(set *settings, peers []netip.AddrPort, now time.Time) (code int) {
	granted := make(map[netip.Addr]permission, min(len(peers), set.MaxPermissions))
	for _, peer := range peers {
		if p, twice := granted[peer.Addr()]; twice && !p.relaysOnly {
			continue // a request has room for thousands, each to be looked for in long lists
		}
		p, code := a.permission(set, peer)
		if code != 0 {
			return code
		}
		p.expires = now.Add(permissionLifetime)
		if granted[peer.Addr()] = p; len(granted) > set.MaxPermissions {
			return codeCapacity
		}
	}
	maps.DeleteFunc(a.permissions, func(_ netip.Addr, p permission) bool { return !now.Before(p.expires) })
	count := len(a.permissions)
	for ip := range granted {
		if _, has := a.permissions[ip]; !has {
			count++
		}
	}
	if count > set.MaxPermissions {
		return codeCapacity
	}
	if a.permissions == nil {
		a.permissions = make(map[netip.Addr]permission)
	}
	maps.Copy(a.permissions, granted)
	return 0
}

// permission returns the permission that there can be for the address of a peer. a is
// locked.
func (a *allocation) permission(set *settings, peer netip.AddrPort) (p permission, code int) {
	r := a.relays[familyOf(peer.Addr())]
	switch {
	case r == nil:
		return p, codePeerFamily
	case set.reaches(r.addr.Addr(), peer.Addr()):
		return p, 0
	case a.live().has(peer):
		return permission{relaysOnly: true}, 0
	}
	return p, codeForbidden
}

// permits says whether there is a permission for a peer. a is locked.
func (a *allocation) permits(peer netip.AddrPort, now time.Time) bool {
	p, ok := a.permissions[peer.Addr()]
	return ok && now.Before(p.expires) && (!p.relaysOnly || a.live().has(peer))
}
