package xmpp

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// unframe reads a masked frame as RFC 6455, section 5.2, has it, byte by byte.
func unframe(t *testing.T, b []byte) (op byte, payload, rest []byte) {
	t.Helper()
	if b[0]&0x70 != 0 || b[0]&0x80 == 0 || b[1]&0x80 == 0 {
		t.Fatalf("got a frame that begins with %x", b[:2])
	}
	op, n, head := b[0]&0xf, int(b[1]&0x7f), 2
	switch n {
	case 126:
		n, head = int(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		n, head = int(binary.BigEndian.Uint64(b[2:])), 10
	}
	key, data := b[head:head+4], b[head+4:head+4+n]
	for i, c := range data {
		payload = append(payload, c^key[i%4])
	}
	return op, payload, b[head+4+n:]
}

func TestAppendFrame(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 125, 126, 65535, 65536} {
		text := strings.Repeat("abcdefghijk", n/11+1)[:n]
		b := appendFrame([]byte("before"), opText, []byte(text[:n/2]), []byte(text[n/2:]))
		op, got, rest := unframe(t, b[len("before"):])
		if op != opText || string(got) != text || len(rest) != 0 {
			t.Errorf("%d bytes: got opcode %d and %d others", n, op, len(got))
		}
	}
}

func TestAppendElement(t *testing.T) {
	for el, want := range map[string]string{
		"<message to='a'/>":        "<message xmlns='jabber:client' to='a'/>",
		"<presence/>":              "<presence xmlns='jabber:client'/>",
		"<iq><a/></iq>":            "<iq xmlns='jabber:client'><a/></iq>",
		"<r xmlns='urn:xmpp'/>":    "<r xmlns='urn:xmpp'/>",
		"<auth xmlns='x'>y</auth>": "<auth xmlns='x'>y</auth>",
	} {
		if _, got, _ := unframe(t, appendElement(nil, []byte(el))); string(got) != want {
			t.Errorf("%s: got %s, want %s", el, got, want)
		}
		if got := appendNamed(nil, []byte(el)); !bytes.Equal(got, []byte(want)) {
			t.Errorf("BOSH, %s: got %s, want %s", el, got, want)
		}
	}
}
