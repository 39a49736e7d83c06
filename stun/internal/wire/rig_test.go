package wire

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/stun"
)

// unhex reads bytes that are written with spaces and line ends.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t testing.TB, b []byte) *Message {
	t.Helper()
	m := new(Message)
	if err := m.Parse(b); err != nil {
		t.Fatalf("Parse of %x: %v", b, err)
	}
	return m
}

var (
	testID  = [12]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	testKey = []byte("0123456789abcdef")
	peer4   = netip.MustParseAddrPort("192.0.2.1:32853")
	peer6   = netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853")
)

// build makes a message of ours.
func build(class stun.MessageClass, method stun.Method, add func(b *Builder)) []byte {
	var b Builder
	b.Start(nil, class, method, NewTransaction(testID))
	if add != nil {
		add(&b)
	}
	return b.Bytes()
}

func bindingRequestBytes() []byte { return build(stun.ClassRequest, stun.MethodBinding, nil) }

// allocateBytes is an Allocate request as clients send it behind a challenge.
func allocateBytes(sha256 bool) []byte {
	return build(stun.ClassRequest, stun.MethodAllocate, func(b *Builder) {
		b.AddUint32(stun.AttrRequestedTransport, 17<<24)
		b.Add(stun.AttrDontFragment, nil)
		b.AddString(stun.AttrUsername, "1760000000:juliet")
		b.AddString(stun.AttrRealm, "example.org")
		b.AddString(stun.AttrNonce, "obMatJos2gAAAaOEc1wABcPOHhnVkp2S1lTbmdUQQ")
		b.Integrity(testKey, sha256)
		b.Fingerprint()
	})
}
