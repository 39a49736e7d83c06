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

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Local is a router for the users and domains of this process. It delivers by
// the rules of RFC 6121, section 8, and never waits for a recipient: sinks
// queue or refuse.
//
// What the RFC leaves open is decided so. A message to a bare JID goes to all
// resources that share the highest priority of at least 0. What cannot be
// delivered is answered with an error rather than dropped. An IQ request to a
// full JID is delivered whether or not the two share presence, as other servers
// do. At a domain without rosters requests of subscription pass between the
// users as they are and nothing is stored, and presence probes are answered for
// one's own account alone.
//
// A Receipt in the context of a call hears of everything that a message waits
// for: the store and the sinks that took it.
//
// The fields must be set before the first session is bound and stay as they
// are.
type Local struct {
	Users    Users     // nil: every localpart of a served domain has an account
	IQ       IQHandler // nil: requests to the server and to accounts are refused
	Nobody   IQHandler // refuses requests to accounts that do not exist; nil: with service-unavailable
	Next     Router    // takes what is for other domains; nil: remote-server-not-found
	Offline  Offline   // nil: messages that nobody takes are returned
	Contacts Contacts  // nil: nobody has a roster
	Blocking Blocking  // nil: nobody blocks anybody
	Carbons  Carbons   // nil: nobody gets copies

	// Stamp completes a message to a local user, such as by a stanza id
	// (XEP-0359), and removes what the sender has forged, also from one of type
	// error; it returns a copy, or what it was given. nil: none.
	Stamp func(*stanza.Stanza) *stanza.Stanza

	// Messages takes a message to a served domain itself, and reports whether it
	// has taken it. Its error is for the sender. nil: none is taken.
	Messages func(ctx context.Context, m *stanza.Stanza) (taken bool, err error)

	// Answers hears of answers (IQ of type result or error) to a served domain and
	// to accounts. nil: they are dropped.
	Answers func(ctx context.Context, iq *stanza.Stanza)

	// Watcher hears of presence besides those who get it. nil: nobody.
	Watcher Watcher

	// Permit says why a request (IQ of type get or set) must not reach the
	// resource of a user here that it is addressed to, nil if it may. It must not
	// wait for long. nil: all may.
	Permit func(ctx context.Context, iq *stanza.Stanza) error

	// Left hears of the unavailable presence with which the last available
	// resource of an account goes; it holds that up. nil: none.
	Left func(ctx context.Context, gone *stanza.Stanza)

	log      *slog.Logger
	trouble  *netserve.Sampler // for what peers can cause
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
	l := &Local{log: log, trouble: netserve.NewSampler(log, "further stanzas failed"), sessions: newTable()}
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

// Serves reports whether domain, in its canonical form, is served here or
// registered.
func (l *Local) Serves(domain string) bool {
	_, ok := l.domains.Load().sinks[domain]
	return ok
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
