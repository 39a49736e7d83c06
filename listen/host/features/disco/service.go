package disco

import (
	"context"
	"log/slog"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Contacts knows who may see whom.
type Contacts interface {
	// Sees reports whether watcher is subscribed to the presence of user; both
	// are bare.
	Sees(ctx context.Context, watcher, user stanza.JID) (bool, error)
}

// Config says what a Service works with.
type Config struct {
	// Features returns the features of a domain or an account that somebody asks
	// about, in the order in which they are listed.
	Features func(asker, to stanza.JID) []string

	// Items returns the addresses that belong to a domain or an account, in the
	// order in which they are listed. nil: none but extra_domains.
	Items func(to stanza.JID) []string

	// More returns what components tell about a domain or an account (XEP-0355).
	// nil: nothing.
	More func(to stanza.JID) More

	// Anonymous reports whether an account is one that its user has not
	// registered. nil: none is.
	Anonymous func(user stanza.JID) bool

	// Contacts says who may ask about the accounts of others. nil: nobody.
	Contacts Contacts

	Log *slog.Logger // nil discards
}

// Service answers for domains and for accounts.
type Service struct {
	config  Config
	options perhost.Switch[*Options]
}

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{config: c}
}

// Configure takes new options; nil means off.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

// Offered reports whether a domain and its accounts can be asked.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// HandleIQ answers requests of both namespaces to a domain, to the sender's own
// account and to others.
//
// About the account of somebody else it tells only those who see his presence.
// Others hear service-unavailable to both, as about an account that does not
// exist. XEP-0030 wants an empty list of items for both cases instead, but a
// server refuses requests to accounts that do not exist as such (RFC 6121,
// section 8.5.1).
// See XEP-0030, sections 3, 4 and 8.
func (s *Service) HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
	to := addressee(iq)
	o := s.options.For(to.Domain())
	if o == nil {
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	if err := s.mayAsk(ctx, iq.From.Bare(), to); err != nil {
		return nil, err
	}
	switch iq.Child.Space {
	case NSInfo:
		return Info{
			Identity: func(to stanza.JID) Identity { return s.identity(to, o) },
			Features: func(to stanza.JID) []string { return s.config.Features(iq.From, to) },
			Forms:    func(to stanza.JID) []Form { return formsOf(to, o) },
			More:     s.config.More,
		}.HandleIQ(ctx, iq, p)
	case NSItems:
		return Items{List: func(to stanza.JID) []string { return s.items(to, o) }}.HandleIQ(ctx, iq, p)
	}
	return nil, &stanza.Error{Condition: stanza.BadRequest}
}

// mayAsk refuses questions about the accounts of others.
func (s *Service) mayAsk(ctx context.Context, asker, to stanza.JID) error {
	if to.Local() == "" || to.Bare() == asker {
		return nil
	}
	if s.config.Contacts != nil {
		sees, err := s.config.Contacts.Sees(ctx, asker, to.Bare())
		if err != nil || sees {
			return err
		}
	}
	return &stanza.Error{Condition: stanza.ServiceUnavailable}
}

func (s *Service) identity(to stanza.JID, o *Options) Identity {
	switch {
	case to.Local() == "":
		return Identity{Category: "server", Type: "im", Name: o.Name}
	case s.config.Anonymous != nil && s.config.Anonymous(to.Bare()):
		return Identity{Category: "account", Type: "anonymous"}
	}
	return Identity{Category: "account", Type: "registered"}
}

func formsOf(to stanza.JID, o *Options) []Form {
	if to.Local() != "" {
		return nil
	}
	return o.forms()
}

func (s *Service) items(to stanza.JID, o *Options) []string {
	var list []string
	if s.config.Items != nil {
		list = slices.Clone(s.config.Items(to))
	}
	if to.Local() != "" {
		return list
	}
	for _, d := range o.ExtraDomains {
		if !slices.Contains(list, d.String()) {
			list = append(list, d.String())
		}
	}
	return list
}
