package bosh

import (
	"errors"
	"io"
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
)

// maxBody is the largest body of any request, whatever the limits of its session are.
const maxBody = 32 << 20

// reader reads the body of a request.
type reader struct {
	buf    []byte
	tags   tagParser
	parser xmlstream.Parser // of what the body has
	body   body
	rest   int // where what follows the start tag begins
}

var readers = sync.Pool{New: func() any { return &reader{buf: make([]byte, 0, 4<<10)} }}

// release gives the reader back. It keeps no large buffers.
func (x *reader) release() {
	const keep = 64 << 10
	if cap(x.buf) <= keep {
		readers.Put(x)
	}
}

var (
	errTooLarge = errors.New("body is too large")
	errEmpty    = errors.New("body is empty")
)

// readTag reads until the start tag of the body is there.
func (x *reader) readTag(src io.Reader) (err error) {
	x.buf = x.buf[:0]
	for end := error(nil); ; {
		if x.rest = endOfTag(x.buf[:min(len(x.buf), maxTag)]); x.rest > 0 {
			x.body, err = x.tags.parse(x.buf[:x.rest])
			return err
		}
		switch {
		case end == io.EOF && len(x.buf) == 0:
			return errEmpty
		case end == io.EOF, len(x.buf) >= maxTag:
			return errBody("no start tag")
		case end != nil:
			return end
		}
		end = x.more(src, maxTag)
	}
}

// readRest reads what follows, up to a size of the body.
func (x *reader) readRest(src io.Reader, most int) error {
	for {
		if len(x.buf) > most {
			return errTooLarge
		}
		if err := x.more(src, most+1); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// more reads something, up to a size of the buffer.
func (x *reader) more(src io.Reader, most int) error {
	if len(x.buf) == cap(x.buf) {
		x.buf = append(x.buf, 0)[:len(x.buf)]
	}
	n, err := src.Read(x.buf[len(x.buf):min(cap(x.buf), most)])
	x.buf = x.buf[:len(x.buf)+n]
	return err
}
