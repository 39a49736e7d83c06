package wire

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/pion/stun"
)

type frameOf struct {
	kind Kind
	data string
}

// frames reads all of r, and returns what it got until the error, io.EOF too.
func frames(r io.Reader) (got []frameOf, err error) {
	var f Framer
	for {
		if err := f.Fill(r); err != nil {
			return got, err
		}
		for {
			kind, b, err := f.Next()
			if err != nil {
				return got, err
			}
			if b == nil {
				break
			}
			got = append(got, frameOf{kind, string(b)})
		}
	}
}

// channelFrame is ChannelData on a stream.
func channelFrame(number uint16, data []byte) []byte {
	header, pad := ChannelHeader(make([]byte, 4), number, len(data))
	return append(append(header, data...), make([]byte, pad)...)
}

func TestFramerSplits(t *testing.T) {
	var stream []byte
	var want []frameOf
	add := func(kind Kind, frame, padded []byte) {
		stream = append(stream, padded...)
		want = append(want, frameOf{kind, string(frame)})
	}
	for n := range 21 {
		padded := channelFrame(0x4000+uint16(n), bytes.Repeat([]byte{byte(n)}, n))
		add(ChannelData, padded[:4+n], padded)
		if n%5 == 0 {
			request := bindingRequestBytes()
			add(STUN, request, request)
			allocate := allocateBytes(true)
			add(STUN, allocate, allocate)
		}
	}
	for at := range len(stream) + 1 {
		got, err := frames(io.MultiReader(bytes.NewReader(stream[:at]), bytes.NewReader(stream[at:])))
		if !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
			t.Fatalf("split at %d: got %d frames, %v, want %d, EOF", at, len(got), err, len(want))
		}
	}
	got, err := frames(iotest.OneByteReader(bytes.NewReader(stream)))
	if !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
		t.Errorf("byte by byte: got %d frames, %v, want %d, EOF", len(got), err, len(want))
	}
	got, err = frames(iotest.DataErrReader(bytes.NewReader(stream)))
	if !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
		t.Errorf("error with the last bytes: got %d frames, %v, want %d, EOF", len(got), err, len(want))
	}
}

// A frame is complete with its last byte of padding, and not later: the smallest
// ChannelData has 8 bytes, which must not wait for more.
func TestFramerHoldsNothingBack(t *testing.T) {
	for n := range 21 {
		frame := channelFrame(0x4000, bytes.Repeat([]byte{7}, n))
		var f Framer
		for i := range frame {
			if f.Ready() {
				t.Fatalf("%d bytes of data: ready after %d bytes of %d", n, i, len(frame))
			}
			if err := f.Fill(bytes.NewReader(frame[i : i+1])); err != nil {
				t.Fatal(err)
			}
		}
		if !f.Ready() {
			t.Fatalf("%d bytes of data: not ready after all of it", n)
		}
		kind, b, err := f.Next()
		if kind != ChannelData || !bytes.Equal(b, frame[:4+n]) || cap(b) != len(b) || err != nil {
			t.Errorf("got %v %x, %v, want %x", kind, b, err, frame[:4+n])
		}
		if f.Ready() {
			t.Error("ready after the last frame")
		}
	}
}

func TestFramerReady(t *testing.T) {
	one := bindingRequestBytes()
	var f Framer
	if err := f.Fill(bytes.NewReader(append(append(bytes.Clone(one), one...), 0x40, 1))); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if _, b, err := f.Next(); b == nil || err != nil {
			t.Fatalf("frame %d: got %x, %v", i, b, err)
		}
		if got := f.Ready(); got != want {
			t.Errorf("after frame %d: got ready %v, want %v", i, got, want)
		}
	}
	if got := f.Rest(); !bytes.Equal(got, []byte{0x40, 1}) {
		t.Errorf("got rest %x, want 4001", got)
	}
	if got := f.Rest(); len(got) != 0 {
		t.Errorf("got rest %x again, want none", got)
	}
}

func TestFramerRefuses(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
		want  error
	}{
		{"message of 0xFFEC", "0001ffec 2112a442 000000000000000000000000 00000000", errFrameSize},
		{"message of 0xFFEC, header only", "0001ffec", errFrameSize},
		{"message of 0xFFFC", "0001fffc 2112a442", errFrameSize},
		{"message of 0xFFFF", "0001ffff 2112a442", errFrameSize},
		{"message of 1", "00010001 2112a442", errFrameSize},
		{"ChannelData of 0xFFFC", "4000fffc 00000000", errFrameSize},
		{"ChannelData of 0xFFFF", "4000ffff", errFrameSize},
		{"ChannelData of 0xFFF9", "4000fff9", errFrameSize},
		{"no cookie and too long", "0001fffc 00112233", errFrameSize},
		{"no cookie", "00010000 00112233445566778899aabbccddeeff", errFrame},
		{"top bits 10", "80", errFrame},
		{"top bits 11", "ff", errFrame},
		{"behind a frame", "40000000 c0", errFrame},
		{"TLS", "16030100 a5010000a10303", errFrame},
		{"HTTP", "474554202f20485454502f312e31", io.EOF}, // ChannelData of 21,536 bytes, as far as one can see
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stream := unhex(t, tt.bytes)
			if _, err := frames(bytes.NewReader(stream)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if _, err := frames(iotest.OneByteReader(bytes.NewReader(stream))); !errors.Is(err, tt.want) {
				t.Errorf("byte by byte: got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestFramerLongest(t *testing.T) {
	data := bytes.Repeat([]byte{9}, 65527)
	message := build(stun.ClassIndication, stun.MethodSend, func(b *Builder) {
		b.Add(stun.AttrData, make([]byte, MaxFrame-headerSize-attrHeaderSize))
	})
	stream := slices.Concat(channelFrame(0x4000, data), message, channelFrame(0x4000, data))
	got, err := frames(bytes.NewReader(stream))
	if !errors.Is(err, io.EOF) || len(got) != 3 || len(got[0].data) != 4+len(data) || got[1].data != string(message) {
		t.Errorf("got %d frames, %v, want 3, EOF", len(got), err)
	}
}

// What is kept has a bound, and is small again when large frames are over.
func TestFramerBuffer(t *testing.T) {
	var f Framer
	r := bytes.NewReader(make([]byte, 1<<20))
	for f.Fill(r) == nil {
		if len(f.buf) > MaxFrame {
			t.Fatalf("got a buffer of %d bytes, want %d at most", len(f.buf), MaxFrame)
		}
	}
	if err := f.Fill(r); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("with frames that were not taken: got %v, want %v", err, io.ErrShortBuffer)
	}

	f = Framer{}
	large := channelFrame(0x4000, make([]byte, 60000))
	for r := bytes.NewReader(large); !f.Ready(); {
		if err := f.Fill(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, b, err := f.Next(); len(b) != len(large) || err != nil {
		t.Fatalf("got frame of %d bytes, %v, want %d", len(b), err, len(large))
	}
	small := channelFrame(0x4000, nil)
	for range patience + 1 {
		if err := f.Fill(bytes.NewReader(small)); err != nil {
			t.Fatal(err)
		}
		if _, b, err := f.Next(); len(b) != len(small) || err != nil {
			t.Fatalf("got frame %x, %v, want %x", b, err, small)
		}
	}
	if got := len(f.buf); got != smallBuffer {
		t.Errorf("after small frames: got a buffer of %d bytes, want %d", got, smallBuffer)
	}
}

func TestFramerError(t *testing.T) {
	want := errors.New("reset by peer")
	var f Framer
	if err := f.Fill(iotest.ErrReader(want)); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if kind, b, err := f.Next(); kind != Garbage || b != nil || err != nil {
		t.Errorf("got %v %x %v, want nothing", kind, b, err)
	}
}
