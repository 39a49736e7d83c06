package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

var errAddress = errors.New("malformed address")

// Uint32 decodes a value of four bytes: LIFETIME, CONNECTION-ID (RFC 8656, section
// 18.2; RFC 6062, section 6.2.1). ok is false for any other length.
func Uint32(v []byte) (n uint32, ok bool) {
	if len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// ChannelNumber decodes CHANNEL-NUMBER (RFC 8656, section 18.1). The number can be
// one that nobody may bind (ValidChannel).
func ChannelNumber(v []byte) (number uint16, ok bool) {
	if len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint16(v), true
}

// Transport decodes REQUESTED-TRANSPORT: a protocol number of IP (RFC 8656, section
// 18.8).
func Transport(v []byte) (protocol byte, ok bool) {
	if len(v) != 4 {
		return 0, false
	}
	return v[0], true
}

// Family decodes REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY (RFC 8656,
// sections 18.6 and 18.11). The family can be one that nobody knows.
func Family(v []byte) (family byte, ok bool) {
	if len(v) != 4 {
		return 0, false
	}
	return v[0], true
}

// EvenPort decodes EVEN-PORT (RFC 8656, section 18.7): whether the next higher port
// is to be reserved.
func EvenPort(v []byte) (reserve, ok bool) {
	if len(v) != 1 {
		return false, false
	}
	return v[0]&0x80 != 0, true
}

// Token decodes RESERVATION-TOKEN (RFC 8656, section 18.10).
func Token(v []byte) (token [8]byte, ok bool) {
	if len(v) != len(token) {
		return token, false
	}
	return [8]byte(v), true
}

// appendAddress appends an address as MAPPED-ADDRESS has it, without the header of
// the attribute (RFC 8489, section 14.1). An IPv4-mapped address becomes IPv4.
func appendAddress(dst []byte, addr netip.AddrPort) []byte {
	ip := addr.Addr().Unmap()
	if ip.Is4() {
		a := ip.As4()
		dst = append(dst, 0, FamilyIPv4, byte(addr.Port()>>8), byte(addr.Port()))
		return append(dst, a[:]...)
	}
	a := ip.As16()
	dst = append(dst, 0, FamilyIPv6, byte(addr.Port()>>8), byte(addr.Port()))
	return append(dst, a[:]...)
}

// addressSize is the length of what appendAddress appends.
func addressSize(addr netip.AddrPort) int {
	if addr.Addr().Unmap().Is4() {
		return 4 + 4
	}
	return 4 + 16
}

// xorAddress obscures a value of appendAddress in place, and uncovers it again: the
// port with the first two bytes of the mask, the address with all of it. The mask is
// the magic cookie and the transaction ID (RFC 8489, section 14.2).
func xorAddress(v, mask []byte) {
	v[2] ^= mask[0]
	v[3] ^= mask[1]
	for i := range v[4:] {
		v[4+i] ^= mask[i]
	}
}

// parseAddress is the inverse of appendAddress. It does not unmap, so that a peer of
// the other family is seen as what it is.
func parseAddress(v []byte) (netip.AddrPort, error) {
	if len(v) < 4 {
		return netip.AddrPort{}, errAddress
	}
	port := binary.BigEndian.Uint16(v[2:])
	switch ip := v[4:]; {
	case v[1] == FamilyIPv4 && len(ip) == 4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip)), port), nil
	case v[1] == FamilyIPv6 && len(ip) == 16:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(ip)), port), nil
	}
	return netip.AddrPort{}, errAddress
}

// ValidChannel says whether a channel may have a number. RFC 8656, section 12, allows
// 0x4000-0x4FFF; clients of RFC 5766 (section 11) choose from 0x4000-0x7FFE, and
// nothing else can be meant by those here.
func ValidChannel(number uint16) bool { return number >= 0x4000 && number <= 0x7ffe }
