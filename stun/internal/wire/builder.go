package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun"
)

// Builder writes a STUN message behind the bytes of a slice. The zero value is ready
// for Start, and can be used again and again by one goroutine at a time. It copies
// the values that it is given.
type Builder struct {
	buf     []byte // all of it, with what the caller had in front
	start   int    // of the message in buf
	tooLong bool
	mac     mac
}

// Start begins a message behind dst. transaction is what Message.Transaction returns;
// for a message of our own the magic cookie comes first in it (NewTransaction).
func (b *Builder) Start(dst []byte, class stun.MessageClass, method stun.Method, transaction [16]byte) {
	b.start, b.tooLong = len(dst), false
	b.buf = binary.BigEndian.AppendUint16(dst, stun.NewType(method, class).Value())
	b.buf = append(b.buf, 0, 0)
	b.buf = append(b.buf, transaction[:]...)
}

// Reply begins the answer to m behind dst: it is of the same method and transaction.
func (b *Builder) Reply(dst []byte, m *Message, class stun.MessageClass) {
	b.Start(dst, class, m.Method(), m.Transaction())
}

// NewTransaction returns a transaction for Start from an ID.
func NewTransaction(id [12]byte) (t [16]byte) {
	binary.BigEndian.PutUint32(t[:], cookie)
	copy(t[4:], id[:])
	return t
}

// Bytes returns dst with the message behind it; or dst alone if the message became
// longer than its header can say.
func (b *Builder) Bytes() []byte {
	if b.tooLong {
		return b.buf[:b.start]
	}
	return b.buf
}

// Add appends an attribute.
func (b *Builder) Add(a stun.AttrType, v []byte) {
	if b.open(a, len(v)) {
		b.buf = append(b.buf, v...)
		b.close()
	}
}

// AddString is Add for text: REALM, NONCE, SOFTWARE.
func (b *Builder) AddString(a stun.AttrType, v string) {
	if b.open(a, len(v)) {
		b.buf = append(b.buf, v...)
		b.close()
	}
}

// AddUint32 is Add for four bytes: LIFETIME, CONNECTION-ID.
func (b *Builder) AddUint32(a stun.AttrType, v uint32) {
	if b.open(a, 4) {
		b.buf = binary.BigEndian.AppendUint32(b.buf, v)
		b.close()
	}
}

// AddAddress appends an XOR'd address: XOR-MAPPED-ADDRESS, XOR-RELAYED-ADDRESS,
// XOR-PEER-ADDRESS (RFC 8489, section 14.2). An IPv4-mapped address becomes IPv4.
func (b *Builder) AddAddress(a stun.AttrType, addr netip.AddrPort) {
	if b.open(a, addressSize(addr)) {
		at := len(b.buf)
		b.buf = appendAddress(b.buf, addr)
		xorAddress(b.buf[at:], b.buf[b.start+4:b.start+headerSize])
		b.close()
	}
}

// AddMapped appends an address as it is: MAPPED-ADDRESS, ALTERNATE-SERVER (RFC 8489,
// sections 14.1 and 14.15).
func (b *Builder) AddMapped(a stun.AttrType, addr netip.AddrPort) {
	if b.open(a, addressSize(addr)) {
		b.buf = appendAddress(b.buf, addr)
		b.close()
	}
}

// AddError appends ERROR-CODE (RFC 8489, section 14.8). code is between 300 and 699.
func (b *Builder) AddError(code int, reason string) {
	b.addError(stun.AttrErrorCode, 0, code, reason)
}

// AddAddressError appends ADDRESS-ERROR-CODE: why there is no relay of a family (RFC
// 8656, section 18.12).
func (b *Builder) AddAddressError(family byte, code int, reason string) {
	b.addError(AttrAddressErrorCode, family, code, reason)
}

func (b *Builder) addError(a stun.AttrType, family byte, code int, reason string) {
	n := 4 + len(reason)
	spaces := 0
	if b.classic() {
		spaces = padded(n) - n // values of RFC 3489 are multiples of four
	}
	if b.open(a, n+spaces) {
		b.buf = append(b.buf, family, 0, byte(code/100), byte(code%100))
		b.buf = append(b.buf, reason...)
		b.buf = append(b.buf, "   "[:spaces]...)
		b.close()
	}
}

// AddICMP appends ICMP: what came back for a datagram to a peer (RFC 8656, section
// 18.13). typ is below 128.
func (b *Builder) AddICMP(typ, code uint8, data uint32) {
	if b.open(AttrICMP, 8) {
		// 16 bits reserved, 7 of type, 9 of code.
		b.buf = binary.BigEndian.AppendUint32(b.buf, uint32(typ&0x7f)<<9|uint32(code))
		b.buf = binary.BigEndian.AppendUint32(b.buf, data)
		b.close()
	}
}

// AddUnknown appends UNKNOWN-ATTRIBUTES, two bytes a type (RFC 8489, section 14.9).
func (b *Builder) AddUnknown(types []stun.AttrType) {
	n := len(types)
	if b.classic() {
		n += n % 2 // the last one is repeated (RFC 3489, section 11.2.10)
	}
	if b.open(stun.AttrUnknownAttributes, 2*n) {
		for i := range n {
			b.buf = binary.BigEndian.AppendUint16(b.buf, types[min(i, len(types)-1)].Value())
		}
		b.close()
	}
}

// Integrity signs what is there: with MESSAGE-INTEGRITY-SHA256, or else with
// MESSAGE-INTEGRITY. Only FINGERPRINT may follow.
func (b *Builder) Integrity(key []byte, sha256 bool) {
	a, size := stun.AttrMessageIntegrity, sha1Size
	if sha256 {
		a, size = stun.AttrMessageIntegritySHA256, sha256Size
	}
	text := b.buf[b.start:]
	if b.open(a, size) {
		b.buf = append(b.buf, b.mac.of(key, sha256, text, len(text)-headerSize+attrHeaderSize+size)...)
		b.close()
	}
}

// Fingerprint appends FINGERPRINT. Nothing may follow.
func (b *Builder) Fingerprint() {
	at := len(b.buf)
	if b.open(stun.AttrFingerprint, fingerprintSize) {
		b.buf = append(b.buf, 0, 0, 0, 0)
		b.close()
		binary.BigEndian.PutUint32(b.buf[at+attrHeaderSize:], stun.FingerprintValue(b.buf[b.start:at]))
	}
}

// classic says whether the message answers a client of RFC 3489.
func (b *Builder) classic() bool { return !hasCookie(b.buf[b.start:]) }

// open appends the header of an attribute whose value has n bytes; false when the
// message would become too long.
func (b *Builder) open(a stun.AttrType, n int) bool {
	if b.tooLong || len(b.buf)-b.start-headerSize+attrHeaderSize+padded(n) > maxLength {
		b.tooLong = true
		return false
	}
	b.buf = binary.BigEndian.AppendUint16(b.buf, a.Value())
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(n))
	return true
}

// close pads the attribute that is last, and brings the length of the message up to
// date.
func (b *Builder) close() {
	n := len(b.buf) - b.start
	b.buf = append(b.buf, "\x00\x00\x00"[:padded(n)-n]...)
	binary.BigEndian.PutUint16(b.buf[b.start+2:], uint16(len(b.buf)-b.start-headerSize))
}
