package wsock

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Op is the kind of a frame (RFC 6455, section 5.2).
type Op byte

const (
	opContinuation Op = 0x0
	// Text and Binary are the kinds of messages.
	Text   Op = 0x1
	Binary Op = 0x2

	opClose Op = 0x8
	opPing  Op = 0x9
	opPong  Op = 0xA
)

// Status codes of RFC 6455, section 7.4.1.
const (
	StatusNormal          = 1000
	StatusGoingAway       = 1001
	StatusProtocolError   = 1002
	StatusUnsupported     = 1003
	StatusInvalidData     = 1007
	StatusPolicyViolation = 1008
	StatusTooBig          = 1009
	StatusInternal        = 1011

	statusNone = 1005 // of a close frame that says none
)

// Error is what a client has done wrong.
type Error struct {
	Code int // the status to close with
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("WebSocket: %s (%d)", e.Text, e.Code) }

func violation(text string) *Error { return &Error{StatusProtocolError, text} }

const (
	final  = 0x80
	masked = 0x80

	packed     = 0x40 // RSV1: the message is compressed (RFC 7692, section 6)
	reserved   = 0x70
	maxControl = 125
	maxHeader  = 14 // of a masked frame
)

// head is the beginning of a frame.
type head struct {
	op     Op
	final  bool
	packed bool
	size   int // of the header
	n      int // of the payload
	key    [4]byte
}

// parseHead reads the beginning of a client's frame; ok is false if b has not all of it.
// allowed is which reserved bit the first frame of a message may have.
func parseHead(b []byte, allowed byte) (h head, ok bool, err *Error) {
	if len(b) < 2 {
		return h, false, nil
	}
	h.op, h.final, h.n, h.size = Op(b[0]&0xf), b[0]&final != 0, int(b[1]&^masked), 2
	if h.op != Text && h.op != Binary {
		allowed = 0
	}
	h.packed = b[0]&allowed != 0
	switch {
	case b[0]&reserved&^allowed != 0:
		return h, false, violation("reserved bits are set")
	case b[1]&masked == 0:
		return h, false, violation("frame is not masked")
	case h.op > Binary && h.op < opClose || h.op > opPong:
		return h, false, violation("unknown opcode")
	case h.op >= opClose && (!h.final || h.n > maxControl):
		return h, false, violation("control frame is fragmented, or too long")
	}
	switch h.n {
	case 126:
		if len(b) < 4 {
			return h, false, nil
		}
		h.n, h.size = int(binary.BigEndian.Uint16(b[2:])), 4
		if h.n < 126 {
			return h, false, violation("length is not minimal")
		}
	case 127:
		if len(b) < 10 {
			return h, false, nil
		}
		n := binary.BigEndian.Uint64(b[2:])
		if n < 1<<16 || n > 1<<62 {
			return h, false, violation("length is not minimal, or impossible")
		}
		h.n, h.size = int(min(n, 1<<30)), 10
	}
	if len(b) < h.size+4 {
		return h, false, nil
	}
	copy(h.key[:], b[h.size:])
	h.size += 4
	return h, true, nil
}

// unmask takes the mask off a payload (RFC 6455, section 5.3), from which offset of it on
// b is, eight bytes at a time.
func unmask(b []byte, key [4]byte, offset int) {
	var k [8]byte
	for i := range k {
		k[i] = key[(offset+i)&3]
	}
	wide := binary.LittleEndian.Uint64(k[:])
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= k[i]
	}
}

// AppendFrame adds a whole message of a server to dst as it is; its payload is in parts.
func AppendFrame(dst []byte, op Op, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	switch {
	case n < 126:
		dst = append(dst, final|byte(op), byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, final|byte(op), 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, final|byte(op), 127), uint64(n))
	}
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// appendClose adds a close frame.
func appendClose(dst []byte, code int, reason string) []byte {
	if code == statusNone {
		return AppendFrame(dst, opClose)
	}
	reason = reason[:min(len(reason), maxControl-2)]
	var c [2]byte
	binary.BigEndian.PutUint16(c[:], uint16(code))
	return AppendFrame(dst, opClose, c[:], []byte(reason))
}

// parseClose returns the status of a close frame, or what is wrong with it.
func parseClose(b []byte) (code int, err *Error) {
	switch len(b) {
	case 0:
		return statusNone, nil
	case 1:
		return 0, violation("close frame of one byte")
	}
	switch code = int(binary.BigEndian.Uint16(b)); {
	case code < 1000, code == 1004, code == 1005, code == 1006, code > 1014 && code < 3000, code >= 5000:
		return 0, violation("close frame with a code that is none")
	case !utf8.Valid(b[2:]):
		return 0, &Error{StatusInvalidData, "reason of a close frame is not UTF-8"}
	}
	return code, nil
}
