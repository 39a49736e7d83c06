package stun

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// family is that of an address: an index of allocation.relays.
type family int

const (
	ipv4 family = iota
	ipv6
	families
)

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return ipv4
	}
	return ipv6
}

// network is the family's name for the functions of package net.
func (f family) network() string { return [families]string{"udp4", "udp6"}[f] }

// number is the family's in attributes.
func (f family) number() byte { return [families]byte{wire.FamilyIPv4, wire.FamilyIPv6}[f] }

// addrPort returns an address of package net without its zone, and IPv4 as such.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// relayAddresses finds the addresses of relays, for the clients of a socket with the
// address local.
func (s *Server) relayAddresses(set *settings, local netip.Addr) error {
	set.relays = [families]netip.Addr{ipv4: set.IPv4Address.Unmap(), ipv6: set.IPv6Address}
	if s.h.Relays == nil { // otherwise it knows them, and these say which families there are
		if err := check("turn_ipv4_address", set.relays[ipv4]); err != nil {
			return err
		}
		if err := check("turn_ipv6_address", set.relays[ipv6]); err != nil {
			return err
		}
	}
	if local.IsValid() && !local.IsUnspecified() {
		if f := familyOf(local); !set.relays[f].IsValid() {
			set.relays[f] = local
		}
		return nil
	}
	if set.relays[ipv4].IsValid() || s.h.Relays != nil {
		return nil
	}
	own := primary()
	set.relays[ipv4] = own
	if s.once("turn_ipv4_address " + own.String()) {
		s.log.Warn("turn_ipv4_address is not set: relays have an address of this machine", "address", own.String())
	}
	return nil
}

// check tries whether sockets of this machine can have an address, if there is one.
func check(option string, a netip.Addr) error {
	if !a.IsValid() {
		return nil
	}
	c, err := net.ListenUDP(familyOf(a).network(), net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	return c.Close()
}

// primary returns the address of this machine from which packets go to the internet;
// without a way there any other one, and that of loopback if there is none.
func primary() netip.Addr {
	// Nothing is sent: it is only asked which way that is.
	if c, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer c.Close()
		return addrPort(c.LocalAddr()).Addr()
	}
	list, _ := net.InterfaceAddrs()
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			ip, _ := netip.AddrFromSlice(n.IP.To4())
			return ip
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
