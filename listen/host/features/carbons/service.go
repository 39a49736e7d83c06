package carbons

import (
	"context"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Sessions remembers which of the sessions want copies.
type Sessions interface {
	// Mark reports whether there is such a session.
	Mark(full stanza.JID, m stanza.Mark, on bool) bool
}

// Config says what a Service works with.
type Config struct {
	Sessions Sessions
	Log      *slog.Logger // nil discards
}

// Service handles the requests by which clients switch copies on and off for
// themselves. The copies are the router's.
type Service struct {
	sessions Sessions
	log      *slog.Logger
	options  perhost.Switch[*Options]
}

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{sessions: c.Sessions, log: c.Log}
}

// Configure takes new options; nil means off. Sessions keep what they have
// switched on: the router asks Offered before it copies.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

// Offered reports whether the accounts of a domain have message carbons.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// HandleIQ answers requests of a session to its own account. Doing again what is
// done already is no error.
// See XEP-0280, sections 4, 5 and 10.1.
func (s *Service) HandleIQ(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	on := iq.Child.Local == "enable"
	switch {
	case !s.Offered(iq.From.Domain()):
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	case iq.Type != stanza.TypeSet:
		return nil, &stanza.Error{Condition: stanza.NotAllowed}
	case iq.Child.Space != NS || !on && iq.Child.Local != "disable":
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "neither enable nor disable"}
	case !s.sessions.Mark(iq.From, stanza.WantsCarbons, on):
		return nil, &stanza.Error{Condition: stanza.NotAllowed, Text: "not a session of this server"}
	}
	s.log.Debug("carbons", "user", iq.From, "on", on)
	return iq.Result(""), nil
}
