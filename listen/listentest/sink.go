package listentest

import (
	"context"
	"slices"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Sink is a stanza.Sink that records. Its zero value is ready for use and takes
// everything.
type Sink struct {
	// Limit is the most stanzas that are kept; over it Deliver returns
	// stanza.ErrQueueFull. 0: no limit.
	Limit int

	mu      sync.Mutex
	stanzas []*stanza.Stanza
	taken   int // of stanzas, by Next
	reason  *stanza.StreamError
	kicked  bool
	waiting []chan struct{} // of Next; closed by the next change
}

var _ stanza.Sink = (*Sink)(nil)

// Deliver implements stanza.Sink.
func (s *Sink) Deliver(st *stanza.Stanza) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.kicked:
		return stanza.ErrClosed
	case s.Limit > 0 && len(s.stanzas) >= s.Limit:
		return stanza.ErrQueueFull
	}
	s.stanzas = append(s.stanzas, st)
	s.wake()
	return nil
}

// Kick implements stanza.Sink. Only the first reason counts.
func (s *Sink) Kick(reason *stanza.StreamError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.kicked {
		s.kicked, s.reason = true, reason
		s.wake()
	}
}

func (s *Sink) wake() {
	for _, w := range s.waiting {
		close(w)
	}
	s.waiting = nil
}

// Stanzas returns everything that was delivered, in order.
func (s *Sink) Stanzas() []*stanza.Stanza {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.stanzas)
}

// Kicked reports whether Kick was called, and why.
func (s *Sink) Kicked() (*stanza.StreamError, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason, s.kicked
}

// Next returns the stanzas one after the other; each call returns one that no
// other call has returned. It waits until there is one and returns
// stanza.ErrClosed once the session was kicked and all were returned, or the
// cause of ctx.
func (s *Sink) Next(ctx context.Context) (*stanza.Stanza, error) {
	for {
		s.mu.Lock()
		if s.taken < len(s.stanzas) {
			st := s.stanzas[s.taken]
			s.taken++
			s.mu.Unlock()
			return st, nil
		}
		if s.kicked {
			s.mu.Unlock()
			return nil, stanza.ErrClosed
		}
		w := make(chan struct{})
		s.waiting = append(s.waiting, w)
		s.mu.Unlock()
		select {
		case <-w:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
