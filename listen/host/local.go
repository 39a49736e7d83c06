package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Router takes stanzas. A *Local is one, and what serves other domains another.
type Router interface {
	// Route delivers a stanza and answers for what it cannot deliver: it sends
	// the error stanza to the sender itself. Its error is for the log.
	Route(ctx context.Context, s *stanza.Stanza) error
}

// Users knows which accounts exist.
type Users interface {
	Exists(ctx context.Context, user stanza.JID) (bool, error)
}

// IQHandler answers requests (IQ of type get or set).
type IQHandler interface {
	// HandleIQ answers a request. A nil answer with a nil error means that the
	// answer follows through the Router. A *stanza.Error becomes the error
	// reply, any other error becomes internal-server-error.
	HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error)
}

// Offline keeps messages for accounts that cannot take them now.
type Offline interface {
	// Keep takes a message of type normal or chat for an account none of whose
	// resources is available with a priority of at least 0. Its error becomes
	// the sender's: a *stanza.Error as it is, any other as internal-server-error.
	Keep(ctx context.Context, s *stanza.Stanza) error

	// Available comes when a resource has announced a priority of at least 0,
	// and did not have one before: it gets what was kept, through the Router.
	Available(ctx context.Context, full stanza.JID)
}

// Local is a router for the users and domains of this process. It delivers by
// the rules of RFC 6121, section 8, and never waits for a recipient: sinks
// queue or refuse.
//
// What the RFC leaves open is decided so. A message to a bare JID goes to all
// resources that share the highest priority of at least 0. What cannot be
// delivered is answered with an error rather than dropped. There is no roster:
// requests of subscription pass between the users as they are and nothing is
// stored, and presence probes are answered for one's own account alone. An IQ
// request to a full JID is delivered whether or not the two share presence, as
// other servers do.
//
// The fields must be set before the first session is bound and stay as they
// are.
type Local struct {
	Users   Users     // nil: every localpart of a served domain has an account
	IQ      IQHandler // nil: requests to the server and to accounts are refused
	Next    Router    // takes what is for other domains; nil: remote-server-not-found
	Offline Offline   // nil: messages that nobody takes are returned

	log      *slog.Logger
	sessions *table
	revoked  revoked

	mu      sync.Mutex // serialises changes of the next two
	options atomic.Pointer[Options]
	domains atomic.Pointer[domains]
}

// domains says who takes what is sent to a domain.
type domains struct {
	hosts []string               // served here, in the order of the options
	sinks map[string]stanza.Sink // nil for those served here
}

// NewLocal returns a router for the hosts of o. log may be nil.
func NewLocal(o Options, log *slog.Logger) (*Local, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &Local{log: log, sessions: newTable()}
	l.options.Store(&Options{})
	l.domains.Store(&domains{})
	return l, l.Configure(o)
}

// Configure takes new options. Sessions of domains that are no longer served
// end with host-gone; others stay. After an error the old options apply.
func (l *Local) Configure(o Options) error {
	hosts, err := o.canonicalHosts()
	if err != nil {
		return err
	}
	l.mu.Lock()
	old := l.domains.Load()
	d := &domains{hosts: hosts, sinks: make(map[string]stanza.Sink)}
	for name, sink := range old.sinks {
		if sink != nil {
			d.sinks[name] = sink
		}
	}
	for _, h := range hosts {
		if d.sinks[h] != nil {
			l.mu.Unlock()
			return fmt.Errorf("hosts: %q: %w: disconnect the component first", h, ErrDomainTaken)
		}
		d.sinks[h] = nil
	}
	l.options.Store(&o)
	l.domains.Store(d)
	l.mu.Unlock()

	gone := l.sessions.all(func(s *session) bool { return !l.IsLocal(s.jid.Domain()) })
	for _, s := range gone {
		s.sink.Kick(&stanza.StreamError{Condition: stanza.StreamHostGone})
	}
	return nil
}

// Hosts returns the domains that are served here, the default one first.
func (l *Local) Hosts() []string { return slices.Clone(l.domains.Load().hosts) }

// IsLocal reports whether domain, in its canonical form, is served here.
func (l *Local) IsLocal(domain string) bool {
	sink, ok := l.domains.Load().sinks[domain]
	return ok && sink == nil
}

// Domains returns the registered domains, sorted.
func (l *Local) Domains() []string {
	var names []string
	for name, sink := range l.domains.Load().sinks {
		if sink != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// ErrDomainTaken says that a domain is served or registered already.
var ErrDomainTaken = errors.New("domain is taken")

// RegisterDomain sends everything for a domain to a sink, until release is
// called. The error wraps ErrDomainTaken or stanza.ErrBadJID.
func (l *Local) RegisterDomain(domain string, s stanza.Sink) (release func(), err error) {
	name, err := canonicalDomain(domain)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.domains.Load().sinks[name]; taken {
		return nil, fmt.Errorf("%w: %q", ErrDomainTaken, name)
	}
	l.setDomain(name, s)
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.setDomain(name, nil)
	}), nil
}

// setDomain changes one registered domain; nil removes it. l.mu is held.
func (l *Local) setDomain(name string, s stanza.Sink) {
	old := l.domains.Load()
	d := &domains{hosts: old.hosts, sinks: maps.Clone(old.sinks)}
	if s != nil {
		d.sinks[name] = s
	} else {
		delete(d.sinks, name)
	}
	l.domains.Store(d)
}

// exists reports whether there is an account, or a session without one.
func (l *Local) exists(ctx context.Context, bare stanza.JID) (bool, error) {
	if l.Users == nil || len(l.sessions.of(bare)) > 0 {
		return true, nil
	}
	return l.Users.Exists(ctx, bare)
}
