package s2s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream/streamtest"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// inServer is a server of one domain that is all ours, both directions.
type inServer struct {
	*Server
	domain string
	fake   *inHost
	log    *streamtest.Recorder
	ln     *listentest.Listener
	set    Settings
	o      Options
}

// inNet is the network of some servers, and its DNS.
type inNet struct {
	servers map[string]*inServer
	wrap    func(net.Conn) net.Conn // what one gets who dials; nil: the connection
}

func (n *inNet) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n *inNet) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	s := n.servers[strings.TrimSuffix(host, ".")]
	if s == nil || network != "ip4" {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{s.ln.Addr().(*net.TCPAddr).AddrPort().Addr()}, nil
}

func (n *inNet) dial(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	for _, s := range n.servers {
		if s.ln.Addr().(*net.TCPAddr).AddrPort().Addr() == to.Addr() {
			c := s.ln.Dial()
			if n.wrap != nil {
				c = n.wrap(c)
			}
			return c, nil
		}
	}
	return nil, errors.New("connection refused")
}

// inServers starts a server for each of two domains.
func inServers(t *testing.T, prepare func(domain string, s *inServer)) (a, b *inServer) {
	return inServersOn(t, new(inNet), prepare)
}

// inServersOn is inServers on a network.
func inServersOn(t *testing.T, n *inNet, prepare func(domain string, s *inServer)) (a, b *inServer) {
	n.servers = make(map[string]*inServer)
	ctx, cancel := context.WithCancelCause(t.Context())
	results := make(chan error)
	for i, domain := range []string{"a.test", "b.test"} {
		s := &inServer{domain: domain, fake: inNewHost(), log: new(streamtest.Recorder), set: DefaultSettings(), o: Defaults()}
		s.fake.domains = []string{domain, "rooms." + domain}
		s.ln = listentest.NewListenerAt(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 5269))
		prepare(domain, s)
		s.Server = New(Host{
			Domains: s.fake, Router: s.fake, Resolver: n, Dial: n.dial,
			Log: slog.New(slog.NewTextHandler(s.log, nil)),
		})
		s.Configure(s.set)
		n.servers[domain], n.servers["rooms."+domain] = s, s
		go func() { results <- s.Listen(ctx, s.ln, s.o) }()
	}
	a, b = n.servers["a.test"], n.servers["b.test"]
	t.Cleanup(func() {
		for _, s := range []*inServer{a, b} {
			if err := s.Shutdown(context.WithoutCancel(ctx)); err != nil {
				t.Errorf("got %v from Shutdown", err)
			}
		}
		cancel(errors.New("end of test"))
		<-results
		<-results
	})
	return a, b
}

// inEncrypt returns what gives two servers certificates, which they trust or not.
func inEncrypt(t *testing.T) func(trusted bool, u StartTLS) func(string, *inServer) {
	certA, both := listentest.Certificate(t, "a.test", "rooms.a.test")
	certB, _ := listentest.Certificate(t, "b.test", "rooms.b.test")
	both.AddCert(certB.Leaf)
	return func(trusted bool, u StartTLS) func(string, *inServer) {
		return func(domain string, s *inServer) {
			cert, pool := certA, x509.NewCertPool()
			if domain == "b.test" {
				cert = certB
			}
			if trusted {
				pool = both
			}
			s.o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool}
			s.set.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}
			s.set.UseStartTLS.Value = u
		}
	}
}

// TestIncomingReal has two servers of ours talk, in each way in which they can.
func TestIncomingReal(t *testing.T) {
	encrypt := inEncrypt(t)
	tests := []struct {
		name    string
		prepare func(string, *inServer)
		want    []string // in the log of who is connected to
	}{
		{"plain", func(string, *inServer) {}, []string{"mechanism=dialback", "encrypted=false"}},
		{"encrypted", encrypt(false, TLSRequired), []string{"mechanism=dialback", "encrypted=true"}},
		{"certificates", encrypt(true, TLSOptional), []string{"mechanism=EXTERNAL", "encrypted=true"}},
		{"certificates only", encrypt(true, TLSRequiredTrusted), []string{"mechanism=EXTERNAL", "encrypted=true"}},
	}
	for _, tt := range tests {
		for _, bidi := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, bidi %t", tt.name, bidi), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := inServers(t, func(domain string, s *inServer) {
						tt.prepare(domain, s)
						s.set.Bidi.Value = bidi
					})
					inTalk(t, a, b, "a.test", "b.test")
					inTalk(t, b, a, "b.test", "a.test")
					b.log.Expect(t, append(tt.want, "server has connected", "from=a.test", "to=b.test")...)
					if want := map[bool]int{false: 1, true: 0}[bidi]; a.Incoming() != want || b.Incoming() != 1 {
						t.Errorf("got %d and %d incoming streams, want %d and 1", a.Incoming(), b.Incoming(), want)
					}
					inTalk(t, a, b, "rooms.a.test", "b.test")
					inTalk(t, a, b, "a.test", "rooms.b.test")
					inTalk(t, b, a, "rooms.b.test", "a.test")
				})
			})
		}
	}
}

// TestIncomingRealUntrusted wants the sender to hear that no stream is trusted.
func TestIncomingRealUntrusted(t *testing.T) {
	encrypt := inEncrypt(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := inServers(t, encrypt(false, TLSRequiredTrusted))
		if err := a.Route(t.Context(), inStanza(t, inMessage("x@a.test", "y@b.test", "1"))); err != nil {
			t.Fatal(err)
		}
		got := inReceive(t, "error", a.fake.routed)
		if got.Type != stanza.TypeError || got.ID != "1" || got.To.String() != "x@a.test" {
			t.Errorf("got %s, want an error to the sender", got)
		}
		if n := len(b.fake.routed); n != 0 {
			t.Errorf("got %d stanzas routed, want none", n)
		}
	})
}

// TestIncomingGone wants that stanzas for a domain that is served no more are
// answered, and not passed on to anybody.
func TestIncomingGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := inServers(t, func(string, *inServer) {})
		inTalk(t, a, b, "a.test", "rooms.b.test")
		inTalk(t, b, a, "rooms.b.test", "a.test")
		b.fake.mu.Lock()
		b.fake.domains = []string{"b.test"}
		b.fake.mu.Unlock()
		if err := a.Route(t.Context(), inStanza(t, inMessage("x@a.test", "y@rooms.b.test", "1"))); err != nil {
			t.Fatal(err)
		}
		got := inReceive(t, "error", a.fake.routed)
		if got.Type != stanza.TypeError || got.From.String() != "y@rooms.b.test" || got.ID != "1" || !strings.Contains(got.Inner, "<service-unavailable ") {
			t.Errorf("got %s, want service-unavailable from who is gone", got)
		}
		if n := len(b.fake.routed); n != 0 {
			t.Errorf("got %d stanzas routed, want none", n)
		}
		inTalk(t, a, b, "a.test", "b.test")
	})
}

// inTalk sends some stanzas and wants them to arrive in order.
func inTalk(t *testing.T, from, to *inServer, sender, recipient string) {
	t.Helper()
	for i := range 200 {
		if err := from.Route(t.Context(), inStanza(t, inMessage("x@"+sender+"/r", "y@"+recipient, fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		got := inReceive(t, "stanza", to.fake.routed)
		if got.ID != fmt.Sprint(i) || got.From.Domain() != sender || got.Type == stanza.TypeError {
			t.Fatalf("got %s, want stanza %d from %s; log %s", got, i, sender, from.log)
		}
	}
}
