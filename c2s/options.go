package c2s

import (
	"crypto/tls"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Options of a c2s listener. They are data: they can be printed, compared and
// read again from a file. The names in the tags are those of ejabberd_c2s.
// Start from Defaults; a zero field means off or none, not the default.
type Options struct {
	// Access says who may bind a resource. Default: everybody. nil: nobody.
	Access acl.Access `conf:"access"`

	// Shaper limits the rate at which a client is read, before login by its
	// address and from then on by its JID. Default: none.
	Shaper shaper.Rule `conf:"shaper"`

	// TLS is the configuration for STARTTLS. Its certificate is chosen by SNI, or
	// by the stream's to attribute for a client without SNI. On connections that
	// are encrypted already (tls: true in a file) only its ClientCAs count, for
	// TLSVerify. Default: nil, no STARTTLS.
	TLS *tls.Config `conf:"tls,certfile,cafile,ciphers,dhfile,protocol_options,tls_compression,tls_verify,prefix=c2s,alpn=xmpp-client"`

	// StartTLS offers STARTTLS. Default: false; StartTLSRequired and TLSVerify
	// imply it.
	StartTLS bool `conf:"starttls"`

	// StartTLSRequired refuses everything else before TLS. Default: false.
	StartTLSRequired bool `conf:"starttls_required"`

	// TLSVerify asks clients for a certificate and offers SASL EXTERNAL to those
	// whose certificate verifies, if Host.Certificate is there. Others may still
	// log in otherwise. Connections that come encrypted already must have asked
	// for the certificate themselves. Read the warning about client certificates
	// in the documentation of this package first. Default: false.
	TLSVerify bool `conf:"tls_verify"`

	// AllowPlainWithoutTLS offers PLAIN and token mechanisms on unencrypted
	// connections. An extension; ejabberd always does. Default: false.
	AllowPlainWithoutTLS bool `conf:"allow_plain_without_tls"`

	// MaxStanzaSize is the largest element after authentication, in bytes.
	// Default: 262144 (ejabberd: infinity).
	MaxStanzaSize int `conf:"max_stanza_size,size"`

	// MaxStanzaElements is the most XML elements in a stanza after
	// authentication. Default: 10000 (ejabberd: infinity).
	MaxStanzaElements int `conf:"max_stanza_elements,count=10000"`

	// PreAuthMaxStanzaSize and PreAuthMaxStanzaElements are the same before
	// authentication. Defaults: 8192 and 32.
	PreAuthMaxStanzaSize     int `conf:"pre_auth_max_stanza_size,size"`
	PreAuthMaxStanzaElements int `conf:"pre_auth_max_stanza_elements,count=10000"`

	// MaxFSMQueue is the most stanzas queued for a client that does not read;
	// over it the session ends. Default: 10000.
	MaxFSMQueue int `conf:"max_fsm_queue,min=1,global"`

	// MaxQueueBytes is the same in bytes. An extension. Default: 8 MiB.
	MaxQueueBytes int `conf:"max_queue_bytes,min=4096"`

	// SendTimeout is how long one write may take before the session ends.
	// Default: 15 s. 0: no bound.
	SendTimeout time.Duration `conf:"send_timeout,ms,inf"`

	// NegotiationTimeout bounds the time from the connection to the bound
	// resource. Default: 120 s.
	NegotiationTimeout time.Duration `conf:"negotiation_timeout,top"`

	// ResourceConflict says what happens when a resource is taken.
	// Default: acceptnew, by which the newer session wins.
	ResourceConflict stanza.PerHost[stanza.ConflictPolicy] `conf:"resource_conflict,top,enum=setresource|closeold|closenew|acceptnew"`

	// DisabledMechanisms are SASL mechanisms not to offer, in any letter case.
	// Default: none.
	DisabledMechanisms stanza.PerHost[[]string] `conf:"disable_sasl_mechanisms,top"`

	// Zlib would offer stream compression (XEP-0138), AllowUnencryptedSASL2
	// would offer SASL2 (XEP-0388) without TLS. This build has neither: true is
	// an error in a configuration file.
	Zlib                  bool `conf:"zlib,notyet=stream compression (XEP-0138)"`
	AllowUnencryptedSASL2 bool `conf:"allow_unencrypted_sasl2,notyet=SASL2 (XEP-0388)"`

	// Grace is how long sessions may take to close after the context of Listen
	// was cancelled. Default: 5 s.
	Grace time.Duration `conf:"-"`
}

// Defaults returns the options of a listener that configures nothing.
func Defaults() Options {
	return Options{
		Access:                   acl.All,
		MaxStanzaSize:            262144,
		MaxStanzaElements:        10000,
		PreAuthMaxStanzaSize:     8192,
		PreAuthMaxStanzaElements: 32,
		MaxFSMQueue:              10000,
		MaxQueueBytes:            8 << 20,
		SendTimeout:              15 * time.Second,
		NegotiationTimeout:       120 * time.Second,
		ResourceConflict:         stanza.PerHost[stanza.ConflictPolicy]{Value: stanza.AcceptNew},
		Grace:                    5 * time.Second,
	}
}
