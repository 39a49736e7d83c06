package wire

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/stun"
)

// What is built can be read again, by this package and by another.
func TestBuilder(t *testing.T) {
	for _, prefix := range []string{"", "bytes in front"} {
		var b Builder
		b.Start([]byte(prefix), stun.ClassSuccessResponse, stun.MethodAllocate, NewTransaction(testID))
		b.AddAddress(stun.AttrXORRelayedAddress, peer6)
		b.AddAddress(stun.AttrXORMappedAddress, peer4)
		b.AddUint32(stun.AttrLifetime, 600)
		b.AddString(stun.AttrSoftware, "Tidewaiter")
		b.Add(stun.AttrReservationToken, []byte("8 bytes."))
		b.Integrity(testKey, false)
		b.Fingerprint()
		out := b.Bytes()
		if !strings.HasPrefix(string(out), prefix) {
			t.Fatalf("got %q, want %q in front", out, prefix)
		}
		raw := out[len(prefix):]

		m := mustParse(t, raw)
		if m.Method() != stun.MethodAllocate || m.Class() != stun.ClassSuccessResponse || m.ID() != testID {
			t.Errorf("got %v %v %x", m.Method(), m.Class(), m.ID())
		}
		relayed, _ := m.Get(stun.AttrXORRelayedAddress)
		if got, err := m.Address(relayed); err != nil || got != peer6 {
			t.Errorf("got relayed address %v, %v, want %v", got, err, peer6)
		}
		lifetime, _ := m.Get(stun.AttrLifetime)
		if got, ok := Uint32(lifetime); !ok || got != 600 {
			t.Errorf("got lifetime %d, %v, want 600", got, ok)
		}
		if !m.CheckIntegrity(testKey, false) {
			t.Error("got wrong integrity")
		}

		p := &stun.Message{Raw: bytes.Clone(raw)}
		if err := p.Decode(); err != nil {
			t.Fatal(err)
		}
		var mapped stun.XORMappedAddress
		if err := mapped.GetFrom(p); err != nil || mapped.String() != peer4.String() {
			t.Errorf("pion got %v, %v, want %v", mapped, err, peer4)
		}
		if err := stun.MessageIntegrity(testKey).Check(p); err != nil {
			t.Errorf("pion says of the integrity: %v", err)
		}
		if err := stun.Fingerprint.Check(p); err != nil {
			t.Errorf("pion says of the fingerprint: %v", err)
		}
	}
}

func TestBuilderBytes(t *testing.T) {
	classic := [16]byte{0: 1, 15: 2}
	cookied := NewTransaction([12]byte{})
	tests := []struct {
		name        string
		transaction [16]byte
		add         func(b *Builder)
		want        string // the attributes
	}{
		{"MAPPED-ADDRESS of IPv4", cookied, func(b *Builder) { b.AddMapped(stun.AttrMappedAddress, peer4) },
			"00010008 00018055 c0000201"},
		{"MAPPED-ADDRESS of IPv6", cookied, func(b *Builder) { b.AddMapped(stun.AttrMappedAddress, peer6) },
			"00010014 00028055 20010db8123456780011223344556677"},
		{"IPv4-mapped", cookied, func(b *Builder) {
			b.AddMapped(stun.AttrMappedAddress, netip.MustParseAddrPort("[::ffff:192.0.2.1]:1"))
		}, "00010008 00010001 c0000201"},
		{"XOR", cookied, func(b *Builder) { b.AddAddress(stun.AttrXORMappedAddress, peer4) },
			"00200008 0001a147 e112a643"},
		{"ERROR-CODE", cookied, func(b *Builder) { b.AddError(438, "Stale Nonce") },
			"0009000f 00000426 5374616c65204e6f6e636500"},
		{"classic ERROR-CODE", classic, func(b *Builder) { b.AddError(420, "Unknown") },
			"0009000c 00000414 556e6b6e6f776e20"},
		{"ADDRESS-ERROR-CODE", cookied, func(b *Builder) { b.AddAddressError(FamilyIPv6, 440, "none") },
			"80010008 02000428 6e6f6e65"},
		{"UNKNOWN-ATTRIBUTES", cookied, func(b *Builder) { b.AddUnknown([]stun.AttrType{0x19, 0x7fff, 0x1a}) },
			"000a0006 0019 7fff 001a 0000"},
		{"one of UNKNOWN-ATTRIBUTES", cookied, func(b *Builder) { b.AddUnknown([]stun.AttrType{0x19}) },
			"000a0002 0019 0000"},
		{"classic UNKNOWN-ATTRIBUTES", classic, func(b *Builder) { b.AddUnknown([]stun.AttrType{3}) },
			"000a0004 0003 0003"},
		{"no UNKNOWN-ATTRIBUTES", classic, func(b *Builder) { b.AddUnknown(nil) }, "000a0000"},
		{"ICMP", cookied, func(b *Builder) { b.AddICMP(3, 4, 1280) }, "80040008 0000 0604 00000500"},
		{"ICMP of IPv6", cookied, func(b *Builder) { b.AddICMP(127, 255, 0) }, "80040008 0000 feff 00000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b Builder
			b.Start(nil, stun.ClassErrorResponse, stun.MethodBinding, tt.transaction)
			tt.add(&b)
			got, want := b.Bytes(), unhex(t, tt.want)
			if !bytes.Equal(got[headerSize:], want) {
				t.Errorf("got %x, want %x", got[headerSize:], want)
			}
			if int(got[3]) != len(want) || [16]byte(got[4:]) != tt.transaction {
				t.Errorf("got header %x", got[:headerSize])
			}
		})
	}
}

func TestReply(t *testing.T) {
	m := mustParse(t, unhex(t, "00010000 00112233445566778899aabbccddeeff"))
	var b Builder
	b.Reply(nil, m, stun.ClassErrorResponse)
	if got, want := b.Bytes(), unhex(t, "01110000 00112233445566778899aabbccddeeff"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// Both integrities can be there, the weak one first.
func TestBothIntegrities(t *testing.T) {
	m := mustParse(t, build(stun.ClassRequest, stun.MethodAllocate, func(b *Builder) {
		b.Integrity(testKey, false)
		b.Integrity(testKey, true)
		b.Fingerprint()
	}))
	if !m.CheckIntegrity(testKey, false) || !m.CheckIntegrity(testKey, true) {
		t.Error("got wrong integrities")
	}
}

func TestBuilderIsBounded(t *testing.T) {
	full := make([]byte, maxLength-attrHeaderSize)
	var b Builder
	b.Start([]byte("front"), stun.ClassRequest, stun.MethodSend, NewTransaction(testID))
	b.Add(stun.AttrData, full)
	raw := b.Bytes()[len("front"):]
	if m := mustParse(t, raw); len(m.Raw()) != headerSize+maxLength {
		t.Errorf("got %d bytes, want %d", len(m.Raw()), headerSize+maxLength)
	}
	b.Fingerprint()
	b.AddString(stun.AttrSoftware, "")
	if got := b.Bytes(); string(got) != "front" {
		t.Errorf("got %d bytes, want none but those in front", len(got))
	}
	b.Start(nil, stun.ClassRequest, stun.MethodSend, NewTransaction(testID))
	if b.Add(stun.AttrData, make([]byte, 1<<17)); len(b.Bytes()) != 0 {
		t.Errorf("got %d bytes, want none", len(b.Bytes()))
	}
	b.Start(nil, stun.ClassRequest, stun.MethodSend, NewTransaction(testID))
	if got := len(b.Bytes()); got != headerSize {
		t.Errorf("started again: got %d bytes, want %d", got, headerSize)
	}
}

// The fast answer is what the Builder would have made.
func TestAppendBinding(t *testing.T) {
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:32853")
	plain := bindingRequestBytes()
	fingerprint := build(stun.ClassRequest, stun.MethodBinding, func(b *Builder) { b.Fingerprint() })
	classic := unhex(t, "00010000 00112233445566778899aabbccddeeff")
	for _, request := range [][]byte{plain, fingerprint, classic} {
		for _, from := range []netip.AddrPort{peer4, peer6, mapped} {
			for _, software := range []string{"", "T", "Tide", "Tidewaiter"} {
				m := mustParse(t, request)
				var b Builder
				b.Reply([]byte("front"), m, stun.ClassSuccessResponse)
				if m.Classic() {
					b.AddMapped(stun.AttrMappedAddress, from)
				} else {
					b.AddAddress(stun.AttrXORMappedAddress, from)
					if software != "" {
						b.AddString(stun.AttrSoftware, software)
					}
					if m.Has(stun.AttrFingerprint) {
						b.Fingerprint()
					}
				}
				if got := AppendBinding([]byte("front"), m, from, software); !bytes.Equal(got, b.Bytes()) {
					t.Errorf("%v, software %q: got\n%x, want\n%x", from, software, got, b.Bytes())
				}
			}
		}
	}
}

func TestDataHeader(t *testing.T) {
	for _, peer := range []netip.AddrPort{peer4, peer6} {
		for n := range 21 {
			buf := bytes.Repeat([]byte{0xa5}, 64+n+3)
			data := buf[64 : 64+n]
			header, pad := DataHeader(buf[:64], peer, n, testID)
			start := 64 - len(header)
			if start < 64-48 || pad != padded(n)-n {
				t.Fatalf("%d bytes: got header of %d bytes, padding %d", n, len(header), pad)
			}
			clear(buf[64+n : 64+n+pad])
			if !bytes.Equal(buf[:start], bytes.Repeat([]byte{0xa5}, start)) {
				t.Errorf("got bytes written before the header: %x", buf[:start])
			}
			m := mustParse(t, buf[start:64+n+pad])
			address, _ := m.Get(stun.AttrXORPeerAddress)
			if got, err := m.Address(address); err != nil || got != peer {
				t.Errorf("got peer %v, %v, want %v", got, err, peer)
			}
			if got, ok := m.Get(stun.AttrData); !ok || !bytes.Equal(got, data) {
				t.Errorf("got data %x, want %x", got, data)
			}
			if m.Method() != stun.MethodData || m.Class() != stun.ClassIndication || m.ID() != testID || m.Classic() {
				t.Errorf("got %v %v %x", m.Method(), m.Class(), m.ID())
			}
		}
	}
	if header, _ := DataHeader(make([]byte, 47), peer6, 1, testID); header != nil {
		t.Errorf("without headroom: got %x, want nil", header)
	}
	if header, _ := DataHeader(make([]byte, 64), peer6, maxLength-28, testID); len(header) != 48 {
		t.Errorf("longest data: got header of %d bytes, want 48", len(header))
	}
	if header, _ := DataHeader(make([]byte, 64), peer6, maxLength-27, testID); header != nil {
		t.Errorf("too long data: got %x, want nil", header)
	}
}
