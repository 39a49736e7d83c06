package component

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
)

// groups has the groups of a Server by domain.
type groups struct {
	seed maphash.Seed

	mu       sync.Mutex
	byDomain map[string]*group
}

// errUnregistered is what a registration that panicked leaves behind.
var errUnregistered = errors.New("registering the domain has failed")

// group returns the group of a domain. A new one is for the caller to register.
func (s *Server) group(domain string) (g *group, isNew bool) {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	if g := s.groups.byDomain[domain]; g != nil {
		return g, false
	}
	g = &group{domain: domain, srv: s, ready: make(chan struct{}), gone: make(chan struct{}), err: errUnregistered}
	s.groups.byDomain[domain] = g
	return g, true
}

func (s *Server) forget(g *group) {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	delete(s.groups.byDomain, g.domain)
}

// register makes a group known to the router.
func (g *group) register() {
	defer func() {
		if g.err != nil {
			g.srv.forget(g)
		}
		close(g.ready)
	}()
	g.release, g.err = g.srv.h.Router.RegisterDomain(g.domain, g)
}

// unregister is for whoever has taken the last seat away.
func (g *group) unregister() {
	defer close(g.gone)
	defer g.srv.forget(g)
	g.release()
}

// reserve returns a seat for a stream in the group of a domain. Its error is that
// of the router, errTaken or that of ctx.
func (s *Server) reserve(ctx context.Context, domain string, x *stream, turn uint64) (*seat, error) {
	for {
		g, isNew := s.group(domain)
		if isNew {
			g.register()
		}
		if err := await(ctx, g.ready); err != nil {
			return nil, err
		}
		if g.err != nil {
			return nil, g.err
		}
		m, err := g.reserve(x, turn)
		if !errors.Is(err, errGone) {
			return m, err
		}
		if err := await(ctx, g.gone); err != nil {
			return nil, err
		}
	}
}

func await(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
