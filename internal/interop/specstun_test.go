//go:build interop && linux

package interop

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// What a STUN client needs of RFC 8489 and RFC 8656 to ask for an address and for a
// relay, and no more.
const (
	stunCookie = 0x2112A442

	stunBinding  = 0x0001
	stunAllocate = 0x0003
	stunSuccess  = 0x0100
	stunError    = 0x0110

	attrUsername  = 0x0006
	attrIntegrity = 0x0008
	attrRealm     = 0x0014
	attrNonce     = 0x0015
	attrRelayed   = 0x0016
	attrTransport = 0x0019
	attrMapped    = 0x0020
)

// specMessage is a message with its attributes in order.
type specMessage struct {
	kind  uint16
	attrs []specAttr
}

type specAttr struct {
	kind  uint16
	value []byte
}

// bytes returns the message, signed with the key if there is one.
func (m specMessage) bytes(key []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, m.kind)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, stunCookie)
	b = append(b, "transaction."...)
	add := func(a specAttr) {
		b = binary.BigEndian.AppendUint16(b, a.kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.value)))
		b = append(append(b, a.value...), make([]byte, -len(a.value)&3)...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	}
	for _, a := range m.attrs {
		add(a)
	}
	if key != nil {
		end := len(b)
		add(specAttr{attrIntegrity, make([]byte, sha1.Size)})
		mac := hmac.New(sha1.New, key)
		mac.Write(b[:end])
		copy(b[end+4:], mac.Sum(nil))
	}
	return b
}

// specExchange sends a request and returns the answer.
func specExchange(t *testing.T, c net.Conn, request []byte) (kind uint16, attrs map[uint16][]byte) {
	t.Helper()
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	n, err := io.ReadAtLeast(c, b, 20)
	if err != nil {
		t.Fatalf("%s: %v", c.RemoteAddr(), err)
	}
	length := 20 + int(binary.BigEndian.Uint16(b[2:]))
	if n < length {
		if _, err := io.ReadFull(c, b[n:length]); err != nil {
			t.Fatalf("%s: %v", c.RemoteAddr(), err)
		}
	}
	attrs = make(map[uint16][]byte)
	for a := b[20:length]; len(a) >= 4; {
		kind, size := binary.BigEndian.Uint16(a), int(binary.BigEndian.Uint16(a[2:]))
		attrs[kind] = a[4 : 4+size]
		a = a[4+(size+3)&^3:]
	}
	return binary.BigEndian.Uint16(b), attrs
}

// specAddress decodes an XOR'd address of IPv4.
func specAddress(t *testing.T, v []byte) netip.AddrPort {
	t.Helper()
	if len(v) != 8 || v[1] != 1 {
		t.Fatalf("got % x, want an address of IPv4", v)
	}
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], binary.BigEndian.Uint32(v[4:])^stunCookie)
	return netip.AddrPortFrom(netip.AddrFrom4(ip), binary.BigEndian.Uint16(v[2:])^stunCookie>>16)
}

// specDial connects to a server, with TLS if cfg is not nil.
func specDial(t *testing.T, network, address string, cfg *tls.Config) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if cfg != nil {
		c = tls.Client(c, cfg)
	}
	if err := c.SetDeadline(time.Now().Add(bound)); err != nil {
		t.Fatal(err)
	}
	return c
}

// specBinding wants its own address of a server.
func specBinding(t *testing.T, network, address string, cfg *tls.Config) {
	t.Helper()
	c := specDial(t, network, address, cfg)
	kind, attrs := specExchange(t, c, specMessage{kind: stunBinding}.bytes(nil))
	if kind != stunBinding|stunSuccess {
		t.Fatalf("%s %s: got an answer of type %#x", network, address, kind)
	}
	if got := specAddress(t, attrs[attrMapped]); got.String() != c.LocalAddr().String() {
		t.Errorf("%s %s: got %v, want %v", network, address, got, c.LocalAddr())
	}
}

func checkSTUN(t *testing.T) {
	specBinding(t, "udp", "127.0.0.1:3478", nil)
	specBinding(t, "tcp", "192.168.0.1:3478", nil)
	specBinding(t, "tcp", "127.0.0.1:5349", &tls.Config{InsecureSkipVerify: true})
	c := specDial(t, "udp", "127.0.0.1:3478", nil)
	if kind, _ := specExchange(t, c, specMessage{stunAllocate, []specAttr{{attrTransport, []byte{17, 0, 0, 0}}}}.bytes(nil)); kind != stunAllocate|stunError {
		t.Errorf("a relay without use_turn: got an answer of type %#x, want an error", kind)
	}
}

// The relay is at the address that the page names, and not for everybody.
func checkTURN(t *testing.T) {
	specBinding(t, "udp", "192.168.0.1:3478", nil)
	c := specDial(t, "udp", "192.168.0.1:3478", nil)
	request := specMessage{stunAllocate, []specAttr{{attrTransport, []byte{17, 0, 0, 0}}}}
	kind, attrs := specExchange(t, c, request.bytes(nil))
	realm, nonce := attrs[attrRealm], attrs[attrNonce]
	if kind != stunAllocate|stunError || string(realm) != "localhost" || len(nonce) == 0 {
		t.Fatalf("got an answer of type %#x with realm %q and nonce %q, want a challenge", kind, realm, nonce)
	}
	request.attrs = append(request.attrs, specAttr{attrUsername, []byte("ana")}, specAttr{attrRealm, realm}, specAttr{attrNonce, nonce})
	for _, try := range []struct {
		password string
		want     uint16
	}{{"guess", stunAllocate | stunError}, {"anchor", stunAllocate | stunSuccess}} {
		key := md5.Sum([]byte("ana:localhost:" + try.password))
		if kind, attrs = specExchange(t, c, request.bytes(key[:])); kind != try.want {
			t.Fatalf("password %q: got an answer of type %#x, want %#x", try.password, kind, try.want)
		}
	}
	if got := specAddress(t, attrs[attrRelayed]); got.Addr() != netip.MustParseAddr("10.20.30.1") || got.Port() < 49152 {
		t.Errorf("got a relay at %v, want one at 10.20.30.1", got)
	}
}
