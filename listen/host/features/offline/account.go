package offline

import (
	"context"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// account is what is known of one account besides what the store has. It exists
// only while there is something to know. Service.mu guards all but turn.
type account struct {
	user stanza.JID
	turn chan struct{} // full while a Deliver runs
	refs int           // calls of Keep and Deliver
	// held are the messages that sessions have been handed and that have neither
	// arrived nor been lost.
	held map[stanza.Sink]map[uint64]struct{}
	// arrived are the messages that are being removed from the store; true: they
	// have been, but the page that a Deliver is at may still show them.
	arrived map[uint64]bool
	failed  []uint64 // of arrived, those that the store did not remove
	listing bool     // a Deliver has a page of the store, or asks for it
	flights []*flight
}

// flight is a group of calls of Keep. They join the last flight until somebody
// waits for it.
type flight struct {
	calls  int
	landed chan struct{} // closed at the end; nil: nobody waits
}

// enter returns the account of a user, with one reference more. s.mu is held.
func (s *Service) enter(user stanza.JID) *account {
	a := s.known(user)
	a.refs++
	return a
}

// known returns the account of a user. s.mu is held.
func (s *Service) known(user stanza.JID) *account {
	a := s.accounts[user]
	if a == nil {
		a = &account{user: user}
		s.accounts[user] = a
	}
	return a
}

// drop forgets an account of which nothing is left to know. s.mu is held.
func (s *Service) drop(a *account) {
	if a.refs == 0 && len(a.held) == 0 && len(a.arrived) == 0 && s.accounts[a.user] == a {
		delete(s.accounts, a.user)
	}
}

// takeOff notes that a call of Keep is under way.
func (s *Service) takeOff(user stanza.JID) (*account, *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.enter(user)
	n := len(a.flights)
	if n == 0 || a.flights[n-1].landed != nil {
		a.flights = append(a.flights, new(flight))
		n++
	}
	f := a.flights[n-1]
	f.calls++
	return a, f
}

// land notes that a call of Keep is done.
func (s *Service) land(a *account, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.calls--
	if f.calls == 0 {
		a.flights = slices.DeleteFunc(a.flights, func(other *flight) bool { return other == f })
		if f.landed != nil {
			close(f.landed)
		}
	}
	a.refs--
	s.drop(a)
}

// settle waits for the calls of Keep that have begun.
func (s *Service) settle(ctx context.Context, a *account) error {
	s.mu.Lock()
	under := slices.Clone(a.flights)
	for _, f := range under {
		if f.landed == nil {
			f.landed = make(chan struct{})
		}
	}
	s.mu.Unlock()
	for _, f := range under {
		select {
		case <-f.landed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (a *account) hold(by stanza.Sink, key uint64) {
	if a.held == nil {
		a.held = make(map[stanza.Sink]map[uint64]struct{})
	}
	keys := a.held[by]
	if keys == nil {
		keys = make(map[uint64]struct{})
		a.held[by] = keys
	}
	keys[key] = struct{}{}
}

// release notes that a session does not hold a message any more.
func (a *account) release(by stanza.Sink, key uint64) {
	keys := a.held[by]
	delete(keys, key)
	if len(keys) == 0 {
		delete(a.held, by)
	}
}

// claim makes sessions hold a message, unless one does or the message has
// arrived.
func (s *Service) claim(a *account, key uint64, sessions ...stanza.Sink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := a.arrived[key]; ok {
		return false
	}
	for _, keys := range a.held {
		if _, ok := keys[key]; ok {
			return false
		}
	}
	for _, by := range sessions {
		a.hold(by, key)
	}
	return true
}

// unclaim takes back a claim.
func (s *Service) unclaim(a *account, by stanza.Sink, key uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.release(by, key)
}
