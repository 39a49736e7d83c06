package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxDirected is the most addresses that one session may send directed presence
// to; the server has to remember them until the session ends.
const MaxDirected = 2000

// direct does what the server of the sender has to do for presence with to, and
// delivers it.
func (l *Local) direct(ctx context.Context, s *stanza.Stanza) error {
	switch {
	case isSubscription(s):
		return l.outbound(ctx, s)
	case s.Type == stanza.TypeProbe || s.Type == stanza.TypeError:
		return l.forward(ctx, s)
	}
	me := l.sessions.find(s.From)
	switch {
	case me == nil: // from a component, another server, or a session that just ended
	case s.Type == stanza.TypeUnavailable:
		me.untrack(s.To)
	case !me.track(s.To):
		return l.answer(me, s, &stanza.Error{
			Condition: stanza.ResourceConstraint,
			Text:      fmt.Sprintf("directed presence is limited to %d addresses", MaxDirected),
		})
	}
	return l.forward(ctx, s)
}

// track remembers the addressee of directed presence. It reports false when
// there are too many, or the session has ended.
func (s *session) track(to stanza.JID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	if _, known := s.directed[to]; !known && len(s.directed) >= MaxDirected {
		return false
	}
	if s.directed == nil {
		s.directed = make(map[stanza.JID]struct{})
	}
	s.directed[to] = struct{}{}
	return true
}

func (s *session) untrack(to stanza.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.directed, to)
}

// forget empties the list of those who got directed presence and returns it.
func (s *session) forget() map[stanza.JID]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.directed
	s.directed = nil
	return told
}

// forgetMatching takes those that match from the list of those who got directed
// presence and returns them.
func (s *session) forgetMatching(match func(stanza.JID) bool) map[stanza.JID]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := make(map[stanza.JID]struct{})
	for to := range s.directed {
		if match(to) {
			told[to] = struct{}{}
			delete(s.directed, to)
		}
	}
	return told
}

// takeBack sends unavailable presence to all who got directed presence: RFC
// 6121, section 4.6.3, rule 3. Subscribers have got it already.
func (l *Local) takeBack(ctx context.Context, gone *stanza.Stanza, told map[stanza.JID]struct{}, subscribers []stanza.JID) error {
	if len(told) == 0 {
		return nil
	}
	rest := make(map[stanza.JID][]stanza.JID, len(told)) // by bare JID
	for to := range told {
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
