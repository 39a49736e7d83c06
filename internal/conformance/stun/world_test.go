package stunconformance

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/stun"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const realm = "example.org"

// Addresses, from the ranges for documentation. None of them is private.
var (
	server4 = netip.MustParseAddrPort("192.0.2.1:3478")
	server6 = netip.MustParseAddrPort("[2001:db8::1]:3478")
	relay4  = netip.MustParseAddr("192.0.2.15")
	relay6  = netip.MustParseAddr("2001:db8::15")
)

// row is a test in a world of its own.
type row struct {
	name string
	set  func(*setup) // nil: as it comes
	run  func(*world)
}

// setup is what a row may change.
type setup struct {
	options stun.Options
	host    stun.Host
	address netip.AddrPort // of the server's socket
}

func play(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r.run(newWorld(t, r.set))
			})
		})
	}
}

// world is a server, its relays, and the network around them.
type world struct {
	t        *testing.T
	address  netip.AddrPort         // of the server
	socket   *listentest.PacketConn // of the server; nil: a real one
	patience time.Duration          // for what is expected
	quiet    time.Duration          // for what is not
	relays   *relays
	accounts *accounts
	options  stun.Options
	module   *stun.Server
}

func newWorld(t *testing.T, set func(*setup)) *world {
	t.Helper()
	w := &world{t: t, patience: 10 * time.Millisecond, quiet: 10 * time.Millisecond}
	w.accounts, w.relays = &accounts{}, &relays{open: make(map[netip.AddrPort]bool)}
	s := &setup{options: stun.Defaults(), address: server4}
	s.host = stun.Host{Accounts: w.accounts, Relays: w.relays}
	s.options.UseTURN = true
	s.options.AuthRealm = realm
	s.options.IPv4Address = relay4
	s.options.MinPort, s.options.MaxPort = 50000, 50099
	if set != nil {
		set(s)
	}
	w.socket = listentest.NewPacketConnAt(s.address)
	w.address, w.options = s.address, s.options
	w.relays.net, w.relays.options = w.socket, s.options
	w.module = stun.New(s.host)
	t.Cleanup(func() {
		if n := w.relays.count(); n != 0 {
			t.Errorf("got %d relays left behind, want none", n)
		}
	})
	w.serve(w.socket)
	synctest.Wait()
	return w
}

// serve runs the server on a socket until the end of the test.
func (w *world) serve(pc net.PacketConn) {
	w.run(func(ctx context.Context) error { return w.module.ListenPacket(ctx, pc, w.options) }, pc.Close)
}

// run runs a listener until the end of the test.
func (w *world) run(listen func(context.Context) error, release func() error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- listen(ctx) }()
	w.t.Cleanup(func() {
		cause := errors.New("the test is over")
		cancel(cause)
		if err := <-ended; !errors.Is(err, cause) {
			w.t.Errorf("got %v from the listener, want the cause of its context", err)
		}
		_ = release()
	})
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// code expects an error response with one of these codes.
func (w *world) code(m *message, codes ...int) {
	w.t.Helper()
	for _, c := range codes {
		if m != nil && m.class == failure && m.code() == c {
			return
		}
	}
	w.t.Errorf("got %v, want error %v", m, codes)
}

// ok expects a success response, and ends the test if there is none.
func (w *world) ok(m *message) *message {
	w.t.Helper()
	if m == nil || m.class != success {
		w.t.Fatalf("got %v, want success", m)
	}
	return m
}

// silent expects no answer.
func (w *world) silent(m *message) {
	w.t.Helper()
	if m != nil {
		w.t.Errorf("got %v, want nothing", m)
	}
}

// relays is stun.Relays on the network in memory.
type relays struct {
	net     *listentest.PacketConn
	options stun.Options
	refuse  func(network string) bool // nil: nothing is refused

	mu     sync.Mutex
	open   map[netip.AddrPort]bool
	opened int
}

// AllocatePacketConn implements stun.Relays.
func (r *relays) AllocatePacketConn(network string, port int) (net.PacketConn, net.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	inUse := &net.OpError{Op: "listen", Net: network, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	if r.refuse != nil && r.refuse(network) {
		return nil, nil, inUse
	}
	ip := r.options.IPv4Address
	if network == "udp6" {
		ip = r.options.IPv6Address
	}
	if !ip.IsValid() {
		ip = r.net.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	}
	first, last := port, port
	if port == 0 {
		first, last = r.options.MinPort, r.options.MaxPort
	}
	for p := first; p <= last; p++ {
		if a := netip.AddrPortFrom(ip, uint16(p)); !r.open[a] {
			r.open[a] = true
			r.opened++
			return &relaySocket{r.net.DialFrom(a), r, a}, net.UDPAddrFromAddrPort(a), nil
		}
	}
	return nil, nil, inUse
}

func (r *relays) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

type relaySocket struct {
	net.PacketConn
	relays *relays
	addr   netip.AddrPort
}

func (s *relaySocket) Close() error {
	s.relays.mu.Lock()
	delete(s.relays.open, s.addr)
	s.relays.mu.Unlock()
	return s.PacketConn.Close()
}

// accounts are alice and bob, whose passwords are their names backwards.
type accounts struct {
	mu       sync.Mutex
	err      error         // of every look-up
	block    chan struct{} // look-ups of bob wait for it
	password string        // a new one of alice
	gone     bool          // alice has no account any more
}

func (a *accounts) change(password string, gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.password, a.gone = password, gone
}

// HA1 implements stun.Accounts.
func (a *accounts) HA1(ctx context.Context, user, r, hash string) ([]byte, error) {
	a.mu.Lock()
	err, block, password, gone := a.err, a.block, backwards(user), a.gone
	if user == "alice" && a.password != "" {
		password = a.password
	}
	a.mu.Unlock()
	if block != nil && user == "bob" {
		select {
		case <-block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	if r != realm || user != "bob" && (user != "alice" || gone) {
		return nil, stun.ErrNoAccount
	}
	if hash == "SHA-256" {
		return shaKey(user, r, password), nil
	}
	return md5Key(user, r, password), nil
}

func backwards(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// socket is one of the network in memory, or of the system.
type socket interface {
	net.PacketConn
	net.Conn
}

// peer is somebody whom relays talk to.
type peer struct {
	w    *world
	conn net.PacketConn
	addr netip.AddrPort
}

func (w *world) peer(addr string) *peer {
	a := netip.MustParseAddrPort(addr)
	return &peer{w, w.socket.DialFrom(a), a}
}

func (p *peer) send(to netip.AddrPort, data []byte) {
	p.w.t.Helper()
	if _, err := p.conn.WriteTo(data, net.UDPAddrFromAddrPort(to)); err != nil {
		p.w.t.Fatalf("peer: %v", err)
	}
}

// expect expects a datagram, from there.
func (p *peer) expect(from netip.AddrPort, data []byte) {
	p.w.t.Helper()
	got, addr, ok := receive(p.conn, p.w.patience)
	switch {
	case !ok:
		p.w.t.Errorf("the peer got nothing, want %d bytes", len(data))
	case string(got) != string(data):
		p.w.t.Errorf("the peer got %d bytes %.40q, want %d bytes %.40q", len(got), got, len(data), data)
	case addr != from:
		p.w.t.Errorf("the peer got a datagram from %v, want it from %v", addr, from)
	}
}

func (p *peer) expectNothing() {
	p.w.t.Helper()
	if got, _, ok := receive(p.conn, p.w.quiet); ok {
		p.w.t.Errorf("the peer got %d bytes %.40q, want nothing", len(got), got)
	}
}

func receive(c net.PacketConn, within time.Duration) ([]byte, netip.AddrPort, bool) {
	buf := make([]byte, 65536)
	_ = c.SetReadDeadline(time.Now().Add(within))
	n, from, err := c.ReadFrom(buf)
	if err != nil {
		return nil, netip.AddrPort{}, false
	}
	a := from.(*net.UDPAddr).AddrPort()
	return buf[:n], netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), true
}
