package stun

import (
	"net/netip"
	"sync"

	"github.com/tidewaiter/tidewaiter/shaper"
)

// quota counts the allocations and reservations of client addresses.
type quota struct {
	mu    sync.Mutex
	count map[netip.Addr]int
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
	name string
	addr netip.Addr
}

// users are those that have allocations, with what bounds their traffic.
type users struct {
	mu   sync.Mutex
	list map[userKey]*userLimit
}

type userLimit struct {
	bucket      shaper.Bucket
	allocations int
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
	l.bucket.SetRate(r)
	return &l.bucket
}

// leave undoes enter.
func (u *users) leave(k userKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.list[k]; l != nil {
		if l.allocations--; l.allocations == 0 {
			delete(u.list, k)
		}
	}
}
