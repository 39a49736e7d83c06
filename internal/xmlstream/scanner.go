package xmlstream

import (
	"bytes"
	"errors"
	"io"
)

// Scanner cuts the byte stream of one peer into its header, the children of the
// stream and its end tag. It is not safe for concurrent use.
//
// An error of the reader does not end the scan: a call after a read deadline has
// passed goes on where the last one stopped.
type Scanner struct {
	r   io.Reader
	lim Limits
	w   *window // nil while there is nothing to look at

	buf        []byte
	start, end int   // what is read and not yet consumed is buf[start:end]
	used       int   // length of what the last call returned, which the next drops
	base       int64 // offset of buf[0] in the stream

	name      []byte // of the stream's start tag, nil before it
	outer     []Decl // its declarations
	restarted bool   // this stream is not the first on the connection
	prolog    bool   // an XML declaration may come
	ended     bool   // the stream's end tag has come
	err       error  // a broken rule, for good

	idle []byte // what it waits with; nil until it had to
}

// ReadyReader is a reader that can tell that bytes, the end or an error have
// come. Before a Read of which that is so a scanner takes a large buffer from a
// pool; one that has to wait in Read keeps a small one of its own.
type ReadyReader interface {
	io.Reader
	// Ready reports whether the next Read returns at once.
	Ready() bool
}

// NewScanner returns a scanner of what r reads.
func NewScanner(r io.Reader, l Limits) *Scanner {
	return &Scanner{r: r, lim: l.withDefaults(), prolog: true}
}

// SetLimits bounds what comes from now on.
func (s *Scanner) SetLimits(l Limits) {
	s.lim = l.withDefaults()
	if s.w != nil {
		s.w.lim = s.lim
	}
}

// Buffered returns how many bytes were read and not consumed. What the last call
// returned counts as consumed.
func (s *Scanner) Buffered() int { return s.end - s.start - s.used }

// Rest drops what the last call returned. When nothing else was read it gives its
// memory back and reports true: the next call will read. It is for those who then
// wait until the reader is ready (see ReadyReader).
func (s *Scanner) Rest() bool {
	s.consume()
	s.skipSpace()
	if s.start < s.end {
		return false
	}
	s.release()
	s.idle = nil
	return true
}

// Discard throws these bytes away: after <starttls/>, what came before TLS must
// not be taken for what came by it. What the last call returned is no longer
// valid.
func (s *Scanner) Discard() {
	s.used = 0
	s.release()
}

// Header waits for the start tag of a stream, before which an XML declaration
// may stand. Called again, it starts anew: what is known of the old stream is
// forgotten, bytes that were read already are kept.
//
// Errors: *SyntaxError; io.ErrUnexpectedEOF when the connection ends before;
// those of the reader.
// See RFC 6120, sections 4.2 and 11.4.
func (s *Scanner) Header() (*Start, error) {
	if s.name != nil {
		s.name, s.outer, s.ended = nil, nil, false
		s.restarted, s.prolog = true, true
	}
	s.consume()
	if s.w != nil {
		s.prepare()
	}
	for s.err == nil {
		start, err := s.header(false)
		if start != nil {
			return start, nil
		}
		if err == errMore {
			err = s.fill()
		}
		if err == io.EOF {
			_, err = s.header(true)
			err = unexpectedEOF(err)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, s.err
}

// Next waits for the next child of the stream, all of it. Header must have
// returned before.
//
// Errors: io.EOF at the stream's end tag; io.ErrUnexpectedEOF when the
// connection ends elsewhere; *SyntaxError; those of the reader.
func (s *Scanner) Next() (*Element, error) {
	s.consume()
	for s.err == nil {
		if s.name == nil {
			return nil, errNoHeader
		}
		if s.ended {
			return nil, io.EOF
		}
		e, err := s.next(false)
		if e != nil {
			return e, nil
		}
		if err == errMore {
			err = s.fill()
		}
		if err == io.EOF {
			_, err = s.next(true)
			err = unexpectedEOF(err)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, s.err
}

var (
	errNoHeader = errors.New("xmlstream: stream header was not read")
	errMore     = errors.New("xmlstream: more bytes are needed") // never leaves the package
)

// unexpectedEOF is the error of a connection that ends with more to come, unless
// what came has a fault of its own.
func unexpectedEOF(err error) error {
	if err == errMore {
		return io.ErrUnexpectedEOF
	}
	return err
}

// header looks for the stream header in what was read. Its error is errMore if
// that is not all of it; final says that there will be no more. Without result
// and error it is to be called again.
func (s *Scanner) header(final bool) (*Start, error) {
	if s.skipSpace() && !s.restarted {
		s.prolog = false // after a restart it belongs to the old stream
	}
	if s.start == s.end {
		s.release()
		return nil, errMore
	}
	s.acquire()
	b, cut := s.visible()
	c := &s.w.checker
	switch {
	case b[0] != '<':
		c.fail(NotWellFormed, 0, "text before the stream header")
		return nil, s.fail()
	case s.prolog && isInstruction(b):
		n := c.declaration(b)
		if n > 0 {
			s.prolog = false
		}
		return nil, s.took(n, cut)
	case len(b) < 2:
		return nil, s.took(more, cut)
	}
	n := c.markup(b, 0, cut || final)
	if n > 0 && (c.top.decls > maxStream || c.declared(b) > maxStreamBytes) {
		n = c.fail(TooManyPrefixes, 0, "too many namespace declarations")
	}
	if n <= 0 {
		return nil, s.took(n, cut)
	}
	return s.begin(b[:n:n]), nil
}

// begin starts the stream whose start tag is b.
func (s *Scanner) begin(b []byte) *Start {
	c := &s.w.checker
	start := &s.w.el.Start
	c.fillStart(b, &c.top, start)
	s.name = bytes.Clone(c.top.name.of(b))
	for _, d := range start.Decls {
		s.outer = append(s.outer, Decl{Prefix: bytes.Clone(d.Prefix), URI: bytes.Clone(d.URI)})
	}
	s.ended = c.topEmpty
	s.used = len(b)
	return start
}

// next looks for an element or the stream's end tag in what was read, and
// returns as header does.
func (s *Scanner) next(final bool) (*Element, error) {
	s.skipSpace()
	if s.start == s.end {
		s.release()
		return nil, errMore
	}
	s.acquire()
	b, cut := s.visible()
	c := &s.w.checker
	if b[0] != '<' {
		return nil, s.took(c.between(b), cut)
	}
	n := c.element(b, cut || final)
	switch {
	case n <= 0:
		return nil, s.took(n, cut)
	case c.ended:
		s.ended = true
		return nil, s.took(n, cut)
	}
	e := &s.w.el
	c.fillElement(b[:n:n], e)
	s.used = n
	return e, nil
}

// took consumes n bytes that are of no use to the caller. If the checker did not
// get that far it returns the reason; cut says that it will not get more.
func (s *Scanner) took(n int, cut bool) error {
	if n == more {
		if !cut {
			return errMore
		}
		n = s.w.fail(TooLarge, s.lim.Bytes, "more bytes than allowed")
	}
	if n < 0 {
		return s.fail()
	}
	s.used = n
	s.consume()
	return nil
}

// fail makes the checker's error the scanner's.
func (s *Scanner) fail() error {
	e := s.w.err
	e.Offset += s.base + int64(s.start)
	s.err = &e
	return s.err
}

// visible returns what was read from s.start on, cut off at the limit of bytes.
func (s *Scanner) visible() (b []byte, cut bool) {
	b = s.buf[s.start:s.end]
	if len(b) >= s.lim.Bytes {
		return b[:s.lim.Bytes], true
	}
	return b, false
}

// skipSpace consumes white space, which never begins a piece. It reports whether
// there was any.
func (s *Scanner) skipSpace() bool {
	from := s.start
	s.start = skipSpace(s.buf[:s.end], from)
	return s.start > from
}
