// Command federation runs the servers of two domains in one process. They find each other by a resolver in memory,
// trust a certificate authority that is made for the occasion, and exchange a message over TLS on loopback.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/s2s"
)

// site is a server with all that it needs around it: what it serves, and what becomes of what other servers send.
type site struct {
	domain string
	inbox  chan *stanza.Stanza
	server *s2s.Server
	close  func()
}

func (s *site) Serves(domain string) bool { return domain == s.domain }

func (s *site) Route(_ context.Context, st *stanza.Stanza) error {
	s.inbox <- st // there is room for all that this program sends
	return nil
}

// directory is the DNS of this program: where the server of a domain listens.
type directory map[string]netip.AddrPort

func (d directory) LookupSRV(_ context.Context, service, _, domain string) (string, []*net.SRV, error) {
	at, ok := d[domain]
	if !ok || service != "xmpp-server" {
		return "", nil, &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
	}
	return "", []*net.SRV{{Target: domain + ".", Port: at.Port()}}, nil
}

func (d directory) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	at, ok := d[strings.TrimSuffix(host, ".")]
	if !ok || network == "ip6" {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{at.Addr()}, nil
}

// open starts the server of a domain.
func open(ctx context.Context, domain string, dns directory, ca *authority) (*site, error) {
	cert, err := ca.issue(domain)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	dns[domain] = ln.Addr().(*net.TCPAddr).AddrPort()
	s := &site{domain: domain, inbox: make(chan *stanza.Stanza, 8)}
	s.server = s2s.New(s2s.Host{Domains: s, Router: s, Resolver: dns})
	settings, options := s2s.DefaultSettings(), s2s.Defaults()
	settings.UseStartTLS.Value = s2s.TLSRequiredTrusted // certificates alone say who is who
	settings.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: ca.pool}
	options.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: ca.pool}
	s.server.Configure(settings)
	listening, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.server.Listen(listening, ln, options) }()
	s.close = func() {
		cancel() // the streams of other servers end
		<-ended
		ln.Close()
		s.server.Shutdown(ctx) // and so do our own
	}
	return s, nil
}

func run(ctx context.Context, w io.Writer) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	dns := make(directory)
	one, err := open(ctx, "one.example", dns, ca)
	if err != nil {
		return err
	}
	defer one.close()
	two, err := open(ctx, "two.example", dns, ca)
	if err != nil {
		return err
	}
	defer two.close()
	message, err := stanza.Parse("<message from='ana@one.example/quay' to='bo@two.example' type='chat' id='1'><body>Ahoy!</body></message>")
	if err != nil {
		return err
	}
	if err := one.server.Route(ctx, message); err != nil {
		return err
	}
	select {
	case got := <-two.inbox:
		fmt.Fprintf(w, "two.example got %s\n", got)
		return nil
	case back := <-one.inbox:
		return fmt.Errorf("the message came back: %s", back)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}
