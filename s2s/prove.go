package s2s

import (
	"context"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// prove notes that the server at the other end speaks for p.remote to p.local. It
// reports false when the stream is over.
func (s *stream) prove(ctx context.Context, p pair, mechanism string) bool {
	s.mu.Lock()
	switch {
	case s.over:
		s.mu.Unlock()
		return false
	case s.has(p):
		s.mu.Unlock()
		return true
	}
	first := s.first == pair{}
	if first {
		s.first = p
	} else {
		if s.more == nil {
			s.more = make(map[pair]struct{})
		}
		s.more[p] = struct{}{}
	}
	s.mu.Unlock()
	s.l.srv.in.pairs.Add(1)
	if first {
		s.l.srv.in.authenticated.Add(1)
		s.t.SetLimits(stanza.Limits{Bytes: s.l.o.MaxStanzaSize, Elements: s.l.o.MaxStanzaElements})
		s.shape(p.local, p.remote)
		_ = s.t.expire(s.l.srv.settings.Load().Timeout.For(p.local)) // if that fails, Read does
	}
	peer := s.t.Peer()
	args := append(s.about(p.local, p.remote), "mechanism", mechanism, "encrypted", peer.TLS != nil, "transport", peer.Name)
	if first {
		s.l.log.InfoContext(ctx, "server has connected", args...)
	} else { // a server can have many names
		s.l.failures.Log(ctx, slog.LevelInfo, "server has connected", args...)
	}
	return true
}

// proved reports whether a pair is.
func (s *stream) proved(p pair) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has(p)
}

// has is proved for whoever holds mu.
func (s *stream) has(p pair) bool {
	if p == s.first {
		return true
	}
	_, ok := s.more[p]
	return ok
}

// pairs returns how many are proved.
func (s *stream) pairs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == (pair{}) {
		return 0
	}
	return 1 + len(s.more)
}

// adopt offers a pair that was proved to those who send in the other direction, if
// the server wants that.
// See XEP-0288, section 2.2.
func (s *stream) adopt(ctx context.Context, p pair) {
	s.mu.Lock()
	wanted := s.bidi && !s.over && !s.finished
	s.mu.Unlock()
	if !wanted || !s.l.srv.settings.Load().Bidi.For(p.local) {
		return
	}
	_ = s.guard(ctx, func() {
		release, ok := s.l.back.adopt(p, s.out)
		if ok {
			s.mu.Lock()
			s.releases = append(s.releases, release)
			s.mu.Unlock()
		}
	})
}
