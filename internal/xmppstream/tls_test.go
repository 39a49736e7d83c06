package xmppstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	proceed  = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
)

// upgrade plays the client's side up to TLS. evil goes out in the clear, right
// behind <starttls/>.
func upgrade(t *testing.T, c net.Conn, evil string) *tls.Conn {
	t.Helper()
	if _, err := io.WriteString(c, clientHeader+starttls+evil); err != nil {
		t.Errorf("client: %v", err)
	}
	got := make([]byte, len(proceed))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != proceed {
		t.Errorf("client got %q, error %v; want %q", got, err, proceed)
	}
	return tls.Client(c, clientTLS)
}

// begin plays the server's side up to <proceed/>.
func begin(t *testing.T, s *TCP) {
	t.Helper()
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Read(); err != nil || e.Nonza == nil || e.Nonza.Name.Local != "starttls" {
		t.Fatalf("got %+v, error %v; want starttls", e, err)
	}
	if err := s.Write(stanza.Batch{Bytes: []byte(proceed)}); err != nil {
		t.Fatal(err)
	}
}

func TestStartTLS(t *testing.T) {
	for name, evil := range map[string]string{
		"clean":          "",
		"white space":    "\n",
		"stanza":         "<message id='evil'/>",
		"half a stanza":  "<message id='evil",
		"stream header":  clientHeader + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
		"end tag":        "</stream:stream>",
		"not XML at all": "\x16\x03\x01<",
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			defer b.Close()
			s := NewTCP(a, TCPOptions{})
			var client sync.WaitGroup
			defer client.Wait()
			client.Go(func() {
				c := upgrade(t, b, evil)
				if _, err := io.WriteString(c, clientHeader+"<message id='good'/></stream:stream>"); err != nil {
					t.Errorf("client: %v", err)
				}
				io.Copy(io.Discard, c)
			})
			begin(t, s)
			if p := s.Peer(); p.Secure || p.TLS != nil {
				t.Errorf("before TLS: got %+v", p)
			}
			cfg := serverTLS(t)
			if err := s.StartTLS(t.Context(), netserve.NewTLS(cfg), "example.com"); err != nil {
				t.Fatal(err)
			}
			p := s.Peer()
			if !p.Secure || p.TLS == nil || !p.TLS.HandshakeComplete || !bytes.Equal(p.Certificate, cfg.Certificates[0].Certificate[0]) {
				t.Errorf("after TLS: got %+v", p)
			}
			if h, err := s.Open(); err != nil || h.To != "example.com" {
				t.Fatalf("Open: got %+v, error %v", h, err)
			}
			if err := s.Header(stanza.Header{ID: "x", Namespace: stanza.NSClient}, stanza.Batch{}); err != nil {
				t.Fatal(err)
			}
			if e, err := s.Read(); err != nil || e.Stanza == nil || e.Stanza.ID != "good" {
				t.Errorf("got %+v, error %v; want the message that came by TLS", e.Stanza, err)
			}
			if _, err := s.Read(); err != io.EOF {
				t.Errorf("got %v, want EOF", err)
			}
			if err := s.Close(nil); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// When there is no TLS in the end, the client hears nothing more from us.
func TestStartTLSFails(t *testing.T) {
	a, b := net.Pipe()
	s := NewTCP(a, TCPOptions{})
	var out []byte
	var client sync.WaitGroup
	client.Go(func() {
		upgrade(t, b, "")
		io.WriteString(b, "<message id='evil'/>")
		out, _ = io.ReadAll(b)
	})
	begin(t, s)
	if err := s.StartTLS(t.Context(), netserve.NewTLS(serverTLS(t)), ""); err == nil {
		t.Error("StartTLS: got no error")
	}
	s.Close(shutdown)
	client.Wait()
	if strings.Contains(string(out), "stream") {
		t.Errorf("client got %q in the clear", out)
	}
	if p := s.Peer(); p.Secure || p.TLS != nil {
		t.Errorf("peer: got %+v, want no TLS", p)
	}
}

// A client that asks for TLS and then stays silent is not waited for beyond
// the deadline, the context or the end of the stream.
func TestStartTLSSilentClient(t *testing.T) {
	tests := []struct {
		name string
		stop func(s *TCP, cancel context.CancelFunc)
		err  error
		want time.Duration
	}{
		{"deadline", func(s *TCP, _ context.CancelFunc) { s.SetReadDeadline(time.Now().Add(time.Minute)) }, os.ErrDeadlineExceeded, time.Minute},
		{"context", func(_ *TCP, cancel context.CancelFunc) { cancel() }, context.Canceled, 0},
		{"close", func(s *TCP, _ context.CancelFunc) { s.Close(shutdown) }, io.ErrClosedPipe, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				s := NewTCP(a, TCPOptions{})
				var others sync.WaitGroup
				others.Go(func() { upgrade(t, b, "") })
				begin(t, s)
				others.Wait()
				r := listen(t, b)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				start := time.Now()
				others.Go(func() {
					if err := s.StartTLS(ctx, netserve.NewTLS(serverTLS(t)), ""); !errors.Is(err, tt.err) {
						t.Errorf("StartTLS: got %v, want %v", err, tt.err)
					}
				})
				synctest.Wait()
				tt.stop(s, cancel)
				others.Wait()
				s.Close(shutdown)
				if got := time.Since(start); got != tt.want {
					t.Errorf("took %v, want %v", got, tt.want)
				}
				if got := r.all(); strings.Contains(got, "stream:") {
					t.Errorf("client got %q in the clear", got)
				}
			})
		})
	}
}

// A connection that does TLS from its first byte makes the handshake in Open.
func TestDirectTLS(t *testing.T) {
	cfg := serverTLS(t)
	for name, server := range map[string]func(net.Conn) net.Conn{
		"crypto/tls": func(c net.Conn) net.Conn { return tls.Server(c, cfg) },
		"netserve":   func(c net.Conn) net.Conn { return netserve.NewTLS(cfg).Server(c, "example.com") },
		"wrapped":    func(c net.Conn) net.Conn { return wrapper{tls.Server(c, cfg)} },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			s := NewTCP(server(a), TCPOptions{})
			if !s.Peer().Secure {
				t.Error("before the handshake: got not secure")
			}
			var out []byte
			var client sync.WaitGroup
			client.Go(func() {
				c := tls.Client(b, clientTLS)
				io.WriteString(c, clientHeader)
				out, _ = io.ReadAll(c)
				c.Close()
			})
			if _, err := s.Open(); err != nil {
				t.Fatal(err)
			}
			p := s.Peer()
			if !p.Secure || p.TLS == nil || !p.TLS.HandshakeComplete || (p.Certificate != nil) != (name == "netserve") {
				t.Errorf("peer: got %+v", p)
			}
			if err := s.StartTLS(t.Context(), netserve.NewTLS(cfg), ""); err == nil {
				t.Error("StartTLS within TLS: got no error")
			}
			s.Close(shutdown)
			client.Wait()
			if !strings.HasSuffix(string(out), shutdownXML) {
				t.Errorf("client got %q, want %q at its end", out, shutdownXML)
			}
		})
	}
	t.Run("client speaks in the clear", func(t *testing.T) {
		a, b := net.Pipe()
		s := NewTCP(tls.Server(a, cfg), TCPOptions{})
		r := listen(t, b)
		var client sync.WaitGroup
		client.Go(func() { io.WriteString(b, clientHeader) })
		if _, err := s.Open(); err == nil {
			t.Error("Open: got no error")
		}
		s.Close(shutdown)
		client.Wait()
		if got := r.all(); strings.Contains(got, "stream") {
			t.Errorf("client got %q in the clear", got)
		}
	})
}

// wrapper hides all but the methods of a connection, and tells what is below.
type wrapper struct{ net.Conn }

func (w wrapper) NetConn() net.Conn { return w.Conn }

// A peer that does not read makes Close no slower with TLS.
func TestCloseTLSIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		s := NewTCP(tls.Server(a, serverTLS(t)), TCPOptions{})
		var client sync.WaitGroup
		client.Go(func() {
			if _, err := io.WriteString(tls.Client(b, clientTLS), clientHeader); err != nil {
				t.Errorf("client: %v", err)
			}
		})
		if _, err := s.Open(); err != nil {
			t.Fatal(err)
		}
		client.Wait()
		start := time.Now()
		s.Close(shutdown)
		if got := time.Since(start); got != closeTimeout {
			t.Errorf("Close took %v, want %v", got, closeTimeout)
		}
		b.Close()
	})
}
