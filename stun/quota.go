package stun

import (
	"net/netip"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
)

// quota counts the allocations and reservations of client addresses (network).
type quota struct {
	mu    sync.Mutex
	count map[netip.Addr]int
}

// network is what counts as one client address: of IPv6 the first 64 bits, as the others
// are the client's to choose (RFC 4291, section 2.5.4).
func network(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}

// take says whether an address may have one more, which it then has.
func (q *quota) take(a netip.Addr, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count[a] >= most {
		return false
	}
	if q.count == nil {
		q.count = make(map[netip.Addr]int)
	}
	q.count[a]++
	return true
}

// put undoes take.
func (q *quota) put(a netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count[a]--; q.count[a] == 0 {
		delete(q.count, a)
	}
}

// userKey is whose traffic counts together: a user's or, where nobody is asked for a
// name, that of an address.
type userKey struct {
	users *auth.Authenticator // of the realm; nil: nobody is asked
	name  string
	addr  netip.Addr
}

// users are those that have allocations, or had some until shortly, with what bounds
// their traffic.
type users struct {
	mu   sync.Mutex
	list map[userKey]*userLimit
}

type userLimit struct {
	bucket      shaper.Bucket
	allocations int
	memory      time.Duration // how long it stays without allocations
	forget      *time.Timer
}

// maxMemory bounds how long a user is remembered who has no allocation.
const maxMemory = time.Minute

// memory is how long it takes until a bucket is full again, whatever was taken: so long
// a new one would let through what the old one did not.
func memory(r shaper.Rate) time.Duration {
	if r.BytesPerSecond == 0 {
		return 0
	}
	debt := time.Duration(1<<16) * time.Second / time.Duration(r.BytesPerSecond)
	return min(time.Second+debt, maxMemory)
}

// enter returns the bucket of a user who gets an allocation.
func (u *users) enter(k userKey, r shaper.Rate) *shaper.Bucket {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.list == nil {
		u.list = make(map[userKey]*userLimit)
	}
	l := u.list[k]
	if l == nil {
		l = new(userLimit)
		u.list[k] = l
	}
	l.allocations++
	l.memory = memory(r)
	l.bucket.SetRate(r)
	return &l.bucket
}

// leave undoes enter.
func (u *users) leave(k userKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.list[k]
	if l == nil {
		return
	}
	switch l.allocations--; {
	case l.allocations > 0:
	case l.memory == 0:
		delete(u.list, k)
	case l.forget != nil:
		l.forget.Reset(l.memory)
	default:
		l.forget = time.AfterFunc(l.memory, func() { u.forget(k, l) })
	}
}

// forget is run by the timer of a user.
func (u *users) forget(k userKey, l *userLimit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.allocations == 0 && u.list[k] == l {
		delete(u.list, k)
	}
}
