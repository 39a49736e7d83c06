package datagram

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
)

// ErrNoPort says that no port of a range is free.
var ErrNoPort = errors.New("no free port; a larger range of ports has more")

// PortRange is the ports from Min to Max, both included.
type PortRange struct{ Min, Max uint16 }

// Ports opens the sockets of relays, and remembers which ports it has open: 8 KiB for
// each address that ever was. The zero value is ready for use, by any number of
// goroutines.
type Ports struct {
	mu   sync.Mutex
	used map[netip.Addr]*portSet
}

// portSet is the ports that are open of an address.
type portSet [1 << 16 / 64]uint64

func (p *portSet) has(port uint16) bool { return p[port/64]>>(port%64)&1 != 0 }
func (p *portSet) add(port uint16)      { p[port/64] |= 1 << (port % 64) }
func (p *portSet) remove(port uint16)   { p[port/64] &^= 1 << (port % 64) }

// Open opens a socket of addr on a port of the range, at random. Its datagrams go
// without the DF bit. The error is ErrNoPort only after every port was tried.
func (p *Ports) Open(addr netip.Addr, within PortRange) (*Socket, error) {
	s, _, err := p.open(addr, within, 1, false)
	return s, err
}

// OpenEven is Open for an even port (RFC 8656, section 18.7).
func (p *Ports) OpenEven(addr netip.Addr, within PortRange) (*Socket, error) {
	s, _, err := p.open(addr, within, 2, false)
	return s, err
}

// OpenPair is OpenEven with the next higher port, which it opens, too.
func (p *Ports) OpenPair(addr netip.Addr, within PortRange) (even, odd *Socket, err error) {
	return p.open(addr, within, 2, true)
}

// open tries ports in order, from one at random to that before it. The lock is held
// throughout, so that a port that another call gives up is not missed.
func (p *Ports) open(addr netip.Addr, within PortRange, step int, pair bool) (first, second *Socket, err error) {
	addr = addr.Unmap()
	lowest, last := int(within.Min), int(within.Max)
	if step == 2 {
		lowest += lowest & 1
	}
	if pair {
		last--
	}
	if lowest > last || lowest == 0 {
		return nil, nil, ErrNoPort
	}
	count := (last-lowest)/step + 1
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.set(addr)
	var t trial
	defer t.close()
	start := rand.IntN(count)
	for i := range count {
		port := uint16(lowest + (start+i)%count*step)
		if set.has(port) || pair && set.has(port+1) {
			continue
		}
		first, second, err = t.open(addr, port, pair)
		if err != nil {
			return nil, nil, err
		}
		if first != nil {
			p.keep(set, first)
			if second != nil {
				p.keep(set, second)
			}
			return first, second, nil
		}
	}
	return nil, nil, ErrNoPort
}

func (p *Ports) set(addr netip.Addr) *portSet {
	set := p.used[addr]
	if set == nil {
		set = &portSet{}
		if p.used == nil {
			p.used = make(map[netip.Addr]*portSet)
		}
		p.used[addr] = set
	}
	return set
}

// keep remembers the port of s until s is closed.
func (p *Ports) keep(set *portSet, s *Socket) {
	port := s.local.Port()
	set.add(port)
	s.onClose(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		set.remove(port)
	})
}

// open opens the sockets of a port, and that of the next if pair. All are nil if one
// is taken.
func (t *trial) open(addr netip.Addr, port uint16, pair bool) (first, second *Socket, err error) {
	first, err = t.bind(netip.AddrPortFrom(addr, port))
	if first == nil || !pair {
		return first, nil, err
	}
	second, err = t.bind(netip.AddrPortFrom(addr, port+1))
	if second == nil {
		_ = first.Close()
		return nil, nil, err
	}
	return first, second, nil
}
