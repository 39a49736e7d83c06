package wsock

//lint:file-ignore SA1019 the library goes on under another path

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"nhooyr.io/websocket"
)

// servers echo, one with the frames of nhooyr.io/websocket and one with ours.
var servers = map[string]func(w http.ResponseWriter, r *http.Request){
	"nhooyr": func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"a"}})
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		buf := make([]byte, 1024)
		for {
			op, in, err := c.Reader(context.Background())
			if err != nil {
				return
			}
			n, _ := io.ReadFull(in, buf)
			if err := c.Write(context.Background(), op, buf[:n]); err != nil {
				return
			}
			_, _ = in.Read(buf) // it wants to be read to the end
		}
	},
	"wsock": func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, Terms{Subprotocols: []string{"a"}})
		if err != nil {
			return
		}
		defer c.Cut()
		for {
			if c.Rest() != nil {
				return
			}
			op, b, err := c.Next(1024, nothing)
			if err != nil || c.Write(func(dst []byte) []byte { return AppendFrame(dst, op, b) }) != nil {
				return
			}
		}
	},
}

// dial makes a WebSocket by hand, which costs the client next to nothing.
func dial(b *testing.B, srv *httptest.Server) net.Conn {
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a\r\n\r\n")
	a, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil)
	if err != nil || a.StatusCode != http.StatusSwitchingProtocols {
		b.Fatalf("got %v, %v, want 101", a, err)
	}
	return c
}

func BenchmarkEcho(b *testing.B) {
	for name, h := range servers {
		b.Run(name, func(b *testing.B) {
			srv := httptest.NewServer(http.HandlerFunc(h))
			defer srv.Close()
			c := dial(b, srv)
			defer c.Close()
			sent, got := frame(1, true, strings.Repeat("x", 200)), make([]byte, 204)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(sent); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What an idle connection holds, heap and stack; the client's end is a socket.
func BenchmarkIdle(b *testing.B) {
	const conns = 1000
	for name, h := range servers {
		b.Run(name, func(b *testing.B) {
			srv := httptest.NewServer(http.HandlerFunc(h))
			defer srv.Close()
			for b.Loop() {
				before := inUse()
				for range conns {
					c := dial(b, srv)
					defer c.Close()
					_, _ = c.Write(frame(1, true, strings.Repeat("x", 200)))
					if _, err := io.ReadFull(c, make([]byte, 204)); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(inUse()-before)/conns, "B/conn")
			}
		})
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
