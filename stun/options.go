package stun

import (
	"crypto/tls"
	"net/netip"
	"runtime"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
)

// AuthType says who may have a relay.
type AuthType string

const (
	// AuthUser is for those with credentials.
	AuthUser AuthType = "user"
	// AuthAnonymous is for everybody.
	AuthAnonymous AuthType = "anonymous"
)

// Options of a listener. They are data: they can be printed, compared and read
// again from a file. The names in the tags are those of ejabberd_stun. Start from
// Defaults; a zero field means off or none, not the default.
type Options struct {
	// UseTURN lets clients have relays (RFC 8656). Without it there are Binding
	// answers only. In a file, options that concern relays imply it, unless it is
	// written. Default: false.
	UseTURN bool `conf:"use_turn"`

	// AuthType says who may have a relay. Default: AuthUser.
	AuthType AuthType `conf:"auth_type,enum=user|anonymous,implies=use_turn"`

	// AuthRealm is the realm of users: the virtual host that has their accounts.
	// Default: localhost; in a file the first of hosts.
	AuthRealm string `conf:"auth_realm,host,implies=use_turn"`

	// ServerName is the SOFTWARE of answers; at most 127 characters. "": none.
	// Default: "Tidewaiter".
	ServerName string `conf:"server_name"`

	// IPv4Address and IPv6Address are where peers reach relays of a family, which
	// are bound there, too. Not set: the address of the socket or, if that is
	// unspecified, for IPv4 the address of this machine in the direction of the
	// internet; no relays of IPv6 (440). Default: not set.
	IPv4Address netip.Addr `conf:"turn_ipv4_address,ipv4,implies=use_turn"`
	IPv6Address netip.Addr `conf:"turn_ipv6_address,ipv6,implies=use_turn"`

	// MinPort and MaxPort bound the ports of relays. Defaults: 49152 and 65535.
	MinPort int `conf:"turn_min_port,min=1025,max=65535,implies=use_turn"`
	MaxPort int `conf:"turn_max_port,min=1025,max=65535,implies=use_turn"`

	// MaxAllocations is how many allocations one client address may have, of all
	// sockets together; more are refused with 486. A port that is reserved counts as
	// one, and so do the IPv6 addresses of a network (64 bits). Default: 10.
	MaxAllocations int `conf:"turn_max_allocations,min=1,count=65536,implies=use_turn"`

	// MaxPermissions is how many permissions an allocation may have; more are
	// refused with 508, and so are more channels than 16 times as many. Default: 10.
	MaxPermissions int `conf:"turn_max_permissions,min=1,count=65536,implies=use_turn"`

	// Blacklist are peers that nobody reaches by a relay (403), besides those that
	// are always refused: addresses that are loopback, unspecified, link-local or
	// multicast, and private ones unless the relay itself has one. ejabberd's list
	// replaces its defaults. The public addresses of this machine are peers like any
	// other: they belong here where its services trust who comes from them. Default:
	// none.
	Blacklist []netip.Prefix `conf:"turn_blacklist"`

	// Whitelist are peers that are reached whatever the class of their address; the
	// Blacklist comes first. An extension. Default: none.
	Whitelist []netip.Prefix `conf:"turn_whitelist,implies=use_turn"`

	// MaxLifetime is the longest life of an allocation without a refresh. An
	// extension. Default: 1 h; at least 10 min (RFC 8656, section 7.2).
	MaxLifetime time.Duration `conf:"turn_max_lifetime,implies=use_turn"`

	// AllocationRate and UserRate bound what an allocation, and all allocations of a
	// user together (auth_type anonymous: of a client address), relay in both
	// directions together, in bytes a second, with bursts of one second; what is over
	// is dropped from UDP, and waits on TCP. Extensions. Defaults: 0, no bound.
	AllocationRate int `conf:"turn_allocation_rate,min=0,implies=use_turn"`
	UserRate       int `conf:"turn_user_rate,min=0,implies=use_turn"`

	// AlternateServer is where clients are sent that want an allocation (300, RFC 8489,
	// section 10). An extension. Default: not set.
	AlternateServer netip.AddrPort `conf:"turn_alternate_server,implies=use_turn"`

	// Shaper limits the rate at which a connection is read; datagrams have none.
	// Default: none.
	Shaper shaper.Rule `conf:"shaper,stream"`

	// TLS is what the options of connections that are TLS from the first byte
	// make. Default: nil.
	TLS *tls.Config `conf:"tls,certfile,direct"`

	// SendTimeout is how long one write to a connection may take before it is
	// closed. Default: 15 s. 0: no bound.
	SendTimeout time.Duration `conf:"send_timeout,ms,inf,stream"`

	// Grace is how long connections may take to close after the context of Listen
	// was cancelled. Default: 5 s.
	Grace time.Duration `conf:"-"`
}

// Defaults returns the options of a listener that configures nothing.
func Defaults() Options {
	return Options{
		AuthType:       AuthUser,
		AuthRealm:      "localhost",
		ServerName:     "Tidewaiter",
		MinPort:        49152,
		MaxPort:        65535,
		MaxAllocations: 10,
		MaxPermissions: 10,
		MaxLifetime:    time.Hour,
		SendTimeout:    15 * time.Second,
		Grace:          5 * time.Second,
	}
}

// Readers is how many sockets a datagram listener with these options asks for: one for
// two processors, as the relays of each have a reader of their own. With more of them
// the same packets at the same rate take more wake-ups, and nothing is gained under
// load.
func (o Options) Readers() int { return max(1, runtime.GOMAXPROCS(0)/2) }
