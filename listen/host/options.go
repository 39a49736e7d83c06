package host

import (
	"fmt"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Options of the host. They are data; the names in the tags are ejabberd's
// top-level keys. Start from Defaults.
type Options struct {
	// Hosts are the domains that are served, the first being the default name.
	// Default: localhost.
	Hosts []string `conf:"hosts,top"`

	// AuthMethod says who may log in: internal (mnesia is another word for it)
	// is the users of the account store, anonymous is everybody by SASL
	// ANONYMOUS. Default: internal.
	AuthMethod stanza.PerHost[[]string] `conf:"auth_method,top,enum=internal|mnesia|anonymous"`

	// AuthPasswordFormat says which verifiers are made when a password is set:
	// scram stores SCRAM keys only, plain adds the HA1 keys that SIP digest and
	// TURN need. No format stores the password. Default: plain.
	AuthPasswordFormat stanza.PerHost[string] `conf:"auth_password_format,top,enum=plain|scram"`

	// AuthSCRAMHash says against which keys a password that a client sends as
	// it is (PLAIN) is checked first: sha, sha256 or sha512. Keys of all three
	// are stored whatever it says, so that a change locks nobody out.
	// Default: sha.
	AuthSCRAMHash stanza.PerHost[string] `conf:"auth_scram_hash,top,enum=sha|sha256|sha512"`

	// AnonymousProtocol is how anonymous users log in. This build knows
	// sasl_anon. Default: sasl_anon.
	AnonymousProtocol stanza.PerHost[string] `conf:"anonymous_protocol,top,enum=sasl_anon"`

	// MaxUserSessions is the most sessions that an account may have: over it
	// the oldest one is replaced. Default: nil, no limit.
	MaxUserSessions shaper.Rule `conf:"max_user_sessions,rule"`

	// RegistrationTimeout is the least time between two accounts registered
	// in-band from one address. Default: 10 min. 0: no limit.
	RegistrationTimeout time.Duration `conf:"registration_timeout,inf,top"`

	// OAuthAccess says whose tokens the command oauth_issue_token makes. Default: nil,
	// nobody's.
	OAuthAccess stanza.PerHost[acl.Access] `conf:"oauth_access,top"`
}

// Defaults returns the options of a host that configures nothing.
func Defaults() Options {
	return Options{
		Hosts:               []string{"localhost"},
		AuthMethod:          stanza.PerHost[[]string]{Value: []string{authInternal}},
		AuthPasswordFormat:  stanza.PerHost[string]{Value: formatPlain},
		AuthSCRAMHash:       stanza.PerHost[string]{Value: "sha"},
		AnonymousProtocol:   stanza.PerHost[string]{Value: "sasl_anon"},
		RegistrationTimeout: 10 * time.Minute,
	}
}

const (
	authInternal  = "internal"
	authMnesia    = "mnesia"
	authAnonymous = "anonymous"
	formatPlain   = "plain"
)

// canonicalHosts returns Hosts in canonical form, each once.
func (o Options) canonicalHosts() ([]string, error) {
	if len(o.Hosts) == 0 {
		return nil, fmt.Errorf("hosts is empty: name at least one domain")
	}
	var hosts []string
	for _, h := range o.Hosts {
		d, err := canonicalDomain(h)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(hosts, d) {
			hosts = append(hosts, d)
		}
	}
	return hosts, nil
}

func canonicalDomain(s string) (string, error) {
	j, err := stanza.NewJID("", s, "")
	if err != nil {
		return "", fmt.Errorf("%q is not a domain: %w", s, err)
	}
	return j.Domain(), nil
}

// hasAccounts reports whether the users of the account store log in at domain.
func (o *Options) hasAccounts(domain string) bool {
	m := o.AuthMethod.For(domain)
	return slices.Contains(m, authInternal) || slices.Contains(m, authMnesia)
}

// hasAnonymous reports whether SASL ANONYMOUS is on for domain.
func (o *Options) hasAnonymous(domain string) bool {
	return slices.Contains(o.AuthMethod.For(domain), authAnonymous)
}
