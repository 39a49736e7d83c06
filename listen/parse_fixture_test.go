package listen

import (
	"context"
	"crypto/tls"
	"iter"
	"net"
	"net/netip"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// The modules of these tests have the options of ejabberd's and do nothing.

type idle[O any] struct{}

func (idle[O]) Listen(ctx context.Context, _ net.Listener, _ O) error { <-ctx.Done(); return nil }

func (idle[O]) ListenPacket(ctx context.Context, _ net.PacketConn, _ O) error {
	<-ctx.Done()
	return nil
}

type perHost[T any] struct {
	Value T
	Hosts map[string]T
}

type c2sOptions struct {
	Access             acl.Access        `conf:"access"`
	Shaper             shaper.Rule       `conf:"shaper"`
	TLS                *tls.Config       `conf:"tls,certfile,cafile,ciphers,dhfile,protocol_options,tls_compression,tls_verify,prefix=c2s,alpn=xmpp-client"`
	StartTLS           bool              `conf:"starttls"`
	StartTLSRequired   bool              `conf:"starttls_required"`
	TLSVerify          bool              `conf:"tls_verify"`
	MaxStanzaSize      int               `conf:"max_stanza_size,size"`
	MaxStanzaElements  int               `conf:"max_stanza_elements,count=10000"`
	MaxFSMQueue        int               `conf:"max_fsm_queue,min=1,global"`
	SendTimeout        time.Duration     `conf:"send_timeout,ms,inf"`
	NegotiationTimeout time.Duration     `conf:"negotiation_timeout,top"`
	ResourceConflict   perHost[string]   `conf:"resource_conflict,top,enum=setresource|closeold|closenew|acceptnew"`
	DisabledMechanisms perHost[[]string] `conf:"disable_sasl_mechanisms,top"`
	UserSessions       shaper.Rule       `conf:"max_user_sessions,rule"`
	Zlib               bool              `conf:"zlib,notyet=stream compression (XEP-0138)"`
	Grace              time.Duration     `conf:"-"`
}

func c2sDefaults() c2sOptions {
	return c2sOptions{
		Access: acl.All, MaxStanzaSize: 262144, MaxStanzaElements: 10000, MaxFSMQueue: 10000,
		SendTimeout: 15 * time.Second, NegotiationTimeout: 120 * time.Second,
		ResourceConflict: perHost[string]{Value: "acceptnew"},
	}
}

type s2sOptions struct {
	Shaper        shaper.Rule         `conf:"shaper"`
	TLS           *tls.Config         `conf:"tls,certfile,cafile,ciphers,dhfile,protocol_options,tls_compression,prefix=s2s,alpn=xmpp-server"`
	MaxStanzaSize int                 `conf:"max_stanza_size,size"`
	MaxFSMQueue   int                 `conf:"max_fsm_queue,min=1,global"`
	SendTimeout   time.Duration       `conf:"send_timeout,ms,inf"`
	StartTLS      perHost[string]     `conf:"s2s_use_starttls,enum=false|optional|required|required_trusted"`
	Access        perHost[acl.Access] `conf:"s2s_access"`
	Families      perHost[[]string]   `conf:"outgoing_s2s_families,enum=ipv4|ipv6"`
}

type componentHost struct {
	Password string `conf:"password"`
}

type componentOptions struct {
	Hosts         map[string]componentHost `conf:"hosts"`
	Password      string                   `conf:"password"`
	CheckFrom     bool                     `conf:"check_from"`
	GlobalRoutes  bool                     `conf:"global_routes"`
	Access        acl.Access               `conf:"access"`
	Shaper        shaper.Rule              `conf:"shaper"`
	TLS           *tls.Config              `conf:"tls,certfile,cafile,ciphers,dhfile,protocol_options,tls_compression"`
	MaxStanzaSize int                      `conf:"max_stanza_size,size"`
	SendTimeout   time.Duration            `conf:"send_timeout,ms,inf"`
}

type stunOptions struct {
	TLS            *tls.Config    `conf:"tls,certfile,direct"`
	Shaper         shaper.Rule    `conf:"shaper,stream"`
	SendTimeout    time.Duration  `conf:"send_timeout,ms,inf,stream"`
	UseTURN        bool           `conf:"use_turn"`
	TURNIPv4       netip.Addr     `conf:"turn_ipv4_address,ipv4,implies=use_turn"`
	TURNIPv6       netip.Addr     `conf:"turn_ipv6_address,ipv6,implies=use_turn"`
	MinPort        int            `conf:"turn_min_port,min=1025,max=65535,implies=use_turn"`
	MaxPort        int            `conf:"turn_max_port,min=1025,max=65535,implies=use_turn"`
	MaxAllocations int            `conf:"turn_max_allocations,count=1000,implies=use_turn"`
	MaxPermissions int            `conf:"turn_max_permissions,count=1000,implies=use_turn"`
	Blacklist      []netip.Prefix `conf:"turn_blacklist"`
	Alternate      netip.AddrPort `conf:"turn_alternate_server,implies=use_turn"`
	AuthType       string         `conf:"auth_type,enum=user|anonymous,implies=use_turn"`
	AuthRealm      string         `conf:"auth_realm,host,implies=use_turn"`
	ServerName     string         `conf:"server_name"`
}

func stunDefaults() stunOptions {
	return stunOptions{MinPort: 49152, MaxPort: 65535, AuthType: "user", AuthRealm: "localhost", SendTimeout: 15 * time.Second}
}

func (o stunOptions) Validate() iter.Seq2[string, string] {
	return func(yield func(option, msg string) bool) {
		if o.MinPort > o.MaxPort && !yield("turn_max_port", "is less than the least port") {
			return
		}
		if o.ServerName == "nobody" && !yield("", "wants to be nobody") {
			return
		}
		if o.TURNIPv6.IsValid() && !o.TURNIPv4.IsValid() {
			yield("turn_ipv4_address", "must go with turn_ipv6_address here")
		}
	}
}

func (stunOptions) Readers() int { return 3 }

type sipOptions struct {
	TLS         *tls.Config   `conf:"tls,certfile"`
	SendTimeout time.Duration `conf:"send_timeout,ms,inf"`
}

type httpOptions struct {
	TLS         *tls.Config       `conf:"tls,certfile,cafile,ciphers,dhfile,protocol_options,tls_compression"`
	Handlers    map[string]string `conf:"request_handlers,enum=mod_bosh|ejabberd_web_admin|ejabberd_http_ws|ejabberd_xmlrpc|mod_mqtt"`
	Headers     map[string]string `conf:"custom_headers"`
	Tag         string            `conf:"tag"`
	DefaultHost string            `conf:"default_host,deprecated=ejabberd has no such option any more"`
	Trusted     []netip.Prefix    `conf:"trusted_proxies,top,all"`
	Ping        time.Duration     `conf:"websocket_ping_interval,top,min=0"`
	SendTimeout time.Duration     `conf:"send_timeout,ms,inf"`
}

type mqttOptions struct {
	TLS            *tls.Config   `conf:"tls,tls_verify,prefix=c2s,alpn=mqtt"`
	TLSVerify      bool          `conf:"tls_verify"`
	MaxPayloadSize int           `conf:"max_payload_size,size"`
	MaxFSMQueue    int           `conf:"max_fsm_queue,min=1,global"`
	SendTimeout    time.Duration `conf:"send_timeout,ms,inf"`
}

type mqttModule struct {
	MaxQueue      int                   `conf:"max_queue,count=5000"`
	SessionExpiry time.Duration         `conf:"session_expiry,min=0"`
	AccessPublish map[string]acl.Access `conf:"access_publish"`
}

// echoOptions belong to a module of the program's own.
type echoOptions struct {
	Greeting string    `conf:"greeting"`
	Bits     int64     `conf:"bits,min=1"`
	Steps    []int     `conf:"steps"`
	Nested   []subEcho `conf:"nested"`
}

type subEcho struct {
	Name string         `conf:"name"`
	Nets []netip.Prefix `conf:"nets"`
}

type serverOptions struct {
	Language perHost[string] `conf:"language"`
	Families []string        `conf:"outgoing_s2s_timeouts_for_tests"`
	Timeout  time.Duration   `conf:"outgoing_s2s_timeout,ms,inf"`
}

func zero[O any]() O { var o O; return o }

// testRegistry has all of ejabberd's listeners, and some sections.
func testRegistry(more ...Part) *Registry {
	return NewRegistry(append([]Part{
		StreamKind("ejabberd_c2s", idle[c2sOptions]{}, c2sDefaults),
		StreamKind("ejabberd_s2s_in", idle[s2sOptions]{}, zero[s2sOptions]),
		StreamKind("ejabberd_service", idle[componentOptions]{}, zero[componentOptions]),
		DualKind("ejabberd_stun", idle[stunOptions]{}, stunDefaults),
		DualKind("ejabberd_sip", idle[sipOptions]{}, zero[sipOptions]),
		StreamKind("ejabberd_http", idle[httpOptions]{}, zero[httpOptions]),
		StreamKind("mod_mqtt", idle[mqttOptions]{}, zero[mqttOptions]),
		StreamKind("echo", idle[echoOptions]{}, zero[echoOptions]),
		PacketKind("datagram", idle[echoOptions]{}, zero[echoOptions]),
		TopSection(zero[serverOptions], func(serverOptions) {}),
		ModuleSection("mod_mqtt", zero[mqttModule], func(ModuleConfig[mqttModule]) {}),
	}, more...)...)
}
