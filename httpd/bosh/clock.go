package bosh

import "time"

// tick does what is due. The session has one timer.
func (s *session) tick() {
	defer s.ticks.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerAt = time.Time{}
	if s.over {
		return
	}
	now := time.Now()
	s.flush(now)
	if s.here == 0 && now.Sub(s.since) >= s.patience {
		s.end(errGone, terminal(itemNotFound, s.legacy))
		return
	}
	s.inbox.Broadcast()
	s.outbox.Broadcast()
	s.wakeAt(s.nextEvent(now), now) // what was due by now is done, or about to be
}

// arm sets the timer. The caller holds mu.
func (s *session) arm(now time.Time) { s.wakeAt(s.nextEvent(time.Time{}), now) }

func (s *session) wakeAt(at, now time.Time) {
	if s.over || at.IsZero() {
		return
	}
	wait := max(at.Sub(now), 0)
	switch {
	case s.timer == nil:
		s.ticks.Add(1)
		s.timer, s.timerAt = time.AfterFunc(wait, s.tick), at
	case s.timerAt.IsZero():
		s.ticks.Add(1)
		s.timer.Reset(wait)
		s.timerAt = at
	case at.Before(s.timerAt) && s.timer.Stop(): // else tick is about to see to it
		s.timer.Reset(wait)
		s.timerAt = at
	}
}

// nextEvent returns when there is something to do that is due after then; zero for never.
func (s *session) nextEvent(then time.Time) (at time.Time) {
	sooner := func(t time.Time) {
		if t.After(then) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if s.here == 0 {
		sooner(s.since.Add(s.patience))
	}
	if len(s.held) > 0 && s.wait > 0 && !s.held[0].gone {
		sooner(s.held[0].at.Add(s.wait))
	}
	if len(s.held) > 0 && s.held[0].terminate {
		sooner(s.held[0].at.Add(closeTimeout))
	}
	if s.inbox.waiting {
		sooner(s.inbox.by)
		sooner(s.inbox.pace)
	}
	if s.outbox.busy && s.outbox.counts(s.here) {
		sooner(s.outbox.by)
	}
	if s.closing {
		sooner(s.closeBy)
	}
	return at
}

// stopTimer stops the timer, for good. The caller holds mu.
func (s *session) stopTimer() {
	if s.timer != nil && !s.timerAt.IsZero() && s.timer.Stop() {
		s.ticks.Done()
	}
	s.timerAt = time.Time{}
}
