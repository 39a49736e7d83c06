package host

import (
	"context"
	"errors"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// ask finds out about the presence of somebody whom the user of a session sees,
// for the session: RFC 6121, section 4.3. Of a contact here it returns the
// sessions, whose presence is the answer.
func (l *Local) ask(ctx context.Context, me *session, contact stanza.JID) ([]*session, error) {
	if l.blocksOf(me, contact) {
		return nil, nil // its answer would not be delivered
	}
	if !l.IsLocal(contact.Domain()) {
		return nil, l.forward(ctx, &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeProbe, From: me.jid, To: contact})
	}
	list := l.sessions.of(contact)
	if !anyAvailable(list) || l.blocks(list, me.jid) || !l.rosters(contact.Domain()) {
		return nil, nil
	}
	sees, err := l.Contacts.Sees(ctx, me.jid.Bare(), contact)
	switch {
	case err != nil:
		return nil, err
	case !sees:
		return nil, l.speak(ctx, contact, me.jid.Bare(), stanza.TypeUnsubscribed)
	}
	return list, nil
}

// sees reports whether a session may still know about the sessions of a contact.
func (l *Local) sees(ctx context.Context, me *session, contact stanza.JID, list []*session) (bool, error) {
	if l.blocksOf(me, contact) || l.blocks(list, me.jid) || !l.rosters(contact.Domain()) {
		return false, nil
	}
	return l.Contacts.Sees(ctx, me.jid.Bare(), contact)
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
