package datagram

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// set writes an address in the form that a socket of IPv6, or one of IPv4, takes.
// It returns the length, or 0 if there is no such form.
func setSockaddr(a *sockaddr, to netip.AddrPort, inet6 bool) uint32 {
	addr := to.Addr()
	switch {
	case inet6 && addr.IsValid():
		*a = sockaddr{Family: unix.AF_INET6, Port: swapped(to.Port()), Addr: addr.As16()}
		if zone := addr.Zone(); zone != "" {
			a.Scope_id = scope(zone)
		}
		return unix.SizeofSockaddrInet6
	case addr.Is4() || addr.Is4In6():
		*inet4(a) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swapped(to.Port()), Addr: addr.Unmap().As4()}
		return unix.SizeofSockaddrInet4
	}
	return 0
}

// addrPort reads an address that the kernel wrote.
func addrPort(a *sockaddr) netip.AddrPort {
	if a.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4(inet4(a).Addr), swapped(a.Port))
	}
	addr := netip.AddrFrom16(a.Addr).Unmap()
	if a.Scope_id != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(a.Scope_id), 10))
	}
	return netip.AddrPortFrom(addr, swapped(a.Port))
}

// scope returns the number of a zone, which is a number or the name of an
// interface; 0 if there is no such.
func scope(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// swapped turns a port into the order of the network, and back.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}
