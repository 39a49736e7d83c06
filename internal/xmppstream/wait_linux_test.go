package xmppstream

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
)

// loopback returns a transport on a TCP connection, its header read, and the
// client's end.
func loopback(t *testing.T) (*TCP, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); client.Close() })
	s := NewTCP(c, TCPOptions{})
	io.WriteString(client, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.test' version='1.0'>")
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	return s, client
}

// On a socket the transport waits before it takes a buffer: the read itself
// then finds something.
func TestWaitOnSocket(t *testing.T) {
	s, client := loopback(t)
	if s.waiter == nil {
		t.Fatal("the transport cannot wait on a TCP connection")
	}
	read := make(chan error)
	go func() {
		for range 3 {
			_, err := s.Read()
			read <- err
		}
	}()
	for _, text := range []string{"<message/>", "<message/><presence/>"} {
		io.WriteString(client, text)
		if err := <-read; err != nil {
			t.Fatal(err)
		}
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if s.ready {
		t.Error("the transport takes what was read for what is to come")
	}
}

func TestWaitEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *TCP, client net.Conn)
		want error
	}{
		{"deadline", func(s *TCP, _ net.Conn) { s.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"end of the stream", func(_ *TCP, c net.Conn) { io.WriteString(c, "</stream:stream>") }, io.EOF},
		{"end of the connection", func(_ *TCP, c net.Conn) { c.Close() }, io.ErrUnexpectedEOF},
		{"closed here", func(s *TCP, c net.Conn) { c.Close(); s.Close(nil) }, nil},
		{"limited rate", func(s *TCP, c net.Conn) {
			s.SetRate(shaper.Rate{BytesPerSecond: 1e6})
			io.WriteString(c, "<message/></stream:stream>")
		}, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, client := loopback(t)
			ended := make(chan error)
			go func() {
				for {
					if _, err := s.Read(); err != nil {
						ended <- err
						return
					}
				}
			}()
			tt.do(s, client)
			if err := <-ended; tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
