package wire

import (
	"bytes"
	"testing"
)

func TestKindOf(t *testing.T) {
	request := bindingRequestBytes()
	tests := []struct {
		name  string
		bytes []byte
		want  Kind
	}{
		{"empty", nil, Garbage},
		{"one byte", []byte{0x40}, Garbage},
		{"three bytes", []byte{0x40, 0, 0}, Garbage},
		{"Binding request", request, STUN},
		{"classic Binding request", unhex(t, "00010000 00112233445566778899aabbccddeeff"), STUN},
		{"classic SharedSecret request", unhex(t, "00020000 00112233445566778899aabbccddeeff"), Garbage},
		{"classic Binding response", unhex(t, "01010000 00112233445566778899aabbccddeeff"), Garbage},
		{"without cookie", unhex(t, "00030000 00112233445566778899aabbccddeeff"), Garbage},
		{"cut", request[:19], Garbage},
		{"one byte more", append(bytes.Clone(request), 0), Garbage},
		{"trailing bytes", append(bytes.Clone(request), 0, 0, 0, 0), Garbage},
		{"length not of four", unhex(t, "00010001 2112a442 000000000000000000000000 00"), Garbage},
		{"length 0xFFEC", unhex(t, "0001ffec 2112a442 000000000000000000000000"), Garbage},
		{"top bits 10 (RTP)", unhex(t, "80010000 2112a442 000000000000000000000000"), Garbage},
		{"top bits 11", unhex(t, "c0010000 2112a442 000000000000000000000000"), Garbage},
		{"DTLS", unhex(t, "16feff0000000000000000 0010 01000004000000000000000401020304"), Garbage},
		{"empty ChannelData", unhex(t, "40000000"), ChannelData},
		{"ChannelData", unhex(t, "40000003 616263"), ChannelData},
		{"ChannelData with padding", unhex(t, "40000003 61626300"), ChannelData},
		{"ChannelData with too much", unhex(t, "40000003 6162630000"), Garbage},
		{"ChannelData cut", unhex(t, "40000003 6162"), Garbage},
		{"ChannelData 0xFFFC", unhex(t, "4000fffc 61626364"), Garbage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := KindOf(tt.bytes); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestChannel(t *testing.T) {
	for n := range 21 {
		for pad := range 5 {
			want := bytes.Repeat([]byte{0xee}, n)
			datagram := append([]byte{0x41, 0x23, 0, byte(n)}, want...)
			datagram = append(datagram, make([]byte, pad)...)
			number, data, ok := Channel(datagram)
			if allowed := n+pad <= padded(n); ok != allowed {
				t.Fatalf("%d bytes and %d of padding: got ok %v, want %v", n, pad, ok, allowed)
			}
			if ok && (number != 0x4123 || !bytes.Equal(data, want) || cap(data) != n) {
				t.Errorf("%d bytes: got channel %#x, data %x, capacity %d", n, number, data, cap(data))
			}
		}
	}
}

func TestValidChannel(t *testing.T) {
	for number, want := range map[uint16]bool{
		0: false, 0x3fff: false, 0x4000: true, 0x4fff: true, 0x5000: true, 0x7ffe: true, 0x7fff: false, 0x8000: false, 0xffff: false,
	} {
		if got := ValidChannel(number); got != want {
			t.Errorf("%#x: got %v, want %v", number, got, want)
		}
	}
}

func TestChannelHeader(t *testing.T) {
	for n := range 21 {
		buf := make([]byte, 64+n)
		for i := range n {
			buf[64+i] = byte(i + 1)
		}
		header, pad := ChannelHeader(buf[:64], 0x4001, n)
		if len(header) != 4 || (n+pad)%4 != 0 || pad > 3 {
			t.Fatalf("%d bytes: got header of %d, padding %d", n, len(header), pad)
		}
		number, data, ok := Channel(buf[60:])
		if !ok || number != 0x4001 || !bytes.Equal(data, buf[64:]) {
			t.Errorf("%d bytes: got %#x %x %v", n, number, data, ok)
		}
	}
	if header, _ := ChannelHeader(make([]byte, 3), 0x4000, 1); header != nil {
		t.Errorf("without headroom: got %x, want nil", header)
	}
	if header, _ := ChannelHeader(make([]byte, 4), 0x4000, 65536); header != nil {
		t.Errorf("with 65536 bytes: got %x, want nil", header)
	}
}
