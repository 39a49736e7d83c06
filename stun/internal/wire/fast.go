package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun"
)

const (
	bindingSuccess = 0x0101
	dataIndication = 0x0017
)

// AppendBinding appends the success response to the Binding request m that came from
// an address. Without magic cookie in the request it has MAPPED-ADDRESS and nothing
// else (RFC 5389, section 12.2); otherwise XOR-MAPPED-ADDRESS, SOFTWARE unless
// software is empty, and FINGERPRINT if the request had one. software has fewer than
// 128 characters.
func AppendBinding(dst []byte, m *Message, from netip.AddrPort, software string) []byte {
	start := len(dst)
	dst = append(dst, bindingSuccess>>8, bindingSuccess&0xff, 0, 0)
	dst = append(dst, m.raw[4:headerSize]...)
	if m.Classic() {
		dst = appendHeader(dst, stun.AttrMappedAddress, addressSize(from))
		dst = appendAddress(dst, from)
		return setLength(dst, start)
	}

	dst = appendHeader(dst, stun.AttrXORMappedAddress, addressSize(from))
	at := len(dst)
	dst = appendAddress(dst, from)
	xorAddress(dst[at:], m.raw[4:headerSize])
	if n := len(software); n > 0 {
		dst = appendHeader(dst, stun.AttrSoftware, n)
		dst = append(dst, software...)
		dst = append(dst, "\x00\x00\x00"[:padded(n)-n]...)
	}
	if m.fingerprint == 0 {
		return setLength(dst, start)
	}
	at = len(dst)
	dst = appendHeader(dst, stun.AttrFingerprint, fingerprintSize)
	dst = setLength(append(dst, 0, 0, 0, 0), start)
	binary.BigEndian.PutUint32(dst[at+attrHeaderSize:], stun.FingerprintValue(dst[start:at]))
	return dst
}

func appendHeader(dst []byte, a stun.AttrType, n int) []byte {
	return append(dst, byte(a>>8), byte(a), byte(n>>8), byte(n))
}

func setLength(dst []byte, start int) []byte {
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start-headerSize))
	return dst
}

// DataHeader writes what stands in front of the n bytes of data in a Data indication
// (RFC 8656, section 11.4) into the end of headroom, which has to have 48 bytes for a
// peer of IPv6 and 36 of IPv4. header is that end, so that the message is header, the
// data behind it, and pad bytes of padding (0-3) that the caller makes zero. header is
// nil when headroom is too small, or the message would become longer than its header
// can say.
func DataHeader(headroom []byte, peer netip.AddrPort, n int, id [12]byte) (header []byte, pad int) {
	address := addressSize(peer)
	size := headerSize + attrHeaderSize + address + attrHeaderSize
	length := size - headerSize + padded(n)
	if len(headroom) < size || length > maxLength {
		return nil, 0
	}
	h := headroom[len(headroom)-size:]
	b := binary.BigEndian.AppendUint16(h[:0], dataIndication)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = binary.BigEndian.AppendUint32(b, cookie)
	b = append(b, id[:]...)
	b = appendHeader(b, stun.AttrXORPeerAddress, address)
	at := len(b)
	b = appendAddress(b, peer)
	xorAddress(b[at:], h[4:headerSize])
	appendHeader(b, stun.AttrData, n)
	return h, padded(n) - n
}

// ChannelHeader is DataHeader for ChannelData, which needs 4 bytes of headroom. On a
// stream pad bytes follow the data, in a datagram none have to (RFC 8656, section
// 12.5).
func ChannelHeader(headroom []byte, number uint16, n int) (header []byte, pad int) {
	if len(headroom) < channelHeader || n > 0xffff {
		return nil, 0
	}
	h := headroom[len(headroom)-channelHeader:]
	binary.BigEndian.PutUint16(h, number)
	binary.BigEndian.PutUint16(h[2:], uint16(n))
	return h, padded(n) - n
}
