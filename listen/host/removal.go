package host

// removal is what a sink that does not confirm has got of what the store keeps:
// to be removed from there by a goroutine of the session, because the one that
// delivers it may be the store's.
type removal struct {
	keys []uint64      // to be taken by the goroutine
	done chan struct{} // closed when it has ended; nil: there is none
}

// remove has a message removed from the store that a session has got.
func (l *Local) remove(s *session, key uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return // it goes to another session, too
	}
	if s.removal == nil {
		s.removal = new(removal)
	}
	r := s.removal
	r.keys = append(r.keys, key)
	if r.done == nil {
		r.done = make(chan struct{})
		go l.removeAll(s, r)
	}
}

// removeAll removes what there is to remove.
func (l *Local) removeAll(s *session, r *removal) {
	for {
		s.mu.Lock()
		keys := r.keys
		r.keys = nil
		if len(keys) == 0 {
			close(r.done)
			r.done = nil
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		l.Offline.Arrived(s.jid.Bare(), keys)
	}
}

// settle waits for the goroutines of a session that has ended.
func (s *session) settle() {
	s.mu.Lock()
	var removed, caughtUp chan struct{}
	if s.removal != nil {
		removed = s.removal.done
	}
	if c := s.catchup.Load(); c != nil && c.stop != nil {
		c.stop()
		caughtUp = c.done
	}
	s.mu.Unlock()
	for _, done := range []chan struct{}{caughtUp, removed} {
		if done != nil {
			<-done
		}
	}
}
