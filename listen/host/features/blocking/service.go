package blocking

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Sessions are those of this process, and what their contacts see.
type Sessions interface {
	// DeliverTo delivers to one session.
	DeliverTo(full stanza.JID, s *stanza.Stanza) error
	// Mark reports whether there is such a session.
	Mark(full stanza.JID, m stanza.Mark, on bool) bool
	// Marked returns the sessions of an account that have a mark.
	Marked(user stanza.JID, m stanza.Mark) []stanza.JID
	// SetBlocked says whom an account blocks from now on; nil: nobody.
	SetBlocked(user stanza.JID, blocks func(peer stanza.JID) bool)
	// Hide sends the unavailable presence of a user to who sees it and matches,
	// although the user blocks them by now.
	Hide(ctx context.Context, user stanza.JID, match func(stanza.JID) bool) error
	// Show sends the current presence of a user to subscribers that match.
	Show(ctx context.Context, user stanza.JID, match func(stanza.JID) bool) error
}

// Config says what a Service works with.
type Config struct {
	Store    Store
	Sessions Sessions
	Log      *slog.Logger // nil discards
}

// Service answers the requests of clients and knows whom accounts block.
type Service struct {
	store    Store
	sessions Sessions
	log      *slog.Logger
	options  atomic.Pointer[stanza.PerHost[*Options]]
	turns    turns
}

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{store: c.Store, sessions: c.Sessions, log: c.Log}
	s.Configure(stanza.PerHost[*Options]{})
	return s
}

// Configure takes new options; nil means off. Lists with more items than
// max_items now allows stay as they are.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Store(&o) }

// Offered reports whether the accounts of a domain can block.
func (s *Service) Offered(domain string) bool { return s.options.Load().For(domain) != nil }

// Blocked returns what tells whether an account blocks a peer, nil when it
// blocks nobody. The function does not block, allocate or change.
// See XEP-0191, section 6.
func (s *Service) Blocked(ctx context.Context, user stanza.JID) (func(peer stanza.JID) bool, error) {
	if !s.Offered(user.Domain()) {
		return nil, nil
	}
	user = user.Bare()
	l, err := s.store.Get(ctx, user)
	if err != nil {
		return nil, err
	}
	return compile(user, l.Blocked), nil
}

// Remove forgets whom an account blocks.
func (s *Service) Remove(ctx context.Context, user stanza.JID) error {
	user = user.Bare()
	leave, err := s.turns.enter(ctx, user)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.store.Forget(ctx, user); err != nil {
		return err
	}
	s.sessions.SetBlocked(user, nil)
	return nil
}
