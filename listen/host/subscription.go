package host

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// isSubscription reports whether s is presence that manages a subscription.
func isSubscription(s *stanza.Stanza) bool {
	if s.Kind != stanza.Presence {
		return false
	}
	switch s.Type {
	case stanza.TypeSubscribe, stanza.TypeSubscribed, stanza.TypeUnsubscribe, stanza.TypeUnsubscribed:
		return true
	}
	return false
}

// outbound does what the server of the sender has to do for a subscription
// stanza, and delivers it: RFC 6121, sections 3.1.2, 3.1.5, 3.2.2 and 3.3.2.
func (l *Local) outbound(ctx context.Context, s *stanza.Stanza) error {
	from := s.From
	if s.From.IsFull() || s.To.IsFull() { // section 3.1.2: between bare JIDs
		c := *s
		c.From, c.To = s.From.Bare(), s.To.Bare()
		s = &c
	}
	if s.From.Local() == "" || !l.IsLocal(s.From.Domain()) || !l.rosters(s.From.Domain()) {
		return l.forward(ctx, s)
	}
	if s.From == s.To {
		return nil // one's own resources see each other anyway
	}
	change, err := l.Contacts.Outbound(ctx, s)
	if err != nil {
		return l.forward(ctx, s.WithFrom(from).ErrorReply(l.replyError(s, err)))
	}
	var errs []error
	if change.Hide { // while the contact is still subscribed: section 3.2.2
		errs = append(errs, l.hide(ctx, s.From, s.To))
	}
	if change.Pass {
		errs = append(errs, l.forward(ctx, s))
	}
	errs = append(errs, l.speak(ctx, s.From, s.To, change.Reply))
	if change.Show {
		errs = append(errs, l.showTo(ctx, s.From, s.To))
	}
	return errors.Join(errs...)
}

// inbound does what the server of the recipient has to do for a subscription
// stanza, and delivers it: RFC 6121, sections 3.1.3, 3.1.6, 3.2.3 and 3.3.3.
// answers says whether the server may answer it in the name of the user; it does
// not answer what a server has said in that way, so that there is an end.
func (l *Local) inbound(ctx context.Context, s *stanza.Stanza, answers bool) error {
	if s.To.IsFull() {
		s = s.WithTo(s.To.Bare())
	}
	list := l.sessions.of(s.To)
	if !l.rosters(s.To.Domain()) {
		if !l.blocks(list, s.From) {
			toAvailable(list, s)
		}
		return nil
	}
	if ok, err := l.receives(ctx, s); !ok || err != nil {
		return err
	}
	change, err := l.Contacts.Inbound(ctx, s, func() { toInterested(l.sessions.of(s.To), s) })
	if err != nil {
		if s.Type == stanza.TypeSubscribe {
			return l.forward(ctx, s.ErrorReply(l.replyError(s, err)))
		}
		return err
	}
	var errs []error
	if answers {
		errs = append(errs, l.speak(ctx, s.To, s.From.Bare(), change.Reply))
	}
	if change.Hide {
		errs = append(errs, l.hide(ctx, s.To, s.From.Bare()))
	}
	if change.Show {
		errs = append(errs, l.showTo(ctx, s.To, s.From.Bare()))
	}
	return errors.Join(errs...)
}

// toInterested delivers a subscription stanza to the available resources of an
// account. What answers a request goes to those that asked for the roster, too:
// RFC 6121, sections 3.1.3, 3.1.6, 3.2.3 and 3.3.3.
func toInterested(list []*session, s *stanza.Stanza) {
	for _, to := range list {
		if to.available() || s.Type != stanza.TypeSubscribe && to.is(stanza.WantsRoster) {
			_ = to.put(s)
		}
	}
}

// receives reports whether a stanza is for an account that exists and does not
// block its sender: RFC 6121, section 8.5.1, and XEP-0191, section 3.2.
func (l *Local) receives(ctx context.Context, s *stanza.Stanza) (bool, error) {
	user := s.To.Bare()
	if ok, err := l.exists(ctx, user); !ok || err != nil {
		return false, err
	}
	refuses, err := l.refuses(ctx, user, s.From)
	return !refuses, err
}

// speak sends a subscription stanza that the server makes in the name of a user;
// typ is its type, "" for none.
func (l *Local) speak(ctx context.Context, user, contact stanza.JID, typ string) error {
	if typ == "" {
		return nil
	}
	s := &stanza.Stanza{Kind: stanza.Presence, Type: typ, From: user, To: contact}
	if contact.Local() != "" && l.IsLocal(contact.Domain()) {
		return l.inbound(ctx, s, false)
	}
	return l.forward(ctx, s)
}
