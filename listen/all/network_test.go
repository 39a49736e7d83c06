package all_test

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/s2s"
)

// network is an internet in memory: sockets, and a DNS that knows where the
// server of a domain is.
type network struct {
	mu      sync.Mutex
	sockets map[string]*listentest.Listener   // by address
	packets map[string]*listentest.PacketConn // by address
	servers map[string]netip.AddrPort         // by domain
	asked   map[string]int                    // how often the DNS was, by domain
	relays  int                               // how many were opened
	dialled int                               // how often somebody connected by dial
}

func newNetwork() *network {
	return &network{
		sockets: make(map[string]*listentest.Listener),
		packets: make(map[string]*listentest.PacketConn),
		servers: make(map[string]netip.AddrPort),
		asked:   make(map[string]int),
	}
}

// bind is the Bind of listen.ServerOptions.
func (n *network) bind(_ context.Context, network, address string, _ listen.SocketOptions) (net.Listener, net.PacketConn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if strings.HasPrefix(network, "udp") {
		pc := listentest.NewPacketConnAt(at)
		n.packets[address] = pc
		return nil, pc, nil
	}
	ln := listentest.NewListenerAt(at)
	n.sockets[address] = ln
	return ln, nil, nil
}

// socket returns a listener that was bound.
func (n *network) socket(t *testing.T, address string) *listentest.Listener {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	ln := n.sockets[address]
	if ln == nil {
		t.Fatalf("nobody listens at %s", address)
	}
	return ln
}

// packet returns a socket for datagrams that was bound.
func (n *network) packet(t *testing.T, address string) *listentest.PacketConn {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	pc := n.packets[address]
	if pc == nil {
		t.Fatalf("nobody listens for datagrams at %s", address)
	}
	return pc
}

// AllocatePacketConn opens the socket of a relay.
func (n *network) AllocatePacketConn(network string, port int) (net.PacketConn, net.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := netip.AddrPortFrom(relayIP, uint16(port))
	if port == 0 {
		n.relays++
		at = netip.AddrPortFrom(relayIP, uint16(50000+n.relays))
	}
	if network != "udp4" {
		return nil, nil, fmt.Errorf("%s: no such relays here", network)
	}
	pc := listentest.NewPacketConnAt(at)
	return pc, pc.LocalAddr(), nil
}

// relayIP is that of relays, which the page about listen modules names.
var relayIP = netip.MustParseAddr("10.20.30.1")

// serve makes an address that of the server of a domain.
func (n *network) serve(domain, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.servers[domain] = netip.MustParseAddrPort(address)
}

// lookups returns how often the DNS was asked for a domain.
func (n *network) lookups(domain string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[domain]
}

// connections returns how often servers have connected to one another.
func (n *network) connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dialled
}

func (n *network) LookupSRV(_ context.Context, service, _, name string) (string, []*net.SRV, error) {
	name = strings.TrimSuffix(name, ".")
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[name]++
	at, ok := n.servers[name]
	if !ok || service != "xmpp-server" {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return "", []*net.SRV{{Target: name + ".", Port: at.Port()}}, nil
}

func (n *network) LookupNetIP(_ context.Context, network, name string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, ok := n.servers[strings.TrimSuffix(name, ".")]
	if !ok || at.Addr().Is4() != (network == "ip4") {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return []netip.Addr{at.Addr()}, nil
}

func (n *network) dial(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	ln := n.sockets[to.String()]
	n.dialled++
	n.mu.Unlock()
	if ln == nil {
		return nil, fmt.Errorf("connect to %s: connection refused", to)
	}
	return ln.Dial(), nil
}

// program is all modules on a network, with a host that has the users ana and bo
// of localhost.
type program struct {
	*testing.T
	net     *network
	host    *host.Host
	modules *all.Modules
	reg     *listen.Registry
	server  *listen.Server
}

// run makes a program that ends with the test. parts are added to its registry.
func run(t *testing.T, n *network) *program {
	t.Helper()
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"ana", "bo"} {
		j, err := stanza.NewJID(user, "localhost", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Accounts.Create(t.Context(), j, password); err != nil {
			t.Fatal(err)
		}
	}
	p := &program{T: t, net: n, host: h, modules: all.New(h, all.Options{Resolver: n, Dial: n.dial, Relays: n, Handlers: standIns()})}
	p.reg = p.modules.Registry()
	p.server = listen.New(p.reg, listen.ServerOptions{Bind: n.bind})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.server.Shutdown(ctx) // the error is that it did not wait
		ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.modules.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return p
}

// apply makes the program run a configuration.
func (p *program) apply(file, text string) {
	p.Helper()
	c, err := listen.Parse(file, []byte(text), p.reg)
	if err != nil {
		p.Fatal(err)
	}
	if _, err := p.server.Apply(p.Context(), c); err != nil {
		p.Fatal(err)
	}
}

// client returns a client that has logged in on a listener with TLS.
func (p *program) client(address, user string) *listentest.Client {
	p.Helper()
	conn := tls.Client(p.net.socket(p.T, address).Dial(), &tls.Config{ServerName: "localhost", InsecureSkipVerify: true})
	return login(p.T, conn, user)
}

// component returns a component that has sent its handshake.
func (p *program) component(address, domain, secret string) *listentest.Client {
	p.Helper()
	return attach(p.T, p.net.socket(p.T, address).Dial(), domain, secret)
}

// attach opens the stream of a component and sends the handshake.
func attach(t *testing.T, conn net.Conn, domain, secret string) *listentest.Client {
	t.Helper()
	c := listentest.NewClient(t, conn)
	c.Send("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + domain + "'>")
	id := c.ExpectMatch(`<stream:stream [^>]*id=['"]([^'"]+)['"][^>]*>`)[1]
	sum := sha1.Sum([]byte(id + secret))
	c.Send("<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>")
	return c
}

// peer is the server of another domain.
type peer struct {
	*testing.T
	domain string
	inbox  listentest.Sink
	server *s2s.Server
}

func (p *peer) Serves(domain string) bool { return domain == p.domain }

func (p *peer) Route(_ context.Context, s *stanza.Stanza) error { return p.inbox.Deliver(s) }

// join adds the server of a domain to a network, until the test ends. It encrypts
// and believes certificates of the authority alone.
func join(t *testing.T, n *network, ca *authority, domain, address string) *peer {
	t.Helper()
	p := &peer{T: t, domain: domain}
	p.server = s2s.New(s2s.Host{Domains: p, Router: p, Resolver: n, Dial: n.dial})
	cert := ca.issue(t, domain)
	settings, options := s2s.DefaultSettings(), s2s.Defaults()
	settings.UseStartTLS.Value = s2s.TLSRequiredTrusted
	settings.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: ca.pool}
	options.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: ca.pool}
	p.server.Configure(settings)
	ln, _, err := n.bind(t.Context(), "tcp", address, listen.SocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.serve(domain, address)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.server.Listen(ctx, ln, options) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Listen: got %v, want %v", domain, err, context.Canceled)
		}
		ln.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.server.Shutdown(ctx); err != nil {
			t.Errorf("%s: Shutdown: %v", domain, err)
		}
	})
	return p
}

// send has the server send a stanza.
func (p *peer) send(xml string) {
	p.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		p.Fatal(err)
	}
	if err := p.server.Route(p.Context(), s); err != nil {
		p.Fatal(err)
	}
}

// expect waits for the next stanza that the server gets, or gets back.
func (p *peer) expect(parts ...string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
	defer cancel()
	s, err := p.inbox.Next(ctx)
	if err != nil {
		p.Fatalf("%s waits for a stanza with %q: %v", p.domain, parts, err)
	}
	for _, part := range parts {
		if !strings.Contains(s.String(), part) {
			p.Fatalf("%s got %s, want one with %q", p.domain, s, parts)
		}
	}
}
