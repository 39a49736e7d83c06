package s2s

import (
	"net/netip"
	"sync"
)

// peers counts, by address, what servers may have only so much of.
type peers struct {
	mu   sync.Mutex
	used map[netip.Addr]use
}

// use is what one address has.
type use struct {
	streams   int
	verifying int // keys
}

// take takes a stream and some keys more for an address, negative numbers give
// back. It reports false, and takes nothing, when that would be more than most; a
// most of 0 is no bound, and an address that is not valid, such as that of a unix
// socket, has none.
func (p *peers) take(a netip.Addr, more, most use) bool {
	if !a.IsValid() {
		return true
	}
	if a.Is6() { // a customer has as many addresses as he likes
		if net, err := a.Prefix(64); err == nil {
			a = net.Addr()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.used[a]
	u.streams += more.streams
	u.verifying += more.verifying
	switch {
	case most.streams > 0 && u.streams > most.streams, most.verifying > 0 && u.verifying > most.verifying:
		return false
	case u == use{}:
		delete(p.used, a)
		return true
	case p.used == nil:
		p.used = make(map[netip.Addr]use)
	}
	p.used[a] = u
	return true
}
