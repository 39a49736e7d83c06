package stun

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/shaper"
	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
)

// defaultLifetime is how long an allocation lives without a refresh unless its client
// asks for more (RFC 8656, section 3.2).
const defaultLifetime = 10 * time.Minute

// identity is who has shown something by a key, and when the account was asked.
type identity struct {
	auth.Identity
	since time.Time
}

// allocation is what a client has: one relay, or one of each family (RFC 8656, section
// 6).
type allocation struct {
	l      *listener
	client client
	users  *auth.Authenticator // nil: nobody was asked
	user   string
	tcp    bool              // its relays are of TCP
	limits [2]*shaper.Bucket // of the allocation, and of its user

	answer   answer
	identity atomic.Pointer[identity] // nil: nobody was asked

	mu          sync.Mutex
	closed      bool
	relays      [families]*relay // nil: there is none of the family
	permissions map[netip.Addr]permission
	byNumber    map[uint16]*channel
	byPeer      map[netip.AddrPort]*channel
	peers       map[netip.AddrPort]*peerConn // of TCP
	timer       *time.Timer                  // of the relay that expires first
}

// answer is what the client was told in answer to its Allocate request: the same again
// if it asks again (RFC 8656, section 5).
type answer struct {
	transaction [16]byte
	lifetime    time.Duration
	relays      [families]netip.AddrPort
	missing     int // why there is no relay of the family lacking; 0: none was asked for
	lacking     family
	token       [8]byte
	hasToken    bool
}

// start begins to relay. code is why it does not: then the allocation is closed.
func (a *allocation) start(now time.Time) (code int) {
	code, err := a.enter(now)
	if err != nil {
		a.l.trouble.Log(context.Background(), slog.LevelError, "opening a relay failed", netserve.KeyErr, err)
		code = codeCapacity
		a.close()
	}
	return code
}

func (a *allocation) enter(now time.Time) (code int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.l.tuples.add(a) {
		a.release()
		return codeMismatch, nil
	}
	a.l.srv.stats.allocations.Add(1)
	a.l.running.Add(1)
	a.timer = time.AfterFunc(a.answer.lifetime, a.expire)
	for _, r := range a.relays {
		if r != nil && err == nil {
			r.expires = now.Add(a.answer.lifetime)
			err = r.start()
		}
	}
	return 0, err
}

// expire is run by the timer.
func (a *allocation) expire() {
	a.mu.Lock()
	now := time.Now()
	for f, r := range a.relays {
		if r != nil && !now.Before(r.expires) {
			a.drop(family(f))
		}
	}
	if wait, ok := a.untilExpiry(now); ok && !a.closed {
		a.timer.Reset(wait)
		a.mu.Unlock()
		return
	}
	a.mu.Unlock()
	a.close()
	a.l.running.Done()
}

// untilExpiry returns how long it takes until a relay expires, if there is any. a is
// locked.
func (a *allocation) untilExpiry(now time.Time) (wait time.Duration, ok bool) {
	for _, r := range a.relays {
		if r != nil && (!ok || r.expires.Sub(now) < wait) {
			wait, ok = r.expires.Sub(now), true
		}
	}
	return wait, ok
}

// prolong sets the lifetime of the relays of some families; 0 ends them. a goes on
// if there is any left.
func (a *allocation) prolong(which [families]bool, d time.Duration, now time.Time) {
	a.mu.Lock()
	for f, r := range a.relays {
		switch {
		case r == nil || !which[f]:
		case d == 0:
			a.drop(family(f))
		default:
			r.expires = now.Add(d)
		}
	}
	wait, ok := a.untilExpiry(now)
	if ok && !a.closed && a.timer.Stop() {
		a.timer.Reset(wait) // otherwise it runs, and looks for itself
	}
	a.mu.Unlock()
	if !ok {
		a.close()
	}
}

// drop ends the relay of a family and what belongs to it. a is locked.
func (a *allocation) drop(f family) {
	r := a.relays[f]
	if r == nil {
		return
	}
	a.relays[f] = nil
	r.close()
	for ip := range a.permissions {
		if familyOf(ip) == f {
			delete(a.permissions, ip)
		}
	}
	for _, c := range a.byNumber {
		if familyOf(c.peer.Addr()) == f {
			a.unbind(c)
		}
	}
	a.dropPeers(func(c *peerConn) bool { return c.relay != r.addr })
}

// close ends the allocation.
func (a *allocation) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.l.tuples.remove(a)
	a.l.srv.stats.allocations.Add(-1)
	if a.timer.Stop() {
		a.l.running.Done() // otherwise expire does so
	}
	a.release()
}

// release gives back what the allocation has of the server. a is locked.
func (a *allocation) release() {
	a.closed = true
	for f := range families {
		a.drop(f)
	}
	a.l.srv.quota.put(network(a.client.address().Addr()))
	a.l.srv.users.leave(a.userKey())
}

// userKey is whose traffic the allocation's is.
func (a *allocation) userKey() userKey {
	if a.users == nil {
		return userKey{addr: network(a.client.address().Addr())}
	}
	return userKey{users: a.users, name: a.users.Account(a.user)}
}

// allows says whether n bytes may be relayed now.
func (a *allocation) allows(n int) bool {
	return a.limits[0].Allow(n) && a.limits[1].Allow(n)
}

// review applies other settings to what the client has.
func (a *allocation) review(set *settings) {
	a.limits[0].SetRate(perSecond(set.AllocationRate))
	a.limits[1].SetRate(perSecond(set.UserRate))
	a.mu.Lock()
	defer a.mu.Unlock()
	for ip, p := range a.permissions {
		r := a.relays[familyOf(ip)]
		if r == nil || !p.relaysOnly && !set.reaches(r.addr.Addr(), ip) {
			delete(a.permissions, ip)
		}
	}
	a.dropPeers(func(c *peerConn) bool { return set.reaches(c.relay.Addr(), c.peer.Addr()) || a.live().has(c.peer) })
}
