package privilege

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/attached"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/pending"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Router is how a Service acts for users and reaches components.
type Router interface {
	// Speak sends a message or a request in the name of its sender: a user here,
	// by the bare address, or a virtual host. A *stanza.Error says why the sender
	// must not or could not. An answer comes to the bare address.
	Speak(ctx context.Context, s *stanza.Stanza) error
	// DeliverToDomain gives a stanza to the component of a domain. It does not
	// block, and sends nothing to other servers.
	DeliverToDomain(domain string, s *stanza.Stanza) error
	// Presences calls tell with the presence of the available resources of the
	// users of a domain and, with contacts, of the users of other domains here
	// whom one of them sees; it ends with the first error. When presence changes
	// meanwhile the last call for a resource has the last one.
	Presences(ctx context.Context, domain string, contacts bool, tell func(*stanza.Stanza) error) error
}

// Config says what a Service works with.
type Config struct {
	Router Router
	Hosts  func() []string // the virtual hosts; must not block

	// Subscribed reports whether a user here is subscribed to the presence of a
	// contact; both are bare.
	Subscribed func(ctx context.Context, user, contact stanza.JID) (bool, error)

	Log *slog.Logger // nil discards
}

// Service gives components their privileges. It is safe for concurrent use.
type Service struct {
	config  Config
	log     *slog.Logger
	options perhost.Switch[*Options]
	waiting pending.Table[asked]

	mu         sync.Mutex // serialises changes of the next three
	streams    attached.Streams
	introduced map[*attached.Stream]*introduction
	rights     atomic.Pointer[rights]
}

// rights are what the connected components may do. They never change.
type rights struct {
	of       map[pair]*grant     // without empty ones
	watchers map[string][]*watch // by virtual host: who hears of presence
	readers  map[string][]stanza.JID
}

// maxRequests is the most requests of one component that wait for an answer.
const maxRequests = 1000

type pair struct {
	component stanza.JID
	host      string
}

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{config: c, log: c.Log, introduced: make(map[*attached.Stream]*introduction)}
	s.waiting.OfOne = maxRequests
	s.rights.Store(&rights{})
	return s
}

// Configure takes new options; nil means off. Components that are connected are
// told what has changed. The access rules are asked here, and when a component
// connects, not with each stanza.
func (s *Service) Configure(o stanza.PerHost[*Options]) {
	s.options.Configure(o)
	s.Refresh()
}

// Offered reports whether a domain grants privileges.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// Connected hears that a component is connected and gets what is sent to domain;
// sink is its stream. It is told what it may do and then, if it may know, who is
// there: by a goroutine that Disconnected ends.
// See sections 4.2 and 8.
func (s *Service) Connected(_ context.Context, domain string, sink stanza.Sink) {
	s.mu.Lock()
	known := s.streams.Add(domain, sink) == nil
	s.mu.Unlock()
	if !known {
		s.Refresh()
	}
}

// Disconnected hears that a stream gets what is sent to domain no more.
func (s *Service) Disconnected(_ context.Context, domain string, sink stanza.Sink) {
	s.mu.Lock()
	gone, last := s.streams.Remove(domain, sink)
	going := s.introduced[gone]
	delete(s.introduced, gone)
	if last { // before the component can be there again
		s.waiting.TakeAll(func(a asked) bool { return a.component == gone.Domain })
	}
	s.mu.Unlock()
	if going != nil {
		going.end()
	}
	if last {
		s.Refresh()
	}
}

// Refresh looks anew at the virtual hosts and the access rules.
func (s *Service) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.rights.Load()
	now := &rights{of: make(map[pair]*grant), watchers: make(map[string][]*watch), readers: make(map[string][]stanza.JID)}
	components := s.streams.Domains()
	for _, host := range s.config.Hosts() {
		if o := s.options.For(host); o != nil {
			for _, c := range components {
				now.add(pair{c, host}, o.grant(c, host), old)
			}
		}
	}
	s.rights.Store(now)
	for _, stream := range s.streams {
		for p, g := range now.of {
			if p.component == stream.Domain {
				s.tell(stream, p.host, g, old.of[p])
			}
		}
		for _, host := range stream.Hosts() {
			if p := (pair{stream.Domain, host}); now.of[p] == nil {
				s.tell(stream, host, new(grant), old.of[p])
			}
		}
		s.introduce(stream, now)
	}
}

// add notes what a component may do.
func (r *rights) add(p pair, g *grant, old *rights) {
	if g.isEmpty() {
		return
	}
	r.of[p] = g
	if g.roster&get != 0 {
		r.readers[p.host] = append(r.readers[p.host], p.component)
	}
	if g.presence == ofNobody {
		return
	}
	w := &watch{component: p.component, contacts: g.presence == ofContacts}
	if before := old.watch(p); before != nil {
		w.told = before.told
	} else {
		w.told = newTold()
	}
	r.watchers[p.host] = append(r.watchers[p.host], w)
}

// watch returns the watch of a component at a virtual host, nil for none.
func (r *rights) watch(p pair) *watch {
	list := r.watchers[p.host]
	if i := slices.IndexFunc(list, func(w *watch) bool { return w.component == p.component }); i >= 0 {
		return list[i]
	}
	return nil
}

// tell tells a component what it may do, if it does not know. s.mu is held.
func (s *Service) tell(stream *attached.Stream, host string, g, before *grant) {
	says := ""
	if !g.isEmpty() {
		says = g.xml(nil)
	}
	if stream.Told(host) == "" {
		before = nil
	}
	from, err := stanza.NewJID("", host, "")
	if err == nil {
		err = stream.Tell(from, says, element, g.xml(before))
	}
	if err != nil {
		s.log.Warn("component was not told what it may do", "component", stream.Domain, "host", host, "err", err)
	}
}

// granted returns what the sender of a stanza may do at a virtual host, nil for
// nothing.
func (s *Service) granted(from stanza.JID, host string) *grant {
	return s.rights.Load().of[pair{from, host}]
}

// MayManage reports whether the sender of a request about the roster of a user
// may make it.
// See section 4.3.
func (s *Service) MayManage(iq *stanza.Stanza) bool {
	g := s.granted(iq.From, iq.To.Domain())
	return g != nil && g.roster.includes(iq.Type) && iq.To.Local() != "" && iq.To.IsBare()
}

func forbidden(text string) error {
	return &stanza.Error{Condition: stanza.Forbidden, Text: text}
}
