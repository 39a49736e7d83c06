package wire

import (
	"encoding/binary"
	"errors"
	"io"
)

// What Next returns of a stream that cannot be followed any further.
var (
	errFrame     = errors.New("stream is neither STUN nor ChannelData")
	errFrameSize = errors.New("length of frame is not possible")
)

const (
	// MaxFrame is the longest frame, with padding: the largest datagram (65,527 bytes,
	// of IPv6) as ChannelData.
	MaxFrame = 65532

	// smallBuffer is what a Framer begins with, and has between large frames.
	smallBuffer = 4096
	// patience is how often in succession Fill finds little before it gives a large
	// buffer back.
	patience = 8
)

// Framer splits a stream of bytes into STUN messages and ChannelData (RFC 8656,
// section 12.5; RFC 8489, section 6.2.2): Fill once, then Next until it has no more. It
// keeps at most 64 KiB, copies nothing but what a read leaves incomplete, and hands a
// frame out as soon as its last byte is there. The zero value is ready.
type Framer struct {
	buf        []byte
	start, end int // of what is buffered
	small      int // how often in succession Fill found little
}

// Fill reads once from r; it blocks as r does. Frames that Next returned are not
// valid afterwards. An error that comes with bytes is left for the next call. When
// there is no room, because frames were not taken, it returns io.ErrShortBuffer.
func (f *Framer) Fill(r io.Reader) error {
	f.makeRoom()
	if f.end == len(f.buf) {
		return io.ErrShortBuffer
	}
	n, err := r.Read(f.buf[f.end:])
	if f.end += n; n > smallBuffer/2 {
		f.small = 0
	} else {
		f.small++
	}
	if n > 0 {
		return nil
	}
	return err
}

// makeRoom moves what is buffered to the front, of a buffer of another size if this
// one is too large for what comes, or too small.
func (f *Framer) makeRoom() {
	rest, size := f.buf[f.start:f.end], len(f.buf)
	switch {
	case len(rest) == 0 && f.small >= patience:
		size = smallBuffer
	case f.end == size: // nothing was left of it: there is more
		size = min(max(4*size, smallBuffer), MaxFrame)
	}
	if size != len(f.buf) {
		f.buf = make([]byte, size)
	} else if f.start == 0 {
		return
	}
	f.start, f.end = 0, copy(f.buf, rest)
}

// Next returns the next complete frame: a message, or ChannelData without padding. It
// has no spare capacity, and is valid until Fill. Without an error and without a frame
// more bytes are needed. After an error the stream is of no more use.
func (f *Framer) Next() (Kind, []byte, error) {
	kind, n, size, err := frame(f.buf[f.start:f.end])
	if kind == Garbage {
		return Garbage, nil, err
	}
	b := f.buf[f.start : f.start+n : f.start+n]
	f.start += size
	return kind, b, nil
}

// Ready says whether Next has something to return without Fill: a frame or an error.
func (f *Framer) Ready() bool {
	kind, _, _, err := frame(f.buf[f.start:f.end])
	return kind != Garbage || err != nil
}

// Empty says that nothing is buffered.
func (f *Framer) Empty() bool { return f.start == f.end }

// Rest returns what is buffered behind the frames that were taken, and forgets it: the
// first bytes of what is no frames any more (RFC 6062, section 4.4). They are valid
// until Fill.
func (f *Framer) Rest() []byte {
	rest := f.buf[f.start:f.end:f.end]
	f.start = f.end
	return rest
}

// frame finds the frame at the front of b: n bytes, in size bytes of the stream.
// Garbage without an error: it is not complete.
func frame(b []byte) (kind Kind, n, size int, err error) {
	if len(b) == 0 {
		return Garbage, 0, 0, nil
	}
	if b[0]>>6 > 1 {
		return Garbage, 0, 0, errFrame
	}
	if len(b) < 4 {
		return Garbage, 0, 0, nil
	}
	// int, not uint16: a sum of 65,536 is not 0.
	kind, n = ChannelData, channelHeader+int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>6 == 0 {
		kind, n = STUN, headerSize+int(binary.BigEndian.Uint16(b[2:]))
	}
	size = padded(n)
	if size > MaxFrame || kind == STUN && n != size {
		return Garbage, 0, 0, errFrameSize
	}
	if kind == STUN && len(b) >= 8 && !hasCookie(b) {
		return Garbage, 0, 0, errFrame
	}
	if len(b) < size {
		return Garbage, 0, 0, nil
	}
	return kind, n, size, nil
}
