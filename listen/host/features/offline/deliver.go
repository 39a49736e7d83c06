package offline

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// pageSize and pageBytes are how much is read at once. A session that catches up
// gets about as much from one Deliver.
const (
	pageSize  = 100
	pageBytes = 256 << 10
)

// Deliver sends what is kept for an account to one of its sessions, oldest
// first, by send, until send returns an error, which Deliver returns; what was
// refused stays for the next call. It leaves out what a session holds. Calls for
// one account run one after the other. Each waits for the calls of Keep that
// have begun before it, and for the store.
func (s *Service) Deliver(ctx context.Context, user stanza.JID, to stanza.Sink, send func(*stanza.Stanza) error) error {
	if !s.Offered(user.Domain()) {
		return nil
	}
	a, turn := s.queue(user)
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
		list, more, err := s.store.List(ctx, a.user, after, Limits{pageSize, pageBytes})
		if err != nil {
			return fmt.Errorf("reading offline messages of %q: %w", a.user, err)
		}
		// Until now the store has shown messages whose Keep goes on.
		if err := s.settle(ctx, a); err != nil {
			return err
		}
		for _, m := range list {
			if err := s.handOut(a, to, m, send); err != nil {
				return err
			}
		}
		if !more || len(list) == 0 {
			return nil
		}
		after = list[len(list)-1].Key
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

// handOut sends one message, unless a session holds it.
func (s *Service) handOut(a *account, to stanza.Sink, m Message, send func(*stanza.Stanza) error) error {
	if !s.claim(a, m.Key, to) {
		return nil
	}
	st, err := stanza.Parse(m.XML)
	if err != nil {
		s.unclaim(a, to, m.Key)
		s.log.Error("kept message cannot be read and is passed over", "user", a.user, "key", m.Key, "err", err)
		return nil
	}
	st.Kept, st.Delayed = m.Key, true
	if err := send(st); err != nil {
		s.unclaim(a, to, m.Key)
		return err
	}
	return nil
}

// Arrived removes messages that a session of an account has got from the store.
// It waits for nothing but that the store takes the order.
func (s *Service) Arrived(user stanza.JID, kept []uint64) {
	if len(kept) == 0 {
		return
	}
	s.mu.Lock()
	a := s.known(user)
	if a.arrived == nil {
		a.arrived = make(map[uint64]bool)
	}
	for _, key := range kept {
		a.arrived[key] = false
		for by := range a.held {
			a.release(by, key)
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

// Holds reports whether a session has been handed something that has neither
// arrived nor been lost.
func (s *Service) Holds(user stanza.JID, by stanza.Sink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[user]
	return a != nil && len(a.held[by]) > 0
}

// Lost ends the hold of a session on messages that have been handed to it, all if
// there are no keys: another one may get them.
func (s *Service) Lost(user stanza.JID, by stanza.Sink, keys ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[user]
	if a == nil {
		return
	}
	for _, key := range keys {
		a.release(by, key)
	}
	if len(keys) == 0 {
		delete(a.held, by)
	}
	s.drop(a)
}
