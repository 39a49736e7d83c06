package stun

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// streamRig is a server in memory that listens for connections.
type streamRig struct {
	*rig
	ln     *listentest.Listener
	tcp    *fakeStreamRelays
	listen chan error
}

// fakeStreamRelays are fakeRelays with relays of TCP.
type fakeStreamRelays struct {
	*fakeRelays
	mu        sync.Mutex
	listeners map[netip.AddrPort]*listentest.Listener
	peers     map[netip.AddrPort]*listentest.Listener // who can be connected to; nil: who does not answer
	next      uint16
}

func (f *fakeStreamRelays) AllocateListener(network string, _ int) (net.Listener, net.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ip := f.v4
	if network == "tcp6" {
		ip = relay6
	}
	f.next++
	at := netip.AddrPortFrom(ip, 50000+f.next)
	f.listeners[at] = listentest.NewListenerAt(at)
	return f.listeners[at], net.TCPAddrFromAddrPort(at), nil
}

func (f *fakeStreamRelays) Connect(ctx context.Context, _ string, relay, peer netip.AddrPort) (net.Conn, error) {
	f.mu.Lock()
	ln, ok := f.peers[peer]
	f.mu.Unlock()
	switch {
	case !ok:
		return nil, syscall.ECONNREFUSED
	case ln == nil:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return ln.DialFrom(relay), nil
}

// listens returns a peer at an address.
func (f *fakeStreamRelays) listens(at netip.AddrPort) *listentest.Listener {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peers[at] = listentest.NewListenerAt(at)
	return f.peers[at]
}

// onStreams runs a test in a bubble, with a server that listens for connections.
func onStreams(t *testing.T, o Options, f func(r *streamRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newStreamRig(t, o, nil)
		f(r)
		r.end()
	})
}

// newStreamRig starts a server; wrap changes its listener.
func newStreamRig(t *testing.T, o Options, wrap func(net.Listener) net.Listener) *streamRig {
	r := &streamRig{ln: listentest.NewListenerAt(netip.MustParseAddrPort("192.0.2.1:3478")), listen: make(chan error, 1)}
	r.rig = &rig{t: t, pc: listentest.NewPacketConnAt(netip.MustParseAddrPort("192.0.2.1:3478")), accounts: new(fakeAccounts)}
	r.relays = &fakeRelays{pc: r.pc, v4: relay4, open: make(map[netip.AddrPort]bool)}
	r.tcp = &fakeStreamRelays{fakeRelays: r.relays,
		listeners: make(map[netip.AddrPort]*listentest.Listener), peers: make(map[netip.AddrPort]*listentest.Listener)}
	r.srv = New(Host{Accounts: r.accounts, Relays: r.tcp})
	ctx, stop := context.WithCancelCause(t.Context())
	r.rig.stop, r.done = stop, make(chan error, 1)
	var ln net.Listener = r.ln
	if wrap != nil {
		ln = wrap(ln)
	}
	go func() { r.done <- r.srv.ListenPacket(ctx, r.pc, o) }()
	go func() { r.listen <- r.srv.Listen(ctx, ln, o) }()
	synctest.Wait()
	return r
}

// end stops the server, and looks that nothing is left.
func (r *streamRig) end() {
	r.t.Helper()
	r.rig.stop(errEnd)
	if err := <-r.listen; err != errEnd {
		r.t.Errorf("Listen: got %v, want %v", err, errEnd)
	}
	r.rig.end()
	if n := len(r.srv.offers.byID) + len(r.srv.liveTCP.addrs); n != 0 {
		r.t.Errorf("after the end: %d connections and relays of TCP are left", n)
	}
}

// streamClient is a client on a connection.
type streamClient struct {
	r              *streamRig
	c              net.Conn
	user, password string
	nonce          string
	key            stun.MessageIntegrity
	unread         []byte
}

func (r *streamRig) stream() *streamClient { return r.on(r.ln.Dial()) }

func (r *streamRig) on(c net.Conn) *streamClient {
	return &streamClient{r: r, c: c, user: user, password: password}
}

// beside returns a client on another connection, with the credentials of c.
func (c *streamClient) beside() *streamClient {
	d := c.r.stream()
	d.nonce, d.key, d.user = c.nonce, c.key, c.user
	return d
}

func (c *streamClient) addr() netip.AddrPort {
	return netip.MustParseAddrPort(c.c.LocalAddr().String())
}

func (c *streamClient) sends(b []byte) {
	c.r.t.Helper()
	if _, err := c.c.Write(b); err != nil {
		c.r.t.Fatal(err)
	}
}

// fills reads what has come; false: the connection has ended.
func (c *streamClient) fills() bool {
	synctest.Wait()
	b := make([]byte, 1<<20)
	for {
		_ = c.c.SetReadDeadline(time.Now().Add(1))
		n, err := c.c.Read(b)
		c.unread = append(c.unread, b[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// reads returns the next frame, with its padding; nil if there is none.
func (c *streamClient) reads() []byte {
	if c.frame() == nil {
		c.fills()
	}
	b := c.frame()
	c.unread = c.unread[len(b):]
	return b
}

func (c *streamClient) frame() []byte {
	if len(c.unread) < 4 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(c.unread[2:]))
	if c.unread[0] < 0x40 {
		n += 20
	} else {
		n = (n + 7) &^ 3
	}
	if len(c.unread) < n {
		return nil
	}
	return c.unread[:n:n]
}

// asks sends a request without credentials.
func (c *streamClient) asks(method stun.Method, attrs ...stun.Setter) *stun.Message {
	c.r.t.Helper()
	return c.exchange(c.builds(method, stun.ClassRequest, attrs...))
}

func (c *streamClient) builds(method stun.Method, class stun.MessageClass, attrs ...stun.Setter) *stun.Message {
	c.r.t.Helper()
	m, err := stun.Build(append([]stun.Setter{stun.TransactionID, stun.NewType(method, class)}, attrs...)...)
	if err != nil {
		c.r.t.Fatal(err)
	}
	return m
}

func (c *streamClient) exchange(m *stun.Message) *stun.Message {
	c.r.t.Helper()
	c.sends(m.Raw)
	b := c.reads()
	if b == nil {
		return nil
	}
	return parse(c.r.t, b, m.TransactionID)
}

// does sends a request with credentials.
func (c *streamClient) does(method stun.Method, attrs ...stun.Setter) *stun.Message {
	c.r.t.Helper()
	m := c.exchange(c.signs(method, attrs...))
	if code(m) == 438 {
		c.nonce = ""
		m = c.exchange(c.signs(method, attrs...))
	}
	return m
}

func (c *streamClient) signs(method stun.Method, attrs ...stun.Setter) *stun.Message {
	c.r.t.Helper()
	if c.nonce == "" {
		m := c.asks(stun.MethodAllocate, udp)
		c.r.wantError(m, 401)
		nonce, _ := m.Get(stun.AttrNonce)
		c.nonce, c.key = string(nonce), stun.NewLongTermIntegrity(c.user, realm, c.password)
	}
	attrs = append(attrs, stun.NewUsername(c.user), stun.NewRealm(realm), stun.NewNonce(c.nonce), c.key)
	return c.builds(method, stun.ClassRequest, attrs...)
}

// allocates makes an allocation, and returns the address of its first relay.
func (c *streamClient) allocates(attrs ...stun.Setter) netip.AddrPort {
	c.r.t.Helper()
	m := c.does(stun.MethodAllocate, attrs...)
	c.r.wantSuccess(m)
	return address(c.r.t, m, stun.AttrXORRelayedAddress)
}

func (c *streamClient) permits(p netip.AddrPort) {
	c.r.t.Helper()
	c.r.wantSuccess(c.does(stun.MethodCreatePermission, peer(p)))
}

func (c *streamClient) binds(number uint16, p netip.AddrPort) {
	c.r.t.Helper()
	c.r.wantSuccess(c.does(stun.MethodChannelBind, attr{stun.AttrChannelNumber, []byte{byte(number >> 8), byte(number), 0, 0}}, peer(p)))
}

// wantsEnd looks that the server has closed the connection, or not.
func (c *streamClient) wantsEnd(want bool) {
	c.r.t.Helper()
	if got := !c.fills(); got != want {
		c.r.t.Errorf("connection has ended: got %t, want %t", got, want)
	}
}

// wants looks that bytes have come which are no frames; "": none.
func wants(t *testing.T, who string, c net.Conn, data string) {
	t.Helper()
	synctest.Wait()
	b := make([]byte, 65536)
	_ = c.SetReadDeadline(time.Now().Add(1))
	n, err := c.Read(b)
	if string(b[:n]) != data || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s got %.60q (%v), want %.60q", who, b[:n], err, data)
	}
}

// wantsEOF looks that one side has ended.
func wantsEOF(t *testing.T, who string, c net.Conn) {
	t.Helper()
	synctest.Wait()
	_ = c.SetReadDeadline(time.Now().Add(1))
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%s got %d bytes, %v, want io.EOF", who, n, err)
	}
}
