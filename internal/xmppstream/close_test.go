package xmppstream

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var shutdown = &stanza.StreamError{Condition: stanza.StreamSystemShutdown}

const shutdownXML = "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"

// The peer gets the error within a stream, whatever had been sent before, and
// the end tag only for a stream that was opened.
func TestCloseWrites(t *testing.T) {
	header := func(s *TCP) {
		if err := s.Header(stanza.Header{ID: "ours", Namespace: stanza.NSClient}, stanza.Batch{}); err != nil {
			t.Error(err)
		}
	}
	tests := []struct {
		name   string
		before func(*TCP, *remote)
		reason *stanza.StreamError
		opened int    // headers that we sent
		last   string // what comes last
	}{
		{"error before anything", func(*TCP, *remote) {}, shutdown, 1, shutdownXML},
		{"in order before anything", func(*TCP, *remote) {}, nil, 0, ""},
		{"error before our header", func(s *TCP, r *remote) { open(t, s, r) }, shutdown, 1, shutdownXML},
		{"in order before our header", func(s *TCP, r *remote) { open(t, s, r) }, nil, 0, ""},
		{"error", func(s *TCP, r *remote) { open(t, s, r); header(s) }, shutdown, 1, shutdownXML},
		{"in order", func(s *TCP, r *remote) { open(t, s, r); header(s) }, nil, 1, "</stream:stream>"},
		{"error after a restart", func(s *TCP, r *remote) { open(t, s, r); header(s); open(t, s, r) }, shutdown, 2, shutdownXML},
		{"error after both headers", func(s *TCP, r *remote) { open(t, s, r); header(s); open(t, s, r); header(s) }, shutdown, 2, shutdownXML},
		{"error where we began", func(s *TCP, r *remote) { header(s); open(t, s, r) }, shutdown, 1, shutdownXML},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := pair(t)
				tt.before(s, r)
				if err := s.Close(tt.reason); err != nil {
					t.Fatalf("Close: %v", err)
				}
				out := r.all()
				if got := strings.Count(out, "<stream:stream "); got != tt.opened {
					t.Errorf("headers: got %d, want %d: %s", got, tt.opened, out)
				}
				if !strings.HasSuffix(out, tt.last) {
					t.Errorf("got %q, want %q at its end", out, tt.last)
				}
				if tt.opened == 1 {
					checkXML(t, out, false)
				}
			})
		})
	}
}

// A header that precedes an early error is complete.
func TestCloseEarlyHeader(t *testing.T) {
	c := &canned{in: strings.NewReader("")}
	s := NewTCP(c, TCPOptions{Namespace: stanza.NSServer})
	if err := s.Close(shutdown); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" xmlns='jabber:server'", " version='1.0'", " id='"} {
		if !strings.Contains(c.out.String(), want) {
			t.Errorf("got %s, want %s in it", c.out.String(), want)
		}
	}
}

// Close returns when the peer closes its stream in turn, even where another
// goroutine is reading.
func TestCloseWaitsForPeer(t *testing.T) {
	for _, reading := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, r := pair(t)
			open(t, s, r)
			s.Header(stanza.Header{ID: "ours", Namespace: stanza.NSClient}, stanza.Batch{})
			var others sync.WaitGroup
			others.Go(func() {
				r.await(t, "</stream:stream>")
				time.Sleep(time.Second)
				r.send(t, "<message/><presence/></stream:stream>")
			})
			if reading {
				others.Go(func() {
					for {
						if _, err := s.Read(); err != nil {
							if err != io.EOF && err != net.ErrClosed {
								t.Errorf("Read: got %v, want the end", err)
							}
							return
						}
					}
				})
			}
			synctest.Wait()
			start := time.Now()
			if err := s.Close(nil); err != nil {
				t.Errorf("Close: %v", err)
			}
			if got := time.Since(start); got != time.Second {
				t.Errorf("reading %v: Close took %v, want 1s", reading, got)
			}
			others.Wait()
		})
	}
}

// A peer that closed its stream first is not waited for.
func TestCloseAfterPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := pair(t)
		open(t, s, r)
		s.Header(stanza.Header{ID: "ours", Namespace: stanza.NSClient}, stanza.Batch{})
		var sent sync.WaitGroup
		sent.Go(func() { r.send(t, "</stream:stream>") })
		if _, err := s.Read(); err != io.EOF {
			t.Fatalf("Read: got %v, want EOF", err)
		}
		sent.Wait()
		start := time.Now()
		s.Close(nil)
		if got := time.Since(start); got != 0 {
			t.Errorf("Close took %v, want no time", got)
		}
	})
}

// Peers that do anything but answer are cut off in time.
func TestCloseIsBounded(t *testing.T) {
	tests := []struct {
		name  string
		peer  func(t *testing.T, c net.Conn)
		limit time.Duration // write deadline, 0: none
		want  time.Duration
	}{
		{"does not read", func(*testing.T, net.Conn) {}, 0, closeTimeout},
		{"does not read, deadline", func(*testing.T, net.Conn) {}, time.Second, time.Second},
		{"deadline has passed", func(*testing.T, net.Conn) {}, -time.Second, time.Nanosecond},
		{"late deadline", func(*testing.T, net.Conn) {}, time.Hour, closeTimeout},
		{"reads and says nothing", func(_ *testing.T, c net.Conn) { io.Copy(io.Discard, c) }, 0, closeTimeout},
		{"reads and talks on", func(_ *testing.T, c net.Conn) {
			var reading sync.WaitGroup
			reading.Go(func() { io.Copy(io.Discard, c) })
			for err := error(nil); err == nil; time.Sleep(time.Millisecond) {
				_, err = io.WriteString(c, "<message/>")
			}
			reading.Wait()
		}, 0, closeTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				s := NewTCP(a, TCPOptions{})
				var peer sync.WaitGroup
				peer.Go(func() { tt.peer(t, b) })
				if tt.limit != 0 {
					s.SetWriteDeadline(time.Now().Add(tt.limit))
				}
				start := time.Now()
				s.Close(shutdown)
				if got := time.Since(start); got != tt.want {
					t.Errorf("Close took %v, want %v", got, tt.want)
				}
				b.Close()
				peer.Wait()
			})
		})
	}
}

// A peer that floods us while we close is read no further than a bound.
func TestCloseBudget(t *testing.T) {
	endless := &counter{}
	s := NewTCP(&canned{in: endless}, TCPOptions{})
	if err := s.Close(shutdown); err != nil {
		t.Fatal(err)
	}
	if endless.n > closeBudget {
		t.Errorf("read %d bytes, want at most %d", endless.n, closeBudget)
	}
}

// counter is an endless source.
type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	clear(p)
	c.n += len(p)
	return len(p), nil
}

// A write that is under way is not torn apart, and those that come later fail.
func TestCloseDuringWrites(t *testing.T) {
	s, r := pair(t)
	open(t, s, r)
	s.Header(stanza.Header{ID: "ours", Namespace: stanza.NSClient}, stanza.Batch{})
	const element = "<message><body>0123456789</body></message>"
	batch := stanza.Batch{Bytes: []byte(strings.Repeat(element, 100))}
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				if err := s.Write(batch); err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("Write: got %v, want %v", err, net.ErrClosed)
					}
					return
				}
			}
		})
	}
	writers.Go(func() {
		r.await(t, element)
		var kicks sync.WaitGroup
		for range 3 {
			kicks.Go(func() { s.Close(shutdown) })
		}
		r.await(t, "</stream:stream>")
		r.send(t, "</stream:stream>")
		kicks.Wait()
	})
	writers.Wait()
	out := r.all()
	_, out, _ = strings.Cut(out, ">") // XML declaration
	_, out, _ = strings.Cut(out, ">") // header
	body, last, _ := strings.Cut(out, "<stream:error>")
	if rest := strings.ReplaceAll(body, element, ""); rest != "" {
		t.Errorf("elements are torn apart: %.100q", rest)
	}
	if "<stream:error>"+last != shutdownXML {
		t.Errorf("end: got %q, want %q once", last, shutdownXML)
	}
}

// A write that waits for a peer that does not read ends with the connection.
func TestCloseBreaksWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		s := NewTCP(a, TCPOptions{})
		var writer sync.WaitGroup
		writer.Go(func() {
			if err := s.Write(stanza.Batch{Bytes: []byte("<x/>")}); err == nil {
				t.Error("Write: got no error")
			}
		})
		synctest.Wait()
		start := time.Now()
		s.Close(shutdown)
		if got := time.Since(start); got != closeTimeout {
			t.Errorf("Close took %v, want %v", got, closeTimeout)
		}
		writer.Wait()
	})
}

// Nothing is added to a write that failed half-way.
func TestCloseAfterFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		s := NewTCP(a, TCPOptions{})
		s.SetWriteDeadline(time.Now().Add(time.Second))
		if err := s.Write(stanza.Batch{Bytes: []byte("<x/>")}); err == nil {
			t.Fatal("Write: got no error")
		}
		s.SetWriteDeadline(time.Time{})
		r := listen(t, b)
		if err := s.Write(stanza.Batch{Bytes: []byte("<y/>")}); err == nil {
			t.Error("second Write: got no error")
		}
		s.Close(shutdown)
		if got := r.all(); got != "" {
			t.Errorf("peer got %q, want nothing", got)
		}
	})
}

// After Close nothing can be read or written.
func TestUseAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := pair(t)
		s.Close(nil)
		if _, err := s.Open(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Open: got %v, want %v", err, net.ErrClosed)
		}
		if _, err := s.Read(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: got %v, want %v", err, net.ErrClosed)
		}
		if err := s.Write(stanza.Batch{Bytes: []byte("<x/>")}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: got %v, want %v", err, net.ErrClosed)
		}
		if err := s.StartTLS(t.Context(), netserve.NewTLS(serverTLS(t)), ""); !errors.Is(err, net.ErrClosed) {
			t.Errorf("StartTLS: got %v, want %v", err, net.ErrClosed)
		}
		if err := s.Close(shutdown); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

// The operating system throws away what a peer has not read when a connection
// is closed with bytes of the peer unread. Our last words get through even so.
func TestCloseOnSocket(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var client sync.WaitGroup
	defer client.Wait()
	client.Go(func() {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Errorf("client: %v", err)
			return
		}
		defer c.Close()
		if _, err := io.WriteString(c, clientHeader+"<!--"+strings.Repeat("x", 100<<10)); err != nil {
			t.Errorf("client: %v", err)
		}
		out, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(out), "<restricted-xml ") || !strings.HasSuffix(string(out), "</stream:stream>") {
			t.Errorf("client got %q, error %v; want the stream error", out, err)
		}
	})
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := NewTCP(c, TCPOptions{})
	if p := s.Peer(); p.Name != "tcp" || !p.Addr.Addr().IsLoopback() || p.Secure {
		t.Errorf("peer: got %+v", p)
	}
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	var reason *stanza.StreamError
	if _, err := s.Read(); !errors.As(err, &reason) {
		t.Fatalf("Read: got %v, want a stream error", err)
	}
	if err := s.Close(reason); err != nil {
		t.Errorf("Close: %v", err)
	}
}
