package stun

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/shaper"
)

func TestStreamBinding(t *testing.T) {
	onStreams(t, Defaults(), func(r *streamRig) {
		c := r.stream()
		for range 3 {
			m := c.asks(stun.MethodBinding)
			r.wantSuccess(m)
			if got := address(t, m, stun.AttrXORMappedAddress); got != c.addr() {
				t.Errorf("XOR-MAPPED-ADDRESS: got %v, want %v", got, c.addr())
			}
		}
		m := c.asks(stun.MethodBinding, attr{0x7ff1, []byte("x")})
		r.wantError(m, 420)
		r.wantError(c.asks(stun.MethodAllocate, udp), 405)
	})
}

// writeCounter counts the writes of a listener's connections.
type writeCounter struct {
	net.Listener
	writes atomic.Int32
}

func (l *writeCounter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{c, l}, nil
}

type countedConn struct {
	net.Conn
	l *writeCounter
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.l.writes.Add(1)
	return c.Conn.Write(b)
}

// What one read brings is answered by one write.
func TestStreamPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counter *writeCounter
		r := newStreamRig(t, Defaults(), func(ln net.Listener) net.Listener {
			counter = &writeCounter{Listener: ln}
			return counter
		})
		c := r.stream()
		r.wantSuccess(c.asks(stun.MethodBinding))
		counter.writes.Store(0)
		var all []byte
		var ids [][12]byte
		for range 60 {
			m := c.builds(stun.MethodBinding, stun.ClassRequest)
			all, ids = append(all, m.Raw...), append(ids, m.TransactionID)
		}
		c.sends(all)
		for _, id := range ids {
			r.wantSuccess(parse(t, c.reads(), id))
		}
		if n := counter.writes.Load(); n > 2 { // the first bytes are read alone
			t.Errorf("got %d writes for %d requests that came at once, want 2 at most", n, len(ids))
		}
		r.end()
	})
}

// Frames are found however they are cut.
func TestStreamSplit(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c, p := r.stream(), r.peer("198.51.100.200:9")
		relay := c.allocates(udp)
		c.binds(0x4000, p.addr())
		request := c.builds(stun.MethodBinding, stun.ClassRequest)
		all := append([]byte("\x40\x00\x00\x05hello\x00\x00\x00"), request.Raw...)
		all = append(all, "\x40\x00\x00\x04four"...)
		for i := range len(all) {
			c.sends(all[:i])
			synctest.Wait()
			c.sends(all[i:])
			p.wants(relay, "hello")
			p.wants(relay, "four")
			r.wantSuccess(parse(t, c.reads(), request.TransactionID))
		}
	})
}

func TestStreamHostile(t *testing.T) {
	long := func(typ, n uint16) []byte {
		return append([]byte{byte(typ >> 8), byte(typ), byte(n >> 8), byte(n), 0x21, 0x12, 0xa4, 0x42}, make([]byte, 16)...)
	}
	tests := []struct {
		name string
		b    []byte
	}{
		{"message of 65536 bytes", long(1, 0xffec)},
		{"message of 65552 bytes", long(1, 0xfffc)},
		{"length that is no multiple of four", long(1, 6)},
		{"ChannelData of 65536 bytes", long(0x4000, 0xfffc)},
		{"ChannelData of 65539 bytes", long(0x4000, 0xffff)},
		{"neither", long(0x8000, 8)},
		{"no cookie", append([]byte{0, 1, 0, 0, 1, 2, 3, 4}, make([]byte, 12)...)},
		{"ClientHello", append([]byte{0x16, 3, 1, 2, 0}, make([]byte, 64)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onStreams(t, turnOptions(), func(r *streamRig) {
				c := r.stream()
				c.allocates(udp)
				request := c.builds(stun.MethodBinding, stun.ClassRequest)
				c.sends(append(bytes.Clone(request.Raw), tt.b...))
				r.wantSuccess(parse(t, c.reads(), request.TransactionID)) // what came before is answered
				c.wantsEnd(true)
				if n := r.srv.Stats().Allocations; n != 0 {
					t.Errorf("got %d allocations, want none", n)
				}
			})
		})
	}
}

func TestStreamIdle(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		time.Sleep(idleLimit - 1)
		c.wantsEnd(false)
		time.Sleep(2 * time.Nanosecond)
		c.wantsEnd(true)

		c = r.stream()
		for range 5 { // every message gives it that time again
			time.Sleep(idleLimit - time.Second)
			r.wantSuccess(c.asks(stun.MethodBinding))
		}
		time.Sleep(idleLimit + time.Second)
		c.wantsEnd(true)

		c = r.stream()
		b := c.builds(stun.MethodBinding, stun.ClassRequest, stun.NewSoftware(string(make([]byte, 400)))).Raw
		for i := range 60 { // bytes do not
			c.sends(b[i : i+1])
			time.Sleep(time.Second)
		}
		c.wantsEnd(true)

		c = r.stream()
		c.allocates(udp)
		time.Sleep(9 * time.Minute)
		c.wantsEnd(false)
		time.Sleep(time.Minute + idleLimit) // the allocation has ended
		c.wantsEnd(true)
	})
}

func TestStreamSilentCrowd(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		var list []*streamClient
		for range 1000 {
			list = append(list, r.stream())
		}
		r.wantSuccess(r.stream().asks(stun.MethodBinding))
		time.Sleep(idleLimit + 1)
		for _, c := range list {
			c.wantsEnd(true)
		}
	})
}

// A client that does not read loses data, then its connection; others notice nothing.
func TestStreamUnread(t *testing.T) {
	o := turnOptions()
	o.SendTimeout = 15 * time.Second
	onStreams(t, o, func(r *streamRig) {
		c, other, p := r.stream(), r.stream(), r.peer("198.51.100.200:9")
		relay := c.allocates(udp)
		c.permits(p.addr())
		c.fills()
		for range 10 {
			for range 50 {
				p.sends(relay, string(make([]byte, 1000)))
			}
			synctest.Wait()
			r.wantSuccess(other.asks(stun.MethodBinding))
		}
		s := r.srv.Stats()
		if most := uint64(listentest.BufferSize + 2*maxQueue + maxQueue/2); s.RelayedBytes > most || s.Dropped == 0 {
			t.Errorf("got %d bytes relayed and %d packets dropped, want %d bytes at most", s.RelayedBytes, s.Dropped, most)
		}
		time.Sleep(o.SendTimeout + time.Second)
		synctest.Wait()
		if n := r.srv.Stats().Allocations; n != 0 {
			t.Errorf("after SendTimeout: got %d allocations, want none", n)
		}
		c.wantsEnd(true)
	})
}

// A client that asks and does not read is not read either, and then ends.
func TestStreamAnswersUnread(t *testing.T) {
	o := turnOptions()
	o.SendTimeout = 5 * time.Second
	onStreams(t, o, func(r *streamRig) {
		c := r.stream()
		b := bytes.Repeat(c.builds(stun.MethodBinding, stun.ClassRequest).Raw, 1000)
		_ = c.c.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := 0, error(nil)
		for err == nil && n < 100 {
			_, err = c.c.Write(b)
			n++
		}
		if err == nil || errors.Is(err, errEnd) {
			t.Errorf("got %d requests taken, want an end", 1000*n)
		}
		c.wantsEnd(true)
	})
}

func TestStreamEndsAllocation(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		c.allocates(udp)
		_ = c.c.Close()
		synctest.Wait()
		if s := r.srv.Stats(); s.Allocations != 0 || r.relays.count() != 0 {
			t.Errorf("got %d allocations and %d relays, want none", s.Allocations, r.relays.count())
		}
	})
}

// What a client sends before it gives its relay back is relayed.
func TestStreamSendsLast(t *testing.T) {
	o := turnOptions()
	o.AuthType = AuthAnonymous
	onStreams(t, o, func(r *streamRig) {
		c, p := r.stream(), r.peer(peerA.String())
		m := c.asks(stun.MethodAllocate, udp)
		r.wantSuccess(m)
		r.wantSuccess(c.asks(stun.MethodCreatePermission, peer(peerA)))
		last := c.builds(stun.MethodSend, stun.ClassIndication, peer(peerA), attr{stun.AttrData, []byte("bye")})
		end := c.builds(stun.MethodRefresh, stun.ClassRequest, attr{stun.AttrLifetime, make([]byte, 4)})
		c.sends(append(last.Raw, end.Raw...))
		r.wantSuccess(parse(t, c.reads(), end.TransactionID))
		p.wants(address(t, m, stun.AttrXORRelayedAddress), "bye")
	})
}

// A listener that is closed waits for its connections.
func TestStreamDrain(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		c.allocates(udp)
		_ = r.ln.Close()
		synctest.Wait()
		r.wantSuccess(c.does(stun.MethodRefresh))
		_ = c.c.Close()
		if err := <-r.listen; err != nil {
			t.Errorf("Listen: got %v, want nil", err)
		}
		r.listen <- errEnd
	})
}

func TestStreamTLS(t *testing.T) {
	cert, pool := listentest.Certificate(t, "turn.one.test")
	synctest.Test(t, func(t *testing.T) {
		r := newStreamRig(t, turnOptions(), func(ln net.Listener) net.Listener {
			return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
		})
		conn := r.ln.Dial()
		silent := r.on(r.ln.Dial())
		c, p := r.on(tls.Client(conn, &tls.Config{ServerName: "turn.one.test", RootCAs: pool})), r.peer("198.51.100.200:9")
		relay := c.allocates(udp)
		c.binds(0x4000, p.addr())
		time.Sleep(2 * idleLimit)
		c.sends([]byte("\x40\x00\x00\x04four"))
		p.wants(relay, "four")
		p.sends(relay, "seventy")
		if got, want := string(c.reads()), "\x40\x00\x00\x07seventy\x00"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		silent.wantsEnd(true)
		r.end()
	})
}

func TestStreamShaper(t *testing.T) {
	o := Defaults()
	o.Shaper = shaper.Fixed(shaper.Rate{BytesPerSecond: 1000})
	onStreams(t, o, func(r *streamRig) {
		c := r.stream()
		start := time.Now()
		for range 250 { // 5000 bytes
			c.sends(c.builds(stun.MethodBinding, stun.ClassRequest).Raw)
		}
		for range 250 {
			for c.reads() == nil {
				time.Sleep(100 * time.Millisecond)
			}
		}
		if d := time.Since(start); d < 3*time.Second || d > 5*time.Second {
			t.Errorf("5000 bytes: got %v, want about 4 s", d)
		}
	})
}

// unixAddressed are connections of a unix socket, whose clients have no address.
type unixAddressed struct{ net.Listener }

func (l unixAddressed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return unixConn{c}, nil
}

func (l unixAddressed) Addr() net.Addr { return &net.UnixAddr{Name: "/run/stun", Net: "unix"} }

type unixConn struct{ net.Conn }

func (unixConn) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

func TestStreamUnix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStreamRig(t, turnOptions(), func(ln net.Listener) net.Listener { return unixAddressed{ln} })
		for range 2 { // they have one address, but are two
			c := r.stream()
			m := c.asks(stun.MethodBinding)
			r.wantSuccess(m)
			if got, want := address(t, m, stun.AttrXORMappedAddress), netip.MustParseAddrPort("0.0.0.0:0"); got != want {
				t.Errorf("XOR-MAPPED-ADDRESS: got %v, want %v", got, want)
			}
			c.allocates(udp)
		}
		r.end()
	})
}

// cannedConn yields the same bytes again and again, and takes what it is given.
type cannedConn struct {
	net.Conn
	b    []byte
	at   int
	took int
}

func (c *cannedConn) Read(p []byte) (int, error) {
	n := copy(p, c.b[c.at:])
	c.at = (c.at + n) % len(c.b)
	return n, nil
}

func (c *cannedConn) Write(p []byte) (int, error)      { c.took += len(p); return len(p), nil }
func (c *cannedConn) SetWriteDeadline(time.Time) error { return nil }

// canned returns a stream whose client asks n questions at once.
func canned(t testing.TB, n int) (*stream, *cannedConn) {
	srv := New(Host{})
	l := &listener{srv: srv}
	set, err := srv.settings(netip.MustParseAddrPort("192.0.2.1:3478"), Defaults())
	if err != nil {
		t.Fatal(err)
	}
	l.set.Store(set)
	c := &cannedConn{b: bytes.Repeat(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw, n)}
	s := &stream{l: l, conn: c, addr: netip.MustParseAddrPort("198.51.100.7:1000"), ctx: t.Context(), heard: time.Now()}
	s.out.begin(s)
	return s, c
}

func (s *stream) turn() error {
	for {
		if err := s.fill(); err != nil {
			return err
		}
		if err := s.take(); err != nil || s.in == nil {
			return err
		}
	}
}

// Pipelined requests take no memory, and an idle connection has no buffer.
func TestStreamAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets at random under the race detector")
	}
	for _, n := range []int{1, 16} {
		s, _ := canned(t, n)
		got := testing.AllocsPerRun(1000, func() {
			if err := s.turn(); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 || s.in != nil {
			t.Errorf("%d requests: got %v allocations, and a buffer %t, want neither", n, got, s.in != nil)
		}
	}
}

func BenchmarkStreamBinding(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, c := canned(b, n)
			b.ReportAllocs()
			for range b.N/n + 1 {
				if err := s.turn(); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(c.took / b.N))
		})
	}
}

// cutConn yields bytes in pieces, then the end, and keeps what it is given.
type cutConn struct {
	cannedConn
	size    int
	written []byte
}

func (c *cutConn) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), c.size)], c.b)
	if c.b = c.b[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (c *cutConn) Write(p []byte) (int, error) {
	c.written = append(c.written, p...)
	return len(p), nil
}
func (c *cutConn) SetReadDeadline(time.Time) error { return nil }
func (c *cutConn) Close() error                    { return nil }

// FuzzStream looks that the answers do not depend on how a stream is cut.
func FuzzStream(f *testing.F) {
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.Fingerprint).Raw
	f.Add(request, uint16(1))
	f.Add(append([]byte("\x40\x00\x00\x05hello\x00\x00\x00"), request...), uint16(7))
	f.Add(append(bytes.Repeat(request, 4), "\x00\x01\xff\xec"...), uint16(30))
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		answers := func(size int) []byte {
			s, _ := canned(t, 1)
			c := &cutConn{cannedConn: cannedConn{b: b}, size: size}
			s.conn = c
			_ = s.serve(t.Context())
			return c.written
		}
		if whole, cut := answers(1<<20), answers(int(size)+1); !bytes.Equal(whole, cut) {
			t.Errorf("whole: got %x, cut: got %x", whole, cut)
		}
	})
}

type unixAt struct {
	net.Listener
	name string
}

func (l unixAt) Accept() (net.Conn, error) { return unixAddressed{l.Listener}.Accept() }
func (l unixAt) Addr() net.Addr            { return &net.UnixAddr{Name: l.name, Net: "unix"} }

// Each unix socket has options of its own.
func TestUpdateUnix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStreamRig(t, turnOptions(), func(ln net.Listener) net.Listener { return unixAddressed{ln} })
		ctx, stop := context.WithCancel(t.Context())
		ln, done := listentest.NewListener(), make(chan error, 1)
		other := unixAt{ln, "/run/other"}
		go func() { done <- r.srv.Listen(ctx, other, turnOptions()) }()
		synctest.Wait()
		o := turnOptions()
		o.AuthType = AuthAnonymous
		if err := r.srv.Update(other.Addr(), o); err != nil {
			t.Fatal(err)
		}
		r.wantError(r.stream().asks(stun.MethodAllocate, udp), 401)
		r.wantSuccess(r.on(ln.Dial()).asks(stun.MethodAllocate, udp))
		stop()
		<-done
		r.end()
	})
}

// A unix socket has relays at the address that an unspecified one has.
func TestRelayAddressUnix(t *testing.T) {
	o := turnOptions()
	o.IPv4Address, o.IPv6Address = netip.Addr{}, netip.Addr{}
	set, err := New(Host{}).settings(addrPort(&net.UnixAddr{Name: "/run/stun", Net: "unix"}), o)
	if err != nil || set.relays[ipv4] != primary() {
		t.Errorf("got %v (%v), want %v", set.relays, err, primary())
	}
}

// Accounts are asked by a bounded number of streams at once; the others wait.
func TestStreamLookups(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		var asked atomic.Int32
		answer := make(chan struct{})
		r.accounts.mu.Lock()
		r.accounts.hold = func(context.Context) error { asked.Add(1); <-answer; return nil }
		r.accounts.mu.Unlock()
		const more = 5
		for range maxLookups + more {
			c := r.stream()
			c.sends(c.signs(stun.MethodAllocate, udp).Raw)
		}
		synctest.Wait()
		if got := asked.Load(); got != maxLookups {
			t.Errorf("got %d lookups at once, want %d", got, maxLookups)
		}
		close(answer)
		synctest.Wait()
		if got := asked.Load(); got != maxLookups+more {
			t.Errorf("got %d lookups in all, want %d", got, maxLookups+more)
		}
	})
}
