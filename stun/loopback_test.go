package stun

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pion/stun"
	"github.com/pion/turn/v2"
)

var localhost = netip.MustParseAddr("127.0.0.1")

// onLoopback runs a server on a real socket, for the time of a test.
func onLoopback(t testing.TB, change func(o *Options)) (srv *Server, at netip.AddrPort) {
	t.Helper()
	o := turnOptions()
	o.IPv4Address, o.IPv6Address = localhost, netip.Addr{}
	o.Whitelist = []netip.Prefix{netip.PrefixFrom(localhost, 8)}
	if change != nil {
		change(&o)
	}
	pc := listen(t)
	srv = New(Host{Accounts: new(fakeAccounts)})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.ListenPacket(ctx, pc, o) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != context.Canceled {
			t.Errorf("ListenPacket: got %v, want %v", err, context.Canceled)
		}
		if s := srv.Stats(); s.Allocations != 0 {
			t.Errorf("after the end: got %d allocations", s.Allocations)
		}
	})
	return srv, pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

func listen(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(localhost, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// udpClient is a client with a real socket, without credentials.
type udpClient struct {
	t  testing.TB
	c  *net.UDPConn
	to netip.AddrPort
	b  []byte
}

func newUDPClient(t testing.TB, to netip.AddrPort) *udpClient {
	return &udpClient{t, listen(t), to, make([]byte, 65536)}
}

func (c *udpClient) sends(b []byte) {
	if _, err := c.c.WriteToUDPAddrPort(b, c.to); err != nil {
		c.t.Fatal(err)
	}
}

func (c *udpClient) reads() []byte {
	n, _, err := c.c.ReadFromUDPAddrPort(c.b)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.b[:n]
}

func (c *udpClient) asks(method stun.Method, attrs ...stun.Setter) *stun.Message {
	c.t.Helper()
	m := c.mayAsk(method, attrs...)
	if code(m) != 0 {
		c.t.Fatalf("%s: got error %d", method, code(m))
	}
	return m
}

func (c *udpClient) mayAsk(method stun.Method, attrs ...stun.Setter) *stun.Message {
	c.t.Helper()
	m, err := stun.Build(append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attrs...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.sends(m.Raw)
	answer := &stun.Message{Raw: append([]byte(nil), c.reads()...)}
	if err := answer.Decode(); err != nil {
		c.t.Fatal(err)
	}
	return answer
}

func anonymous(o *Options) { o.AuthType = AuthAnonymous }

// The client of pion/turn has a relay, and talks to a peer and to a client like itself.
func TestPionClient(t *testing.T) {
	_, at := onLoopback(t, nil)
	newClient := func() (*turn.Client, net.PacketConn) {
		c, err := turn.NewClient(&turn.ClientConfig{
			STUNServerAddr: at.String(), TURNServerAddr: at.String(), Conn: listen(t),
			Username: user, Password: password, Realm: realm,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Listen(); err != nil {
			t.Fatal(err)
		}
		relay, err := c.Allocate()
		if err != nil {
			t.Fatal(err)
		}
		return c, relay
	}
	a, aRelay := newClient()
	defer a.Close()
	defer aRelay.Close()
	b, bRelay := newClient()
	defer b.Close()
	defer bRelay.Close()
	mapped, err := a.SendBindingRequest()
	if err != nil || mapped.(*net.UDPAddr).Port == 0 {
		t.Errorf("Binding: got %v, %v", mapped, err)
	}
	buf := make([]byte, 100)
	exchange := func(from, to net.PacketConn, data string) {
		t.Helper()
		_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := from.WriteTo([]byte(data), to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		n, at, err := to.ReadFrom(buf)
		if err != nil || string(buf[:n]) != data || at.String() != from.LocalAddr().String() {
			t.Errorf("got %q from %v (%v), want %q from %v", buf[:n], at, err, data, from.LocalAddr())
		}
	}
	if err := a.CreatePermission(bRelay.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if err := b.CreatePermission(aRelay.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	for range 10 { // with a channel, once that is bound
		exchange(aRelay, bRelay, "to a client")
		exchange(bRelay, aRelay, "and back")
	}
	p := listen(t)
	exchange(aRelay, p, "to a peer")
	exchange(p, aRelay, "and back")
}

// Real sockets for pairs of ports, and for all of a range.
func TestPorts(t *testing.T) {
	srv, at := onLoopback(t, func(o *Options) {
		anonymous(o)
		// Below those that systems give to clients.
		o.MinPort, o.MaxPort, o.MaxAllocations = 32500, 32511, 100
	})
	first := address(t, newUDPClient(t, at).asks(stun.MethodAllocate, udp, portPair), stun.AttrXORRelayedAddress)
	if first.Port()%2 != 0 {
		t.Errorf("got port %d, want an even one", first.Port())
	}
	for {
		m := newUDPClient(t, at).mayAsk(stun.MethodAllocate, udp)
		if code(m) != 0 {
			if code(m) != 508 {
				t.Errorf("got error %d, want 508", code(m))
			}
			break
		}
		if got := address(t, m, stun.AttrXORRelayedAddress).Port(); got < 32500 || got > 32511 {
			t.Errorf("got port %d, want one of 32500 to 32511", got)
		}
	}
	if got := srv.Stats(); got.Allocations+got.Reservations != 12 {
		t.Errorf("got %+v, want 12 ports in use", got)
	}
}

// The client hears that a peer's port is closed (RFC 8656, section 11.5).
func TestICMP(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	_, at := onLoopback(t, anonymous)
	c := newUDPClient(t, at)
	c.asks(stun.MethodAllocate, udp)
	closed := listen(t)
	to := closed.LocalAddr().(*net.UDPAddr).AddrPort()
	_ = closed.Close()
	c.asks(stun.MethodCreatePermission, peer(to))
	for _, attrs := range [][]stun.Setter{nil, {attr{stun.AttrDontFragment, nil}}} {
		attrs = append([]stun.Setter{stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication),
			peer(to), attr{stun.AttrData, []byte("hello")}}, attrs...)
		c.sends(stun.MustBuild(attrs...).Raw)
		m := &stun.Message{Raw: c.reads()}
		if err := m.Decode(); err != nil {
			t.Fatal(err)
		}
		got, err := m.Get(0x8004)
		if err != nil || string(got) != "\x00\x00\x06\x03\x00\x00\x00\x00" { // 7 bits of type 3, 9 of code 3
			t.Errorf("ICMP: got %x, %v, want 0000060300000000", got, err)
		}
		if got := address(t, m, stun.AttrXORPeerAddress); got != to || m.Contains(stun.AttrData) {
			t.Errorf("XOR-PEER-ADDRESS: got %v (DATA: %t), want %v without DATA", got, m.Contains(stun.AttrData), to)
		}
	}
}

// Without an address of its own, relays have one of this machine.
func TestRelayAddress(t *testing.T) {
	o := turnOptions()
	o.IPv6Address = netip.Addr{}
	invalid := netip.Addr{}.String()
	for local, want := range map[string]string{"127.0.0.1": "127.0.0.1", "0.0.0.0": primary().String(), "::": primary().String(), "::1": invalid} {
		set, err := New(Host{}).settings(netip.AddrPortFrom(netip.MustParseAddr(local), 3478), o)
		if err != nil {
			t.Fatal(err)
		}
		if set.relays[ipv4].String() != want || set.relays[ipv6].IsValid() != (local == "::1") {
			t.Errorf("%s: got %v, want %s", local, set.relays, want)
		}
	}
}

// relaying is a client with a channel to a peer, who answers what he gets.
type relaying struct {
	*udpClient
	peer  *udpClient
	relay netip.AddrPort
}

func newRelaying(t testing.TB, channel bool) *relaying {
	_, at := onLoopback(t, anonymous)
	r := &relaying{udpClient: newUDPClient(t, at)}
	r.relay = address(t, r.asks(stun.MethodAllocate, udp), stun.AttrXORRelayedAddress)
	r.peer = newUDPClient(t, r.relay)
	to := peer(r.peer.c.LocalAddr().(*net.UDPAddr).AddrPort())
	if channel {
		r.asks(stun.MethodChannelBind, attr{stun.AttrChannelNumber, []byte{0x40, 0, 0, 0}}, to)
	} else {
		r.asks(stun.MethodCreatePermission, to)
	}
	return r
}

func (r *relaying) roundTrip(b []byte) {
	r.sends(b)
	r.peer.sends(r.peer.reads())
	r.reads()
}

// sendIndication returns a Send indication to the peer.
func (r *relaying) sendIndication(n int) []byte {
	return stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication),
		peer(r.peer.c.LocalAddr().(*net.UDPAddr).AddrPort()), attr{stun.AttrData, make([]byte, n)}).Raw
}

// Neither answers to Binding requests nor relayed packets take memory.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tests := []struct {
		name string
		run  func(t *testing.T) func()
	}{
		{"Binding", func(t *testing.T) func() {
			_, at := onLoopback(t, nil)
			c := newUDPClient(t, at)
			request := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.Fingerprint).Raw
			return func() { c.sends(request); c.reads() }
		}},
		{"ChannelData", func(t *testing.T) func() {
			r := newRelaying(t, true)
			b := append([]byte{0x40, 0, 0, 200}, make([]byte, 200)...)
			return func() { r.roundTrip(b) }
		}},
		{"Send and Data", func(t *testing.T) func() {
			r := newRelaying(t, false)
			b := r.sendIndication(201)
			return func() { r.roundTrip(b) }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.run(t)
			f()
			if got := testing.AllocsPerRun(500, f); got != 0 {
				t.Errorf("got %v allocations, want 0", got)
			}
		})
	}
}

func BenchmarkBinding(b *testing.B) {
	_, at := onLoopback(b, nil)
	c := newUDPClient(b, at)
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	b.ReportAllocs()
	for b.Loop() {
		c.sends(request)
		c.reads()
	}
}

func BenchmarkRelay(b *testing.B) {
	b.Run("ChannelData", func(b *testing.B) {
		r := newRelaying(b, true)
		data := append([]byte{0x40, 0, 0, 200}, make([]byte, 200)...)
		b.ReportAllocs()
		for b.Loop() {
			r.roundTrip(data)
		}
	})
	b.Run("Send", func(b *testing.B) {
		r := newRelaying(b, false)
		data := r.sendIndication(200)
		b.ReportAllocs()
		for b.Loop() {
			r.roundTrip(data)
		}
	})
}

// An allocation costs little, with a permission and a channel.
func TestAllocationMemory(t *testing.T) {
	const n, most = 500, 12 << 10
	srv, at := onLoopback(t, func(o *Options) { anonymous(o); o.MaxAllocations = n })
	var before, after runtime.MemStats
	newUDPClient(t, at).asks(stun.MethodAllocate, udp) // what there is once
	clients := make([]*udpClient, n-1)
	for i := range clients {
		clients[i] = &udpClient{t, listen(t), at, nil}
	}
	buf := make([]byte, 2048)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i, c := range clients {
		c.b = buf
		c.asks(stun.MethodAllocate, udp)
		to := peer(netip.AddrPortFrom(localhost, uint16(1000+i)))
		c.asks(stun.MethodChannelBind, attr{stun.AttrChannelNumber, []byte{0x40, 0, 0, 0}}, to)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := srv.Stats().Allocations; got != n {
		t.Fatalf("got %d allocations, want %d", got, n)
	}
	used := int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)
	t.Logf("%d bytes an allocation", used/n)
	if used/n > most {
		t.Errorf("got %d bytes an allocation, want at most %d", used/n, most)
	}
}

// What the system drops is counted, of sockets that are open and of those that are not.
func TestDrops(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	o := turnOptions()
	anonymous(&o)
	o.IPv4Address, o.IPv6Address = localhost, netip.Addr{}
	broadcast := netip.MustParseAddrPort("255.255.255.255:9") // the system does not let us
	o.Whitelist = []netip.Prefix{netip.PrefixFrom(broadcast.Addr(), 32)}
	pc := listen(t)
	at := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	c := newUDPClient(t, at)
	for range 5000 { // more than there is room for, before anybody reads
		c.sends([]byte("garbage"))
	}
	srv := New(Host{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.ListenPacket(ctx, pc, o) }()
	for answered := false; !answered; { // there is room again
		_ = c.c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		c.sends(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw)
		_, err := c.c.Read(c.b)
		answered = err == nil
	}
	_ = c.c.SetReadDeadline(time.Now().Add(time.Minute))
	open := srv.Stats()
	if open.ReceiveDrops == 0 || open.SendDrops != 0 {
		t.Errorf("got %+v, want ReceiveDrops and no SendDrops", open)
	}
	c.asks(stun.MethodAllocate, udp)
	c.asks(stun.MethodCreatePermission, peer(broadcast))
	c.sends(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), peer(broadcast), attr{stun.AttrData, []byte("x")}).Raw)
	c.asks(stun.MethodRefresh, attr{stun.AttrLifetime, make([]byte, 4)})
	stop()
	<-done
	if got := srv.Stats(); got.ReceiveDrops != open.ReceiveDrops || got.SendDrops != 1 {
		t.Errorf("after the end: got %+v, want ReceiveDrops %d and SendDrops 1", got, open.ReceiveDrops)
	}
}
