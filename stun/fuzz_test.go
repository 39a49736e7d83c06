package stun

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// countingConn is the socket of a server: nobody reads it, and what is sent counts.
type countingConn struct {
	*listentest.PacketConn
	mu      sync.Mutex
	sent    int
	largest int
}

func (c *countingConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	c.largest = max(c.largest, len(b))
	return len(b), nil
}

// handler is a listener whose datagrams come from a test.
type handler struct {
	*packetListener
	conn *countingConn
	out  datagram.Outbox
}

func newHandler(tb testing.TB, o Options) *handler {
	conn := &countingConn{PacketConn: listentest.NewPacketConn()}
	relays := &fakeRelays{pc: conn.PacketConn, v4: relay4, open: make(map[netip.AddrPort]bool)}
	srv := New(Host{Accounts: new(fakeAccounts), Relays: relays})
	p, err := srv.packetListener(tb.Context(), conn, o)
	if err != nil {
		tb.Fatal(err)
	}
	return &handler{packetListener: p, conn: conn}
}

func (h *handler) takes(from netip.AddrPort, b []byte) {
	h.receive([]datagram.Packet{{Data: b[:len(b):len(b)], Addr: from}}, &h.out)
	h.out.Flush()
}

func (h *handler) end() {
	h.lookups.end()
	h.close()
}

// seeds are datagrams that a server understands.
func seeds() (list [][]byte) {
	to := peer(netip.MustParseAddrPort("8.8.8.8:4000"))
	number := attr{stun.AttrChannelNumber, []byte{0x40, 0, 0, 0}}
	credentials := []stun.Setter{stun.NewUsername(user), stun.NewRealm(realm), stun.NewNonce("obMatJos2AAAA"), stun.NewLongTermIntegrity(user, realm, password)}
	for _, m := range []struct {
		t     stun.MessageType
		attrs []stun.Setter
	}{
		{stun.BindingRequest, nil},
		{stun.BindingRequest, []stun.Setter{stun.Fingerprint}},
		{stun.NewType(stun.MethodAllocate, stun.ClassRequest), []stun.Setter{udp, seconds(3600)}},
		{stun.NewType(stun.MethodAllocate, stun.ClassRequest), []stun.Setter{udp, alsoIPv6, evenPort}},
		{stun.NewType(stun.MethodAllocate, stun.ClassRequest), []stun.Setter{udp, portPair}},
		{stun.NewType(stun.MethodAllocate, stun.ClassRequest), []stun.Setter{udp, attr{stun.AttrReservationToken, make([]byte, 8)}}},
		{stun.NewType(stun.MethodRefresh, stun.ClassRequest), []stun.Setter{seconds(0), wantIPv4}},
		{stun.NewType(stun.MethodCreatePermission, stun.ClassRequest), []stun.Setter{to, to}},
		{stun.NewType(stun.MethodChannelBind, stun.ClassRequest), []stun.Setter{number, to}},
		{stun.NewType(stun.MethodSend, stun.ClassIndication), []stun.Setter{to, attr{stun.AttrData, []byte("hello")}}},
		{stun.NewType(stun.MethodSend, stun.ClassIndication), []stun.Setter{attr{stun.AttrXORPeerAddress, nil}, attr{stun.AttrData, nil}}},
		{stun.NewType(stun.MethodSend, stun.ClassIndication), []stun.Setter{to, attr{stun.AttrDontFragment, nil}, attr{stun.AttrData, []byte("hello")}}},
		{stun.NewType(stun.MethodAllocate, stun.ClassRequest), append([]stun.Setter{udp}, credentials...)},
	} {
		list = append(list, stun.MustBuild(append([]stun.Setter{stun.TransactionID, m.t}, m.attrs...)...).Raw)
	}
	return append(list, []byte{0x40, 0, 0, 4, 'a', 'b', 'c', 'd'}, []byte("garbage"))
}

// Two clients send anything, the one with an allocation, a permission and a channel:
// nothing panics, each datagram has one answer at most, of a bounded size, and what
// is kept stays within the quotas.
func FuzzServer(f *testing.F) {
	var all []byte
	for _, s := range seeds() {
		one := append([]byte{byte(len(s) >> 8), byte(len(s))}, s...)
		f.Add(one)
		all = append(all, one...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, who := range []AuthType{AuthAnonymous, AuthUser} {
			o := turnOptions()
			o.AuthType, o.MaxAllocations, o.MaxPermissions = who, 3, 4
			h := newHandler(t, o)
			clients := [2]netip.AddrPort{netip.MustParseAddrPort("198.51.100.7:1"), netip.MustParseAddrPort("198.51.100.7:2")}
			for _, i := range []int{2, 7, 8} {
				h.takes(clients[0], seeds()[i])
			}
			fuzzHandler(t, h, clients, b)
			h.end()
			if s := h.srv.Stats(); s.Allocations != 0 || s.Reservations != 0 {
				t.Errorf("after the end: got %+v", s)
			}
		}
	})
}

func fuzzHandler(t *testing.T, h *handler, clients [2]netip.AddrPort, b []byte) {
	for i := 0; len(b) >= 2; i++ {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		before := h.conn.sent
		h.takes(clients[i%2], b[2:2+n])
		if got := h.conn.sent - before; got > 1 {
			t.Errorf("%x: got %d answers", b[2:2+n], got)
		}
		b = b[2+n:]
	}
	if h.conn.largest > 256 {
		t.Errorf("got an answer of %d bytes, want at most 256", h.conn.largest)
	}
	if s := h.srv.Stats(); s.Allocations+s.Reservations > 3 {
		t.Errorf("got %+v, want 3 allocations and reservations at most", s)
	}
	for _, a := range h.tuples.all() {
		if len(a.permissions) > 4 || len(a.byNumber) > 4*channelsPerPermission || len(a.byNumber) != len(a.byPeer) {
			t.Errorf("got %d permissions, %d channels of %d peers", len(a.permissions), len(a.byNumber), len(a.byPeer))
		}
	}
}

// Datagrams of strangers leave nothing, however many come from wherever.
func TestStrangers(t *testing.T) {
	h := newHandler(t, turnOptions())
	defer h.end()
	list := seeds()
	for i := range 10_000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), uint16(1024+i))
		h.takes(from, list[i%len(list)])
	}
	if n := len(h.tuples.byClient) + len(h.srv.quota.count) + len(h.srv.users.list) + len(h.srv.reservations.byToken) + len(h.lookups.pending); n != 0 {
		t.Errorf("%d entries are left, want 0", n)
	}
	if n := cap(h.answers); n > 1<<14 {
		t.Errorf("the buffer of answers has %d bytes", n)
	}
}

// How long a request of a user takes whose key is known.
func BenchmarkRefresh(b *testing.B) {
	o := turnOptions()
	o.AuthType = AuthAnonymous
	h := newHandler(b, o)
	defer h.end()
	from := netip.MustParseAddrPort("198.51.100.7:1")
	h.takes(from, seeds()[2])
	refresh := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest)).Raw
	b.ReportAllocs()
	for b.Loop() {
		h.takes(from, refresh)
	}
}
