package sock

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

func TestConnConforms(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		a, b := listentest.NewConn(proxyAddr, serverAddr)
		m := new(Meter)
		c, s := m.Count(a), m.Count(b)
		return c.Serving(), s.Serving(), func() { _, _ = c.Close(), s.Close() }, nil
	})
}

func TestConnCounts(t *testing.T) {
	client, server := listentest.NewConn(proxyAddr, serverAddr)
	m := new(Meter)
	c := m.Count(server)
	_, _ = client.Write([]byte("12345"))
	_, _ = io.ReadFull(c, make([]byte, 5))
	_, _ = c.Write([]byte("123"))
	c.CountPanic()
	c.CountHandshakeFailure()
	want := Counts{Accepted: 1, Active: 1, HandshakeFailures: 1, Panics: 1, BytesIn: 5, BytesOut: 3}
	check := func() {
		t.Helper()
		got := m.Counts()
		for reason, n := range got.Rejected {
			if n != 0 {
				t.Errorf("rejected for %s: got %d, want 0", reason, n)
			}
		}
		got.Rejected = nil
		if got.Accepted != want.Accepted || got.Active != want.Active || got.HandshakeFailures != want.HandshakeFailures ||
			got.Panics != want.Panics || got.BytesIn != want.BytesIn || got.BytesOut != want.BytesOut {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	check()
	_ = c.Close()
	_ = c.Close() // counts once
	want.Active = 0
	check()
	_ = client.Close()
}

// pipes are the sockets below.
func pipes(t *testing.T) map[string]func() (client, server net.Conn) {
	t.Helper()
	system := func(network, address string) func() (net.Conn, net.Conn) {
		return func() (net.Conn, net.Conn) {
			ln, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			c, err := net.Dial(network, ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			s, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return c, s
		}
	}
	return map[string]func() (net.Conn, net.Conn){
		"tcp":  system("tcp4", "127.0.0.1:0"),
		"unix": system("unix", filepath.Join(t.TempDir(), "s")),
		"memory": func() (net.Conn, net.Conn) {
			c, s := listentest.NewConn(proxyAddr, serverAddr)
			return c, s
		},
	}
}

// Every combination of layers lets a module get at the socket's options, the
// TLS state, and the end of one direction.
func TestLayersForward(t *testing.T) {
	cert, pool := listentest.Certificate(t, "example.org")
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	type layers struct{ proxied, tlsBelow, tlsAbove bool }
	for name, pipe := range pipes(t) {
		for _, l := range []layers{{}, {proxied: true}, {tlsAbove: true}, {proxied: true, tlsAbove: true}, {tlsBelow: true}} {
			t.Run(name+" "+describe(l.proxied, l.tlsBelow, l.tlsAbove), func(t *testing.T) {
				client, raw := pipe()
				if l.proxied {
					_, _ = io.WriteString(client, proxyHeaders[0].header)
				}
				if l.tlsAbove || l.tlsBelow {
					client = tls.Client(client, &tls.Config{ServerName: "example.org", RootCAs: pool})
				}
				if l.tlsBelow {
					raw = tls.Server(raw, server)
				}
				counted := new(Meter).Count(raw)
				if l.proxied {
					if err := counted.ReadProxyHeader(); err != nil {
						t.Fatal(err)
					}
				}
				c := counted.Serving()
				if l.tlsAbove {
					c = netserve.NewTLS(server).Server(c, "")
				}
				checkForwarding(t, c, client, name != "memory" && !l.tlsBelow, l.tlsAbove || l.tlsBelow)
				_, _ = client.Close(), c.Close()
			})
		}
	}
}

func describe(proxied, tlsBelow, tlsAbove bool) string {
	s := "socket"
	if tlsBelow {
		s += ", TLS"
	}
	s += ", count"
	if proxied {
		s += ", PROXY"
	}
	if tlsAbove {
		s += ", TLS"
	}
	return s
}

func checkForwarding(t *testing.T, c, client net.Conn, socket, secure bool) {
	t.Helper()
	echoed := make(chan error, 1)
	go func() {
		_, err := client.Write([]byte("x"))
		echoed <- err
	}()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-echoed; err != nil {
		t.Fatal(err)
	}

	raw, err := c.(syscall.Conn).SyscallConn()
	if socket {
		if err != nil {
			t.Fatalf("SyscallConn: %v", err)
		}
		if err := raw.Control(func(uintptr) {}); err != nil {
			t.Errorf("Control: %v", err)
		}
		// Raw reads and writes would go past the layers that see the bytes.
		if err := raw.Read(func(uintptr) bool { return true }); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("raw Read: got %v, want errors.ErrUnsupported", err)
		}
		if err := raw.Write(func(uintptr) bool { return true }); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("raw Write: got %v, want errors.ErrUnsupported", err)
		}
	} else if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("SyscallConn: got %v, want errors.ErrUnsupported", err)
	}

	state, ok := c.(interface{ ConnectionState() tls.ConnectionState })
	if ok != secure {
		t.Errorf("has ConnectionState: got %t, want %t", ok, secure)
	}
	if ok && !state.ConnectionState().HandshakeComplete {
		t.Error("ConnectionState: got no handshake")
	}
	if _, ok := netserve.As[netserve.Counter](c); !ok {
		t.Error("the counters are out of reach")
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Errorf("CloseWrite: %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("client after CloseWrite: got %v, want io.EOF", err)
	}
}

// A connection without CloseWrite says so.
func TestCloseWriteUnsupported(t *testing.T) {
	a, b := net.Pipe()
	c := new(Meter).Count(a)
	if err := c.CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want errors.ErrUnsupported", err)
	}
	_, _ = c.Close(), b.Close()
}

// What a module sees of TLS below names the certificate, if that is known.
func TestTLSBelow(t *testing.T) {
	cert, pool := listentest.Certificate(t, "example.org")
	a, b := listentest.NewConn(proxyAddr, serverAddr)
	client := tls.Client(a, &tls.Config{ServerName: "example.org", RootCAs: pool})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	c := new(Meter).Count(netserve.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}}).Server(b, "")).Serving().(*tlsBelow)
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	if string(c.LocalCertificate()) != string(cert.Leaf.Raw) {
		t.Error("LocalCertificate is not what was shown")
	}
	_, _ = client.Close(), c.Close()

	a, b = listentest.NewConn(proxyAddr, serverAddr)
	plain := new(Meter).Count(tls.Server(b, &tls.Config{})).Serving().(*tlsBelow)
	if got := plain.LocalCertificate(); got != nil {
		t.Errorf("of crypto/tls: got %x, want nil", got)
	}
	_, _ = a.Close(), plain.Close()
}

func BenchmarkConnRead(b *testing.B) {
	client, server := listentest.NewConn(proxyAddr, serverAddr)
	c := new(Meter).Count(server).Serving()
	buf := make([]byte, 1024)
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		_, _ = client.Write(buf)
		_, _ = io.ReadFull(c, buf)
	}
	_, _ = client.Close(), c.Close()
}
