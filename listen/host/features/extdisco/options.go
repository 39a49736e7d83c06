package extdisco

import (
	"cmp"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
)

// Options of external service discovery; the names in the tags are those of
// mod_stun_disco. Start from Defaults.
type Options struct {
	// Access says who may ask for services and credentials; all others hear
	// forbidden. ejabberd has a rule named local here. Default: the users of the
	// virtual host, anonymous ones included.
	Access acl.Access `conf:"access"`

	// CredentialsLifetime is how long credentials are good. Default: 12 h.
	CredentialsLifetime time.Duration `conf:"credentials_lifetime"`

	// OfferLocalServices says whether the STUN listeners of this program are offered,
	// too. Default: true.
	OfferLocalServices bool `conf:"offer_local_services"`

	// Secret is shared with the servers that have to know the credentials. "": one
	// that is made when the program starts, which only its own listeners know.
	Secret string `conf:"secret"`

	// Services are offered. Default: none.
	Services []External `conf:"services"`
}

// External is a STUN or TURN server.
type External struct {
	// Host is its name or its address. One without is not offered.
	Host string `conf:"host"`

	// Port is where it listens. Default: 3478, with TLS 5349.
	Port int `conf:"port,min=1,max=65535"`

	// Type is stun or turn, with TLS stuns or turns. Default: stun.
	Type string `conf:"type,enum=stun|turn|stuns|turns"`

	// Transport is udp or tcp. Default: udp, with TLS tcp.
	Transport string `conf:"transport,enum=udp|tcp"`

	// Restricted says whether there are credentials for it: true or false. Default:
	// true for turn and turns.
	Restricted string `conf:"restricted,enum=true|false"`
}

// Defaults returns the options of a mod_stun_disco that configures nothing.
func Defaults() Options {
	return Options{Access: local{}, CredentialsLifetime: 12 * time.Hour, OfferLocalServices: true}
}

// local allows the users of the virtual host.
type local struct{}

func (local) Allow(s acl.Subject) bool { return s.User != "" && s.Server == s.Host }

func (local) String() string { return "local" }

// offer returns what is offered of a server.
func (e *External) offer() Offer {
	o := Offer{Host: e.Host, Port: e.Port, Type: cmp.Or(e.Type, stun), Transport: e.Transport}
	port, transport := 3478, "udp"
	if o.Type == stuns || o.Type == turns {
		port, transport = 5349, "tcp"
	}
	o.Port, o.Transport = cmp.Or(o.Port, port), cmp.Or(o.Transport, transport)
	o.Restricted = e.Restricted == "true" || e.Restricted == "" && (o.Type == turn || o.Type == turns)
	return o
}
