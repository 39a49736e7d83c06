package s2s

import (
	"context"
	"net/netip"
	"sync"
)

// peers counts, by address, what servers may have only so much of.
type peers struct {
	mu    sync.Mutex
	used  map[netip.Addr]use
	freed chan struct{} // closed when keys are given back; nil: nobody waits
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
	if more.verifying < 0 && p.freed != nil {
		close(p.freed)
		p.freed = nil
	}
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

// await is take for a key, once there is room: many domains of one server begin at
// the same time after it was started. It reports false when ctx is over before.
func (p *peers) await(ctx context.Context, a netip.Addr) bool {
	for {
		p.mu.Lock()
		if p.freed == nil {
			p.freed = make(chan struct{})
		}
		freed := p.freed
		p.mu.Unlock()
		if p.take(a, use{verifying: 1}, use{verifying: maxPerAddr}) {
			return true
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}
