package blocking

import (
	"context"
	"log/slog"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
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
	// Store has the lists. Nobody else may change it: the Service remembers some of
	// them.
	Store    Store
	Sessions Sessions
	Log      *slog.Logger // nil discards
}

// Service answers the requests of clients and knows whom accounts block.
type Service struct {
	store    Store
	sessions Sessions
	log      *slog.Logger
	options  perhost.Switch[*Options]
	turns    turns
	cache    *cache
}

// What the cache of a Service holds at most.
const (
	maxCachedLists = 10_000
	maxCachedBytes = 16 << 20
)

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: c.Store, sessions: c.Sessions, log: c.Log, cache: newCache(maxCachedLists, maxCachedBytes)}
}

// Configure takes new options; nil means off. Lists that are longer than they may
// be now stay as they are.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

// Offered reports whether the accounts of a domain can block.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// Blocked returns what tells whether an account blocks a peer, nil when it
// blocks nobody. The function does not block, allocate or change. The lists of
// the accounts that were asked for last are remembered: at most 10,000, of
// together 16 MiB.
// See XEP-0191, section 6.
func (s *Service) Blocked(ctx context.Context, user stanza.JID) (func(peer stanza.JID) bool, error) {
	if !s.Offered(user.Domain()) {
		return nil, nil
	}
	user = user.Bare()
	blocks, ok, r := s.cache.find(user.String())
	if ok {
		return blocks, nil
	}
	got, err := s.read(ctx, user)
	s.cache.end(r, got)
	if err != nil {
		return nil, err
	}
	return got.blocks, nil
}

// read reads the list of an account.
func (s *Service) read(ctx context.Context, user stanza.JID) (*cached, error) {
	l, err := s.store.Get(ctx, user)
	if err != nil {
		return nil, err
	}
	// What is remembered must not keep more than the address in memory.
	if user, err = stanza.StoredJID(strings.Clone(user.String())); err != nil {
		return nil, err
	}
	const each, more = 96, 256 // about what an address and a list take besides their texts
	size := len(user.String()) + bytesOf(l.Blocked) + each*len(l.Blocked) + more
	return &cached{user: user.String(), blocks: compile(user, l.Blocked), bytes: size}, nil
}

// Remove forgets whom an account blocks.
func (s *Service) Remove(ctx context.Context, user stanza.JID) error {
	user = user.Bare()
	leave, err := s.turns.enter(ctx, user)
	if err != nil {
		return err
	}
	defer leave()
	err = s.store.Forget(ctx, user)
	s.cache.forget(user.String())
	if err != nil {
		return err
	}
	s.sessions.SetBlocked(user, nil)
	return nil
}
