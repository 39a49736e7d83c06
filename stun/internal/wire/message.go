package wire

import (
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
	"slices"

	"github.com/pion/stun"
)

// What Parse returns. Such bytes are discarded without an answer (RFC 8489, section
// 6.3).
var (
	errNoMessage   = errors.New("not a STUN message")
	errLength      = errors.New("length of message does not match its header")
	errAttribute   = errors.New("attribute exceeds message")
	errIntegrity   = errors.New("length of message integrity")
	errFingerprint = errors.New("wrong fingerprint")
)

// maxUnknown bounds the list of unknown attributes in an answer.
const maxUnknown = 16

// Message is a STUN message that was received. The zero value is ready, and can be
// used again and again by one goroutine at a time; it aliases the bytes that it
// parsed, and so does what its methods return. Only Parse may be called before Parse
// has returned nil.
type Message struct {
	raw   []byte
	attrs []byte // of raw: the attributes that count, but for the three below

	// Where the values of the attributes are in raw that are found behind the others.
	// 0: there is none.
	integrity, integrity256, fingerprint int

	mac mac
}

// Parse reads b, which is one message and no more. It checks all lengths, and the
// FINGERPRINT where there is one; and it does not write to b. Attributes behind an
// integrity are not visible, except the stronger integrity and FINGERPRINT (RFC 8489,
// section 9). After an error the message is not to be used.
func (m *Message) Parse(b []byte) error {
	if err := checkHeader(b); err != nil {
		return err
	}
	m.raw = b[:len(b):len(b)]
	m.integrity, m.integrity256, m.fingerprint = 0, 0, 0
	end := 0 // of the attributes that count
	for at := headerSize; at < len(b); {
		if m.fingerprint != 0 {
			return errFingerprint // it is the last attribute, or none
		}
		a, value := stun.AttrType(binary.BigEndian.Uint16(b[at:])), at+attrHeaderSize
		n := int(binary.BigEndian.Uint16(b[at+2:]))
		if n > len(b)-value {
			return errAttribute
		}
		if isTrailer(a) {
			if end == 0 {
				end = at
			}
			if err := m.trailer(a, value, n); err != nil {
				return err
			}
		}
		at = value + padded(n)
	}
	if end == 0 {
		end = len(b)
	}
	m.attrs = b[headerSize:end:end]
	return nil
}

// isTrailer says whether an attribute ends those that count.
func isTrailer(a stun.AttrType) bool {
	return a == stun.AttrMessageIntegrity || a == stun.AttrMessageIntegritySHA256 || a == stun.AttrFingerprint
}

// trailer notes where one of the attributes is that may stand behind an integrity.
func (m *Message) trailer(a stun.AttrType, at, n int) error {
	switch a {
	case stun.AttrFingerprint:
		if n != fingerprintSize || stun.FingerprintValue(m.raw[:at-attrHeaderSize]) != binary.BigEndian.Uint32(m.raw[at:]) {
			return errFingerprint
		}
		m.fingerprint = at
	case stun.AttrMessageIntegrity:
		if m.integrity != 0 || m.integrity256 != 0 {
			return nil // behind an integrity that it does not strengthen
		}
		if n != sha1Size {
			return errIntegrity
		}
		m.integrity = at
	case stun.AttrMessageIntegritySHA256:
		if m.integrity256 != 0 {
			return nil
		}
		// Truncation is for usages that allow it (RFC 8489, section 14.6): TURN does not.
		if n != sha256Size {
			return errIntegrity
		}
		m.integrity256 = at
	}
	return nil
}

// Classic says that the sender is a client of RFC 3489: there is no magic cookie, the
// message is a Binding request, and the answer has MAPPED-ADDRESS.
func (m *Message) Classic() bool { return !hasCookie(m.raw) }

// Type returns method and class.
func (m *Message) Type() (t stun.MessageType) {
	t.ReadValue(binary.BigEndian.Uint16(m.raw))
	return t
}

// Method returns the method.
func (m *Message) Method() stun.Method { return m.Type().Method }

// Class returns the class.
func (m *Message) Class() stun.MessageClass { return m.Type().Class }

// ID returns the transaction ID.
func (m *Message) ID() [12]byte { return [12]byte(m.raw[8:]) }

// Transaction returns the transaction ID with the magic cookie in front, which for a
// classic client is part of it.
func (m *Message) Transaction() [16]byte { return [16]byte(m.raw[4:]) }

// Raw returns the bytes that were parsed, without spare capacity.
func (m *Message) Raw() []byte { return m.raw }

// Get returns the value of the first attribute of a type.
func (m *Message) Get(a stun.AttrType) (value []byte, ok bool) {
	switch a {
	case stun.AttrMessageIntegrity:
		return m.at(m.integrity, sha1Size)
	case stun.AttrMessageIntegritySHA256:
		return m.at(m.integrity256, sha256Size)
	case stun.AttrFingerprint:
		return m.at(m.fingerprint, fingerprintSize)
	}
	for rest := m.attrs; len(rest) > 0; {
		var t stun.AttrType
		if t, value, rest = cut(rest); t == a {
			return value, true
		}
	}
	return nil, false
}

// Has says whether there is an attribute of a type.
func (m *Message) Has(a stun.AttrType) bool {
	_, ok := m.Get(a)
	return ok
}

// Each yields the values of all attributes of a type, in their order. Those of
// integrity and FINGERPRINT are for Get.
func (m *Message) Each(a stun.AttrType) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := m.attrs; len(rest) > 0; {
			t, value, next := cut(rest)
			if rest = next; t == a && !yield(value) {
				return
			}
		}
	}
}

// Unknown appends to dst the types of the attributes that have to be understood
// (below 0x8000) and that known does not know, each once, 16 at most (RFC 8489,
// section 6.3.1). It does not ask for integrity and FINGERPRINT.
func (m *Message) Unknown(known func(stun.AttrType) bool, dst []stun.AttrType) []stun.AttrType {
	found := len(dst)
	for rest := m.attrs; len(rest) > 0 && len(dst)-found < maxUnknown; {
		var a stun.AttrType
		if a, _, rest = cut(rest); a.Required() && !known(a) && !slices.Contains(dst[found:], a) {
			dst = append(dst, a)
		}
	}
	return dst
}

// Address decodes the value of an attribute that is XOR'd: XOR-PEER-ADDRESS and its
// kin (RFC 8489, section 14.2). An IPv4-mapped address of the family IPv6 stays what
// it is: see netip.Addr.Unmap.
func (m *Message) Address(v []byte) (netip.AddrPort, error) {
	var plain [20]byte
	n := copy(plain[:], v)
	if n != len(v) || n < 4 {
		return netip.AddrPort{}, errAddress
	}
	xorAddress(plain[:n], m.raw[4:headerSize])
	return parseAddress(plain[:n])
}

// CheckIntegrity says whether the message was signed with key: by
// MESSAGE-INTEGRITY-SHA256, or else by MESSAGE-INTEGRITY (RFC 8489, sections 14.5 and
// 14.6). It is false when there is no such attribute, and takes the same time
// wherever the two differ. It does not write to the message.
func (m *Message) CheckIntegrity(key []byte, sha256 bool) bool {
	at, size := m.integrity, sha1Size
	if sha256 {
		at, size = m.integrity256, sha256Size
	}
	value, ok := m.at(at, size)
	return ok && m.mac.equal(value, key, sha256, m.raw[:at-attrHeaderSize], at+size-headerSize)
}

// at returns the value at an offset of raw, if there is one.
func (m *Message) at(offset, n int) ([]byte, bool) {
	if offset == 0 {
		return nil, false
	}
	return m.raw[offset : offset+n : offset+n], true
}

// cut takes the first attribute off a list whose lengths Parse has checked.
func cut(list []byte) (a stun.AttrType, value, rest []byte) {
	n := int(binary.BigEndian.Uint16(list[2:]))
	value = list[attrHeaderSize : attrHeaderSize+n : attrHeaderSize+n]
	return stun.AttrType(binary.BigEndian.Uint16(list)), value, list[attrHeaderSize+padded(n):]
}
