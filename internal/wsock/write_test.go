package wsock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowConn is a connection whose writes wait until the test lets them.
type slowConn struct {
	fakeConn
	begun, more chan struct{}
	until       time.Time
	closed      bool
}

func (s *slowConn) Write(b []byte) (int, error) {
	s.begun <- struct{}{}
	<-s.more
	return s.out.Write(b)
}

func (s *slowConn) SetWriteDeadline(t time.Time) error {
	s.until = t
	return nil
}

func (s *slowConn) Close() error {
	s.closed = true
	return nil
}

func slow(sent []byte) (*Conn, *slowConn) {
	s := &slowConn{fakeConn: fakeConn{in: bytes.NewReader(sent), out: new(bytes.Buffer), most: 100}, begun: make(chan struct{}), more: make(chan struct{})}
	return newConn(s, nil, ""), s
}

func text(s string) func([]byte) []byte {
	return func(dst []byte) []byte { return AppendFrame(dst, Text, []byte(s)) }
}

// Pings that come while something is written are answered after it, the last of several
// (RFC 6455, section 5.5.3), and one of ours goes, too.
func TestControlsWait(t *testing.T) {
	conn, s := slow(bytes.Join([][]byte{frame(9, true, "1"), frame(9, true, "2"), frame(8, true, "")}, nil))
	done := make(chan error)
	go func() { done <- conn.Write(text("long")) }()
	<-s.begun
	if _, _, err := conn.Next(10, nothing); err != io.EOF {
		t.Fatalf("got %v, want the end", err)
	}
	conn.Ping()
	s.more <- struct{}{}
	<-s.begun
	s.more <- struct{}{}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := "\x81\x04long\x8a\x012\x89\x00"; s.out.String() != want {
		t.Errorf("got %q, want %q", s.out, want)
	}
}

// The deadline of a control frame is not that of what others write then.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name         string
			given        time.Duration // from now, while a ping is written; 0: none
			during, then time.Duration
		}{
			{"none", 0, controlTimeout, 0},
			{"near", time.Second, time.Second, time.Second},
			{"far", time.Minute, controlTimeout, time.Minute},
		} {
			conn, s := slow(nil)
			done := make(chan struct{})
			go func() { conn.Ping(); close(done) }()
			<-s.begun
			at := func(d time.Duration) time.Time {
				if d == 0 {
					return time.Time{}
				}
				return time.Now().Add(d)
			}
			_ = conn.SetWriteDeadline(at(c.given))
			if !s.until.Equal(at(c.during)) {
				t.Errorf("%s: got the deadline %v while a ping is written, want %v", c.name, s.until, at(c.during))
			}
			s.more <- struct{}{}
			<-done
			if !s.until.Equal(at(c.then)) {
				t.Errorf("%s: got the deadline %v after the ping, want %v", c.name, s.until, at(c.then))
			}
		}
	})
}

// brokenConn takes half of a write.
type brokenConn struct{ slowConn }

func (b *brokenConn) Write(p []byte) (int, error) {
	n, _ := b.out.Write(p[:len(p)/2])
	return n, os.ErrDeadlineExceeded
}

// Nothing follows half a frame, and nothing a close frame.
func TestNothingFollows(t *testing.T) {
	b := &brokenConn{slowConn{fakeConn: fakeConn{out: new(bytes.Buffer)}}}
	conn := newConn(b, nil, "")
	if err := conn.Write(text("abcd")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the error of the connection", err)
	}
	conn.Ping()
	if err := conn.WriteClose(StatusNormal, ""); !errors.Is(err, os.ErrDeadlineExceeded) || b.out.Len() != 3 {
		t.Errorf("after half a frame: got %v and %q", err, b.out)
	}

	conn, out := pipe(frame(9, true, "late"), 100)
	if err := conn.WriteClose(StatusGoingAway, strings.Repeat("x", 200)); err != nil {
		t.Fatal(err)
	}
	sent := out.String()
	if want := "\x88\x7d\x03\xe9" + strings.Repeat("x", 123); sent != want {
		t.Errorf("got %q, want %q", sent, want)
	}
	conn.Drain(1000)
	if err := conn.Write(text("late")); !errors.Is(err, net.ErrClosed) || out.String() != sent {
		t.Errorf("after a close frame: got %v and %q", err, out)
	}
}

// A client that does not take a control frame is cut off.
func TestControlFails(t *testing.T) {
	b := &brokenConn{slowConn{fakeConn: fakeConn{out: new(bytes.Buffer)}}}
	newConn(b, nil, "").Ping()
	if !b.closed {
		t.Error("the connection is open")
	}
}

func TestDrain(t *testing.T) {
	long := strings.Repeat("x", 30_000)
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	for _, c := range []struct {
		name string
		sent []byte
		rest int // bytes that are not read, at least
	}{
		{"close frame", join(frame(1, true, long), frame(9, true, "p"), frame(8, true, ""), make([]byte, 40_000)), 20_000},
		{"end", frame(1, true, long), 0},
		{"no frames", make([]byte, 40_000), 0},
		{"a large message", frame(1, true, long+long), 0},
		{"too much", make([]byte, 200_000), 80_000},
		{"too many frames", bytes.Repeat(frame(10, true, ""), 20_000), 15_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, _ := pipe(c.sent, bufferSize)
			conn.Drain(50_000)
			left := conn.conn.(*fakeConn).in.Len()
			if left < c.rest || c.rest == 0 && left > 0 {
				t.Errorf("%d bytes are not read, want %d", left, c.rest)
			}
		})
	}
}

// The last words reach a client that is still sending: what it sends is read, so that the
// connection is not reset.
func TestLastWords(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn := newConn(c, nil, "")
		if _, _, err := conn.Next(1000, nothing); !isError(err) {
			t.Errorf("got %v, want a message that is too large", err)
		}
		_ = conn.Write(text("no"))
		_ = conn.WriteClose(StatusTooBig, "")
		conn.Drain(1 << 20)
		_ = conn.Close()
	}()
	if _, err := client.Write(frame(1, true, strings.Repeat("x", 900_000))); err != nil {
		t.Errorf("writing: %v", err)
	}
	_ = client.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(client); err != nil || string(got) != "\x81\x02no\x88\x02\x03\xf1" {
		t.Errorf("got %q, %v, want the last words", got, err)
	}
	<-done
}

// What is idle has no buffers, after a large message and where there is nobody to wait,
// too.
func TestRest(t *testing.T) {
	sent := bytes.Join([][]byte{frame(1, true, strings.Repeat("x", 50_000)), frame(1, true, "a"), frame(1, false, "b")}, nil)
	conn, _ := pipe(sent, 1<<20)
	idle := func() bool { return conn.buf == nil && conn.whole == nil }
	for i, want := range []bool{false, true} {
		if _, _, err := conn.Next(1<<20, nothing); err != nil {
			t.Fatal(err)
		}
		if err := conn.Rest(); err != nil {
			t.Fatal(err)
		}
		if got := idle(); got != want && conn.r == conn.w {
			t.Errorf("after message %d: got idle: %v, want %v", i, got, want)
		}
	}
	if _, _, err := conn.Next(1<<20, nothing); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want the end of the connection", err)
	}
	if err := conn.Rest(); err != nil || idle() {
		t.Errorf("within a message: got %v, and it is lost: %v", err, idle())
	}
}
