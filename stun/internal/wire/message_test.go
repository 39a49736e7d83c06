package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/pion/stun"
)

const header = "2112a442 0102030405060708090a0b0c "

func TestParseRefuses(t *testing.T) {
	crc := build(stun.ClassRequest, stun.MethodBinding, func(b *Builder) { b.Fingerprint() })
	crc[len(crc)-1] ^= 1
	tests := []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"nothing", nil, errNoMessage},
		{"19 bytes", make([]byte, 19), errNoMessage},
		{"top bits", unhex(t, "80010000"+header), errNoMessage},
		{"no cookie", unhex(t, "00030000 2112a443 0102030405060708090a0b0c"), errNoMessage},
		{"length 1", unhex(t, "00010001"+header+"00"), errLength},
		{"length 0xFFEC", unhex(t, "0001ffec"+header), errLength},
		{"too short", unhex(t, "00010008"+header+"80220000"), errLength},
		{"trailing bytes", unhex(t, "00010000"+header+"80220000"), errLength},
		{"attribute beyond the end", unhex(t, "00010004"+header+"80220001"), errAttribute},
		{"attribute of 0xFFFF", unhex(t, "00010008"+header+"8022ffff 00000000"), errAttribute},
		{"integrity of 16 bytes", unhex(t, "00010014"+header+"00080010 00000000000000000000000000000000"), errIntegrity},
		{"integrity of 0 bytes", unhex(t, "00010004"+header+"00080000"), errIntegrity},
		{"truncated SHA-256", unhex(t, "00010014"+header+"001c0010 00000000000000000000000000000000"), errIntegrity},
		{"wrong fingerprint", crc, errFingerprint},
		{"fingerprint of 0 bytes", unhex(t, "00010004"+header+"80280000"), errFingerprint},
		{"fingerprint of 8 bytes", unhex(t, "0001000c"+header+"80280008 0000000000000000"), errFingerprint},
		{"fingerprint not last", build(stun.ClassRequest, stun.MethodBinding, func(b *Builder) {
			b.AddString(stun.AttrSoftware, "x")
			b.Add(stun.AttrFingerprint, crcOf(b, 8+8))
			b.AddString(stun.AttrSoftware, "x")
		}), errFingerprint},
		{"integrity behind fingerprint", build(stun.ClassRequest, stun.MethodBinding, func(b *Builder) {
			b.Add(stun.AttrFingerprint, crcOf(b, 8+24))
			b.Integrity(testKey, false)
		}), errFingerprint},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := new(Message).Parse(tt.bytes); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// crcOf returns the fingerprint of what is built, in a message with more bytes.
func crcOf(b *Builder, more int) []byte {
	text := bytes.Clone(b.Bytes())
	text[3] = byte(len(text) - headerSize + more)
	crc := stun.FingerprintValue(text)
	return []byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)}
}

func TestParseHeader(t *testing.T) {
	m := mustParse(t, unhex(t, "00160000"+header))
	if m.Method() != stun.MethodSend || m.Class() != stun.ClassIndication {
		t.Errorf("got %v %v, want a Send indication", m.Method(), m.Class())
	}
	if m.ID() != testID || m.Transaction() != NewTransaction(testID) || m.Classic() {
		t.Errorf("got ID %x, transaction %x, classic %v", m.ID(), m.Transaction(), m.Classic())
	}
	classic := mustParse(t, unhex(t, "00010008 00112233445566778899aabbccddeeff 00030004 00000000"))
	want := [16]byte(unhex(t, "00112233445566778899aabbccddeeff"))
	if !classic.Classic() || classic.Transaction() != want || classic.Method() != stun.MethodBinding {
		t.Errorf("got classic %v, transaction %x, want true, %x", classic.Classic(), classic.Transaction(), want)
	}
}

// RFC 8489, section 9: what stands behind an integrity is ignored, unless it is the
// stronger one or the fingerprint.
func TestHiddenAttributes(t *testing.T) {
	add := func(attrs ...stun.AttrType) []byte {
		return build(stun.ClassRequest, stun.MethodAllocate, func(b *Builder) {
			for i, a := range attrs {
				switch a {
				case stun.AttrMessageIntegrity, stun.AttrMessageIntegritySHA256:
					b.Integrity(testKey, a == stun.AttrMessageIntegritySHA256)
				case stun.AttrFingerprint:
					b.Fingerprint()
				default:
					b.AddUint32(a, uint32(i))
				}
			}
		})
	}
	const (
		mi, mi256, fp  = stun.AttrMessageIntegrity, stun.AttrMessageIntegritySHA256, stun.AttrFingerprint
		lifetime, peer = stun.AttrLifetime, stun.AttrXORPeerAddress
	)
	tests := []struct {
		name          string
		attrs         []stun.AttrType
		visible       []stun.AttrType
		hidden        []stun.AttrType
		valid, strong bool
	}{
		{"none", []stun.AttrType{lifetime, peer}, []stun.AttrType{lifetime, peer}, []stun.AttrType{mi, mi256, fp}, false, false},
		{"behind", []stun.AttrType{lifetime, mi, peer}, []stun.AttrType{lifetime, mi}, []stun.AttrType{peer, fp}, true, false},
		{"behind the strong one", []stun.AttrType{mi256, peer, fp}, []stun.AttrType{mi256, fp}, []stun.AttrType{peer, mi}, false, true},
		{"both", []stun.AttrType{lifetime, mi, mi256, fp}, []stun.AttrType{lifetime, mi, mi256, fp}, nil, true, true},
		{"between both", []stun.AttrType{mi, peer, mi256, lifetime}, []stun.AttrType{mi, mi256}, []stun.AttrType{peer, lifetime}, true, true},
		{"the weak one second", []stun.AttrType{mi256, mi}, []stun.AttrType{mi256}, []stun.AttrType{mi}, false, true},
		{"first and last", []stun.AttrType{peer, fp}, []stun.AttrType{peer, fp}, []stun.AttrType{mi}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := mustParse(t, add(tt.attrs...))
			for _, a := range tt.visible {
				if !m.Has(a) {
					t.Errorf("%v: got hidden, want visible", a)
				}
			}
			for _, a := range tt.hidden {
				if m.Has(a) {
					t.Errorf("%v: got visible, want hidden", a)
				}
				for range m.Each(a) {
					t.Errorf("%v: got it by Each, want hidden", a)
				}
			}
			if got := m.CheckIntegrity(testKey, false); got != tt.valid {
				t.Errorf("MESSAGE-INTEGRITY: got %v, want %v", got, tt.valid)
			}
			if got := m.CheckIntegrity(testKey, true); got != tt.strong {
				t.Errorf("MESSAGE-INTEGRITY-SHA256: got %v, want %v", got, tt.strong)
			}
			if m.CheckIntegrity([]byte("0123456789abcdeF"), false) || m.CheckIntegrity(nil, true) {
				t.Error("got a right integrity with another key")
			}
		})
	}
}

// A second MESSAGE-INTEGRITY does not count, whoever made it.
func TestSecondIntegrity(t *testing.T) {
	raw := build(stun.ClassRequest, stun.MethodRefresh, func(b *Builder) {
		b.Integrity([]byte("key of an attacker"), false)
		b.Integrity(testKey, false)
	})
	if m := mustParse(t, raw); m.CheckIntegrity(testKey, false) {
		t.Error("got the second integrity, want the first")
	}
}

func TestEach(t *testing.T) {
	m := mustParse(t, build(stun.ClassRequest, stun.MethodCreatePermission, func(b *Builder) {
		b.AddAddress(stun.AttrXORPeerAddress, peer4)
		b.AddString(stun.AttrSoftware, "odd")
		b.AddAddress(stun.AttrXORPeerAddress, peer6)
		b.Add(stun.AttrXORPeerAddress, nil)
	}))
	var got []netip.AddrPort
	failed := 0
	for v := range m.Each(stun.AttrXORPeerAddress) {
		if a, err := m.Address(v); err != nil {
			failed++
		} else {
			got = append(got, a)
		}
	}
	if want := []netip.AddrPort{peer4, peer6}; !slices.Equal(got, want) || failed != 1 {
		t.Errorf("got %v and %d malformed, want %v and 1", got, failed, want)
	}
	for range m.Each(stun.AttrXORPeerAddress) {
		break
	}
	if v, _ := m.Get(stun.AttrXORPeerAddress); len(v) != 8 {
		t.Errorf("got %x, want the first one", v)
	}
}

// github.com/pion/stun gives this old type another name.
func TestOldXORMappedAddress(t *testing.T) {
	m := mustParse(t, unhex(t, "0001000c"+header+"80200008 0001a147e112a643"))
	if m.Has(stun.AttrXORMappedAddress) || !m.Has(0x8020) {
		t.Error("got 0x8020 as XOR-MAPPED-ADDRESS, want it as it is")
	}
}

func TestUnknown(t *testing.T) {
	known := func(a stun.AttrType) bool { return a == stun.AttrLifetime }
	many := func(n int, next func(int) stun.AttrType) []byte {
		return build(stun.ClassRequest, stun.MethodAllocate, func(b *Builder) {
			for i := range n {
				b.Add(next(i), nil)
			}
		})
	}
	tests := []struct {
		name  string
		bytes []byte
		want  []stun.AttrType
	}{
		{"none", bindingRequestBytes(), nil},
		{"known and optional", unhex(t, "0001000c"+header+"000d0000 80010000 ffff0000"), nil},
		{"zero and the highest", unhex(t, "0001000c"+header+"00000000 7fff0000 000d0000"), []stun.AttrType{0, 0x7fff}},
		{"each once", unhex(t, "00010010"+header+"00330000 00340000 00330000 00330000"), []stun.AttrType{0x33, 0x34}},
		{"integrity and fingerprint", allocateBytes(true), []stun.AttrType{
			stun.AttrRequestedTransport, stun.AttrDontFragment, stun.AttrUsername, stun.AttrRealm, stun.AttrNonce}},
		{"bound", many(10000, func(i int) stun.AttrType { return stun.AttrType(i + 0x100) }), []stun.AttrType{
			0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108, 0x109, 0x10a, 0x10b, 0x10c, 0x10d, 0x10e, 0x10f}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := mustParse(t, tt.bytes)
			if got := m.Unknown(known, nil); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			before := []stun.AttrType{0x33}
			if got := m.Unknown(known, before); !slices.Equal(got[1:], tt.want) {
				t.Errorf("behind others: got %v, want %v", got, tt.want)
			}
		})
	}
}

// A zero-length address at the end of a message without spare capacity must not
// panic, nor must any other length.
func TestAddressLengths(t *testing.T) {
	for n := range 40 {
		for _, family := range []byte{0, FamilyIPv4, FamilyIPv6, 3} {
			v := make([]byte, n)
			if n > 1 {
				v[1] = family
			}
			raw := build(stun.ClassIndication, stun.MethodSend, func(b *Builder) { b.Add(stun.AttrXORPeerAddress, v) })
			m := mustParse(t, raw[:len(raw):len(raw)])
			got, _ := m.Get(stun.AttrXORPeerAddress)
			_, err := m.Address(got)
			if want := n == 8 && family == FamilyIPv4 || n == 20 && family == FamilyIPv6; (err == nil) != want {
				t.Errorf("%d bytes of family %d: got %v, want ok %v", n, family, err, want)
			}
		}
	}
}

func TestAddressKeepsMapped(t *testing.T) {
	mapped := netip.MustParseAddrPort("[::ffff:127.0.0.1]:7")
	raw := make([]byte, 0, 20)
	raw = append(raw, 0, FamilyIPv6, 0, 7)
	ip := mapped.Addr().As16()
	raw = append(raw, ip[:]...)
	m := mustParse(t, bindingRequestBytes())
	xorAddress(raw, m.Raw()[4:headerSize])
	if got, err := m.Address(raw); err != nil || got != mapped {
		t.Errorf("got %v, %v, want %v", got, err, mapped)
	}
}

// Parsing and checking must not touch a byte, in the message or behind it, where the
// next frame of a stream may be.
func TestNothingIsWritten(t *testing.T) {
	for _, strong := range []bool{false, true} {
		raw := allocateBytes(strong)
		buf := append(bytes.Clone(raw), bytes.Repeat([]byte{0xa5}, 200)...)
		before := bytes.Clone(buf)
		m := mustParse(t, buf[:len(raw)])
		if !m.CheckIntegrity(testKey, strong) || m.CheckIntegrity(testKey[1:], strong) {
			t.Error("got wrong integrity")
		}
		m.Unknown(func(stun.AttrType) bool { return false }, nil)
		if !bytes.Equal(buf, before) {
			t.Errorf("got\n%x, want\n%x", buf, before)
		}
		if got := cap(m.Raw()); got != len(raw) {
			t.Errorf("got capacity %d, want %d", got, len(raw))
		}
		v, _ := m.Get(stun.AttrUsername)
		if cap(v) != len(v) {
			t.Errorf("got value with capacity %d, want %d", cap(v), len(v))
		}
	}
}

// A message that is used again has nothing of the one before.
func TestMessageIsReusable(t *testing.T) {
	m := mustParse(t, allocateBytes(true))
	if err := m.Parse(bindingRequestBytes()); err != nil {
		t.Fatal(err)
	}
	for _, a := range []stun.AttrType{stun.AttrUsername, stun.AttrMessageIntegritySHA256, stun.AttrFingerprint} {
		if m.Has(a) {
			t.Errorf("got %v of the message before", a)
		}
	}
	if m.CheckIntegrity(testKey, true) {
		t.Error("got the integrity of the message before")
	}
}

func TestValues(t *testing.T) {
	for n := range 10 {
		v := []byte{0x81, 2, 3, 4, 5, 6, 7, 8, 9}[:min(n, 9)]
		four, one, eight := len(v) == 4, len(v) == 1, len(v) == 8
		if got, ok := Uint32(v); ok != four || ok && got != 0x81020304 {
			t.Errorf("Uint32 of %x: got %#x %v", v, got, ok)
		}
		if got, ok := ChannelNumber(v); ok != four || ok && got != 0x8102 {
			t.Errorf("ChannelNumber of %x: got %#x %v", v, got, ok)
		}
		if got, ok := Transport(v); ok != four || ok && got != 0x81 {
			t.Errorf("Transport of %x: got %#x %v", v, got, ok)
		}
		if got, ok := Family(v); ok != four || ok && got != 0x81 {
			t.Errorf("Family of %x: got %#x %v", v, got, ok)
		}
		if got, ok := EvenPort(v); ok != one || got != one {
			t.Errorf("EvenPort of %x: got %v %v", v, got, ok)
		}
		if got, ok := Token(v); ok != eight || ok && got != [8]byte(v) {
			t.Errorf("Token of %x: got %x %v", v, got, ok)
		}
	}
	if reserve, ok := EvenPort([]byte{0x7f}); !ok || reserve {
		t.Errorf("EvenPort of 7f: got %v %v, want false true", reserve, ok)
	}
}
