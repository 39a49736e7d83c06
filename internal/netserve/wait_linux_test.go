package netserve

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// tcpPair returns two ends of a connection.
func tcpPair(t testing.TB) (*net.TCPConn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func TestWaiter(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(self, peer *net.TCPConn)
		read string // what Read then returns
		want error  // of Wait or, if that has none, of Read
	}{
		{"bytes", func(_, peer *net.TCPConn) { io.WriteString(peer, "x") }, "x", nil},
		{"end", func(_, peer *net.TCPConn) { peer.CloseWrite() }, "", io.EOF},
		{"reset", func(_, peer *net.TCPConn) { peer.SetLinger(0); peer.Close() }, "", syscall.ECONNRESET},
		{"deadline", func(self, _ *net.TCPConn) { self.SetReadDeadline(time.Unix(1, 0)) }, "", os.ErrDeadlineExceeded},
		{"closed", func(self, _ *net.TCPConn) { self.Close() }, "", net.ErrClosed},
	} {
		for _, first := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				self, peer := tcpPair(t)
				w, err := NewWaiter(self)
				if err != nil {
					t.Fatal(err)
				}
				waiting := make(chan error)
				if first {
					tt.do(self, peer)
					go func() { waiting <- w.WaitRead() }()
				} else {
					go func() { waiting <- w.WaitRead() }()
					tt.do(self, peer)
				}
				err, n, b := <-waiting, 0, make([]byte, 10)
				if err == nil {
					n, err = self.Read(b)
				}
				if string(b[:n]) != tt.read || !errors.Is(err, tt.want) {
					t.Errorf("got %q, %v, want %q, %v", b[:n], err, tt.read, tt.want)
				}
			})
		}
	}
}

func TestWaiterUnsupported(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := NewWaiter(a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want %v", err, errors.ErrUnsupported)
	}
}

func BenchmarkWaiter(b *testing.B) {
	self, peer := tcpPair(b)
	w, err := NewWaiter(self)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	one := []byte{1}
	for b.Loop() {
		peer.Write(one)
		if err := w.WaitRead(); err != nil {
			b.Fatal(err)
		}
		self.Read(one)
	}
}
