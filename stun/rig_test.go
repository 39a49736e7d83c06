package stun

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun"
	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	realm    = "one.test"
	user     = "ana"
	password = "secret"
)

// fakeAccounts know ana and bob, both with the same password.
type fakeAccounts struct {
	mu    sync.Mutex
	asked int
	hold  func(ctx context.Context) error // nil: answers at once
	key   string                          // password; "": password
}

func (f *fakeAccounts) HA1(ctx context.Context, user, realm, hash string) ([]byte, error) {
	f.mu.Lock()
	f.asked++
	hold, key := f.hold, f.key
	f.mu.Unlock()
	if hold != nil {
		if err := hold(ctx); err != nil {
			return nil, err
		}
	}
	if user != "ana" && user != "bob" {
		return nil, ErrNoAccount
	}
	if key == "" {
		key = password
	}
	text := []byte(user + ":" + realm + ":" + key)
	if hash == "MD5" {
		sum := md5.Sum(text)
		return sum[:], nil
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

func (f *fakeAccounts) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// Addresses of relays in memory.
var (
	relay4 = netip.MustParseAddr("203.0.113.9")
	relay6 = netip.MustParseAddr("2001:4860::9")
)

// fakeRelays open sockets in memory, in the network of a server's socket.
type fakeRelays struct {
	pc   *listentest.PacketConn
	v4   netip.Addr
	mu   sync.Mutex
	open map[netip.AddrPort]bool
	next uint16
	full bool
}

func (f *fakeRelays) AllocatePacketConn(network string, port int) (net.PacketConn, net.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ip := f.v4
	if network == "udp6" {
		ip = relay6
	}
	if f.full {
		return nil, nil, errors.New("full")
	}
	at := netip.AddrPortFrom(ip, uint16(port))
	for port == 0 {
		if at = netip.AddrPortFrom(ip, 49152+f.next); !f.open[at] {
			break
		}
		f.next++
	}
	if f.open[at] {
		return nil, nil, errors.New("taken")
	}
	f.open[at] = true
	return &fakeRelay{f.pc.DialFrom(at), f, at}, net.UDPAddrFromAddrPort(at), nil
}

func (f *fakeRelays) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

type fakeRelay struct {
	*listentest.PacketConn
	f  *fakeRelays
	at netip.AddrPort
}

func (r *fakeRelay) Close() error {
	r.f.mu.Lock()
	delete(r.f.open, r.at)
	r.f.mu.Unlock()
	return r.PacketConn.Close()
}

// rig is a server in memory.
type rig struct {
	t        *testing.T
	srv      *Server
	pc       *listentest.PacketConn
	relays   *fakeRelays
	accounts *fakeAccounts
	stop     context.CancelCauseFunc
	done     chan error
	clients  uint16
}

func turnOptions() Options {
	o := Defaults()
	o.UseTURN, o.AuthRealm = true, realm
	o.IPv6Address = relay6
	return o
}

// inMemory runs a test in a bubble, with a server.
func inMemory(t *testing.T, o Options, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, o)
		f(r)
		r.end()
	})
}

func newRig(t *testing.T, o Options) *rig {
	r := &rig{t: t, pc: listentest.NewPacketConnAt(netip.MustParseAddrPort("192.0.2.1:3478")), accounts: new(fakeAccounts)}
	r.relays = &fakeRelays{pc: r.pc, v4: relay4, open: make(map[netip.AddrPort]bool)}
	r.srv = New(Host{Accounts: r.accounts, Relays: r.relays})
	var ctx context.Context
	ctx, r.stop = context.WithCancelCause(t.Context())
	r.done = make(chan error, 1)
	go func() { r.done <- r.srv.ListenPacket(ctx, r.pc, o) }()
	synctest.Wait()
	return r
}

// end stops the server, and looks that nothing is left.
func (r *rig) end() {
	r.t.Helper()
	r.stop(errEnd)
	if err := <-r.done; err != errEnd {
		r.t.Errorf("ListenPacket: got %v, want %v", err, errEnd)
	}
	r.wantsEmpty()
}

var errEnd = errors.New("end of test")

// wantsEmpty looks that the server holds nothing.
func (r *rig) wantsEmpty() {
	r.t.Helper()
	if s := r.srv.Stats(); s.Allocations != 0 || s.Reservations != 0 {
		r.t.Errorf("after the end: got %+v, want no allocations and reservations", s)
	}
	if n := r.relays.count(); n != 0 {
		r.t.Errorf("after the end: %d sockets of relays are open", n)
	}
	if n := len(r.srv.quota.count) + r.srv.users.count() + len(r.srv.live.addrs); n != 0 {
		r.t.Errorf("after the end: %d entries of quotas, users and relays are left", n)
	}
}

// count is how many users have allocations.
func (u *users) count() (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range u.list {
		if l.allocations > 0 {
			n++
		}
	}
	return n
}

// testClient is a client with a socket in memory.
type testClient struct {
	r              *rig
	c              *listentest.PacketConn
	user, password string
	nonce          string
	key            stun.MessageIntegrity
}

func (r *rig) client() *testClient {
	r.clients++
	return r.clientAt(netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), 10000+r.clients))
}

func (r *rig) clientAt(at netip.AddrPort) *testClient {
	return &testClient{r: r, c: r.pc.DialFrom(at), user: user, password: password}
}

func (c *testClient) addr() netip.AddrPort { return c.c.LocalAddr().(*net.UDPAddr).AddrPort() }

// sends sends some bytes, and returns what comes back; nil: nothing.
func (c *testClient) sends(b []byte) []byte {
	c.r.t.Helper()
	if _, err := c.c.Write(b); err != nil {
		c.r.t.Fatal(err)
	}
	return c.reads()
}

// reads returns the next datagram; nil if there is none.
func (c *testClient) reads() []byte {
	b, _ := read(c.r.t, c.c)
	return b
}

func read(t *testing.T, c *listentest.PacketConn) ([]byte, netip.AddrPort) {
	t.Helper()
	synctest.Wait()
	b := make([]byte, 65536)
	_ = c.SetReadDeadline(time.Now().Add(1))
	n, from, err := c.ReadFrom(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, netip.AddrPort{}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b[:n], from.(*net.UDPAddr).AddrPort()
}

// asks sends a request without credentials.
func (c *testClient) asks(m stun.Method, attrs ...stun.Setter) *stun.Message {
	c.r.t.Helper()
	return c.exchange(c.builds(stun.NewType(m, stun.ClassRequest), attrs...))
}

func (c *testClient) builds(t stun.MessageType, attrs ...stun.Setter) *stun.Message {
	c.r.t.Helper()
	m, err := stun.Build(append([]stun.Setter{stun.TransactionID, t}, attrs...)...)
	if err != nil {
		c.r.t.Fatal(err)
	}
	return m
}

// exchange sends a request and returns the answer, nil if there is none.
func (c *testClient) exchange(m *stun.Message) *stun.Message {
	c.r.t.Helper()
	b := c.sends(m.Raw)
	if b == nil {
		return nil
	}
	return parse(c.r.t, b, m.TransactionID)
}

func parse(t *testing.T, b []byte, id [12]byte) *stun.Message {
	t.Helper()
	m := &stun.Message{Raw: b}
	if err := m.Decode(); err != nil {
		t.Fatalf("answer %x: %v", b, err)
	}
	if id != m.TransactionID {
		t.Fatalf("got an answer to %x, want one to %x", m.TransactionID, id)
	}
	return m
}

// login gets a nonce.
func (c *testClient) login() {
	c.r.t.Helper()
	m := c.asks(stun.MethodAllocate, udp)
	c.r.wantError(m, 401)
	c.take(m)
}

// take takes the nonce of a challenge.
func (c *testClient) take(m *stun.Message) {
	c.r.t.Helper()
	nonce, err := m.Get(stun.AttrNonce)
	if err != nil {
		c.r.t.Fatalf("challenge: %v", err)
	}
	c.nonce = string(nonce)
	c.key = stun.NewLongTermIntegrity(c.user, realm, c.password)
}

// signs builds a request with credentials.
func (c *testClient) signs(m stun.Method, attrs ...stun.Setter) *stun.Message {
	c.r.t.Helper()
	if c.nonce == "" {
		c.login()
	}
	attrs = append(attrs, stun.NewUsername(c.user), stun.NewRealm(realm), stun.NewNonce(c.nonce), c.key)
	return c.builds(stun.NewType(m, stun.ClassRequest), attrs...)
}

// does sends a request with credentials, again with a new nonce if the one it had is
// stale, and checks the signature of the answer.
func (c *testClient) does(method stun.Method, attrs ...stun.Setter) *stun.Message {
	c.r.t.Helper()
	m := c.exchange(c.signs(method, attrs...))
	if m == nil {
		c.r.t.Fatalf("%s: no answer", method)
	}
	if code(m) == 438 {
		c.take(m)
		m = c.exchange(c.signs(method, attrs...))
	}
	if err := c.key.Check(m); err != nil {
		c.r.t.Errorf("%s: signature of the answer: %v", method, err)
	}
	return m
}

// allocates makes an allocation, and returns the address of its first relay.
func (c *testClient) allocates(attrs ...stun.Setter) netip.AddrPort {
	c.r.t.Helper()
	m := c.does(stun.MethodAllocate, append([]stun.Setter{udp}, attrs...)...)
	c.r.wantSuccess(m)
	return address(c.r.t, m, stun.AttrXORRelayedAddress)
}

func (c *testClient) permits(peers ...netip.AddrPort) {
	c.r.t.Helper()
	var attrs []stun.Setter
	for _, p := range peers {
		attrs = append(attrs, peer(p))
	}
	c.r.wantSuccess(c.does(stun.MethodCreatePermission, attrs...))
}

func (c *testClient) binds(number uint16, p netip.AddrPort) *stun.Message {
	c.r.t.Helper()
	return c.does(stun.MethodChannelBind, attr{stun.AttrChannelNumber, []byte{byte(number >> 8), byte(number), 0, 0}}, peer(p))
}

// indicates sends a Send indication.
func (c *testClient) indicates(p netip.AddrPort, data string, attrs ...stun.Setter) {
	c.r.t.Helper()
	attrs = append([]stun.Setter{peer(p), attr{stun.AttrData, []byte(data)}}, attrs...)
	if _, err := c.c.Write(c.builds(stun.NewType(stun.MethodSend, stun.ClassIndication), attrs...).Raw); err != nil {
		c.r.t.Fatal(err)
	}
}

// channels sends ChannelData.
func (c *testClient) channels(number uint16, data string) {
	c.r.t.Helper()
	b := append([]byte{byte(number >> 8), byte(number), byte(len(data) >> 8), byte(len(data))}, data...)
	if _, err := c.c.Write(b); err != nil {
		c.r.t.Fatal(err)
	}
}

// attr is an attribute with a value of any bytes.
type attr struct {
	t stun.AttrType
	v []byte
}

func (a attr) AddTo(m *stun.Message) error { m.Add(a.t, a.v); return nil }

// xored is an address as XOR-PEER-ADDRESS and others have it.
type xored struct {
	t stun.AttrType
	a netip.AddrPort
}

func (x xored) AddTo(m *stun.Message) error {
	a := stun.XORMappedAddress{IP: x.a.Addr().AsSlice(), Port: int(x.a.Port())}
	return a.AddToAs(m, x.t)
}

func peer(a netip.AddrPort) stun.Setter { return xored{stun.AttrXORPeerAddress, a} }

var (
	udp      = attr{stun.AttrRequestedTransport, []byte{17, 0, 0, 0}}
	wantIPv4 = attr{stun.AttrRequestedAddressFamily, []byte{1, 0, 0, 0}}
	wantIPv6 = attr{stun.AttrRequestedAddressFamily, []byte{2, 0, 0, 0}}
	alsoIPv6 = attr{0x8000, []byte{2, 0, 0, 0}}
	evenPort = attr{stun.AttrEvenPort, []byte{0}}
	portPair = attr{stun.AttrEvenPort, []byte{0x80}}
)

func seconds(n uint32) stun.Setter {
	return attr{stun.AttrLifetime, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}}
}

// address returns an XOR'd address of a message.
func address(t testing.TB, m *stun.Message, a stun.AttrType) netip.AddrPort {
	t.Helper()
	var x stun.XORMappedAddress
	if err := x.GetFromAs(m, a); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	ip, _ := netip.AddrFromSlice(x.IP)
	return netip.AddrPortFrom(ip.Unmap(), uint16(x.Port))
}

// addresses returns all addresses of a type.
func addresses(t *testing.T, m *stun.Message, a stun.AttrType) (list []netip.AddrPort) {
	t.Helper()
	_ = m.ForEach(a, func(m *stun.Message) error {
		list = append(list, address(t, m, a))
		return nil
	})
	return list
}

func lifetime(t *testing.T, m *stun.Message) time.Duration {
	t.Helper()
	v, err := m.Get(stun.AttrLifetime)
	if err != nil || len(v) != 4 {
		t.Fatalf("LIFETIME: got %x, %v", v, err)
	}
	return time.Duration(uint32(v[0])<<24|uint32(v[1])<<16|uint32(v[2])<<8|uint32(v[3])) * time.Second
}

// code returns the error code of an answer; 0 is a success, -1 no answer.
func code(m *stun.Message) int {
	if m == nil {
		return -1
	}
	if m.Type.Class == stun.ClassSuccessResponse {
		return 0
	}
	var e stun.ErrorCodeAttribute
	if e.GetFrom(m) != nil {
		return -2
	}
	return int(e.Code)
}

func (r *rig) wantError(m *stun.Message, want int) {
	r.t.Helper()
	if got := code(m); got != want {
		r.t.Fatalf("got error %d, want %d", got, want)
	}
}

func (r *rig) wantSuccess(m *stun.Message) {
	r.t.Helper()
	r.wantError(m, 0)
}

// testPeer is somebody whom clients talk to.
type testPeer struct {
	r *rig
	c *listentest.PacketConn
}

func (r *rig) peer(at string) *testPeer {
	return &testPeer{r, r.pc.DialFrom(netip.MustParseAddrPort(at))}
}

func (p *testPeer) addr() netip.AddrPort { return p.c.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *testPeer) sends(to netip.AddrPort, data string) {
	p.r.t.Helper()
	if _, err := p.c.WriteTo([]byte(data), net.UDPAddrFromAddrPort(to)); err != nil && err != io.EOF {
		p.r.t.Fatal(err)
	}
}

// wants looks that a datagram has come; "": none.
func (p *testPeer) wants(from netip.AddrPort, data string) {
	p.r.t.Helper()
	b, at := read(p.r.t, p.c)
	if string(b) != data || b != nil && at != from {
		p.r.t.Errorf("peer got %q from %v, want %q from %v", b, at, data, from)
	}
}

// wantsNothing looks that none has come.
func (p *testPeer) wantsNothing() {
	p.r.t.Helper()
	if b, at := read(p.r.t, p.c); b != nil {
		p.r.t.Errorf("peer got %q from %v, want nothing", b, at)
	}
}

// wantsIndication looks that a Data indication has come.
func (c *testClient) wantsIndication(from netip.AddrPort, data string) {
	c.r.t.Helper()
	b := c.reads()
	m := &stun.Message{Raw: b}
	if err := m.Decode(); err != nil || m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) {
		c.r.t.Errorf("client got %q (%v), want a Data indication", b, err)
		return
	}
	got, err := m.Get(stun.AttrData)
	if at := address(c.r.t, m, stun.AttrXORPeerAddress); at != from || err != nil || string(got) != data {
		c.r.t.Errorf("client got %q from %v (%v), want %q from %v", got, at, err, data, from)
	}
}

// wantsChannel looks that ChannelData has come.
func (c *testClient) wantsChannel(number uint16, data string) {
	c.r.t.Helper()
	want := string([]byte{byte(number >> 8), byte(number), byte(len(data) >> 8), byte(len(data))}) + data
	if b := c.reads(); string(b) != want {
		c.r.t.Errorf("client got %q, want %q", b, want)
	}
}

func (c *testClient) wantsNothing() {
	c.r.t.Helper()
	if b := c.reads(); b != nil {
		c.r.t.Errorf("client got %x, want nothing", b)
	}
}
