package wire

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/pion/stun"
)

func seeds(f *testing.F) {
	for _, b := range [][]byte{
		nil, bindingRequestBytes(), allocateBytes(false), allocateBytes(true),
		unhex(f, "00010008 00112233445566778899aabbccddeeff 00030004 00000000"),
		unhex(f, "0001ffec 2112a442 000000000000000000000000 00000000"),
		unhex(f, "40000003 61626300"), unhex(f, "4000fffc 61626364"),
		unhex(f, "00160004"+header+"00120000"),
		build(stun.ClassIndication, stun.MethodSend, func(b *Builder) {
			b.AddAddress(stun.AttrXORPeerAddress, peer6)
			b.AddAddress(stun.AttrXORPeerAddress, peer4)
			b.Add(stun.AttrData, []byte("data"))
		}),
	} {
		f.Add(b)
	}
}

// FuzzParse compares with another decoder where that one is right, and builds again
// what was parsed.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		buf := append(bytes.Clone(raw), "behind"...)
		m := new(Message)
		err := m.Parse(buf[:len(raw)])
		if (err == nil) && KindOf(raw) != STUN {
			t.Fatal("got a message of another kind")
		}
		if err != nil {
			return
		}
		m.CheckIntegrity(testKey, false)
		m.CheckIntegrity(testKey, true)
		unknown := m.Unknown(func(stun.AttrType) bool { return false }, nil)
		if len(unknown) > maxUnknown {
			t.Errorf("got %d unknown attributes, want %d at most", len(unknown), maxUnknown)
		}
		if !bytes.Equal(buf[:len(raw)], raw) || string(buf[len(raw):]) != "behind" {
			t.Fatal("got bytes changed")
		}
		if !m.Classic() {
			compare(t, m)
		}
		rebuild(t, m)
	})
}

// compare checks m against github.com/pion/stun, which knows the cookie only.
func compare(t *testing.T, m *Message) {
	p := &stun.Message{Raw: bytes.Clone(m.Raw())}
	if err := p.Decode(); err != nil {
		t.Fatalf("got a message, pion says %v", err)
	}
	if p.Type != m.Type() || p.TransactionID != m.ID() {
		t.Errorf("got %v %x, pion %v %x", m.Type(), m.ID(), p.Type, p.TransactionID)
	}
	for _, a := range p.Attributes {
		if a.Type == stun.AttrMessageIntegrity || a.Type == stun.AttrMessageIntegritySHA256 || a.Type == stun.AttrFingerprint {
			break
		}
		if a.Type == stun.AttrXORMappedAddress {
			continue // it may have been 0x8020
		}
		want, err := p.Get(a.Type)
		if got, ok := m.Get(a.Type); !ok || err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %v %x, pion %x, %v", a.Type, got, want, err)
		}
		if a.Type == stun.AttrXORPeerAddress && (len(want) == 8 || len(want) == 20) {
			comparePeer(t, m, p)
		}
	}
	if v, ok := m.Get(stun.AttrMessageIntegrity); ok && !m.Has(stun.AttrMessageIntegritySHA256) {
		if bytes.Count(m.Raw(), []byte{0, 8, 0, 20}) > 1 {
			return // it may look at another one
		}
		want := stun.MessageIntegrity(testKey).Check(p) == nil
		if got := m.CheckIntegrity(testKey, false); got != want {
			t.Errorf("integrity %x: got %v, pion %v", v, got, want)
		}
	}
}

func comparePeer(t *testing.T, m *Message, p *stun.Message) {
	var want stun.XORMappedAddress
	err := want.GetFromAs(p, stun.AttrXORPeerAddress)
	v, _ := m.Get(stun.AttrXORPeerAddress)
	got, mine := m.Address(v)
	if v[0] != 0 {
		return // RFC 8489, section 14.1: ignored, not read as part of the family
	}
	if mine == nil && err != nil {
		t.Errorf("got %v, pion says %v", got, err)
	}
	if ip, _ := netip.AddrFromSlice(want.IP); mine == nil && (ip != got.Addr() || want.Port != int(got.Port())) {
		t.Errorf("got %v, pion %v", got, want)
	}
}

// rebuild builds the visible attributes again: what comes out parses to the same.
func rebuild(t *testing.T, m *Message) {
	var b Builder
	b.Reply(nil, m, m.Class())
	for rest := m.attrs; len(rest) > 0; {
		var a stun.AttrType
		var v []byte
		a, v, rest = cut(rest)
		b.Add(a, v)
	}
	if strong := m.Has(stun.AttrMessageIntegritySHA256); strong || m.Has(stun.AttrMessageIntegrity) {
		b.Integrity(testKey, strong)
	}
	if m.Has(stun.AttrFingerprint) {
		b.Fingerprint()
	}
	if len(b.Bytes()) == 0 {
		t.Fatalf("got nothing from a message of %d bytes", len(m.Raw()))
	}
	again := mustParse(t, b.Bytes())
	if again.Type() != m.Type() || again.Transaction() != m.Transaction() {
		t.Errorf("got %v %x, want %v %x", again.Type(), again.Transaction(), m.Type(), m.Transaction())
	}
	for x, y := m.attrs, again.attrs; len(x) > 0 || len(y) > 0; {
		if len(x) == 0 || len(y) == 0 {
			t.Fatal("got another number of attributes")
		}
		var ax, ay stun.AttrType
		var vx, vy []byte
		ax, vx, x = cut(x)
		ay, vy, y = cut(y)
		if ax != ay || !bytes.Equal(vx, vy) {
			t.Errorf("got %v %x, want %v %x", ay, vy, ax, vx)
		}
	}
	strong := again.Has(stun.AttrMessageIntegritySHA256)
	if (strong || again.Has(stun.AttrMessageIntegrity)) && !again.CheckIntegrity(testKey, strong) {
		t.Error("got wrong integrity")
	}
}

// chunks reads a stream in pieces whose sizes another stream says.
type chunks struct{ stream, sizes []byte }

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.stream) == 0 {
		return 0, io.EOF
	}
	n := len(c.stream)
	if len(c.sizes) > 0 {
		n, c.sizes = min(n, 1+int(c.sizes[0])), c.sizes[1:]
	}
	n = copy(b, c.stream[:n])
	c.stream = c.stream[n:]
	return n, nil
}

// FuzzFramer reads one stream at once and in pieces: the frames and the end are the
// same, and the frames are the stream.
func FuzzFramer(f *testing.F) {
	f.Add(slices.Concat(channelFrame(0x4000, []byte("x")), bindingRequestBytes(), channelFrame(0x4001, nil)), []byte{0, 3, 1})
	f.Add(unhex(f, "40000000 0001ffec 2112a442"), []byte{1})
	f.Add(unhex(f, "4000fffc 00000000"), []byte{2})
	f.Add(append(channelFrame(0x4000, make([]byte, 9000)), allocateBytes(true)...), []byte{255, 9})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		got, err := frames(&chunks{stream, sizes})
		whole, wholeErr := frames(bytes.NewReader(stream))
		if !slices.Equal(got, whole) || !errors.Is(err, wholeErr) {
			t.Fatalf("in pieces: got %d frames, %v; at once: %d frames, %v", len(got), err, len(whole), wholeErr)
		}
		at := 0
		for _, f := range got {
			if string(stream[at:at+len(f.data)]) != f.data {
				t.Fatalf("got a frame that is not at %d of the stream", at)
			}
			if f.kind == STUN && KindOf([]byte(f.data)) != STUN {
				t.Fatalf("got frame %x, which is no message", f.data)
			}
			if _, data, ok := Channel([]byte(f.data)); f.kind == ChannelData && (!ok || 4+len(data) != len(f.data)) {
				t.Fatalf("got frame %x, which is no ChannelData", f.data)
			}
			at += padded(len(f.data))
		}
	})
}

// FuzzChannel splits ChannelData and makes it again.
func FuzzChannel(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		number, data, ok := Channel(raw)
		if ok != (KindOf(raw) == ChannelData) {
			t.Fatalf("got %v of kind %v", ok, KindOf(raw))
		}
		if !ok {
			return
		}
		header, pad := ChannelHeader(make([]byte, 4), number, len(data))
		again := append(header, data...)
		if rest, same := bytes.CutPrefix(raw, again); !same || len(rest) > pad {
			t.Errorf("got %x, want %x with up to %d of padding", raw, again, pad)
		}
	})
}
