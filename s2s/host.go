package s2s

import (
	"context"
	"log/slog"
	"net"
	"net/netip"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Host is what the module needs of the program around it. Domains and Router are
// required.
type Host struct {
	Domains Domains
	Router  Router

	// Resolver looks up the addresses of other servers. nil: the resolver of the
	// system.
	Resolver Resolver

	// Dial connects to a server: from is the source address, not valid where the
	// system chooses. nil: TCP.
	Dial func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)

	// Secret makes dialback keys (XEP-0185): at least 16 random bytes, the same
	// for all processes that serve the same domains. nil: made anew by New.
	Secret []byte

	Log *slog.Logger // nil discards
}

// Domains knows who is served here.
type Domains interface {
	// Serves reports whether a domain, in its canonical form, belongs to this
	// server: a virtual host, or the domain of a component. It must not block.
	Serves(domain string) bool
}

// Router takes what other servers send.
type Router interface {
	// Route delivers a stanza that another server has sent. From and To are set;
	// that the domain of From is the server's is verified. The router answers for
	// what it cannot deliver, by stanzas that come back through Server.Route. An
	// error that Route returns is logged and tells nobody. The stream's next stanza
	// waits until it returns.
	Route(ctx context.Context, s *stanza.Stanza) error
}

// Resolver looks names up in the DNS. A *net.Resolver is one.
type Resolver interface {
	// LookupSRV returns the SRV records of _service._proto.name. An error that
	// is a *net.DNSError with IsNotFound says that there are none.
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)

	// LookupNetIP returns the addresses of a host of the network "ip4" or "ip6".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}
