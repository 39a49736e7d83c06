package listentest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

var (
	clientAddr = netip.MustParseAddrPort("198.51.100.7:50000")
	serverAddr = netip.MustParseAddrPort("192.0.2.1:5222")
)

func TestConnConforms(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		c, s := listentest.NewConn(clientAddr, serverAddr)
		return c, s, func() { _, _ = c.Close(), s.Close() }, nil
	})
}

func TestConnIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := listentest.NewConn(clientAddr, serverAddr)
		n, err := c.Write(make([]byte, listentest.BufferSize))
		if n != listentest.BufferSize || err != nil {
			t.Fatalf("got %d, %v, want the buffer filled without a reader", n, err)
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
		began := time.Now()
		if n, err = c.Write([]byte("more")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write into a full buffer: got %d, %v, want 0 and the deadline", n, err)
		}
		if d := time.Since(began); d != time.Minute {
			t.Errorf("got the deadline after %v, want 1m", d)
		}
		_, _ = c.Close(), s.Close()
	})
}

func TestConnEnds(t *testing.T) {
	tests := []struct {
		name      string
		end       func(client, server *listentest.Conn) error
		read      error // of the server, after what was written
		write     error // of the server
		ownRead   error // of the client; nil: not tried
		wantWrite bool  // that of the server works
	}{
		{"peer closes", func(c, s *listentest.Conn) error { return c.Close() }, io.EOF, nil, net.ErrClosed, false},
		{"peer closes for writing", func(c, s *listentest.Conn) error { return c.CloseWrite() }, io.EOF, nil, nil, true},
		{"closed here", func(c, s *listentest.Conn) error { return s.Close() }, net.ErrClosed, net.ErrClosed, io.EOF, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, s := listentest.NewConn(clientAddr, serverAddr)
			_, _ = io.WriteString(c, "last words")
			if err := tt.end(c, s); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(s)
			if err == nil {
				err = io.EOF
			}
			if !errors.Is(err, tt.read) {
				t.Errorf("read: got %v, want %v", err, tt.read)
			}
			if tt.read == io.EOF && string(got) != "last words" {
				t.Errorf("read: got %q, want what was written before the end", got)
			}
			_, err = s.Write([]byte("x"))
			if (err == nil) != tt.wantWrite || tt.write != nil && !errors.Is(err, tt.write) {
				t.Errorf("write: got %v, want success %t", err, tt.wantWrite)
			}
			if tt.ownRead != nil {
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, tt.ownRead) {
					t.Errorf("read at the other end: got %v, want %v", err, tt.ownRead)
				}
			}
		})
	}
}

func TestDeadlineCanMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := listentest.NewConn(clientAddr, serverAddr)
		began := time.Now()
		_ = s.SetReadDeadline(began.Add(time.Second))
		failed := make(chan time.Duration)
		go func() {
			_, _ = s.Read(make([]byte, 1))
			failed <- time.Since(began)
		}()
		synctest.Wait()
		_ = s.SetReadDeadline(began.Add(time.Hour))
		if got := <-failed; got != time.Hour {
			t.Errorf("got the deadline after %v, want 1h", got)
		}
		_ = s.SetDeadline(time.Time{})
		_, _ = c.Write([]byte("x"))
		if _, err := s.Read(make([]byte, 1)); err != nil {
			t.Errorf("after the deadline was taken away: %v", err)
		}
		_, _ = c.Close(), s.Close()
	})
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := listentest.NewListener()
		one, two := ln.Dial(), ln.DialFrom(clientAddr)
		if one.LocalAddr().String() == two.LocalAddr().String() {
			t.Errorf("two connections from %v", one.LocalAddr())
		}
		for _, c := range []net.Conn{one, two} {
			s, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := s.RemoteAddr().String(), c.LocalAddr().String(); got != want {
				t.Errorf("remote address: got %s, want %s", got, want)
			}
			if got, want := s.LocalAddr().String(), ln.Addr().String(); got != want {
				t.Errorf("local address: got %s, want %s", got, want)
			}
			if _, ok := s.RemoteAddr().(*net.TCPAddr); !ok {
				t.Errorf("remote address: got a %T, want a *net.TCPAddr", s.RemoteAddr())
			}
			_ = s.Close()
		}
		accepted := make(chan error)
		go func() {
			_, err := ln.Accept()
			accepted <- err
		}()
		synctest.Wait()
		_ = ln.Close()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: got %v, want net.ErrClosed", err)
		}
		if _, err := ln.Dial().Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("connection to a closed listener: got %v, want io.EOF", err)
		}
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: got %v, want net.ErrClosed", err)
		}
	})
}

func TestListenerClosesWhatWasNotAccepted(t *testing.T) {
	ln := listentest.NewListener()
	c := ln.Dial()
	_ = ln.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want io.EOF", err)
	}
}

func TestPacketConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := listentest.NewPacketConn()
		a, b := server.Dial(), server.DialFrom(clientAddr)
		_, _ = a.Write([]byte("from a"))
		_, _ = b.Write([]byte("from b"))
		buf := make([]byte, 100)
		for _, c := range []*listentest.PacketConn{a, b} {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			if from.String() != c.LocalAddr().String() {
				t.Errorf("sender: got %v, want %v", from, c.LocalAddr())
			}
			if _, err := server.WriteTo(bytes.ToUpper(buf[:n]), from); err != nil {
				t.Fatal(err)
			}
		}
		n, err := b.Read(buf)
		if got := string(buf[:n]); got != "FROM B" || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, "FROM B")
		}
		n, err = a.Read(buf[:4])
		if got := string(buf[:n]); got != "FROM" || err != nil {
			t.Errorf("short buffer: got %q, %v, want the datagram cut off", got, err)
		}
		_ = a.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := a.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if _, err := server.WriteTo(nil, &net.IPAddr{}); err == nil {
			t.Error("writing to an address of another kind: got no error")
		}
		if _, err := server.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(1, 2, 3, 4), Port: 5}); err != nil {
			t.Errorf("writing to nobody: got %v, want it lost", err)
		}
		_ = server.Close()
		if _, _, err := server.ReadFrom(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after Close: got %v, want net.ErrClosed", err)
		}
		_, _ = a.Close(), b.Close()
	})
}

func TestPacketConnDropsWhatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := listentest.NewPacketConn()
		c := server.Dial()
		for range 5000 {
			_, _ = c.Write([]byte("x"))
		}
		_ = server.SetReadDeadline(time.Now().Add(time.Second))
		got := 0
		for buf := make([]byte, 1); ; got++ {
			if _, _, err := server.ReadFrom(buf); err != nil {
				break
			}
		}
		if got != 1024 {
			t.Errorf("kept datagrams: got %d, want 1024", got)
		}
		_, _ = c.Close(), server.Close()
	})
}
