package extdisco

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Config says what a Service works with.
type Config struct {
	Log *slog.Logger // nil discards
}

// Service answers requests to the server, and knows the passwords that it gives
// away.
type Service struct {
	log     *slog.Logger
	options perhost.Switch[*Options]
	local   atomic.Pointer[func() []Local]
	made    []byte // the secret where none is configured
}

// New returns a Service that is off everywhere until it is configured. It makes the
// secret for those who configure none.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{log: c.Log, made: newSecret()}
}

// Configure takes new options; nil means off. With another secret the credentials
// of before are good no more.
func (s *Service) Configure(o stanza.PerHost[*Options]) {
	s.options.Configure(o)
	s.examine("", o.Value)
	for domain, o := range o.Hosts {
		s.examine(domain, o)
	}
}

// examine warns of options that cannot work; domain is "" for those of all.
func (s *Service) examine(domain string, o *Options) {
	if o == nil {
		return
	}
	restricted := func(e External) bool { return e.offer().Restricted }
	if o.Secret == "" && slices.ContainsFunc(o.Services, restricted) {
		s.log.Warn("services are offered with credentials that only this program knows; set the secret of mod_stun_disco to theirs", "host", domain)
	}
	if slices.ContainsFunc(o.Services, func(e External) bool { return e.Host == "" }) {
		s.log.Warn("a service is not offered because it has no host", "host", domain)
	}
}

// SetLocal says which STUN listeners this program has. f is asked at each request,
// must not block and may be called by several goroutines. Without, there are none.
func (s *Service) SetLocal(f func() []Local) { s.local.Store(&f) }

// Offered reports whether a domain tells of services.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// Offers returns what a domain offers to a user, with new credentials for services
// that are restricted: those that are configured, and then those of this program.
// addr is where the user is, as far as that is known. Errors: a *stanza.Error of
// the conditions ServiceUnavailable and Forbidden.
func (s *Service) Offers(domain string, user stanza.JID, addr netip.Addr) ([]Offer, error) {
	o := s.options.For(domain)
	if o == nil {
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	who := acl.Subject{User: user.Local(), Server: user.Domain(), Resource: user.Resource(), Host: domain, IP: addr}
	if o.Access == nil || !o.Access.Allow(who) {
		return nil, &stanza.Error{Condition: stanza.Forbidden}
	}
	expires := time.Now().Add(o.CredentialsLifetime).Truncate(time.Second).UTC()
	list := o.external(s.signer(s.secret(domain), user, expires))
	if f := s.local.Load(); f != nil && o.OfferLocalServices {
		for _, l := range (*f)() {
			sign := s.signer(s.secret(l.Realm), user, expires)
			for _, offer := range l.offers(domain) {
				list = add(list, sign(offer))
			}
		}
	}
	return list, nil
}

// external returns what is configured, signed.
func (o *Options) external(sign func(Offer) Offer) (list []Offer) {
	for _, e := range o.Services {
		if e.Host != "" {
			list = add(list, sign(e.offer()))
		}
	}
	return list
}

// signer returns what adds credentials for a user to restricted services.
func (s *Service) signer(secret []byte, user stanza.JID, expires time.Time) func(Offer) Offer {
	return func(o Offer) Offer {
		if o.Restricted {
			o.Username, o.Expires = username(secret, user, expires), expires
			o.Password = password(secret, o.Username)
		}
		return o
	}
}

// Password returns the password of a user name of the kind that is handed out, for
// a listener whose realm is a virtual host. ok is false for one that has expired,
// and for any other. The name itself may be made up: who does not know the secret
// has no password for it.
func (s *Service) Password(realm, name string) (pass string, ok bool) {
	if !isGood(name, time.Now()) {
		return "", false
	}
	return password(s.secret(realm), name), true
}

// secret returns that of a virtual host.
func (s *Service) secret(domain string) []byte {
	if o := s.options.For(domain); o != nil && o.Secret != "" {
		return []byte(o.Secret)
	}
	return s.made
}
