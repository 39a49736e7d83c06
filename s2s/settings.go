package s2s

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// StartTLS says how streams between servers are encrypted. The values are those
// of the option s2s_use_starttls.
type StartTLS string

const (
	// TLSOff neither offers nor uses STARTTLS.
	TLSOff StartTLS = "false"
	// TLSOptional encrypts where both servers can.
	TLSOptional StartTLS = "optional"
	// TLSRequired refuses streams without TLS. A certificate that proves nothing
	// is let in, if dialback proves the domain.
	TLSRequired StartTLS = "required"
	// TLSRequiredTrusted is TLSRequired without dialback: only certificates prove
	// domains, in both directions.
	TLSRequiredTrusted StartTLS = "required_trusted"
)

// Settings are what concerns streams in both directions, and outgoing ones. The
// names in the tags are ejabberd's top-level keys. Start from DefaultSettings.
// Values by host are those of the local domain.
type Settings struct {
	// UseStartTLS says how streams are encrypted. Default: TLSOptional (ejabberd:
	// false).
	UseStartTLS stanza.PerHost[StartTLS] `conf:"s2s_use_starttls,enum=false|optional|required|required_trusted"`

	// Access says which remote domains may connect and be connected to; it is
	// asked with the remote domain as Server. Default: everybody. nil: nobody.
	Access stanza.PerHost[acl.Access] `conf:"s2s_access"`

	// Timeout closes a stream on which nothing has passed for so long. Default:
	// 1 h. 0: never.
	Timeout stanza.PerHost[time.Duration] `conf:"s2s_timeout,inf,big=100000"`

	// DNSTimeout bounds one lookup, DNSRetries how often one that has failed is
	// tried again. Defaults: 10 s and 2.
	DNSTimeout stanza.PerHost[time.Duration] `conf:"s2s_dns_timeout,inf,big=1000"`
	DNSRetries stanza.PerHost[int]           `conf:"s2s_dns_retries,min=0"`

	// MaxRetryDelay is the longest time that is waited after failures before a
	// domain is tried again; meanwhile stanzas for it are returned at once. The
	// first waits are shorter. Default: 300 s.
	MaxRetryDelay time.Duration `conf:"s2s_max_retry_delay,top"`

	// Families are the families of addresses, ipv4 and ipv6, in the order in
	// which they are tried. Default: ipv6, ipv4.
	Families stanza.PerHost[[]string] `conf:"outgoing_s2s_families,enum=ipv4|ipv6"`

	// Port is that of servers without SRV records. Default: 5269.
	Port stanza.PerHost[int] `conf:"outgoing_s2s_port,min=1,max=65535"`

	// ConnectTimeout bounds the time until a connection to one of a server's
	// addresses is there. Default: 10 s.
	ConnectTimeout stanza.PerHost[time.Duration] `conf:"outgoing_s2s_timeout,ms,inf"`

	// IPv4 and IPv6 are the source addresses of outgoing connections. Default:
	// the system chooses.
	IPv4 stanza.PerHost[netip.Addr] `conf:"outgoing_s2s_ipv4_address,ipv4"`
	IPv6 stanza.PerHost[netip.Addr] `conf:"outgoing_s2s_ipv6_address,ipv6"`

	// MaxConnections and MaxConnectionsPerNode are the most outgoing streams from
	// one local domain to one remote domain; the smaller one counts, as this is
	// one node. With more than one stream the stanzas of each sender stay in
	// order, those of different senders may overtake one another. The rules are
	// asked with the remote domain as Server. Default: 1.
	MaxConnections        shaper.Rule `conf:"max_s2s_connections,rule"`
	MaxConnectionsPerNode shaper.Rule `conf:"max_s2s_connections_per_node,rule"`

	// MaxFSMQueue is the most stanzas that wait for one outgoing stream, and
	// MaxQueueBytes the same in bytes; more are returned with resource-constraint.
	// Defaults: 10000 and 8 MiB (an extension).
	MaxFSMQueue   stanza.PerHost[int] `conf:"max_fsm_queue,min=1"`
	MaxQueueBytes int                 `conf:"-"`

	// SendTimeout is how long one write to an outgoing stream may take.
	// Default: 15 s.
	SendTimeout time.Duration `conf:"-"`

	// NegotiationTimeout bounds the time from a connection to a stream that takes
	// stanzas. Default: 120 s.
	NegotiationTimeout time.Duration `conf:"negotiation_timeout,top"`

	// TLS is the configuration of outgoing connections: its RootCAs vouch for
	// other servers, and its GetCertificate or Certificates, chosen by our domain
	// as the ServerName, is what we show. The certificates of peers are verified
	// by this package, not by crypto/tls. If it has a GetConfigForClient, this is
	// asked with our domain as the ServerName and no more, and what it returns
	// counts in its place. nil: TLS without a certificate, with the CAs of the
	// system.
	TLS *tls.Config `conf:"cafile,ciphers,dhfile,protocol_options,tls_compression,prefix=s2s,alpn=xmpp-server,client"`

	// Dialback says which domains use server dialback (XEP-0220), unless
	// UseStartTLS says TLSRequiredTrusted. Default: all.
	Dialback stanza.PerHost[bool] `conf:"-"`

	// DialbackAccess says which remote domains may prove by dialback who they
	// are; it is asked with the remote domain as Server. Default: everybody. nil:
	// nobody.
	DialbackAccess stanza.PerHost[acl.Access] `conf:"-"`

	// Bidi says which domains use streams in both directions (XEP-0288) with
	// servers that do. Default: all.
	Bidi stanza.PerHost[bool] `conf:"-"`

	// AckTimeout is how long a server may take to acknowledge (XEP-0198) before
	// its stream counts as broken. Default: 60 s. 0: stream management is not used
	// between servers.
	AckTimeout time.Duration `conf:"-"`

	// Zlib would compress streams (XEP-0138). This build does not: true is an
	// error in a configuration file.
	Zlib stanza.PerHost[bool] `conf:"s2s_zlib,notyet=stream compression (XEP-0138)"`
}

// DialbackOptions are those of the entry mod_s2s_dialback of modules.
type DialbackOptions struct {
	// Access says which remote domains may prove by dialback who they are: see
	// Settings.DialbackAccess. Default: everybody.
	Access acl.Access `conf:"access"`
}

// DialbackDefaults returns the options of an entry that sets none.
func DialbackDefaults() DialbackOptions { return DialbackOptions{Access: acl.All} }

// DefaultSettings returns the settings of a server that configures nothing.
func DefaultSettings() Settings {
	return Settings{
		UseStartTLS:        all(TLSOptional),
		Access:             all[acl.Access](acl.All),
		Timeout:            all(time.Hour),
		DNSTimeout:         all(10 * time.Second),
		DNSRetries:         all(2),
		MaxRetryDelay:      300 * time.Second,
		Families:           all([]string{"ipv6", "ipv4"}),
		Port:               all(5269),
		ConnectTimeout:     all(10 * time.Second),
		MaxFSMQueue:        all(10000),
		MaxQueueBytes:      8 << 20,
		SendTimeout:        15 * time.Second,
		NegotiationTimeout: 120 * time.Second,
		Dialback:           all(true),
		DialbackAccess:     all[acl.Access](acl.All),
		Bidi:               all(true),
		AckTimeout:         60 * time.Second,
	}
}

func all[T any](v T) stanza.PerHost[T] { return stanza.PerHost[T]{Value: v} }

// dialback reports whether a local domain uses dialback.
func (c *Settings) dialback(local string) bool {
	return c.Dialback.For(local) && c.UseStartTLS.For(local) != TLSRequiredTrusted
}

// acceptsDialback reports whether the remote domain of a pair may prove by
// dialback who it is.
func (c *Settings) acceptsDialback(p pair) bool {
	a := c.DialbackAccess.For(p.local)
	return c.dialback(p.local) && a != nil && a.Allow(acl.Subject{Server: p.remote, Host: p.local})
}

// mustEncrypt reports whether the streams of a local domain need TLS.
func (c *Settings) mustEncrypt(local string) bool {
	u := c.UseStartTLS.For(local)
	return u == TLSRequired || u == TLSRequiredTrusted
}

// allows reports whether a pair of domains may talk.
func (c *Settings) allows(p pair) bool {
	a := c.Access.For(p.local)
	return a != nil && a.Allow(acl.Subject{Server: p.remote, Host: p.local})
}
