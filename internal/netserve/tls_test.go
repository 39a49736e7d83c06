package netserve_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// pair returns the two ends of a connection in memory.
func pair(t testing.TB) (client, server net.Conn) {
	ln := listentest.NewListener()
	client = ln.Dial()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = client.Close(), server.Close(), ln.Close() })
	return client, server
}

// certificates for two domains, and a pool with both.
func certificates(t testing.TB) (one, two tls.Certificate, pool *x509.CertPool) {
	one, _ = listentest.Certificate(t, "one.example")
	two, _ = listentest.Certificate(t, "two.example")
	pool = x509.NewCertPool()
	pool.AddCert(one.Leaf)
	pool.AddCert(two.Leaf)
	return one, two, pool
}

// handshake ends with a byte from the server, after which the client has the
// session tickets of TLS 1.3.
func handshake(t testing.TB, s *tls.Conn, c *tls.Conn) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		done <- err
	}()
	if err := c.Handshake(); err != nil {
		t.Fatalf("client: %v", err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatalf("client: %v", err)
	}
	if err := <-done; err != nil {
		t.Fatalf("server: %v", err)
	}
}

func TestLocalCertificate(t *testing.T) {
	one, two, pool := certificates(t)
	byName := func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if h.ServerName == "two.example" {
			return &two, nil
		}
		return &one, nil
	}
	inner := &tls.Config{GetCertificate: byName}
	configs := map[string]*tls.Config{
		"callback":             {GetCertificate: byName},
		"list":                 {Certificates: []tls.Certificate{one, two}},
		"list before callback": {Certificates: []tls.Certificate{one}, GetCertificate: byName},
		"config for client": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return inner, nil
		}},
		"config for some clients": {GetCertificate: byName, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return nil, nil
		}},
	}
	tests := []struct {
		name          string
		sni, fallback string
		want          *tls.Certificate
	}{
		{"named", "two.example", "", &two},
		{"named, with a fallback", "two.example", "one.example", &two},
		{"unnamed", "", "", &one},
		{"unnamed, with a fallback", "", "two.example", &two},
	}
	for name, cfg := range configs {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, tt := range tests {
				t.Run(name+"/"+tls.VersionName(version)+"/"+tt.name, func(t *testing.T) {
					c, s := pair(t)
					server := netserve.NewTLS(cfg).Server(s, tt.fallback)
					if got := server.LocalCertificate(); got != nil {
						t.Errorf("before the handshake: got a certificate, want none")
					}
					client := tls.Client(c, &tls.Config{ServerName: tt.sni, InsecureSkipVerify: true, RootCAs: pool, MaxVersion: version})
					handshake(t, server.Conn, client)
					shown := client.ConnectionState().PeerCertificates[0].Raw
					if !bytes.Equal(shown, tt.want.Leaf.Raw) {
						t.Errorf("the client got the wrong certificate")
					}
					if !bytes.Equal(server.LocalCertificate(), shown) {
						t.Errorf("LocalCertificate is not what the client got")
					}
				})
			}
		}
	}
}

// The callbacks of a configuration see the connection that they would see
// without us.
func TestCallbacksSeeTheConnection(t *testing.T) {
	one, _, _ := certificates(t)
	c, s := pair(t)
	var seen []net.Conn
	cfg := &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			seen = append(seen, h.Conn)
			return nil, nil
		},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			seen = append(seen, h.Conn)
			return &one, nil
		},
	}
	server := netserve.NewTLS(cfg).Server(s, "")
	handshake(t, server.Conn, tls.Client(c, &tls.Config{InsecureSkipVerify: true}))
	if len(seen) != 2 || seen[0] != s || seen[1] != s {
		t.Errorf("got %v, want %v twice", seen, s)
	}
}

func TestNoCertificate(t *testing.T) {
	c, s := pair(t)
	server := netserve.NewTLS(&tls.Config{}).Server(s, "")
	go func() { _ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	if err := server.Handshake(); err == nil {
		t.Error("got a handshake without a certificate, want an error")
	}
	_ = server.Close()
}

func TestSessionsResume(t *testing.T) {
	one, _, pool := certificates(t)
	inner := &tls.Config{Certificates: []tls.Certificate{one}}
	configs := map[string]*tls.Config{
		"plain":             {Certificates: []tls.Certificate{one}},
		"config for client": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }},
		"another config each time": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{one}}, nil
		}},
	}
	for name, cfg := range configs {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+"/"+tls.VersionName(version), func(t *testing.T) {
				cache := tls.NewLRUClientSessionCache(1)
				for i := range 3 {
					c, s := pair(t)
					// A configuration prepared anew each time, as for STARTTLS.
					server := netserve.NewTLS(cfg).Server(s, "one.example")
					client := tls.Client(c, &tls.Config{ServerName: "one.example", RootCAs: pool, ClientSessionCache: cache, MaxVersion: version})
					handshake(t, server.Conn, client)
					if got, want := client.ConnectionState().DidResume, i > 0; got != want {
						t.Errorf("connection %d: resumed %t, want %t", i, got, want)
					}
				}
			})
		}
	}
}

func TestTicketsDisabled(t *testing.T) {
	one, _, pool := certificates(t)
	inner := &tls.Config{Certificates: []tls.Certificate{one}}
	cfg := &tls.Config{SessionTicketsDisabled: true, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }}
	cache := tls.NewLRUClientSessionCache(1)
	for range 2 {
		c, s := pair(t)
		client := tls.Client(c, &tls.Config{ServerName: "one.example", RootCAs: pool, ClientSessionCache: cache})
		handshake(t, netserve.NewTLS(cfg).Server(s, "").Conn, client)
		if client.ConnectionState().DidResume {
			t.Error("got a resumed session, want none")
		}
	}
}

// A client that never begins its handshake keeps nobody else waiting.
func TestTLSListenerDoesNotWaitForHandshakes(t *testing.T) {
	one, _, pool := certificates(t)
	synctest.Test(t, func(t *testing.T) {
		mem := listentest.NewListener()
		result := start(t.Context(), netserve.NewTLSListener(mem, &tls.Config{Certificates: []tls.Certificate{one}}), echo, netserve.Config{})
		mute := mem.Dial()
		c := listentest.NewClient(t, mem.Dial())
		c.StartTLS(&tls.Config{ServerName: "one.example", RootCAs: pool, Time: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }})
		c.Send("hello")
		c.Expect("hello")
		c.Close()
		_ = mute.Close()
		_ = mem.Close()
		if err := <-result; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
	})
}

func TestHandshakeFailuresAreCounted(t *testing.T) {
	one, _, pool := certificates(t)
	synctest.Test(t, func(t *testing.T) {
		mem := listentest.NewListener()
		ln := &countedListener{Listener: mem}
		result := start(t.Context(), netserve.NewTLSListener(ln, &tls.Config{Certificates: []tls.Certificate{one}}), echo, netserve.Config{})
		good := listentest.NewClient(t, mem.Dial())
		good.StartTLS(&tls.Config{ServerName: "one.example", RootCAs: pool})
		good.Send("x")
		good.Expect("x")
		good.Close()
		garbage := listentest.NewClient(t, mem.Dial())
		garbage.Send("GET / HTTP/1.0\r\n\r\n")
		garbage.ExpectEOF()
		mute := listentest.NewClient(t, mem.Dial())
		mute.Close()
		synctest.Wait()
		_ = mem.Close()
		<-result
		if got := ln.handshakes.Load(); got != 2 {
			t.Errorf("failed handshakes: got %d, want 2", got)
		}
	})
}

// Grace ends for TLS connections as for others: nobody waits for the peers to
// take a last alert.
func TestCutOfTLS(t *testing.T) {
	one, _, pool := certificates(t)
	synctest.Test(t, func(t *testing.T) {
		mem := listentest.NewListener()
		ctx, cancel := context.WithCancelCause(t.Context())
		full := func(_ context.Context, c net.Conn) error {
			for {
				if _, err := c.Write(make([]byte, 1<<14)); err != nil {
					return err
				}
			}
		}
		result := start(ctx, netserve.NewTLSListener(mem, &tls.Config{Certificates: []tls.Certificate{one}}), full, netserve.Config{Grace: time.Second})
		for range 10 {
			c := listentest.NewClient(t, mem.Dial())
			c.StartTLS(&tls.Config{ServerName: "one.example", RootCAs: pool})
		}
		synctest.Wait()
		began := time.Now()
		cancel(errStop)
		<-result
		if d := time.Since(began); d != time.Second {
			t.Errorf("Serve returned after %v, want the grace period", d)
		}
	})
}

func TestTLSConnForwards(t *testing.T) {
	one, _, _ := certificates(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	server := netserve.NewTLS(&tls.Config{Certificates: []tls.Certificate{one}}).Server(s, "")
	if server.NetConn() != s {
		t.Errorf("NetConn: got %v, want %v", server.NetConn(), s)
	}
	raw, err := server.SyscallConn()
	if err != nil {
		t.Fatalf("SyscallConn: %v", err)
	}
	if err := raw.Control(func(uintptr) {}); err != nil {
		t.Errorf("Control: %v", err)
	}
	// Bytes past TLS would be of no use to anybody.
	if err := raw.Read(func(uintptr) bool { return true }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Read of the socket: got %v, want errors.ErrUnsupported", err)
	}
	if err := raw.Write(func(uintptr) bool { return true }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Write to the socket: got %v, want errors.ErrUnsupported", err)
	}
	client := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	handshake(t, server.Conn, client)
	if !server.ConnectionState().HandshakeComplete {
		t.Error("ConnectionState: handshake is not complete")
	}
	if err := server.CloseWrite(); err != nil {
		t.Errorf("CloseWrite: %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("client: got %v, want io.EOF", err)
	}

	_, mem := pair(t)
	if _, err := netserve.NewTLS(&tls.Config{}).Server(mem, "").SyscallConn(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("SyscallConn without a socket: got %v, want errors.ErrUnsupported", err)
	}
	var _ syscall.Conn = server
}

// BenchmarkServer compares one configuration for all connections with a copy
// for each.
func BenchmarkServer(b *testing.B) {
	one, _, _ := certificates(b)
	cfg := &tls.Config{Certificates: []tls.Certificate{one}}
	_, s := pair(b)
	b.Run("TLS.Server", func(b *testing.B) {
		b.ReportAllocs()
		t := netserve.NewTLS(cfg)
		for b.Loop() {
			t.Server(s, "one.example")
		}
	})
	b.Run("a TLS for each", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			netserve.NewTLS(cfg).Server(s, "one.example")
		}
	})
}
