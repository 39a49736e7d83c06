package s2s

import (
	"crypto/tls"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
)

// Options of a listener for incoming streams. They are data: they can be printed,
// compared and read again from a file. The names in the tags are those of
// ejabberd_s2s_in. Start from Defaults; a zero field means off or none, not the
// default. What concerns both directions is in Settings.
type Options struct {
	// Shaper limits the rate at which a server is read, before authentication by
	// its address and from then on by its domain. Default: none.
	Shaper shaper.Rule `conf:"shaper"`

	// TLS is the configuration for STARTTLS, and for connections that are
	// encrypted already (tls: true in a file) the one that they were accepted
	// with: its ClientCAs vouch for other servers. Listen asks for the peers'
	// certificates where TLS does not say so; for connections that come encrypted
	// it must. Default: nil, no STARTTLS.
	TLS *tls.Config `conf:"tls,certfile,cafile,ciphers,dhfile,protocol_options,tls_compression,prefix=s2s,alpn=xmpp-server,ask"`

	// MaxStanzaSize is the largest element after authentication, in bytes.
	// Default: 524288 (ejabberd: infinity).
	MaxStanzaSize int `conf:"max_stanza_size,size"`

	// MaxStanzaElements is the most XML elements in a stanza after
	// authentication. Default: 10000 (ejabberd: infinity).
	MaxStanzaElements int `conf:"max_stanza_elements,count=10000"`

	// PreAuthMaxStanzaSize and PreAuthMaxStanzaElements are the same before
	// authentication. Defaults: 8192 and 32.
	PreAuthMaxStanzaSize     int `conf:"pre_auth_max_stanza_size,size"`
	PreAuthMaxStanzaElements int `conf:"pre_auth_max_stanza_elements,count=10000"`

	// MaxFSMQueue is the most elements queued for a server that does not read;
	// over it the stream ends. Default: 10000.
	MaxFSMQueue int `conf:"max_fsm_queue,min=1,global"`

	// MaxQueueBytes is the same in bytes. An extension. Default: 8 MiB.
	MaxQueueBytes int `conf:"max_queue_bytes,min=4096"`

	// SendTimeout is how long one write may take before the stream ends.
	// Default: 15 s. 0: no bound.
	SendTimeout time.Duration `conf:"send_timeout,ms,inf"`

	// NegotiationTimeout bounds the time from the connection to the first domain
	// that is authenticated. Default: 120 s.
	NegotiationTimeout time.Duration `conf:"negotiation_timeout,top"`

	// MaxStreamsPerIP is the most streams of this listener that one address may
	// have at once; further ones end with policy-violation. An extension.
	// Default: 1000. 0: no bound.
	MaxStreamsPerIP int `conf:"max_streams_per_ip,count=1000000"`

	// Grace is how long streams may take to close after the context of Listen was
	// cancelled. Default: 5 s.
	Grace time.Duration `conf:"-"`
}

// Defaults returns the options of a listener that configures nothing.
func Defaults() Options {
	return Options{
		MaxStanzaSize:            524288,
		MaxStanzaElements:        10000,
		PreAuthMaxStanzaSize:     8192,
		PreAuthMaxStanzaElements: 32,
		MaxFSMQueue:              10000,
		MaxQueueBytes:            8 << 20,
		SendTimeout:              15 * time.Second,
		NegotiationTimeout:       120 * time.Second,
		MaxStreamsPerIP:          1000,
		Grace:                    5 * time.Second,
	}
}
