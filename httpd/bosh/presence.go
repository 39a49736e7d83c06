package bosh

import "time"

// enter counts a request whose handler has something to do. The caller holds mu.
func (s *session) enter(p *request, now time.Time) {
	if p.gone {
		return
	}
	p.counted = true
	if s.here++; s.here == 1 {
		s.outbox.back(s.since, now)
	}
}

// leave counts off a request whose handler returns. The caller holds mu.
func (s *session) leave(p *request, now time.Time) {
	if !p.counted {
		return
	}
	p.counted = false
	if s.here--; s.here == 0 {
		s.since = now
	}
}

// hungUp notes that nobody waits for the answer to a request any more.
func (s *session) hungUp(p *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	p.gone = true
	s.leave(p, now)
	s.arm(now)
}

// written notes that the answer to a request was written, or could not be.
func (s *session) written(p *request, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.leave(p, now)
	if err == nil {
		s.arrived(p.answer)
	}
	s.arm(now)
}

// arrived notes that an answer was taken. The caller holds mu.
func (s *session) arrived(a *answer) {
	if a.out {
		a.out = false
		s.outbox.unsent--
		s.outbox.Broadcast()
	}
	if a.last {
		s.byeTaken = true
		s.outbox.Broadcast()
	}
}
