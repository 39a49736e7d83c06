package wsock

import (
	"compress/flate"
	"io"
	"slices"
	"sync"
)

// minDeflate is the smallest message that is worth compressing: what is smaller fits a
// packet either way.
const minDeflate = 400

// marker ends the data of a message, which leaves it out (RFC 7692, section 7.2.1).
const marker = "\x00\x00\xff\xff"

// tail is what stands behind a message to inflate it: the marker, and an empty last block.
const tail = marker + "\x01\x00\x00\xff\xff"

// source is a message, and tail behind it. flate reads no more of it than it needs.
type source struct {
	message []byte
	tail    string
}

func (s *source) ReadByte() (c byte, err error) {
	switch {
	case len(s.message) > 0:
		c, s.message = s.message[0], s.message[1:]
	case s.tail != "":
		c, s.tail = s.tail[0], s.tail[1:]
	default:
		err = io.EOF
	}
	return c, err
}

func (s *source) Read(b []byte) (n int, err error) {
	if len(s.message) > 0 {
		n = copy(b, s.message)
		s.message = s.message[n:]
		return n, nil
	}
	if s.tail == "" {
		return 0, io.EOF
	}
	n = copy(b, s.tail)
	s.tail = s.tail[n:]
	return n, nil
}

// inflater takes messages apart, each by itself.
type inflater struct {
	source
	r io.ReadCloser // of source
}

var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.r = flate.NewReader(&i.source)
	return i
}}

// inflate appends what a message stands for to dst, limit bytes at most. The error is an
// *Error.
func inflate(dst, message []byte, limit int) ([]byte, error) {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.source = source{message, tail}
	defer func() { i.source = source{} }()
	_ = i.r.(flate.Resetter).Reset(&i.source, nil)
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, min(max(cap(dst), 512), start+limit+1-len(dst)))
		}
		n, err := i.r.Read(dst[len(dst):min(cap(dst), start+limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-start > limit:
			return dst, &Error{StatusTooBig, "message is too large"}
		case err == io.EOF && i.done():
			return dst, nil
		case err != nil:
			return dst, &Error{StatusInvalidData, "message cannot be decompressed"}
		}
	}
}

// done says whether nothing is behind the last block. If that is one of the client's, a
// zero is (RFC 7692, section 7.2.3.4).
func (s *source) done() bool {
	return len(s.message) == 0 || len(s.message) == 1 && s.message[0] == 0
}

// packedLimit is how large a message of limit bytes can get by its compression: by some
// bytes for each block that is stored as it is (RFC 1951, section 3.2.4).
func packedLimit(limit int) int { return limit + limit>>8 + 64 }

// deflater compresses messages, each by itself.
type deflater struct {
	w   *flate.Writer // into out
	out sink
}

type sink []byte

func (s *sink) Write(b []byte) (int, error) {
	*s = append(*s, b...)
	return len(b), nil
}

var deflaters = sync.Pool{New: func() any {
	d := new(deflater)
	d.w, _ = flate.NewWriter(&d.out, flate.BestSpeed)
	return d
}}

// deflate appends a message to dst in a frame, compressed; ok is false if that does not
// make it smaller, and dst is as it was.
func deflate(dst []byte, op Op, message []byte) (_ []byte, ok bool) {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out = d.out[:0]
	d.w.Reset(&d.out)
	_, _ = d.w.Write(message) // a sink takes everything
	_ = d.w.Flush()
	n := len(d.out) - len(marker)
	if ok = n < len(message); ok {
		dst = AppendFrame(dst, op|packed, d.out[:n])
	}
	if cap(d.out) > keepSize {
		d.out = nil
	}
	return dst, ok
}

// AppendMessage adds a message to dst, for Write: compressed if that was agreed on and
// makes it smaller.
func (c *Conn) AppendMessage(dst []byte, op Op, message []byte) []byte {
	if c.deflate && len(message) >= minDeflate {
		if dst, ok := deflate(dst, op, message); ok {
			return dst
		}
	}
	return AppendFrame(dst, op, message)
}
