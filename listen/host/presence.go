package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// rosters reports whether the accounts of a domain have rosters.
func (l *Local) rosters(domain string) bool {
	return l.Contacts != nil && l.Contacts.Offered(domain)
}

// audience returns what the presence of a local user concerns.
func (l *Local) audience(ctx context.Context, user stanza.JID) (Audience, error) {
	if !l.rosters(user.Domain()) {
		return Audience{}, nil
	}
	return l.Contacts.Presence(ctx, user)
}

// announce takes presence without to: RFC 6121, sections 4.2.2, 4.4.2 and
// 4.5.2. The account's own available resources get it, the sender included, and
// those who are subscribed to it.
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
	if s.Size() > MaxPresence {
		return l.answer(me, s, errLongPresence)
	}
	now := &availability{presence: s.WithTo(s.From.Bare()), priority: priorityOf(s)}
	// What is kept comes before what is sent from now on.
	var c *catchup
	mine := false
	if now.takes() && !me.state.Load().takes() && l.Offline != nil && l.Offline.Offered(me.jid.Domain()) {
		c, mine = l.join(me, true)
	}
	old, ok := me.change(now)
	if !ok {
		if mine {
			c.finish(true)
		}
		return nil
	}
	if now.takes() {
		me.handover.show()
	}
	l.broadcast(me)
	if now.available() != old.available() {
		l.watchOwn(ctx, me)
	}
	var g greeting
	var err error
	switch {
	case s.Type == stanza.TypeUnavailable:
		me.since.Store(l.sessions.clock.Add(1))
		return l.leave(ctx, me, old, me.forget())
	case old.available():
		err = l.update(ctx, me, now)
	default:
		g, err = l.enter(ctx, me, now)
	}
	return errors.Join(err, l.welcome(ctx, me, c, mine, g))
}

// MaxPresence is the most bytes of presence (stanza.Stanza.Size) that a session
// may send to others. One gets the presence of all sessions of all contacts at
// its login.
const MaxPresence = 16 << 10

var errLongPresence = &stanza.Error{Condition: stanza.PolicyViolation, Text: "this presence is too long"}

// change sets the availability of a session, unless it has ended.
func (s *session) change(a *availability) (old *availability, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, false
	}
	return s.state.Swap(a), true
}

// enter does for others what initial presence asks for, and returns what the
// session is to hear: RFC 6121, section 4.2.2.
func (l *Local) enter(ctx context.Context, me *session, now *availability) (greeting, error) {
	g := greeting{others: l.sessions.of(me.jid.Bare())}
	a, err := l.audience(ctx, me.jid.Bare())
	if err != nil {
		return g, err
	}
	g.requests, g.contacts = a.Requests, a.Subscriptions
	return g, l.tell(ctx, me, now, a.Subscribers)
}

// welcome has a session hear a greeting and, with c, what is kept. mine is as for
// join, which has returned c.
func (l *Local) welcome(ctx context.Context, me *session, c *catchup, mine bool, g greeting) error {
	if !g.isEmpty(me) {
		if c == nil {
			c, mine = l.join(me, false)
		}
		if c != nil {
			c.greet(g)
		}
	}
	if !mine {
		return nil
	}
	return c.run(ctx)
}

// update does what later presence asks for: RFC 6121, section 4.4.2.
func (l *Local) update(ctx context.Context, me *session, now *availability) error {
	a, err := l.audience(ctx, me.jid.Bare())
	if err != nil {
		return err
	}
	return l.tell(ctx, me, now, a.Subscribers)
}

// leave does what the end of a session's availability asks for: RFC 6121,
// sections 4.5.2 and 4.6.3. told has got directed presence.
func (l *Local) leave(ctx context.Context, me *session, old *availability, told map[stanza.JID]uint64) error {
	now := me.state.Load()
	if !old.available() {
		return l.takeBack(ctx, now.presence, told, nil)
	}
	a, err := l.audience(ctx, me.jid.Bare())
	err = errors.Join(err, l.tell(ctx, me, now, a.Subscribers), l.takeBack(ctx, now.presence, told, a.Subscribers))
	if l.Left != nil && !anyAvailable(l.sessions.of(me.jid.Bare())) {
		l.Left(ctx, now.presence)
	}
	return err
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

// tellCurrent sends the presence of one session to another of its account. The
// presence can change meanwhile, and be sent by whoever changed it before this
// one is; sending until it stands still leaves the recipient with the last one.
func tellCurrent(to, about *session) {
	for {
		told := about.state.Load()
		_ = to.put(told.presence)
		if about.state.Load() == told {
			return
		}
	}
}

// ended tells everybody who saw a session available that it is not. The session
// has left the table.
func (l *Local) ended(ctx context.Context, s *session) {
	ctx = context.WithoutCancel(ctx) // of a listener or a session that is over itself
	l.handedOver(s, nil)             // what waits in its lane has to go elsewhere
	gone := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeUnavailable, From: s.jid, To: s.jid.Bare()}
	s.mu.Lock()
	s.ended = true
	old := s.state.Swap(&availability{presence: gone})
	told := s.directed
	s.directed = nil
	s.mu.Unlock()
	s.settle()
	if old.available() {
		l.broadcast(s)
		l.watchOwn(ctx, s)
	}
	if err := l.leave(ctx, s, old, told); err != nil {
		l.trouble.Log(ctx, slog.LevelWarn, "unavailable presence was lost", "from", s.jid, "err", err)
	}
}

// presence delivers to this server and its users: RFC 6121, section 8.5.
func (l *Local) presence(ctx context.Context, s *stanza.Stanza) error {
	switch {
	case s.To.Local() == "":
		return nil // the server has no use for presence
	case s.Type == stanza.TypeProbe:
		return l.probe(ctx, s)
	case isSubscription(s):
		return l.inbound(ctx, s, true)
	}
	list := l.sessions.of(s.To.Bare())
	if l.blocks(list, s.From) {
		return nil // XEP-0191, section 3.2
	}
	if s.Type == stanza.TypeUnavailable {
		forgets(list, s)
	}
	if s.Type != stanza.TypeError && l.watched(s.To.Domain()) {
		l.watch(ctx, s)
	}
	if s.To.IsFull() {
		if to := byResource(list, s.To); to != nil {
			_ = to.put(s)
		}
		return nil
	}
	// Errors too: that is how a request of subscription comes back.
	toAvailable(list, s)
	return nil
}

// toAvailable delivers presence to the available ones of an account's sessions.
func toAvailable(list []*session, s *stanza.Stanza) {
	for _, to := range list {
		if to.available() {
			_ = to.put(s)
		}
	}
}

// answer sends the error that presence of a session here deserves.
func (l *Local) answer(to *session, s *stanza.Stanza, e *stanza.Error) error {
	r := s.ErrorReply(e)
	if r.From.IsZero() {
		r.From = s.From.Bare()
	}
	return to.put(r)
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
	return min(max(n, minPriority), maxPriority)
}
