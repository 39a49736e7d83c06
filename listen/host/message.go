package host

import (
	"context"
	"errors"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// message delivers to this server and its users.
func (l *Local) message(ctx context.Context, s *stanza.Stanza) error {
	if s.To.Local() == "" {
		return l.messageToServer(ctx, s)
	}
	list := l.sessions.of(s.To.Bare())
	if l.blocks(list, s.From) {
		return l.giveBack(ctx, s, stanza.ServiceUnavailable) // XEP-0191, section 3.2
	}
	s, err := s.WithoutForgedDelay() // XEP-0203, section 6
	if err != nil {
		return l.giveBackFor(ctx, s, l.replyError(s, err))
	}
	if l.Stamp != nil {
		s = l.Stamp(s)
	}
	return l.place(ctx, delivery{s: s, sessions: list, copies: true})
}

// messageToServer is RFC 6120, section 10.5.3.
func (l *Local) messageToServer(ctx context.Context, s *stanza.Stanza) error {
	if l.Messages != nil {
		switch taken, err := l.Messages(ctx, s); {
		case taken && err != nil:
			return l.giveBackFor(ctx, s, l.replyError(s, err))
		case taken:
			return nil
		}
	}
	if s.Type == stanza.TypeHeadline {
		return nil
	}
	return l.giveBack(ctx, s, stanza.ServiceUnavailable)
}

// delivery is a message to an account.
type delivery struct {
	s        *stanza.Stanza
	sessions []*session // of the account
	copies   bool       // those of them that want carbon copies get them
	turn     *session   // that the caller has a turn for; nil for none
}

// waits reports whether a message has to go through the lane of a session.
func (d delivery) waits(to *session) bool { return to != d.turn && to.lane.busy.Load() }

// place delivers a message by RFC 6121, section 8.5.
func (l *Local) place(ctx context.Context, d delivery) error {
	if d.s.To.IsFull() {
		return l.placeFull(ctx, d)
	}
	return l.placeBare(ctx, d)
}

// placeFull is RFC 6121, section 8.5.3.
func (l *Local) placeFull(ctx context.Context, d delivery) error {
	if to := byResource(d.sessions, d.s.To); to != nil {
		err := l.giveOne(ctx, d, to)
		if err == nil {
			return nil
		}
		if !errors.Is(err, stanza.ErrClosed) {
			return l.giveBackRefused(ctx, d.s, err)
		}
	}
	switch d.s.Type {
	case stanza.TypeChat, stanza.TypeGroupchat:
		return l.placeBare(ctx, d)
	case stanza.TypeError:
		return nil
	}
	// Normal and headline: the RFC allows silence and an error.
	return l.giveBack(ctx, d.s, stanza.ServiceUnavailable)
}

// placeBare is RFC 6121, section 8.5.2.
func (l *Local) placeBare(ctx context.Context, d delivery) error {
	switch d.s.Type {
	case stanza.TypeGroupchat:
		if highest(d.sessions, maxPriority+1).n > 0 {
			return l.giveBack(ctx, d.s, stanza.ServiceUnavailable)
		}
		return l.keep(ctx, d)
	case stanza.TypeError:
		return nil
	case stanza.TypeHeadline:
		for _, to := range d.sessions {
			if _, ok := to.priority(); ok {
				_ = l.give(stanza.ReceiptOf(ctx), d, to) // ephemeral: a full queue loses it
			}
		}
		return nil
	}
	taken, err := l.giveTop(ctx, d)
	if taken || err != nil {
		return l.giveBackRefused(ctx, d.s, err)
	}
	return l.keep(ctx, d)
}

// giveTop delivers to all resources that share the highest priority of at least
// 0 and reports whether one of them took it; an error is why none did. Sessions
// that have closed count as gone.
func (l *Local) giveTop(ctx context.Context, d delivery) (taken bool, err error) {
	for below := maxPriority + 1; ; {
		t := highest(d.sessions, below)
		switch t.n {
		case 0:
			return false, nil
		case 1:
			err = l.giveOne(ctx, d, t.first)
		default:
			err = l.giveAll(ctx, d, withPriority(d.sessions, t.priority))
		}
		if err == nil || !errors.Is(err, stanza.ErrClosed) {
			return err == nil, err
		}
		below = t.priority
	}
}

// giveOne delivers to one session, and copies to those of the account that want
// them.
func (l *Local) giveOne(ctx context.Context, d delivery, to *session) error {
	if to.is(detached) && !to.is(closed) && to != d.turn && l.storable(d.s) {
		return l.keepFor(ctx, d, to)
	}
	err := l.give(stanza.ReceiptOf(ctx), d, to)
	if err == nil {
		if d.copies && l.sessions.carbons.Load() > 0 {
			l.sendCopies(d, to)
		}
		return nil
	}
	if errors.Is(err, errBusy) {
		return l.keepFor(ctx, d, to)
	}
	return err
}

// giveAll delivers to several sessions, and copies to those of the account that
// want them. An error is why none took the message; ErrClosed is the weakest.
func (l *Local) giveAll(ctx context.Context, d delivery, to []*session) error {
	if len(to) == 0 { // their presence has changed meanwhile
		return stanza.ErrClosed
	}
	answer, wait := lookAt(to)
	if wait && !slices.Contains(to, d.turn) && l.storable(d.s) {
		return l.keepFor(ctx, d, to...)
	}
	if len(answer) == 0 {
		answer = to
	}
	shared := &to[0].account.shared
	shared.add(d.s, answer)
	var took, busy []*session
	var refused error = stanza.ErrClosed
	for _, t := range to {
		r := stanza.ReceiptOf(ctx)
		if !slices.Contains(answer, t) {
			r = nil // the others answer for the message
		}
		err := l.give(r, d, t)
		switch {
		case err == nil:
			took = append(took, t)
			continue
		case errors.Is(err, errBusy):
			busy = append(busy, t)
		case !errors.Is(err, stanza.ErrClosed):
			refused = err
		}
		shared.remove(d.s, t)
	}
	if len(busy) > 0 && l.keepFor(ctx, delivery{s: d.s}, busy...) == nil { // since lookAt
		took = append(took, busy...)
	}
	if len(took) == 0 {
		return refused
	}
	if d.copies && l.sessions.carbons.Load() > 0 {
		l.sendCopies(d, took...)
	}
	return nil
}

// lookAt returns those of the sessions that have a connection, and whether a
// message to all of them has to go to the store first: none is connected, or one
// has a busy lane.
func lookAt(to []*session) (connected []*session, wait bool) {
	for _, t := range to {
		wait = wait || t.lane.busy.Load()
		if !t.is(detached) {
			connected = append(connected, t)
		}
	}
	return connected, wait || len(connected) == 0
}

// errBusy says that a message to a session has to go to the store first.
var errBusy = errors.New("lane is busy")

// give delivers a message to a session and notes so in the Receipt of the
// sender, which may be nil. Its error is errBusy for a message that is storable
// while the lane is busy.
func (l *Local) give(r *stanza.Receipt, d delivery, to *session) error {
	s := d.s
	if s.Type == stanza.TypeError || to.is(detached) && !isIM(s) {
		r = nil // nobody waits for these: they may be minutes under way
	}
	if d.waits(to) {
		if l.storable(s) {
			return errBusy
		}
		return l.hold(r, to, s)
	}
	err := to.put(s)
	if err == nil {
		r.Via(to.sink)
	}
	return err
}

// keep stores a message for an account none of whose resources takes it, or
// returns it: RFC 6121, sections 8.5.1 and 8.5.2.2. What is returned does not tell
// the sender whether the account exists, takes nothing more, or has blocked him.
// That a message is not returned does tell that there is an account: who has
// written to nobody has to know.
func (l *Local) keep(ctx context.Context, d delivery) error {
	user := d.s.To.Bare()
	if l.Offline == nil || !l.Offline.Offered(user.Domain()) {
		return l.giveBack(ctx, d.s, stanza.ServiceUnavailable)
	}
	ok, err := l.exists(ctx, user)
	if ok && err == nil && len(d.sessions) == 0 { // else it has been looked at
		var blocked bool
		blocked, err = l.asksBlocked(ctx, user, d.s.From)
		ok = !blocked
	}
	switch {
	case err != nil:
		return l.giveBackFor(ctx, d.s, l.replyError(d.s, err))
	case !ok:
		return l.giveBack(ctx, d.s, stanza.ServiceUnavailable)
	}
	return l.giveBackRefused(ctx, d.s, l.keepFor(ctx, d))
}
