package websocket_test

import (
	"bufio"
	"net"
	"runtime"
	"strings"
	"testing"
)

// What an idle session holds, heap and stack, with its part of net/http, httpd and c2s
// and with the client's end, which is a socket and a small buffer.
func BenchmarkIdleSession(b *testing.B) {
	const sessions = 1000
	for b.Loop() {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		r := newRigOn(b, ln)
		before := inUse()
		for range sessions {
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			c := &client{t: b, c: conn, in: bufio.NewReaderSize(conn, 16)}
			c.upgrade("Sec-WebSocket-Protocol: xmpp\r\n")
			c.login()
		}
		b.ReportMetric(float64(inUse()-before)/sessions, "B/session")
		r.end()
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkMessage is one message from a client to another session's queue and back out,
// in batches as they come: both ends share the machine.
func BenchmarkMessage(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	r := newRigOn(b, ln)
	defer r.end()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	c := &client{t: b, c: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	c.upgrade("Sec-WebSocket-Protocol: xmpp\r\n")
	jid := c.login()
	message := "<message xmlns='jabber:client' to='" + jid + "' id='1'><body>" + strings.Repeat("x", 100) + "</body></message>"
	b.ReportAllocs()
	for b.Loop() {
		for range 16 {
			c.send(message)
		}
		for range 16 {
			if op, got := c.read(); op != 1 {
				b.Fatalf("got opcode %d with %q, want the message", op, got)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(16*b.N), "ns/message")
}
