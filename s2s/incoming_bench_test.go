package s2s

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// BenchmarkIncomingIdle measures what a stream costs that has proved a pair and on
// which nothing passes: memory of the heap and of stacks, the other end's socket
// included.
func BenchmarkIncomingIdle(b *testing.B) {
	for name, encrypted := range map[string]bool{"plain": false, "TLS": true} {
		b.Run(name, func(b *testing.B) {
			r := &inRig{t: b}
			inTLS(r)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			fake := inNewHost()
			o := Defaults()
			o.TLS, o.MaxStreamsPerIP = r.o.TLS, 0
			server := New(Host{Domains: fake, Router: fake})
			ctx, cancel := context.WithCancelCause(b.Context())
			done := make(chan error)
			go func() { done <- server.listen(ctx, ln, o, fake) }()
			const many = 500
			conns := make([]net.Conn, 0, many)
			connect := func() {
				for range many {
					conns = append(conns, inConnect(b, ln.Addr().String(), encrypted))
				}
			}
			connect() // what is there once for all
			for b.Loop() {
				before := inMemory()
				connect()
				b.ReportMetric(float64(inMemory()-before)/many, "B/stream")
			}
			cancel(errors.New("done"))
			for _, c := range conns {
				_ = c.Close()
			}
			<-done
		})
	}
}

// inConnect makes a stream that has proved a pair, and keeps nothing but its
// connection.
func inConnect(b *testing.B, addr string, encrypted bool) net.Conn {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	c := io.ReadWriter(conn)
	say := func(text, until string) {
		if _, err := io.WriteString(c, text); err != nil {
			b.Fatal(err)
		}
		var got []byte
		var buf [1024]byte
		for !strings.Contains(string(got), until) {
			n, err := c.Read(buf[:])
			if err != nil {
				b.Fatalf("%v after %s", err, got)
			}
			got = append(got, buf[:n]...)
		}
	}
	header := inHeader("version='1.0' from='peer.test' to='one.test'")
	say(header, "</stream:features>")
	if encrypted {
		say(inStartTLS, inProceed)
		c = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		say(header, "</stream:features>")
	}
	say(inResult("peer.test", "one.test", "good"), "type='valid'/>")
	return conn
}

func inMemory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkIncomingStanza passes stanzas on.
func BenchmarkIncomingStanza(b *testing.B) {
	st, err := stanza.Parse(inMessage("ana@peer.test/x", "bo@one.test", "1"))
	if err != nil {
		b.Fatal(err)
	}
	fake := inNewHost()
	fake.onRoute = func(context.Context, *stanza.Stanza) error { return nil }
	server := New(Host{Domains: fake, Router: fake})
	s := &stream{l: server.listener(context.Background(), context.Background(), Defaults(), fake), first: pair{"one.test", "peer.test"}}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.take(b.Context(), st); err != nil {
			b.Fatal(err)
		}
	}
}

// TestIncomingAllocations wants that passing on a stanza allocates nothing.
func TestIncomingAllocations(t *testing.T) {
	st := inStanza(t, inMessage("ana@peer.test/x", "bo@one.test", "1"))
	fake := inNewHost()
	fake.onRoute = func(context.Context, *stanza.Stanza) error { return nil }
	server := New(Host{Domains: fake, Router: fake})
	s := &stream{l: server.listener(context.Background(), context.Background(), Defaults(), fake), first: pair{"one.test", "peer.test"}}
	n := testing.AllocsPerRun(100, func() {
		if err := s.take(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1 { // the method value
		t.Errorf("got %v allocations, want at most one", n)
	}
}
