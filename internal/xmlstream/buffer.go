package xmlstream

import (
	"io"
	"sync"
)

const (
	idleSize = 512      // a scanner that waits between elements reads into this much
	poolSize = 16 << 10 // and into this much when more came at once
)

// window is the memory of a scanner that has bytes to look at.
type window struct {
	buf []byte
	checker
	el Element
}

var windows = sync.Pool{New: func() any { return &window{buf: make([]byte, poolSize)} }}

// release gives back the memory once all bytes are consumed.
func (s *Scanner) release() {
	s.base += int64(s.end)
	s.start, s.end, s.buf = 0, 0, nil
	w := s.w
	s.w = nil
	if w == nil || len(w.buf) != poolSize || cap(w.scratch) > poolSize {
		return
	}
	w.stream, w.outer, w.el.outer = nil, nil, nil
	windows.Put(w)
}

// acquire gets the memory to look at bytes with.
func (s *Scanner) acquire() {
	if s.w == nil {
		s.w = windows.Get().(*window)
		s.prepare()
	}
}

// prepare makes the window ready for the next element.
func (s *Scanner) prepare() {
	s.w.lim, s.w.stream, s.w.outer = s.lim, s.name, s.outer
	s.w.reset()
}

// fill reads more bytes behind those of the piece that begins at s.start and is
// not complete.
func (s *Scanner) fill() error {
	switch room := len(s.buf) - s.end; {
	case s.end == 0 && s.w == nil:
		s.takeBuffer()
	case room == 0 || room < len(s.buf)/4 && s.start > len(s.buf)/2:
		s.makeRoom()
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		switch {
		case n > 0:
			return nil // a lasting error comes again
		case err != nil:
			if s.start == s.end {
				s.release()
			}
			return err
		}
	}
	return io.ErrNoProgress
}

// takeBuffer finds the buffer for the first bytes of a piece.
func (s *Scanner) takeBuffer() {
	if r, ok := s.r.(ReadyReader); ok && r.Ready() {
		s.acquire()
		s.buf = s.w.buf
		return
	}
	if s.idle == nil {
		s.idle = make([]byte, idleSize)
	}
	s.buf = s.idle
}

// makeRoom moves the piece to the front of a buffer with room behind it. Sizes
// double, so that moving costs a constant per byte, up to little more than the
// limit: whoever passes that has failed.
func (s *Scanner) makeRoom() {
	s.acquire()
	have := s.end - s.start
	to := s.w.buf
	if 2*have > len(to) {
		to = make([]byte, max(min(2*len(to), s.lim.Bytes+idleSize), have+idleSize))
	}
	s.move(to)
}

// move makes to the buffer.
func (s *Scanner) move(to []byte) {
	have := copy(to, s.buf[s.start:s.end])
	s.w.work += have
	s.w.buf, s.buf = to, to
	s.base += int64(s.start)
	s.start, s.end = 0, have
}

// consume drops what the last call returned, and with it a buffer that is larger
// than what follows needs.
func (s *Scanner) consume() {
	if s.used == 0 {
		return
	}
	s.start += s.used
	s.used = 0
	s.prepare()
	if len(s.w.buf) > poolSize && s.end-s.start <= poolSize/2 {
		s.move(make([]byte, poolSize))
	}
}
