package s2s

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// outSink is a connection that loses what is written once it is open.
type outSink struct {
	net.Conn
	open atomic.Bool
}

func (s *outSink) Write(b []byte) (int, error) {
	if s.open.Load() {
		return len(b), nil
	}
	return s.Conn.Write(b)
}

func (s *outSink) SetWriteDeadline(t time.Time) error {
	if s.open.Load() {
		return nil
	}
	return s.Conn.SetWriteDeadline(t)
}

// outLinked returns a rig with a stream to nowhere.
func outLinked(t testing.TB) *outRig {
	sink := new(outSink)
	r := outStart(t, func(r *outRig) { r.set.MaxFSMQueue, r.set.MaxQueueBytes = all(0), 0 })
	r.onDial = func(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
		sink.Conn = r.connect(to)
		return sink, nil
	}
	r.send("1")
	p := (<-r.conns).open(outDialback).dialback()
	p.messages(1)
	sink.open.Store(true)
	return r
}

// TestOutgoingAllocs checks that a stanza for a stream that is open costs nothing
// but its place in the queue.
func TestOutgoingAllocs(t *testing.T) {
	if outRace {
		t.Skip("the race detector allocates")
	}
	r := outLinked(t)
	st := inStanza(t, "<message from='a@here.test/r' to='x@there.test' id='1'><body>hi</body></message>")
	ctx := context.Background()
	if n := testing.AllocsPerRun(20_000, func() {
		if err := r.srv.Route(ctx, st); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched() // it is written, too
	}); n > 0 {
		t.Errorf("Route: got %v allocations, want none", n)
	}
}

func BenchmarkOutgoingRoute(b *testing.B) {
	r := outLinked(b)
	st := inStanza(b, "<message from='a@here.test/r' to='x@there.test' id='1'><body>hi</body></message>")
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := r.srv.Route(ctx, st); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOutgoingRouteParallel has all cores send to a thousand domains.
func BenchmarkOutgoingRouteParallel(b *testing.B) {
	r := outLinked(b)
	out := r.srv.out.find(linkKey{pair: outPair}).out.Load()
	var list []*stanza.Stanza
	for i := range 1000 {
		domain := fmt.Sprintf("there%d.test", i)
		list = append(list, inStanza(b, "<message from='a@here.test/r' to='x@"+domain+"' id='1'><body>hi</body></message>"))
		l, err := r.srv.out.obtain(linkKey{pair: pair{"here.test", domain}})
		if err != nil {
			b.Fatal(err)
		}
		l.out.Store(out)
	}
	defer func() {
		for _, l := range r.srv.out.all() {
			if l.remote != "there.test" {
				l.out.Store(nil)
			}
		}
	}()
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			_ = r.srv.Route(ctx, list[i%len(list)])
		}
	})
}

// outMemory returns what the heap and the stacks take.
func outMemory() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestOutgoingIdleMemory measures what idle streams over TLS take, with the state of
// TLS at the other end, which is not ours.
func TestOutgoingIdleMemory(t *testing.T) {
	if outRace {
		t.Skip("the race detector takes memory")
	}
	const n, most = 300, 40 << 10
	cert, pool := listentest.Certificate(t, "*.test")
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	r := outStart(t, outWithTLS(pool), func(r *outRig) {
		for i := range n {
			r.dns.addrs[fmt.Sprintf("there%d.test", i)] = []netip.Addr{netip.MustParseAddr("192.0.2.7")}
		}
	})
	idle := make(chan net.Conn, n)
	r.onDial = func(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
		ours, theirs := listentest.NewConn(netip.MustParseAddrPort("192.0.2.1:40000"), to)
		go func() { idle <- outIdle(theirs, config) }()
		return ours, nil
	}
	connect := func(i int) {
		for _, st := range []string{"first", "second"} {
			r.sendTo(fmt.Sprintf("x@there%d.test", i), st)
		}
	}
	connect(0)
	conns := []net.Conn{<-idle}
	before := outMemory()
	for i := range n - 1 {
		connect(i + 1)
		conns = append(conns, <-idle)
	}
	if got := r.srv.Outgoing(); got != n {
		t.Fatalf("got %d streams, want %d", got, n)
	}
	each := (outMemory() - before) / (n - 1)
	t.Logf("%d bytes for a stream and its other end", each)
	if each > 2*most {
		t.Errorf("a stream and its other end take %d bytes, want %d at most", each, 2*most)
	}
	for _, c := range conns {
		_ = c.Close()
	}
}

// outIdle plays a server until it has got two stanzas.
func outIdle(c net.Conn, config *tls.Config) net.Conn {
	const header = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams' id='i' version='1.0'><stream:features>"
	b := make([]byte, 512)
	expect := func(want string) string {
		var text strings.Builder
		for !strings.Contains(text.String(), want) {
			n, err := c.Read(b)
			if err != nil {
				return ""
			}
			text.Write(b[:n])
		}
		return text.String()
	}
	say := func(text string) { _, _ = io.WriteString(c, text) }
	_, domain, _ := strings.Cut(expect("<stream:stream"), "to='")
	domain, _, _ = strings.Cut(domain, "'")
	say(header + outTLS + "</stream:features>")
	expect(outTLS)
	say(outProceed)
	c = tls.Server(c, config)
	expect("<stream:stream")
	say(header + outDialback + outSM + "</stream:features>")
	expect("</db:result>")
	say("<db:result from='" + domain + "' to='here.test' type='valid'/>")
	expect("<enable ")
	say("<enabled xmlns='urn:xmpp:sm:3'/>")
	expect("<r ")
	say("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	return c
}
