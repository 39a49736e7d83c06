package wire

import (
	"crypto/sha256"
	"net/netip"
	"testing"

	"github.com/pion/stun"
)

// The password of RFC 5769, sections 2.1-2.3.
const shortTerm = "VOkJxbRl1RmTxUk/WvJxBt"

// The user of RFC 5769, section 2.4, and of RFC 8489, appendix B.1.
const matrix = "\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9"

func TestVectorsRFC5769(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
		key   []byte
		class stun.MessageClass
		text  map[stun.AttrType]string
		addr  string
	}{
		{"2.1 request", `00010058 2112a442 b7e7a701bc34d686fa87dfae
			80220010 5354554e207465737420636c69656e74
			00240004 6e0001ff
			80290008 932ff9b151263b36
			00060009 6576746a3a68367659202020
			00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
			80280004 e57a3bcf`,
			[]byte(shortTerm), stun.ClassRequest,
			map[stun.AttrType]string{
				stun.AttrSoftware: "STUN test client", stun.AttrUsername: "evtj:h6vY",
				stun.AttrPriority: "\x6e\x00\x01\xff", stun.AttrICEControlled: "\x93\x2f\xf9\xb1\x51\x26\x3b\x36",
			}, ""},
		{"2.2 IPv4 response", `0101003c 2112a442 b7e7a701bc34d686fa87dfae
			8022000b 7465737420766563746f7220
			00200008 0001a147e112a643
			00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
			80280004 c07d4c96`,
			[]byte(shortTerm), stun.ClassSuccessResponse,
			map[stun.AttrType]string{stun.AttrSoftware: "test vector"}, "192.0.2.1:32853"},
		{"2.3 IPv6 response", `01010048 2112a442 b7e7a701bc34d686fa87dfae
			8022000b 7465737420766563746f7220
			00200014 0002a147 0113a9faa5d3f179bc25f4b5bed2b9d9
			00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
			80280004 c8fb0b4c`,
			[]byte(shortTerm), stun.ClassSuccessResponse,
			map[stun.AttrType]string{stun.AttrSoftware: "test vector"}, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"},
		{"2.4 long-term request", `00010060 2112a442 78ad3433c6ad72c029da412e
			00060012 e3839ee38388e383aae38383e382afe382b90000
			0015001c 662f2f3439396b39353464364f4c33346f4c394653547679363473 41
			0014000b 6578616d706c652e6f726700
			00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666`,
			stun.NewLongTermIntegrity(matrix, "example.org", "TheMatrIX"), stun.ClassRequest,
			map[stun.AttrType]string{
				stun.AttrUsername: matrix, stun.AttrRealm: "example.org",
				stun.AttrNonce: "f//499k954d6OL34oL9FSTvy64sA",
			}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := unhex(t, tt.bytes)
			m := mustParse(t, raw)
			if m.Method() != stun.MethodBinding || m.Class() != tt.class || m.Classic() {
				t.Errorf("got %v %v classic %v, want Binding %v", m.Method(), m.Class(), m.Classic(), tt.class)
			}
			for a, want := range tt.text {
				if got, ok := m.Get(a); !ok || string(got) != want {
					t.Errorf("got %v %q %v, want %q", a, got, ok, want)
				}
			}
			if tt.addr != "" {
				v, _ := m.Get(stun.AttrXORMappedAddress)
				if got, err := m.Address(v); err != nil || got != netip.MustParseAddrPort(tt.addr) {
					t.Errorf("got address %v, %v, want %s", got, err, tt.addr)
				}
			}
			if !m.CheckIntegrity(tt.key, false) {
				t.Error("got wrong integrity, want right")
			}
			if m.CheckIntegrity([]byte("another"), false) || m.CheckIntegrity(tt.key, true) {
				t.Error("got right integrity with another key or hash, want wrong")
			}
			signed := raw
			if m.Has(stun.AttrFingerprint) {
				signed = raw[:len(raw)-attrHeaderSize-fingerprintSize]
			}
			for i := range signed {
				raw[i] ^= 1
				if m.Parse(raw) == nil && m.CheckIntegrity(tt.key, false) {
					t.Errorf("got a message whose byte %d is wrong", i)
				}
				raw[i] ^= 1
			}
		})
	}
}

// The length in the header of RFC 8489, appendix B.1, counts the header itself, and so
// does its HMAC: the text is tested as it stands, the message with the right length.
func TestVectorRFC8489(t *testing.T) {
	raw := unhex(t, `0001009c 2112a442 78ad3433c6ad72c029da412e
		001e0020 4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704
		00150029 6f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473 41000000
		0014000b 6578616d706c652e6f726700
		001c0020 e4686c8f0edeb59013e07090010a93efccbccc544c0a45d9f830aa6d6f735a01`)
	if err := new(Message).Parse(raw); err == nil {
		t.Error("got a message with the wrong length, want an error")
	}
	key := sha256.Sum256([]byte(matrix + ":example.org:TheMatrIX"))
	text, value := raw[:len(raw)-attrHeaderSize-sha256Size], raw[len(raw)-sha256Size:]
	var c mac
	if !c.equal(value, key[:], true, text, 0x9c) {
		t.Error("got another HMAC than the vector")
	}
	raw[3] = byte(len(raw) - headerSize)
	m := mustParse(t, raw)
	hash := sha256.Sum256([]byte(matrix + ":example.org"))
	if got, _ := m.Get(stun.AttrUserhash); string(got) != string(hash[:]) {
		t.Errorf("got USERHASH %x, want %x", got, hash)
	}
	if got, _ := m.Get(stun.AttrNonce); string(got) != "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA" {
		t.Errorf("got NONCE %q", got)
	}
	if m.CheckIntegrity(key[:], true) {
		t.Error("got right integrity although the length was corrected")
	}
}

// Keys shorter than a block, as long and longer.
func TestHMACKeys(t *testing.T) {
	for _, n := range []int{0, 1, 16, 20, 63, 64, 65, 131} {
		key := make([]byte, n)
		for i := range key {
			key[i] = 0xaa
		}
		raw := build(stun.ClassRequest, stun.MethodBinding, func(b *Builder) { b.Integrity(key, false) })
		if m := mustParse(t, raw); !m.CheckIntegrity(key, false) {
			t.Errorf("key of %d bytes: got wrong integrity", n)
		}
		p := &stun.Message{Raw: raw}
		if err := p.Decode(); err != nil {
			t.Fatal(err)
		}
		if err := stun.MessageIntegrity(key).Check(p); err != nil {
			t.Errorf("key of %d bytes: pion says %v", n, err)
		}
	}
}
