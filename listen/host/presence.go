package host

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxDirected is the most addresses that one session may send directed presence
// to; the server has to remember them until the session ends.
const MaxDirected = 2000

// announce takes presence without to: RFC 6121, sections 4.2.2, 4.4.2 and
// 4.5.2. The account's own available resources get it, the sender included.
func (l *Local) announce(ctx context.Context, s *stanza.Stanza) error {
	me := l.sessions.find(s.From)
	if me == nil {
		return fmt.Errorf("presence of %q, which is no session here", s.From)
	}
	switch s.Type {
	case "", stanza.TypeUnavailable:
	case stanza.TypeError:
		return nil
	default:
		// Subscriptions and probes need an addressee.
		return l.answer(me, s, &stanza.Error{Condition: stanza.BadRequest, Text: "this type of presence needs a to address"})
	}
	now := &availability{presence: s.WithTo(s.From.Bare()), priority: priorityOf(s)}
	old, ok := me.change(now)
	if !ok {
		return nil
	}
	l.broadcast(me)
	if s.Type == stanza.TypeUnavailable {
		return l.takeBack(ctx, me.forget(), s)
	}
	if !old.available() {
		for _, other := range l.sessions.of(s.From.Bare()) {
			if other != me && other.available() {
				tellCurrent(me, other)
			}
		}
	}
	if l.Offline != nil && now.priority >= 0 && (!old.available() || old.priority < 0) {
		l.Offline.Available(ctx, me.jid)
	}
	return nil
}

// change sets the availability of a session, unless it has ended.
func (s *session) change(a *availability) (old *availability, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, false
	}
	return s.state.Swap(a), true
}

// forget empties the list of those who got directed presence and returns it.
func (s *session) forget() map[stanza.JID]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.directed
	s.directed = nil
	return told
}

// broadcast sends the presence of a session to the account's available
// resources and to itself. It changed before the list of resources is read:
// a resource that the list lacks will look at it in its own announce.
func (l *Local) broadcast(me *session) {
	for _, to := range l.sessions.of(me.jid.Bare()) {
		if to == me || to.available() {
			tellCurrent(to, me)
		}
	}
}

// tellCurrent sends the presence of one session to another. The presence can
// change meanwhile, and be sent by whoever changed it before this one is;
// sending until it stands still leaves the recipient with the last one.
func tellCurrent(to, about *session) {
	for {
		told := about.state.Load()
		_ = to.sink.Deliver(told.presence)
		if about.state.Load() == told {
			return
		}
	}
}

// ended tells everybody who saw a session available that it is not. The session
// has left the table.
func (l *Local) ended(ctx context.Context, s *session) {
	gone := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeUnavailable, From: s.jid, To: s.jid.Bare()}
	s.mu.Lock()
	s.ended = true
	old := s.state.Swap(&availability{presence: gone})
	told := s.directed
	s.directed = nil
	s.mu.Unlock()
	if old.available() {
		l.broadcast(s)
	}
	if err := l.takeBack(ctx, told, gone); err != nil {
		l.log.Warn("unavailable presence was lost", "from", s.jid, "err", err)
	}
}

// takeBack sends unavailable presence to all who got directed presence: RFC
// 6121, section 4.6.3, rule 3.
func (l *Local) takeBack(ctx context.Context, told map[stanza.JID]struct{}, gone *stanza.Stanza) error {
	var errs []error
	for to := range told {
		errs = append(errs, l.Route(ctx, gone.WithTo(to)))
	}
	return errors.Join(errs...)
}

// direct does what the server of the sender has to do for presence with to. It
// returns the stanza to route, nil for none.
func (l *Local) direct(ctx context.Context, s *stanza.Stanza) (*stanza.Stanza, error) {
	switch s.Type {
	case stanza.TypeSubscribe, stanza.TypeSubscribed, stanza.TypeUnsubscribe, stanza.TypeUnsubscribed:
		// RFC 6121, section 3.1.2: between bare JIDs.
		if !s.From.IsFull() && !s.To.IsFull() {
			return s, nil
		}
		c := *s
		c.From, c.To = s.From.Bare(), s.To.Bare()
		return &c, nil
	case stanza.TypeProbe, stanza.TypeError:
		return s, nil
	}
	me := l.sessions.find(s.From)
	if me == nil {
		return s, nil // from a component, another server, or a session that just ended
	}
	if s.Type == stanza.TypeUnavailable {
		me.mu.Lock()
		delete(me.directed, s.To)
		me.mu.Unlock()
		return s, nil
	}
	if !me.track(s.To) {
		return nil, l.answer(me, s, &stanza.Error{
			Condition: stanza.ResourceConstraint,
			Text:      fmt.Sprintf("directed presence is limited to %d addresses", MaxDirected),
		})
	}
	return s, nil
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

// presence delivers to this server and its users: RFC 6121, section 8.5.
func (l *Local) presence(ctx context.Context, s *stanza.Stanza) error {
	switch {
	case s.To.Local() == "":
		return nil // the server has no use for presence
	case s.Type == stanza.TypeProbe:
		l.probe(s)
		return nil
	case s.To.IsFull():
		if to := l.sessions.find(s.To); to != nil {
			_ = to.sink.Deliver(s)
		}
		return nil
	}
	// Errors too: that is how a request of subscription comes back.
	for _, to := range l.sessions.of(s.To) {
		if to.available() {
			_ = to.sink.Deliver(s)
		}
	}
	return nil
}

// probe answers a user's own session. Others get no answer: without a roster
// nobody is entitled to one (RFC 6121, section 4.3.2).
func (l *Local) probe(s *stanza.Stanza) {
	if s.From.Bare() != s.To.Bare() {
		return
	}
	me := l.sessions.find(s.From)
	if me == nil {
		return
	}
	for _, other := range l.sessions.of(s.To.Bare()) {
		if other.available() && (s.To.IsBare() || s.To == other.jid) {
			tellCurrent(me, other)
		}
	}
}

// answer sends the error that presence of a session here deserves.
func (l *Local) answer(to *session, s *stanza.Stanza, e *stanza.Error) error {
	r := s.ErrorReply(e)
	if r.From.IsZero() {
		r.From = s.From.Bare()
	}
	return to.sink.Deliver(r)
}

// priorityOf returns the priority that presence announces; what is no number is
// 0, what is out of range the nearest allowed one.
// See RFC 6121, section 4.7.2.3.
func priorityOf(s *stanza.Stanza) int {
	if s.Type != "" || !strings.Contains(s.Inner, "priority") {
		return 0
	}
	e, err := stanza.ParseElement(string(s.AppendTo(nil, stanza.NSClient)))
	if err != nil {
		return 0
	}
	c := e.Child(stanza.NSClient, "priority")
	if c == nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(c.Text))
	if err != nil {
		return 0
	}
	return min(max(n, -128), 127)
}
