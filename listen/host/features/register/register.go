// Package register lets people make, change and remove accounts in-band
// (XEP-0077).
package register

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NS is the namespace of the requests, whose element is query, and the feature
// that service discovery lists.
const NS = "jabber:iq:register"

// Feature is the stream feature.
const Feature = "<register xmlns='http://jabber.org/features/iq-register'/>"

// Accounts are what is registered. Errors that are a *stanza.Error go to the
// client.
type Accounts interface {
	Exists(ctx context.Context, user stanza.JID) (bool, error)
	Create(ctx context.Context, user stanza.JID, password string) error
	// SetPassword and Remove end the sessions of the account except keep.
	SetPassword(ctx context.Context, user stanza.JID, password string, keep stanza.JID) error
	Remove(ctx context.Context, user, keep stanza.JID) error
}

// Router sends messages and ends sessions.
type Router interface {
	Route(ctx context.Context, s *stanza.Stanza) error
	Kick(jid, keep stanza.JID, reason *stanza.StreamError) int
}

// Config says what a Service works with.
type Config struct {
	Accounts Accounts
	Router   Router
	Options  stanza.PerHost[Options]
	// Timeout is the least time between two registrations from one address;
	// 0: no limit.
	Timeout time.Duration
	Log     *slog.Logger // nil discards
}

// Service handles the requests, before login and after it, and offers the
// stream feature.
type Service struct {
	accounts Accounts
	router   Router
	log      *slog.Logger
	options  perhost.Switch[Options]
	recent   *recent
}

// New returns a Service.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{accounts: c.Accounts, router: c.Router, log: c.Log, recent: newRecent(MaxRecent)}
	s.SetTimeout(c.Timeout)
	s.Configure(c.Options)
	return s
}

// Configure takes new options.
func (s *Service) Configure(o stanza.PerHost[Options]) { s.options.Configure(o) }

// SetTimeout sets the least time between two registrations from one address;
// 0: no limit.
func (s *Service) SetTimeout(d time.Duration) { s.recent.setTimeout(d) }

// Offered reports whether a domain has in-band registration at all.
func (s *Service) Offered(domain string) bool {
	o := s.options.For(domain)
	return !o.isOff()
}

// StreamFeatures returns the stream feature for clients that have not logged
// in, where they may register.
// See XEP-0077, section 8.
func (s *Service) StreamFeatures(domain string, authenticated bool) string {
	if o := s.options.For(domain); !authenticated && (o.open() || o.RedirectURL != "") {
		return Feature
	}
	return ""
}

// HandleIQ answers requests to the server, before login (From is zero) and
// after it, and to a user's own account. To the account of another it is
// service-unavailable, which is what one gives that does not exist (RFC 6121,
// section 8.5.1). Any other request than one to register gives
// stanza.ErrNotSupported.
// See XEP-0077, section 3.
func (s *Service) HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
	domain := iq.To.Domain()
	if iq.To.IsZero() {
		domain = iq.From.Domain()
	}
	if (iq.Child != stanza.Name{Space: NS, Local: "query"}) {
		return nil, fmt.Errorf("{%s}%s: %w", iq.Child.Space, iq.Child.Local, stanza.ErrNotSupported)
	}
	if iq.To.Local() != "" && iq.To != iq.From.Bare() {
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	r := &request{Service: s, iq: iq, peer: p, domain: domain, options: s.options.For(domain)}
	if r.options.isOff() {
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	answer, err := r.handle(ctx)
	var e *stanza.Error
	switch {
	case errors.Is(err, stanza.ErrNoAccount):
		err = &stanza.Error{Condition: stanza.RegistrationRequired}
	case err != nil && !errors.As(err, &e):
		s.log.Error("registration failed", "user", iq.From, "peer", p.Addr, "err", err)
		err = &stanza.Error{Condition: stanza.InternalServerError}
	}
	return answer, err
}
