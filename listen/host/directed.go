package host

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxDirected is the most addresses that one session may send directed presence
// to; the server has to remember them until the session ends.
const MaxDirected = 2000

// direct does what the server of the sender has to do for presence with to, and
// delivers it.
func (l *Local) direct(ctx context.Context, s *stanza.Stanza) error {
	if s.Size() > MaxPresence && s.Type != stanza.TypeError {
		if me := l.sessions.find(s.From); me != nil {
			return l.answer(me, s, errLongPresence)
		}
	}
	switch {
	case isSubscription(s):
		return l.outbound(ctx, s)
	case s.Type == stanza.TypeProbe || s.Type == stanza.TypeError:
		return l.forward(ctx, s)
	}
	me, now := l.sessions.find(s.From), l.sessions.clock.Add(1)
	switch {
	case me == nil: // from a component, another server, or a session that just ended
	case s.Type == stanza.TypeUnavailable:
		me.untrack(s.To)
	case !me.track(s.To, now) && !(me.prune(l.hasLeft) && me.track(s.To, now)):
		return l.answer(me, s, &stanza.Error{
			Condition: stanza.ResourceConstraint,
			Text:      fmt.Sprintf("directed presence is limited to %d addresses", MaxDirected),
		})
	}
	return l.forward(ctx, s)
}

// track remembers the addressee of directed presence, and when it was sent. It
// reports false when there are too many, or the session has ended.
func (s *session) track(to stanza.JID, at uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	if _, known := s.directed[to]; !known && len(s.directed) >= MaxDirected {
		return false
	}
	if s.directed == nil {
		s.directed = make(map[stanza.JID]uint64)
	}
	s.directed[to] = at
	return true
}

// prune forgets those who have left, and reports whether there were any.
func (s *session) prune(left func(to stanza.JID, at uint64) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.directed)
	maps.DeleteFunc(s.directed, left)
	return len(s.directed) < n
}

// untrack forgets one: the session has sent it unavailable presence, or it has
// done so.
func (s *session) untrack(to stanza.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.directed, to)
}

// forgets has the sessions that get unavailable presence forget that they have
// sent presence to its sender: RFC 6121, section 4.6.1.
func forgets(list []*session, gone *stanza.Stanza) {
	for _, s := range list {
		if gone.To.IsBare() || gone.To == s.jid {
			s.untrack(gone.From)
		}
	}
}

// forget empties the list of those who got directed presence and returns it.
func (s *session) forget() map[stanza.JID]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.directed
	s.directed = nil
	return told
}

// forgetMatching takes those that match from the list of those who got directed
// presence and returns them.
func (s *session) forgetMatching(match func(stanza.JID) bool) map[stanza.JID]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := make(map[stanza.JID]uint64)
	for to, at := range s.directed {
		if match(to) {
			told[to] = at
			delete(s.directed, to)
		}
	}
	return told
}

// takeBack sends unavailable presence to all who got directed presence and are
// still there: RFC 6121, sections 4.6.1 and 4.6.3, rule 3. Subscribers have got
// it already.
func (l *Local) takeBack(ctx context.Context, gone *stanza.Stanza, told map[stanza.JID]uint64, subscribers []stanza.JID) error {
	if len(told) == 0 {
		return nil
	}
	rest := make(map[stanza.JID][]stanza.JID, len(told)) // by bare JID
	for to, at := range told {
		if l.hasLeft(to, at) {
			continue
		}
		rest[to.Bare()] = append(rest[to.Bare()], to)
	}
	for _, s := range subscribers {
		delete(rest, s)
	}
	var errs []error
	for _, list := range rest {
		for _, to := range list {
			errs = append(errs, l.forward(ctx, gone.WithTo(to)))
		}
	}
	return errors.Join(errs...)
}

// hasLeft reports whether nobody is at an address of this server any more who
// got presence at a moment: the session has ended, or become unavailable, since.
// Of other addresses it is not known; those that say so are forgotten then.
func (l *Local) hasLeft(to stanza.JID, at uint64) bool {
	if to.Local() == "" || !l.IsLocal(to.Domain()) {
		return false
	}
	for _, s := range l.sessions.of(to.Bare()) {
		if s.since.Load() < at && (s.jid == to || to.IsBare() && s.available()) {
			return false
		}
	}
	return true
}
