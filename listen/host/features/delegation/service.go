package delegation

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/attached"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/pending"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Router is how a Service reaches components and those who have asked.
type Router interface {
	// Route delivers an answer.
	Route(ctx context.Context, s *stanza.Stanza) error
	// DeliverToDomain gives a stanza to the component of a domain. It does not
	// block, and sends nothing to other servers.
	DeliverToDomain(domain string, s *stanza.Stanza) error
}

// Config says what a Service works with.
type Config struct {
	Router Router
	Hosts  func() []string // the virtual hosts; must not block
	Log    *slog.Logger    // nil discards
}

// Service delegates requests. It is safe for concurrent use.
type Service struct {
	router  Router
	hosts   func() []string
	log     *slog.Logger
	options perhost.Switch[*Options]

	// What waits for components: requests from the virtual hosts here, of others,
	// who cannot take the places of those, and of ours.
	users, others, questions pending.Table[request]

	mu      sync.Mutex // serialises changes of the next two
	streams attached.Streams
	table   atomic.Pointer[table]
}

// table has what is delegated, by virtual host and namespace. It never changes.
type table map[string]map[string]*delegated

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{router: c.Router, hosts: c.Hosts, log: c.Log}
	s.questions.OfOne = pending.MaxRequests
	s.table.Store(&table{})
	return s
}

func (s *Service) tables() [3]*pending.Table[request] {
	return [...]*pending.Table[request]{&s.users, &s.others, &s.questions}
}

// Configure takes new options; nil means off. Components that are connected are
// told what has changed. The access rules are asked here, and when a component
// connects, not with each request.
func (s *Service) Configure(o stanza.PerHost[*Options]) {
	s.options.Configure(o)
	s.Refresh()
}

// Offered reports whether a domain delegates anything.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// Connected hears that a component is connected and gets what is sent to domain;
// sink is its stream. It is told what it manages.
// See section 4.2.
func (s *Service) Connected(_ context.Context, domain string, sink stanza.Sink) {
	s.mu.Lock()
	known := s.streams.Add(domain, sink) == nil
	s.mu.Unlock()
	if !known {
		s.Refresh()
	}
}

// Disconnected hears that a stream gets what is sent to domain no more. With the
// last one of a component all requests to it end with service-unavailable.
func (s *Service) Disconnected(ctx context.Context, domain string, sink stanza.Sink) {
	s.mu.Lock()
	gone, last := s.streams.Remove(domain, sink)
	var lost []request
	if last { // before the component can be there again
		for _, t := range s.tables() {
			lost = append(lost, t.TakeAll(func(r request) bool { return r.manager == gone.Domain })...)
		}
	}
	s.mu.Unlock()
	if !last {
		return
	}
	s.Refresh()
	for _, r := range lost {
		s.refuse(context.WithoutCancel(ctx), r, stanza.ServiceUnavailable)
	}
}

// Refresh looks anew at the virtual hosts and the access rules.
func (s *Service) Refresh() {
	for _, q := range s.refresh() {
		s.ask(q)
	}
}

// refresh makes the table anew, tells the components what has changed for them
// and returns what they are to be asked.
func (s *Service) refresh() (questions []question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, now := *s.table.Load(), table{}
	for _, host := range s.hosts() {
		if o := s.options.For(host); o != nil {
			now[host] = s.delegate(host, o, old[host])
		}
	}
	s.table.Store(&now)
	for host, of := range now {
		for ns, d := range of {
			if old[host][ns] != d && !d.manager.IsZero() {
				questions = append(questions, questionsAbout(host, ns, d)...)
			}
		}
	}
	for _, stream := range s.streams {
		for host := range now {
			s.tell(stream, host, now[host])
		}
		for _, host := range stream.Hosts() {
			if now[host] == nil {
				s.tell(stream, host, nil)
			}
		}
	}
	return questions
}

// delegate returns what a virtual host delegates. s.mu is held.
func (s *Service) delegate(host string, o *Options, old map[string]*delegated) map[string]*delegated {
	of := make(map[string]*delegated)
	for ns, n := range o.Namespaces {
		switch {
		case n.Access == nil:
			continue
		case ns == NS: // section 8, rule 5
			s.log.Warn("the namespace of delegation itself cannot be delegated", "host", host, "ns", ns)
			continue
		}
		d := &delegated{filtering: n.Filtering}
		for _, component := range s.streams.Domains() {
			if n.Access.Allow(acl.Subject{Server: component.Domain(), Host: host}) {
				d.manager = component
				break
			}
		}
		if d.same(old[ns]) {
			d = old[ns]
		}
		of[ns] = d
	}
	return of
}

// tell tells a component what it manages of a virtual host, if it does not know.
// s.mu is held.
func (s *Service) tell(stream *attached.Stream, host string, of map[string]*delegated) {
	var list []byte
	for _, ns := range slices.Sorted(maps.Keys(of)) {
		if d := of[ns]; d.manager == stream.Domain {
			list = d.appendXML(list, ns)
		}
	}
	from, err := stanza.NewJID("", host, "")
	if err == nil {
		err = stream.Tell(from, string(list), element, "<delegation xmlns='"+NS+"'>"+string(list)+"</delegation>")
	}
	if err != nil {
		s.log.Warn("component was not told what it manages", "component", stream.Domain, "host", host, "err", err)
	}
}
