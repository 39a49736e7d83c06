package httpd

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// sessions are what Go runs.
type sessions struct {
	running sync.WaitGroup

	mu    sync.Mutex
	all   map[*session]struct{}
	empty chan struct{} // is closed when there are none; nil before drain
	late  bool          // those that begin are cut
}

// session is what one call of Go runs, and what cuts it.
type session struct{ cut func() }

// enter counts one that begins. cut must be called right after it if late is true.
func (g *sessions) enter(cut func()) (s *session, late bool) {
	s = &session{cut}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all = make(map[*session]struct{})
	}
	g.all[s] = struct{}{}
	g.running.Add(1)
	return s, g.late
}

func (g *sessions) leave(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.all, s)
	if g.empty != nil && len(g.all) == 0 && !g.late {
		close(g.empty)
		g.empty = nil
	}
	g.running.Done()
}

// end waits until all have ended, or ctx has, and cuts the others and those that still
// begin.
func (g *sessions) end(ctx context.Context) {
	g.mu.Lock()
	empty := make(chan struct{})
	if len(g.all) == 0 {
		close(empty)
	} else {
		g.empty = empty
	}
	g.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
	g.mu.Lock()
	g.late = true
	left := slices.Collect(maps.Keys(g.all))
	g.mu.Unlock()
	for _, s := range left {
		s.cut()
	}
}
