package component

import (
	"crypto/tls"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// HostOptions are those of one domain of a listener.
type HostOptions struct {
	// Password is the secret of the domain. "": that of the listener.
	Password string `conf:"password"`
}

// Conflict says what happens when a component connects for a domain that another
// one serves already.
type Conflict string

const (
	// Share lets both serve it: each sender, by his bare address, is served by one
	// of them.
	Share Conflict = "share"
	// CloseOld ends the older stream with a conflict stream error.
	CloseOld Conflict = "closeold"
	// CloseNew refuses the newer one with a conflict stream error.
	CloseNew Conflict = "closenew"
)

// Options of a listener for components. They are data: they can be printed,
// compared and read again from a file. The names in the tags are those of
// ejabberd_service. Start from Defaults; a zero field means off or none, not the
// default.
type Options struct {
	// Hosts are the domains that may attach, by name. With any, other domains are
	// refused. Default: none, and every domain may attach that knows Password.
	Hosts map[string]HostOptions `conf:"hosts,domains"`

	// Password is the secret of domains without one of their own. "": these
	// cannot attach. Default: "".
	Password string `conf:"password"`

	// CheckFrom ends the stream of a component that sends stanzas from a domain
	// that is neither its own nor one of Hosts with the same secret (ejabberd: any
	// of Hosts). Without it a component may send in
	// the name of any user of any domain, this server's included. Default: true.
	CheckFrom bool `conf:"check_from"`

	// GlobalRoutes sends the stanzas for all of Hosts that have its secret to each
	// component of the listener, whichever of these domains it named (ejabberd: for
	// all of Hosts). Two different components with one secret so get stanzas for each
	// other. Default: true.
	GlobalRoutes bool `conf:"global_routes"`

	// Access says whose stanzas a component gets; others are returned with
	// not-allowed. It is asked with the sender, in the global tables. It must not
	// block, nor send anything. Default: everybody. nil: nobody.
	Access acl.Access `conf:"access"`

	// Shaper limits the rate at which a component is read, by its domain. In a file
	// shaper_rule is an older name of it. Default: none.
	Shaper shaper.Rule `conf:"shaper"`

	// TLS is what the options of connections that are TLS from the first byte
	// make. There is no STARTTLS. Default: nil.
	TLS *tls.Config `conf:"tls,certfile,cafile,ciphers,dhfile,protocol_options,tls_compression"`

	// MaxStanzaSize is the largest element after the handshake, in bytes, and
	// MaxStanzaElements the most XML elements in it (an extension). Defaults:
	// 524288 and 10000 (ejabberd: infinity).
	MaxStanzaSize     int `conf:"max_stanza_size,size"`
	MaxStanzaElements int `conf:"max_stanza_elements,count=10000"`

	// MaxFSMQueue is the most stanzas queued for a component that does not read;
	// over it the stream ends, and they go to other components of the domain or
	// back to their senders. Default: 10000.
	MaxFSMQueue int `conf:"max_fsm_queue,min=1,global"`

	// MaxQueueBytes is the same in bytes. An extension. Default: 8 MiB.
	MaxQueueBytes int `conf:"max_queue_bytes,min=4096"`

	// SendTimeout is how long one write may take before the stream ends.
	// Default: 15 s. 0: no bound.
	SendTimeout time.Duration `conf:"send_timeout,ms,inf"`

	// NegotiationTimeout bounds the time from the connection to the end of the
	// handshake. Default: 120 s.
	NegotiationTimeout time.Duration `conf:"negotiation_timeout,top"`

	// Conflict says what happens when a domain is served already; that of the
	// newer component's listener counts. An extension. Default: share.
	Conflict Conflict `conf:"conflict,enum=share|closeold|closenew"`

	// Grace is how long streams may take to close after the context of Listen was
	// cancelled. Default: 5 s.
	Grace time.Duration `conf:"-"`
}

// Defaults returns the options of a listener that configures nothing.
func Defaults() Options {
	return Options{
		CheckFrom:          true,
		GlobalRoutes:       true,
		Access:             acl.All,
		MaxStanzaSize:      524288,
		MaxStanzaElements:  10000,
		MaxFSMQueue:        10000,
		MaxQueueBytes:      8 << 20,
		SendTimeout:        15 * time.Second,
		NegotiationTimeout: 120 * time.Second,
		Conflict:           Share,
		Grace:              5 * time.Second,
	}
}
