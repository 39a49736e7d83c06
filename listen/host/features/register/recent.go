package register

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// MaxRecent is how many addresses are remembered. With more, the oldest ones
// are forgotten before their time.
const MaxRecent = 10000

// recent remembers from where accounts were registered. An IPv6 address counts
// as its /64, which is what one subscriber gets. Peers whose address is not
// known share one place.
type recent struct {
	mu      sync.Mutex
	timeout time.Duration
	limit   int
	order   *list.List // of place, oldest first
	places  map[netip.Prefix]*list.Element
}

type place struct {
	from netip.Prefix
	at   time.Time
}

func newRecent(limit int) *recent {
	return &recent{limit: limit, order: list.New(), places: make(map[netip.Prefix]*list.Element)}
}

func (r *recent) setTimeout(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeout = d
}

// enter notes a registration from addr. ok is false if there was one within the
// timeout; release takes the note back.
func (r *recent) enter(addr netip.Addr) (release func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timeout == 0 {
		return func() {}, true
	}
	now := time.Now()
	for e := r.order.Front(); e != nil && now.Sub(e.Value.(place).at) >= r.timeout; e = r.order.Front() {
		r.remove(e)
	}
	from := network(addr)
	if _, seen := r.places[from]; seen {
		return nil, false
	}
	if r.order.Len() >= r.limit {
		r.remove(r.order.Front())
	}
	e := r.order.PushBack(place{from, now})
	r.places[from] = e
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.places[from] == e {
			r.remove(e)
		}
	}, true
}

func (r *recent) remove(e *list.Element) {
	delete(r.places, r.order.Remove(e).(place).from)
}

// network returns what counts as one place.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // the zero Prefix for the zero Addr
	return p
}
