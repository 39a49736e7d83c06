package stun

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// stream is a connection of TCP with its window. What was read at once is answered
// by requests that are written at once.
type stream struct {
	tally
	binding
	window
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	message [bindingAnswer]byte
	start   time.Time
	timeout time.Duration
}

func newStream(conn net.Conn, number uint32, window int, timeout time.Duration) *stream {
	return &stream{
		binding: binding{number: number, own: localAddr(conn)}, window: newWindow(window), timeout: timeout,
		conn: conn, in: bufio.NewReaderSize(conn, 64<<10), out: make([]byte, 0, window*headerLength),
	}
}

// run is the job. An error of the connection is a fault; so is what never comes.
func (s *stream) run(p *phase) error {
	s.start = time.Now()
	if err := s.converse(p); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.faults.Broken++
	}
	s.tally.lost = int64(s.pending())
	return nil
}

func (s *stream) now() time.Duration { return time.Since(s.start) }

// converse asks until the end, and then takes the answers that are missing.
func (s *stream) converse(p *phase) error {
	for {
		if !p.ended() {
			if err := s.ask(); err != nil {
				return err
			}
		}
		if s.pending() == 0 {
			return nil
		}
		if err := s.receive(p); err != nil {
			return err
		}
	}
}

// ask fills the window.
func (s *stream) ask() error {
	now := s.now()
	s.out = s.out[:0]
	for len(s.free) > 0 {
		slot, sequence := s.take(now)
		n := len(s.out)
		s.out = s.out[:n+headerLength]
		s.write(s.out[n:], slot, sequence)
		s.sent++
	}
	_, err := s.conn.Write(s.out)
	return err
}

// receive takes the answers that are there, at least one.
func (s *stream) receive(p *phase) error {
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	for first := true; first || s.in.Buffered() >= headerLength; first = false {
		b, err := s.next()
		if err != nil {
			return err
		}
		slot, sequence, ok := s.read(b)
		if !ok {
			s.faults.Corrupt++
			continue
		}
		at, v := s.answer(slot, sequence)
		s.note(v, s.now()-at, p.measuring())
	}
	return nil
}

// next reads one message.
func (s *stream) next() ([]byte, error) {
	b := s.message[:headerLength]
	if _, err := io.ReadFull(s.in, b); err != nil {
		return nil, err
	}
	n := headerLength + int(binary.BigEndian.Uint16(b[2:]))
	if n > len(s.message) {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	b = s.message[:n]
	_, err := io.ReadFull(s.in, b[headerLength:])
	return b, err
}
