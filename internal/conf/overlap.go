package conf

import (
	"fmt"
	"net/netip"
)

// dualStack reports whether s takes IPv4 connections with its wildcard IPv6
// address: no other socket has the IPv4 wildcard on the same port.
func (s *socket) dualStack(others []*socket) bool {
	if s.addr.Addr() != netip.IPv6Unspecified() {
		return false
	}
	if s.addr.Port() == 0 {
		return true
	}
	for _, o := range others {
		if o.valid && o.path == "" && o.udp == s.udp && o.addr == netip.AddrPortFrom(netip.IPv4Unspecified(), s.addr.Port()) {
			return false
		}
	}
	return true
}

// overlaps reports sockets that cannot be bound beside one another.
func (p *listeners) overlaps() {
	type place struct {
		port uint16
		udp  bool
		path string
	}
	places := make(map[place][]*socket)
	for _, s := range p.sockets {
		if !s.valid || s.path == "" && s.addr.Port() == 0 {
			continue
		}
		at := place{s.addr.Port(), s.udp, s.path}
		places[at] = append(places[at], s)
	}
	for _, group := range places {
		for j, later := range group {
			for _, earlier := range group[:j] {
				if earlier.overlaps(later, group) {
					p.overlap(earlier, later)
					break
				}
			}
		}
	}
}

// overlaps reports whether two sockets on the same port, or with the same
// path, take the same address. group are all sockets there.
func (s *socket) overlaps(o *socket, group []*socket) bool {
	a, b := s.addr.Addr(), o.addr.Addr()
	switch {
	case s.path != "", a == b:
		return true
	case a.Is4() == b.Is4():
		return a.IsUnspecified() || b.IsUnspecified()
	case a.Is4():
		return o.dualStack(group)
	}
	return s.dualStack(group)
}

func (p *listeners) overlap(earlier, later *socket) {
	what := "the socket " + later.path
	if later.path == "" {
		what = "tcp "
		if later.udp {
			what = "udp "
		}
		what += later.addr.String()
	}
	first := earlier.node
	where := first.Path()
	switch {
	case first.File != later.node.File:
		where += fmt.Sprintf(" (%s:%d)", first.File, first.Line)
	case first.Line > 0:
		where += fmt.Sprintf(" (line %d)", first.Line)
	}
	if earlier.path == later.path && earlier.addr == later.addr {
		p.Errorf(later.node.Get("port"), "%s is taken by %s", what, where)
		return
	}
	p.Errorf(later.node.Get("port"), "%s overlaps with %s of %s", what, earlier.addr, where)
}
