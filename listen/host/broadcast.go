package host

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// tell sends the presence of a session, now, to those who are subscribed to it.
// Whoever changes the presence meanwhile tells all of them, too.
func (l *Local) tell(ctx context.Context, me *session, now *availability, subscribers []stanza.JID) error {
	var slab slab
	var errs []error
	for _, to := range subscribers {
		if err := l.show(ctx, me, to, &slab); err != nil {
			errs = append(errs, err)
		}
		if me.state.Load() != now {
			break
		}
	}
	return errors.Join(errs...)
}

// show sends the current presence of a session to a contact, by its bare JID,
// until it stands still: see tellCurrent.
func (l *Local) show(ctx context.Context, me *session, to stanza.JID, slab *slab) error {
	if l.blocksOf(me, to) || to == me.jid.Bare() {
		return nil
	}
	for {
		told := me.state.Load()
		if told == nil {
			return nil
		}
		if err := l.sendPresence(ctx, told.presence, to, slab); err != nil {
			return err
		}
		if me.state.Load() == told {
			return nil
		}
	}
}

// sendPresence sends a copy of presence to a contact, by its bare JID.
func (l *Local) sendPresence(ctx context.Context, p *stanza.Stanza, to stanza.JID, slab *slab) error {
	if !l.IsLocal(to.Domain()) {
		return l.forward(ctx, slab.copy(p, to))
	}
	if l.watched(to.Domain()) {
		l.watch(ctx, slab.copy(p, to))
	}
	list := l.sessions.of(to)
	if !anyAvailable(list) || l.blocks(list, p.From) {
		return nil
	}
	toAvailable(list, slab.copy(p, to))
	return nil
}

// blocksOf is blocks for the account of a session, also of one that has just
// left the table.
func (l *Local) blocksOf(me *session, peer stanza.JID) bool {
	f := me.account.blocks.Load()
	return f != nil && (*f)(peer)
}

// slab makes copies of a stanza for many recipients, in few allocations. Its
// zero value is ready.
type slab struct {
	size int // of the last allocation
	free []stanza.Stanza
}

// Sizes of the allocations of a slab: they double. One copy in a queue keeps its
// whole allocation.
const (
	minSlab = 16
	maxSlab = 1024
)

// copy returns a copy of a stanza for another recipient; the payload is shared.
func (b *slab) copy(s *stanza.Stanza, to stanza.JID) *stanza.Stanza {
	if len(b.free) == 0 {
		b.size = min(max(2*b.size, minSlab), maxSlab)
		b.free = make([]stanza.Stanza, b.size)
	}
	c := &b.free[0]
	b.free = b.free[1:]
	*c = *s
	c.To = to
	return c
}

// Show sends the current presence of the available resources of a user to those
// of its subscribers that match.
func (l *Local) Show(ctx context.Context, user stanza.JID, match func(stanza.JID) bool) error {
	user = user.Bare()
	var errs []error
	a, err := l.audience(ctx, user)
	if err != nil {
		return err
	}
	for _, to := range a.Subscribers {
		if match(to) {
			errs = append(errs, l.showTo(ctx, user, to))
		}
	}
	return errors.Join(errs...)
}

// showTo sends the current presence of the available resources of a user to a
// contact.
func (l *Local) showTo(ctx context.Context, user, contact stanza.JID) error {
	var slab slab
	var errs []error
	for _, s := range l.sessions.of(user) {
		if s.available() {
			errs = append(errs, l.show(ctx, s, contact, &slab))
		}
	}
	return errors.Join(errs...)
}

// Hide sends unavailable presence of the available resources of a user to those
// that match of its subscribers, and of everybody who got directed presence. It
// goes to those whom the user blocks, too: block them first, so that they do not
// get the next presence.
func (l *Local) Hide(ctx context.Context, user stanza.JID, match func(stanza.JID) bool) error {
	user = user.Bare()
	a, err := l.audience(ctx, user)
	errs := []error{err}
	var hidden []stanza.JID
	for _, to := range a.Subscribers {
		if match(to) {
			hidden = append(hidden, to)
		}
	}
	for _, s := range l.sessions.of(user) {
		gone := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeUnavailable, From: s.jid}
		var covered []stanza.JID
		if s.available() {
			covered = hidden
			errs = append(errs, l.hideFrom(ctx, gone, hidden))
		}
		errs = append(errs, l.takeBack(ctx, gone, s.forgetMatching(match), covered))
	}
	return errors.Join(errs...)
}

// hideFrom sends unavailable presence of a session to contacts.
func (l *Local) hideFrom(ctx context.Context, gone *stanza.Stanza, contacts []stanza.JID) error {
	var slab slab
	var errs []error
	for _, to := range contacts {
		errs = append(errs, l.sendPresence(ctx, gone, to, &slab))
	}
	return errors.Join(errs...)
}

// hide sends unavailable presence of the available resources of a user to a
// contact that does not see it any more.
func (l *Local) hide(ctx context.Context, user, contact stanza.JID) error {
	var errs []error
	for _, s := range l.sessions.of(user) {
		if s.available() {
			gone := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeUnavailable, From: s.jid}
			errs = append(errs, l.hideFrom(ctx, gone, []stanza.JID{contact}))
		}
	}
	return errors.Join(errs...)
}
