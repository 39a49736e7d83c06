package offline

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// pageSize is how many messages are read at once.
const pageSize = 100

// Deliver sends what is kept for an account to one of its resources, oldest
// first, by send, until send returns an error, which Deliver returns; what was
// refused stays for the next call. It leaves out what a resource holds. Calls
// for one account run one after the other. Each waits for the calls of Keep
// that have begun before it, and for the store.
func (s *Service) Deliver(ctx context.Context, full stanza.JID, send func(*stanza.Stanza) error) error {
	if !s.Offered(full.Domain()) {
		return nil
	}
	a, turn := s.queue(full.Bare())
	defer s.leave(a)
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-turn }()
	if err := s.settle(ctx, a); err != nil {
		return err
	}
	defer s.listed(a, false)
	for after := uint64(0); ; {
		s.remove(a, s.listed(a, true))
		page, err := s.store.List(ctx, a.user, after, pageSize)
		if err != nil {
			return fmt.Errorf("reading offline messages of %q: %w", a.user, err)
		}
		// Until now the store has shown messages whose Keep goes on.
		if err := s.settle(ctx, a); err != nil {
			return err
		}
		for _, m := range page {
			if err := s.handOut(a, full, m, send); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// queue notes that a Deliver is under way and returns what it has to fill before
// it runs.
func (s *Service) queue(user stanza.JID) (a *account, turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a = s.enter(user)
	if a.turn == nil {
		a.turn = make(chan struct{}, 1)
	}
	return a, a.turn
}

func (s *Service) leave(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.refs--
	s.drop(a)
}

// listed says that a Deliver is done with the last page that the store has
// shown, and whether it asks for another one. It returns what the store has
// failed to remove.
func (s *Service) listed(a *account, more bool) (failed []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.listing = more
	for key, removed := range a.arrived {
		if removed {
			delete(a.arrived, key)
		}
	}
	if more {
		failed, a.failed = a.failed, nil
	}
	return failed
}

// handOut sends one message, unless a resource holds it.
func (s *Service) handOut(a *account, full stanza.JID, m Message, send func(*stanza.Stanza) error) error {
	if !s.claim(a, m.Key, full) {
		return nil
	}
	st, err := stanza.Parse(m.XML)
	if err != nil {
		s.unclaim(a, full, m.Key)
		s.log.Error("kept message cannot be read and is passed over", "user", a.user, "key", m.Key, "err", err)
		return nil
	}
	st.Kept = m.Key
	if err := send(st); err != nil {
		s.unclaim(a, full, m.Key)
		return err
	}
	return nil
}

// Arrived removes messages that a resource has got from the store. It waits for
// nothing but that the store takes the order.
func (s *Service) Arrived(full stanza.JID, kept []uint64) {
	if len(kept) == 0 {
		return
	}
	s.mu.Lock()
	a := s.known(full.Bare())
	if a.arrived == nil {
		a.arrived = make(map[uint64]bool)
	}
	for _, key := range kept {
		a.arrived[key] = false
		for other := range a.held {
			a.release(other, key)
		}
	}
	keys := slices.Concat(a.failed, kept)
	a.failed = nil
	s.mu.Unlock()
	s.remove(a, keys)
}

// remove deletes messages of arrived.
func (s *Service) remove(a *account, keys []uint64) {
	if len(keys) == 0 {
		return
	}
	// Nobody waits for it, and no caller's end must stop it.
	s.store.Delete(context.Background(), a.user, keys, func(err error) {
		if err != nil {
			s.log.Warn("messages that have arrived stay in the store", "user", a.user, "count", len(keys), "err", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, key := range keys {
			switch _, ok := a.arrived[key]; {
			case !ok: // the account was removed
			case err != nil:
				a.failed = append(a.failed, key)
			case a.listing:
				a.arrived[key] = true
			default:
				delete(a.arrived, key)
			}
		}
		s.drop(a)
	})
}

// Lost ends the hold of a resource on what has been handed to it and has not
// arrived: another resource may get it.
func (s *Service) Lost(full stanza.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[full.Bare()]; a != nil {
		delete(a.held, full)
		s.drop(a)
	}
}
