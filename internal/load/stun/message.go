package stun

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
)

const (
	cookie       = 0x2112A442
	headerLength = 20
)

// Message types (RFC 8489, section 5; RFC 8656, section 17).
const (
	bindingRequest     = 0x0001
	bindingSuccess     = 0x0101
	allocateRequest    = 0x0003
	refreshRequest     = 0x0004
	permissionRequest  = 0x0008
	channelBindRequest = 0x0009
	sendIndication     = 0x0016
	dataIndication     = 0x0017

	classMask    = 0x0110
	successClass = 0x0100
)

// Attributes (RFC 8489, section 14; RFC 8656, section 18).
const (
	attrUsername           = 0x0006
	attrMessageIntegrity   = 0x0008
	attrErrorCode          = 0x0009
	attrChannelNumber      = 0x000C
	attrLifetime           = 0x000D
	attrXORPeerAddress     = 0x0012
	attrData               = 0x0013
	attrRealm              = 0x0014
	attrNonce              = 0x0015
	attrXORRelayedAddress  = 0x0016
	attrRequestedTransport = 0x0019
	attrXORMappedAddress   = 0x0020
)

// appendHeader begins a message without attributes.
func appendHeader(b []byte, kind uint16, id [12]byte) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, cookie)
	return append(b, id[:]...)
}

// request is a message that is being written.
type request []byte

func newRequest(kind uint16) request {
	var id [12]byte
	rand.Read(id[:])
	return appendHeader(make([]byte, 0, 256), kind, id)
}

func (r request) add(attr uint16, value []byte) request {
	r = binary.BigEndian.AppendUint16(r, attr)
	r = binary.BigEndian.AppendUint16(r, uint16(len(value)))
	r = append(r, value...)
	for len(r)%4 != 0 {
		r = append(r, 0)
	}
	r.setLength(0)
	return r
}

// setLength sets the length to what there is and so many bytes more.
func (r request) setLength(more int) {
	binary.BigEndian.PutUint16(r[2:], uint16(len(r)-headerLength+more))
}

func (r request) addUint32(attr uint16, v uint32) request {
	return r.add(attr, binary.BigEndian.AppendUint32(nil, v))
}

func (r request) addPeer(a netip.AddrPort) request { return r.add(attrXORPeerAddress, xorAddress(a)) }

// sign adds MESSAGE-INTEGRITY.
func (r request) sign(key []byte) request {
	r.setLength(4 + sha1.Size)
	h := hmac.New(sha1.New, key)
	h.Write(r)
	return r.add(attrMessageIntegrity, h.Sum(nil))
}

// xorAddress returns the value of an XOR'd address of IPv4.
func xorAddress(a netip.AddrPort) []byte {
	ip := a.Addr().As4()
	v := []byte{0, 1}
	v = binary.BigEndian.AppendUint16(v, a.Port()^(cookie>>16))
	return binary.BigEndian.AppendUint32(v, binary.BigEndian.Uint32(ip[:])^cookie)
}

// address reads such a value; it is not valid if it is none.
func address(v []byte) netip.AddrPort {
	if len(v) != 8 || v[1] != 1 {
		return netip.AddrPort{}
	}
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], binary.BigEndian.Uint32(v[4:])^cookie)
	return netip.AddrPortFrom(netip.AddrFrom4(ip), binary.BigEndian.Uint16(v[2:])^(cookie>>16))
}

// isMessage reports whether b is one whole message.
func isMessage(b []byte) bool {
	return len(b) >= headerLength && b[0]&0xC0 == 0 && binary.BigEndian.Uint32(b[4:]) == cookie &&
		int(binary.BigEndian.Uint16(b[2:]))+headerLength == len(b)
}

func kindOf(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

// attribute returns the value of the first attribute of a kind; ok is false when a
// message has none.
func attribute(b []byte, kind uint16) (v []byte, ok bool) {
	for b = b[headerLength:]; len(b) >= 4; {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if 4+n > len(b) {
			break
		}
		if binary.BigEndian.Uint16(b) == kind {
			return b[4 : 4+n], true
		}
		b = b[min(4+(n+3)&^3, len(b)):]
	}
	return nil, false
}

// addressOf returns an XOR'd address of a message.
func addressOf(b []byte, kind uint16) netip.AddrPort {
	v, _ := attribute(b, kind)
	return address(v)
}

// refused returns the error that a message carries, nil when it is a success.
func refused(b []byte) *refusal {
	if kindOf(b)&classMask == successClass {
		return nil
	}
	v, _ := attribute(b, attrErrorCode)
	if len(v) < 4 {
		return &refusal{reason: "no error code"}
	}
	return &refusal{code: int(v[2])*100 + int(v[3]), reason: string(v[4:])}
}
