package stunconformance

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/netip"
	"testing"
	"unicode/utf8"
)

// cookie is the magic cookie (RFC 8489, section 5).
const cookie = 0x2112A442

// Methods (RFC 8489, section 18.2; RFC 8656, section 17; RFC 6062, section 6.1).
const (
	binding           = 0x001
	sharedSecret      = 0x002
	allocate          = 0x003
	refresh           = 0x004
	send              = 0x006
	dataMethod        = 0x007
	createPermission  = 0x008
	channelBind       = 0x009
	connect           = 0x00A
	connectionBind    = 0x00B
	connectionAttempt = 0x00C
)

// Classes (RFC 8489, section 5).
const (
	request    = 0
	indication = 1
	success    = 2
	failure    = 3
)

// Attributes.
const (
	atMappedAddress      = 0x0001
	atChangeRequest      = 0x0003
	atUsername           = 0x0006
	atIntegrity          = 0x0008
	atErrorCode          = 0x0009
	atUnknown            = 0x000A
	atChannelNumber      = 0x000C
	atLifetime           = 0x000D
	atPeer               = 0x0012
	atData               = 0x0013
	atRealm              = 0x0014
	atNonce              = 0x0015
	atRelayed            = 0x0016
	atRequestedFamily    = 0x0017
	atEvenPort           = 0x0018
	atRequestedTransport = 0x0019
	atDontFragment       = 0x001A
	atIntegrity256       = 0x001C
	atPasswordAlgorithm  = 0x001D
	atUserhash           = 0x001E
	atXORMapped          = 0x0020
	atReservation        = 0x0022
	atPriority           = 0x0024
	atConnectionID       = 0x002A
	atAdditionalFamily   = 0x8000
	atAddressError       = 0x8001
	atPasswordAlgorithms = 0x8002
	atICMP               = 0x8004
	atSoftware           = 0x8022
	atAlternateServer    = 0x8023
	atFingerprint        = 0x8028
	atNobodyRequired     = 0x7F01 // assigned to nothing
	atNobodyRequired2    = 0x7F02
	atNobodyOptional     = 0xFF01
)

func messageType(method, class uint16) uint16 {
	return method&0xF | method&0x70<<1 | method&0xF80<<2 | class&1<<4 | class&2<<7
}

// attr is an attribute. One with an address is XOR'd with the transaction.
type attr struct {
	typ  uint16
	val  []byte
	addr netip.AddrPort
}

// message is what is sent, or what has come.
type message struct {
	method, class uint16
	id            [12]byte
	attrs         []attr
	raw           []byte
}

func newMessage(method, class uint16, attrs ...attr) *message {
	m := &message{method: method, class: class, attrs: attrs}
	_, _ = rand.Read(m.id[:])
	return m
}

// bytes encodes the message.
func (m *message) bytes() []byte {
	b := binary.BigEndian.AppendUint16(nil, messageType(m.method, m.class))
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, cookie)
	b = append(b, m.id[:]...)
	for _, a := range m.attrs {
		v := a.val
		if a.addr.IsValid() {
			v = xorAddress(a.addr, m.id)
		}
		b = appendAttr(b, a.typ, v)
	}
	return b
}

// appendAttr appends an attribute, pads it with zeros, and counts it in the length
// of the header.
func appendAttr(b []byte, typ uint16, v []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
	b = append(b, v...)
	b = append(b, make([]byte, -len(v)&3)...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	return b
}

// appendIntegrity appends MESSAGE-INTEGRITY, or MESSAGE-INTEGRITY-SHA256
// (RFC 8489, sections 14.5 and 14.6).
func appendIntegrity(b, key []byte, sha bool) []byte {
	typ, size := uint16(atIntegrity), 20
	if sha {
		typ, size = atIntegrity256, 32
	}
	n := len(b)
	b = appendAttr(b, typ, make([]byte, size))
	copy(b[n+4:], digest(b[:n], key, sha))
	return b
}

// digest is the HMAC of a message whose header already counts the attribute.
func digest(b, key []byte, sha bool) []byte {
	h := hmac.New(sha1.New, key)
	if sha {
		h = hmac.New(sha256.New, key)
	}
	h.Write(b)
	return h.Sum(nil)
}

// appendFingerprint appends FINGERPRINT (RFC 8489, section 14.7).
func appendFingerprint(b []byte) []byte {
	n := len(b)
	b = appendAttr(b, atFingerprint, make([]byte, 4))
	binary.BigEndian.PutUint32(b[n+4:], crc32.ChecksumIEEE(b[:n])^0x5354554E)
	return b
}

// plainAddress encodes an address as MAPPED-ADDRESS does.
func plainAddress(a netip.AddrPort) []byte {
	family := byte(1)
	if a.Addr().Is6() {
		family = 2
	}
	b := binary.BigEndian.AppendUint16([]byte{0, family}, a.Port())
	return append(b, a.Addr().AsSlice()...)
}

// xorAddress encodes an address as XOR-MAPPED-ADDRESS does.
func xorAddress(a netip.AddrPort, id [12]byte) []byte { return xor(plainAddress(a), id) }

// xor covers and uncovers the value of an address.
func xor(v []byte, id [12]byte) []byte {
	mask := append(binary.BigEndian.AppendUint32(nil, cookie), id[:]...)
	v = append([]byte(nil), v...)
	for i := 2; i < 4; i++ {
		v[i] ^= mask[i-2]
	}
	for i := 4; i < len(v); i++ {
		v[i] ^= mask[i-4]
	}
	return v
}

// decodeAddress reads a plain address.
func decodeAddress(v []byte) (netip.AddrPort, error) {
	if len(v) < 4 || v[0] != 0 || !(v[1] == 1 && len(v) == 8 || v[1] == 2 && len(v) == 20) {
		return netip.AddrPort{}, fmt.Errorf("malformed address % x", v)
	}
	a, _ := netip.AddrFromSlice(v[4:])
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(v[2:])), nil
}

// decode reads a message, strictly.
func decode(b []byte) (*message, error) {
	if len(b) < 20 || b[0]&0xC0 != 0 || len(b)%4 != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(b)-20 {
		return nil, fmt.Errorf("no message: % x", b)
	}
	if binary.BigEndian.Uint32(b[4:]) != cookie {
		return nil, fmt.Errorf("no magic cookie: % x", b)
	}
	t := binary.BigEndian.Uint16(b)
	m := &message{method: t&0xF | t>>1&0x70 | t>>2&0xF80, class: t>>4&1 | t>>7&2, raw: b}
	copy(m.id[:], b[8:])
	for at := 20; at < len(b); {
		n := int(binary.BigEndian.Uint16(b[at+2:]))
		if at+4+(n+3)&^3 > len(b) {
			return nil, fmt.Errorf("an attribute is longer than its message: % x", b)
		}
		m.attrs = append(m.attrs, attr{typ: binary.BigEndian.Uint16(b[at:]), val: b[at+4 : at+4+n]})
		at += 4 + (n+3)&^3
	}
	return m, m.check()
}

// check is about what holds for every message that a server sends.
func (m *message) check() error {
	for i, a := range m.attrs {
		switch {
		case a.typ == atFingerprint && i != len(m.attrs)-1:
			return fmt.Errorf("FINGERPRINT is not the last attribute")
		case a.typ == atFingerprint && hex.EncodeToString(appendFingerprint(m.before(atFingerprint))) != hex.EncodeToString(m.raw):
			return fmt.Errorf("wrong FINGERPRINT")
		case a.typ == atSoftware && (utf8.RuneCount(a.val) > 127 || !utf8.Valid(a.val)):
			return fmt.Errorf("SOFTWARE %q is not of fewer than 128 characters", a.val)
		case a.typ == atErrorCode && !wellFormedError(a.val):
			return fmt.Errorf("malformed ERROR-CODE % x", a.val)
		}
	}
	if _, ok := m.get(atErrorCode); ok != (m.class == failure) {
		return fmt.Errorf("ERROR-CODE belongs in error responses: % x", m.raw)
	}
	return nil
}

func wellFormedError(v []byte) bool {
	return len(v) >= 4 && v[0] == 0 && v[1] == 0 && v[2] >= 3 && v[2] <= 6 && v[3] < 100 &&
		utf8.Valid(v[4:]) && utf8.RuneCount(v[4:]) < 128
}

// before returns a copy of the message up to an attribute, with the length that its
// digest is made of.
func (m *message) before(typ uint16) []byte {
	at := 20
	for _, a := range m.attrs {
		if a.typ == typ {
			break
		}
		at += 4 + (len(a.val)+3)&^3
	}
	b := append([]byte(nil), m.raw[:at]...)
	binary.BigEndian.PutUint16(b[2:], uint16(at-20))
	return b
}

// signedBy says whether an integrity attribute is there and right.
func (m *message) signedBy(key []byte, sha bool) bool {
	typ := uint16(atIntegrity)
	if sha {
		typ = atIntegrity256
	}
	v, ok := m.get(typ)
	if !ok {
		return false
	}
	b := appendAttr(m.before(typ), typ, make([]byte, len(v)))
	return hmac.Equal(digest(b[:len(m.before(typ))], key, sha), v)
}

// get returns the first attribute of a kind. A response that has not come has none.
func (m *message) get(typ uint16) ([]byte, bool) {
	if m == nil {
		return nil, false
	}
	for _, a := range m.attrs {
		if a.typ == typ {
			return a.val, true
		}
	}
	return nil, false
}

func (m *message) has(typ uint16) bool {
	_, ok := m.get(typ)
	return ok
}

// addresses returns the XOR'd addresses of a kind.
func (m *message) addresses(typ uint16) (all []netip.AddrPort) {
	if m == nil {
		return nil
	}
	for _, a := range m.attrs {
		if a.typ == typ && len(a.val) >= 4 {
			addr, err := decodeAddress(xor(a.val, m.id))
			if err != nil {
				return nil
			}
			all = append(all, addr)
		}
	}
	return all
}

// code returns the error code; 0: none.
func (m *message) code() int {
	v, ok := m.get(atErrorCode)
	if !ok {
		return 0
	}
	return int(v[2])*100 + int(v[3])
}

// number returns a value of 32 bits; -1: none.
func (m *message) number(typ uint16) int {
	v, ok := m.get(typ)
	if !ok || len(v) != 4 {
		return -1
	}
	return int(binary.BigEndian.Uint32(v))
}

// String is for failure texts.
func (m *message) String() string {
	if m == nil {
		return "nothing"
	}
	s := fmt.Sprintf("method %#x class %d", m.method, m.class)
	if c := m.code(); c != 0 {
		s += fmt.Sprintf(" error %d", c)
	}
	for _, a := range m.attrs {
		s += fmt.Sprintf(" %#04x(%d)", a.typ, len(a.val))
	}
	return s
}

// Keys of the long-term credential mechanism (RFC 8489, section 18.5.1).
func md5Key(user, realm, password string) []byte {
	k := md5.Sum([]byte(user + ":" + realm + ":" + password))
	return k[:]
}

func shaKey(user, realm, password string) []byte {
	k := sha256.Sum256([]byte(user + ":" + realm + ":" + password))
	return k[:]
}

// The vectors of RFC 5769, and the USERHASH of RFC 8489, appendix B.1, whose digest is
// known to be wrong.
const (
	sampleRequest = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74" +
		"002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020" +
		"000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
	sampleResponse4 = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220" +
		"002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
	sampleLongTerm = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000" +
		"0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700" +
		"00080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
	sampleUserhash = "4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
	samplePassword = "VOkJxbRl1RmTxUk/WvJxBt"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// TestVectors holds the codec of these tests to the vectors.
func TestVectors(t *testing.T) {
	const katakana = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9"
	long := md5Key(katakana, "example.org", "TheMatrIX")
	tests := []struct {
		name, vector string
		key          []byte
	}{
		{"RFC 5769 2.1", sampleRequest, []byte(samplePassword)},
		{"RFC 5769 2.2", sampleResponse4, []byte(samplePassword)},
		{"RFC 5769 2.4", sampleLongTerm, long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := decode(unhex(tt.vector))
			if err != nil {
				t.Fatal(err)
			}
			if !m.signedBy(tt.key, false) {
				t.Errorf("got a wrong digest, want that of the vector")
			}
		})
	}
	m, _ := decode(unhex(sampleResponse4))
	if got, want := m.addresses(atXORMapped), netip.MustParseAddrPort("192.0.2.1:32853"); len(got) != 1 || got[0] != want {
		t.Errorf("RFC 5769 2.2: got addresses %v, want %v", got, want)
	}
	if h := sha256.Sum256([]byte(katakana + ":example.org")); hex.EncodeToString(h[:]) != sampleUserhash {
		t.Errorf("RFC 8489 B.1: got USERHASH %x, want %s", h, sampleUserhash)
	}
	if got := hex.EncodeToString(md5Key("user", "realm", "pass")); got != "8493fbc53ba582fb4c044c456bdc40eb" {
		t.Errorf("RFC 8489 9.2.2: got key %s", got)
	}
}
