package roster

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NS is the namespace of the requests, whose element is query.
const NS = "jabber:iq:roster"

// The stream features.
const (
	FeatureVersioning  = "<ver xmlns='urn:xmpp:features:rosterver'/>"
	FeaturePreApproval = "<sub xmlns='urn:xmpp:features:pre-approval'/>"
)

// Bounds of what is done in one go.
const (
	pageSize    = 500 // items that are read at once
	maxTries    = 16  // of a change, when another process changes the same item
	maxChanges  = 100 // pushes in place of a whole roster
	maxRequests = 100 // requests that are told again to a resource that comes
)

// Router is how a Service reaches the sessions of users and their contacts.
type Router interface {
	// Route sends presence in the name of a user. It is expected to ask Outbound
	// about it as it does for what a session sends.
	Route(ctx context.Context, s *stanza.Stanza) error
	// DeliverTo queues a stanza for one session.
	DeliverTo(full stanza.JID, s *stanza.Stanza) error
	// Mark sets what is remembered of a session; Marked returns the sessions of
	// an account of which it is.
	Mark(full stanza.JID, m stanza.Mark, on bool) bool
	Marked(user stanza.JID, m stanza.Mark) []stanza.JID
}

// Config says what a Service works with.
type Config struct {
	Store   Store
	Router  Router
	Watcher Watcher      // nil: nobody watches
	Log     *slog.Logger // nil discards
}

// Watcher hears of what the interested resources of users hear (XEP-0356).
type Watcher interface {
	// WantsPushes reports whether it wants to hear of the rosters of a domain. It
	// must not block.
	WantsPushes(domain string) bool
	// Push hears of a change: query is the payload of a push. It must not block,
	// nor call the Service.
	Push(user stanza.JID, query string)
}

// Service keeps the rosters of the accounts of this process: it answers the
// requests of clients and decides what subscription stanzas do. It is safe for
// concurrent use. Changes are on stable storage before anybody is told of them.
type Service struct {
	store   Store
	router  Router
	watcher Watcher
	log     *slog.Logger
	options perhost.Switch[*Options]
	busy    accounts
	epoch   string        // begins the versions that clients see
	pushes  atomic.Uint64 // so many were sent
}

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{store: c.Store, router: c.Router, watcher: c.Watcher, log: c.Log}
	if _, ok := c.Store.(*Memory); ok {
		// It counts from the beginning when the program starts again.
		s.epoch = rand.Text() + "-"
	}
	return s
}

// Configure takes new options; nil means off.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

func (s *Service) optionsOf(domain string) *Options { return s.options.For(domain) }

// Offered reports whether the accounts of a domain have rosters.
func (s *Service) Offered(domain string) bool { return s.optionsOf(domain) != nil }

// StreamFeatures returns the stream features for clients that have logged in.
// See RFC 6121, sections 2.6.1 and 3.4.
func (s *Service) StreamFeatures(domain string, authenticated bool) string {
	switch o := s.optionsOf(domain); {
	case o == nil || !authenticated:
		return ""
	case o.Versioning:
		return FeatureVersioning + FeaturePreApproval
	}
	return FeaturePreApproval
}

// allows reports whether a user may change the own roster.
func (o *Options) allows(user stanza.JID) bool {
	return o.Access != nil && o.Access.Allow(acl.Subject{User: user.Local(), Server: user.Domain(), Host: user.Domain()})
}

func forbidden() error {
	return &stanza.Error{Condition: stanza.Forbidden, Text: "denied by the policy of this server"}
}

// effect says what a change of an item amounts to.
type effect uint8

const (
	nothing effect = iota // it stays as it is
	quiet                 // it changes, and clients do not see that
	seen                  // clients are told
)

// change makes f of the item of a contact, which may be new: listed nowhere and
// of version 0. What f returns is stored, or removed when nothing is left of it,
// and pushed; stored, which may be nil, is called in between. f is called again
// when somebody else was faster.
func (s *Service) change(ctx context.Context, user, contact stanza.JID, p place, stored func(), f func(Item) (Item, effect)) error {
	defer s.busy.lock(user)()
	for range maxTries {
		old, err := s.store.Get(ctx, user, contact)
		if errors.Is(err, ErrNoItem) {
			old, err = Item{Contact: contact}, nil
		}
		if err != nil {
			return err
		}
		now, e := f(old)
		if e == nothing {
			return nil
		}
		now.Version, err = s.put(ctx, user, old, now, p.limit)
		if errors.Is(err, ErrFull) {
			if err = s.makePlace(ctx, user, &p); err == nil {
				continue
			}
		}
		switch {
		case errors.Is(err, ErrChanged), errors.Is(err, ErrNoItem):
			continue
		case err != nil:
			return err
		}
		if stored != nil {
			stored()
		}
		if e == seen {
			s.push(user, &now)
		}
		return nil
	}
	return &stanza.Error{Condition: stanza.ResourceConstraint, Text: "the contact changes all the time: try again later"}
}

// put replaces an item and returns the version of the roster.
func (s *Service) put(ctx context.Context, user stanza.JID, old, now Item, limit int) (version uint64, err error) {
	if now.Listed || now.state() != (state{}) {
		return s.store.Set(ctx, user, now, limit)
	}
	return s.store.Delete(ctx, user, old.Contact, old.Version)
}

// each calls f for the items of a roster, in the order of the contacts.
func (s *Service) each(ctx context.Context, user stanza.JID, f func(*Item)) error {
	return s.pages(ctx, user, func(page []Item) {
		for i := range page {
			f(&page[i])
		}
	})
}

// pages does so with many items at once.
func (s *Service) pages(ctx context.Context, user stanza.JID, f func([]Item)) error {
	var after stanza.JID
	for {
		page, err := s.store.List(ctx, user, after, pageSize)
		if err != nil {
			return err
		}
		f(page)
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].Contact
	}
}
