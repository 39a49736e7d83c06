package host

import (
	"context"
	"errors"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// ask finds out about the presence of those whom the user of a session sees, for
// the session: RFC 6121, section 4.3.
func (l *Local) ask(ctx context.Context, me *session, contacts []stanza.JID) error {
	var slab slab
	var errs []error
	for _, c := range contacts {
		if l.blocksOf(me, c) {
			continue // its answer would not be delivered
		}
		var err error
		if l.IsLocal(c.Domain()) {
			err = l.look(ctx, me, c, &slab)
		} else {
			err = l.forward(ctx, &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeProbe, From: me.jid, To: c})
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// look delivers the presence of a local contact to a session, as the answer to a
// probe would.
func (l *Local) look(ctx context.Context, me *session, contact stanza.JID, slab *slab) error {
	list := l.sessions.of(contact)
	if !anyAvailable(list) || l.blocks(list, me.jid) || !l.rosters(contact.Domain()) {
		return nil
	}
	sees, err := l.Contacts.Sees(ctx, me.jid.Bare(), contact)
	switch {
	case err != nil:
		return err
	case !sees:
		return l.speak(ctx, contact, me.jid.Bare(), stanza.TypeUnsubscribed)
	}
	for _, other := range list {
		if other.available() {
			reveal(me, other, slab)
		}
	}
	return nil
}

// reveal sends the presence of one session to another, until it stands still:
// see tellCurrent.
func reveal(to, about *session, slab *slab) {
	for {
		told := about.state.Load()
		_ = to.put(slab.copy(told.presence, to.jid))
		if about.state.Load() == told {
			return
		}
	}
}

// probe answers a probe: RFC 6121, section 4.3.2. Without a roster only one's
// own account is entitled to an answer.
func (l *Local) probe(ctx context.Context, s *stanza.Stanza) error {
	user, watcher := s.To.Bare(), s.From.Bare()
	if user == watcher {
		l.probeOwn(s)
		return nil
	}
	if !l.rosters(user.Domain()) {
		return nil
	}
	exists, err := l.exists(ctx, user)
	if err != nil {
		return err
	}
	if exists {
		if refuses, err := l.refuses(ctx, user, s.From); refuses || err != nil {
			return err
		}
		sees, err := l.Contacts.Sees(ctx, watcher, user)
		if err != nil {
			return err
		}
		if sees {
			return l.answerProbe(ctx, s)
		}
	}
	return l.speak(ctx, user, watcher, stanza.TypeUnsubscribed)
}

// probeOwn answers a session about the others of its account.
func (l *Local) probeOwn(s *stanza.Stanza) {
	list := l.sessions.of(s.To.Bare())
	me := byResource(list, s.From)
	if me == nil {
		return
	}
	for _, other := range list {
		if other.available() && (s.To.IsBare() || s.To == other.jid) {
			tellCurrent(me, other)
		}
	}
}

// answerProbe tells somebody who may know about the available resources of a
// user, or the one that the probe is for; unavailable if there is none.
func (l *Local) answerProbe(ctx context.Context, s *stanza.Stanza) error {
	var errs []error
	found := false
	for _, other := range l.sessions.of(s.To.Bare()) {
		if !other.available() || s.To.IsFull() && s.To != other.jid {
			continue
		}
		found = true
		for told := other.state.Load(); ; {
			errs = append(errs, l.forward(ctx, told.presence.WithTo(s.From)))
			now := other.state.Load()
			if now == told {
				break
			}
			told = now
		}
	}
	if !found {
		errs = append(errs, l.forward(ctx, &stanza.Stanza{
			Kind: stanza.Presence, Type: stanza.TypeUnavailable, ID: strings.Clone(s.ID), From: s.To, To: s.From,
		}))
	}
	return errors.Join(errs...)
}
