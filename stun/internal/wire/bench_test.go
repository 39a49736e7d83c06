package wire

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/pion/stun"
)

// work is what a server does for a packet. None of it allocates once it is warm.
func work(t testing.TB) map[string]func() {
	request := bindingRequestBytes()
	signed, strong := allocateBytes(false), allocateBytes(true)
	var binding, m, m256, scratch Message
	for _, p := range []struct {
		m   *Message
		raw []byte
	}{{&binding, request}, {&m, signed}, {&m256, strong}} {
		if err := p.m.Parse(p.raw); err != nil {
			t.Fatal(err)
		}
	}
	channel := channelFrame(0x4001, make([]byte, 160))
	var b Builder
	var f Framer
	var reader bytes.Reader
	stream := bytes.Repeat(channel, 8)
	out, headroom := make([]byte, 0, 512), make([]byte, 64)
	unknown := make([]stun.AttrType, 0, maxUnknown)
	known := func(stun.AttrType) bool { return false }
	peers := build(stun.ClassRequest, stun.MethodCreatePermission, func(b *Builder) {
		b.AddAddress(stun.AttrXORPeerAddress, peer4)
		b.AddAddress(stun.AttrXORPeerAddress, peer6)
	})
	var permission Message
	if err := permission.Parse(peers); err != nil {
		t.Fatal(err)
	}
	return map[string]func(){
		"KindOf":               func() { KindOf(channel) },
		"Channel":              func() { Channel(channel) },
		"ParseBinding":         func() { scratch.Parse(request) },
		"ParseAllocate":        func() { scratch.Parse(signed) },
		"CheckIntegrity":       func() { m.CheckIntegrity(testKey, false) },
		"CheckIntegritySHA256": func() { m256.CheckIntegrity(testKey, true) },
		"Unknown":              func() { m.Unknown(known, unknown[:0]) },
		"Each": func() {
			for v := range permission.Each(stun.AttrXORPeerAddress) {
				permission.Address(v)
			}
		},
		"AppendBinding":       func() { AppendBinding(out, &binding, peer4, "Tidewaiter") },
		"AppendBinding6":      func() { AppendBinding(out, &binding, peer6, "Tidewaiter") },
		"BuildAllocate":       func() { buildAllocate(&b, out, &m, false) },
		"BuildAllocateSHA256": func() { buildAllocate(&b, out, &m, true) },
		"DataHeader":          func() { DataHeader(headroom, peer4, 160, testID) },
		"ChannelHeader":       func() { ChannelHeader(headroom, 0x4001, 160) },
		"FramerEight": func() {
			reader.Reset(stream)
			for f.Fill(&reader) == nil {
				for {
					if _, frame, _ := f.Next(); frame == nil {
						break
					}
				}
			}
		},
	}
}

// buildAllocate builds a success response.
func buildAllocate(b *Builder, dst []byte, m *Message, strong bool) {
	b.Reply(dst, m, stun.ClassSuccessResponse)
	b.AddAddress(stun.AttrXORRelayedAddress, netip.AddrPortFrom(peer4.Addr(), 50000))
	b.AddAddress(stun.AttrXORMappedAddress, peer4)
	b.AddUint32(stun.AttrLifetime, 600)
	b.AddString(stun.AttrSoftware, "Tidewaiter")
	b.Integrity(testKey, strong)
	b.Fingerprint()
}

func TestNoAllocations(t *testing.T) {
	for name, do := range work(t) {
		if got := testing.AllocsPerRun(100, do); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
}

func Benchmark(b *testing.B) {
	for name, do := range work(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}
