package httpd

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"time"
)

// Options of a listener. They are data: they can be printed, compared and read again
// from a file. The names in the tags are those of ejabberd_http. Start from Defaults; a
// zero field means off or none, not the default.
type Options struct {
	// RequestHandlers says which handler serves which path: names of Host.Handlers by
	// path. A path stands for itself and all below it; of several that match the longest
	// counts. "/" is everything. Default: none.
	RequestHandlers map[string]string `conf:"request_handlers,handlers"`

	// CustomHeaders are fields of every answer. They replace those of the same name.
	// Default: none.
	CustomHeaders map[string]string `conf:"custom_headers"`

	// DefaultHost is the virtual host of requests that name none that is served. An
	// option of older versions of ejabberd. Default: "", the first virtual host.
	DefaultHost string `conf:"default_host,host"`

	// HostsAlias are names by which requests mean a virtual host, with * and ? as in
	// file names. Default: none.
	HostsAlias map[string]string `conf:"hosts_alias,top"`

	// Tag is what api_permissions can say of those who come by this listener. Default:
	// "".
	Tag string `conf:"tag"`

	// TrustedProxies are those who are believed whom they forward for: the first address
	// of X-Forwarded-For counts if all others and the other end of the connection are
	// among them, else the last one that is not. (With ejabberd that is the other end of
	// the connection: whoever sends two addresses has the rights of the proxy.)
	// X-Forwarded-Proto says whether that was encrypted. Where there are any, who comes by
	// a unix socket is one. Default: none.
	TrustedProxies []netip.Prefix `conf:"trusted_proxies,top,all"`

	// AllowUnencryptedSASL2 lets XMPP clients use SASL2 without TLS that ends here, for
	// listeners behind a proxy that has it. Default: false.
	AllowUnencryptedSASL2 bool `conf:"allow_unencrypted_sasl2"`

	// TLS is what the options of connections that are TLS from the first byte make.
	// Default: nil.
	TLS *tls.Config `conf:"tls,certfile,cafile,ciphers,dhfile,protocol_options,tls_compression,direct,alpn=h2|http/1.1"`

	// SendTimeout is how long one write to a connection may take before it is closed.
	// Default: 15 s. 0: no bound.
	SendTimeout time.Duration `conf:"send_timeout,ms,inf"`

	// HeaderTimeout is how long a request may take until its header is there, and
	// BodyTimeout until its body is, which is for the handlers that read it to the end:
	// uploads have a time for each piece. Defaults: 30 s and 60 s.
	HeaderTimeout time.Duration `conf:"-"`
	BodyTimeout   time.Duration `conf:"-"`

	// IdleTimeout is how long a connection may wait for its next request. Default: 2 min.
	IdleTimeout time.Duration `conf:"-"`

	// MaxHeaderBytes bounds the header of a request, MaxBody the body of one whose
	// handler sets no other bound. Defaults: 64 KiB and 20 MiB.
	MaxHeaderBytes int   `conf:"-"`
	MaxBody        int64 `conf:"-"`

	// Grace is how long requests, and connections that handlers have taken over, may
	// take to end after the context of Listen was cancelled. Default: 5 s.
	Grace time.Duration `conf:"-"`

	names []string `conf:"-"` // of the handlers that there are
}

// Defaults returns the options of a listener that configures nothing.
func Defaults() Options {
	return Options{
		SendTimeout:    15 * time.Second,
		HeaderTimeout:  30 * time.Second,
		BodyTimeout:    60 * time.Second,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		MaxBody:        20 << 20,
		Grace:          5 * time.Second,
	}
}

// HandlerNames returns the names that RequestHandlers may have, if that is known: the
// options are those of Server.Defaults.
func (o Options) HandlerNames() []string { return slices.Clone(o.names) }
