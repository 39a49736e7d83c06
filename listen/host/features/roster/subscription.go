package roster

import (
	"context"
	"errors"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxRequest is how many bytes of a request of subscription are kept.
const MaxRequest = 4096

// Audience is what a user's presence concerns, in bare JIDs.
type Audience struct {
	Subscribers   []stanza.JID     // who see the user: subscription from or both
	Subscriptions []stanza.JID     // whom the user sees: to or both
	Requests      []*stanza.Stanza // subscription requests that nobody has answered
}

// Outbound does what the server of the sender has to do for presence of the
// types subscribe, subscribed, unsubscribe and unsubscribed that a local user
// sends, and says what follows. Errors that are a *stanza.Error are for the
// user; the stanza does not pass then.
// See RFC 6121, section 3 and appendix A.2.
func (s *Service) Outbound(ctx context.Context, st *stanza.Stanza) (Change, error) {
	user, contact := st.From.Bare(), st.To.Bare()
	if c, ok := settled(ctx, user, contact, st.Type); ok {
		return c, nil
	}
	o := s.optionsOf(user.Domain())
	switch {
	case o == nil:
		return Change{Pass: true}, nil
	case user == contact:
		return Change{}, nil // all see their own resources
	case !o.allows(user):
		return Change{}, forbidden()
	}
	var c Change
	err := s.change(ctx, user, contact, o.placeForContact(), nil, func(i Item) (Item, effect) {
		old := i.state()
		var now state
		now, c = old.outbound(st.Type)
		if now == old {
			return i, nothing
		}
		i.setState(now)
		if st.Type == stanza.TypeSubscribe || st.Type == stanza.TypeSubscribed {
			return i.list(old)
		}
		return i.effect(old)
	})
	if err != nil {
		return Change{}, refusal(err)
	}
	return c, nil
}

// list puts the item into the roster that clients see: a contact to whom the
// user subscribes, or whom the user approves, is one.
func (i Item) list(old state) (Item, effect) {
	if i.Listed {
		return i.effect(old)
	}
	i.Listed = true
	return i, seen
}

// effect says what the change from an old state amounts to.
func (i Item) effect(old state) (Item, effect) {
	if i.Listed && i.state().shows(old) {
		return i, seen
	}
	return i, quiet
}

// Inbound does what the server of the recipient has to do for presence of these
// types, and says what follows. To is an account that exists. Where the stanza
// goes to the resources of the user (Change.Pass), pass is called to deliver it
// once the change is stored, and the push follows. pass is called with the
// roster locked: it must not call the Service.
// See RFC 6121, section 3 and appendix A.3.
func (s *Service) Inbound(ctx context.Context, st *stanza.Stanza, pass func()) (Change, error) {
	user, contact := st.To.Bare(), st.From.Bare()
	o := s.optionsOf(user.Domain())
	switch {
	case o == nil:
		pass()
		return Change{Pass: true}, nil
	case user == contact:
		return Change{}, nil
	}
	var c Change
	deliver := func() {
		if c.Pass {
			pass()
		}
	}
	err := s.change(ctx, user, contact, o.placeForStranger(), deliver, func(i Item) (Item, effect) {
		old := i.state()
		var now state
		now, c = old.inbound(st.Type)
		if now == old {
			return i, nothing
		}
		i.setState(now)
		if now.pending && !old.pending {
			i.Request = requestXML(st.WithFrom(contact).WithTo(user))
		}
		return i.effect(old)
	})
	switch {
	case errors.Is(err, ErrFull):
		s.log.Debug("no place for a request of subscription", "user", user, "from", contact)
		return Change{Reply: stanza.TypeUnsubscribed}, nil
	case err != nil:
		return Change{}, err
	}
	return c, nil
}

// requestXML returns what is kept of a request.
func requestXML(s *stanza.Stanza) string {
	if s.Size() <= MaxRequest {
		if b := s.AppendTo(make([]byte, 0, s.Size()), stanza.NSClient); len(b) <= MaxRequest {
			return string(b)
		}
	}
	return plainRequest(s.From, s.To).String()
}

func plainRequest(from, to stanza.JID) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeSubscribe, From: from, To: to}
}

// Presence returns what a user's presence concerns. Of the requests it has 100,
// oldest first: those that would be displaced last. The others follow when these
// are answered.
func (s *Service) Presence(ctx context.Context, user stanza.JID) (Audience, error) {
	var a Audience
	if !s.Offered(user.Domain()) {
		return a, nil
	}
	var asked []Item
	err := s.pages(ctx, user, func(page []Item) {
		a.Subscribers = slices.Grow(a.Subscribers, len(page))
		a.Subscriptions = slices.Grow(a.Subscriptions, len(page))
		for _, i := range page {
			if i.Subscription&From != 0 {
				a.Subscribers = append(a.Subscribers, i.Contact)
			}
			if i.Subscription&To != 0 {
				a.Subscriptions = append(a.Subscriptions, i.Contact)
			}
			if i.Request != "" {
				asked = append(asked, i)
			}
		}
	})
	if err != nil {
		return Audience{}, err
	}
	a.Requests = s.requests(user, shown(asked))
	return a, nil
}

// requests returns the requests as they came.
func (s *Service) requests(user stanza.JID, asked []Item) (requests []*stanza.Stanza) {
	for _, i := range asked {
		r, err := stanza.Parse(i.Request)
		if err != nil {
			s.log.Warn("what is kept of a request cannot be read", "user", user, "from", i.Contact, "err", err)
			r = plainRequest(i.Contact, user)
		}
		requests = append(requests, r)
	}
	return requests
}

// Sees reports whether watcher is subscribed to the presence of user; both are
// bare. All see themselves.
func (s *Service) Sees(ctx context.Context, watcher, user stanza.JID) (bool, error) {
	if watcher == user {
		return true, nil
	}
	if !s.Offered(user.Domain()) {
		return false, nil
	}
	i, err := s.store.Get(ctx, user, watcher)
	if errors.Is(err, ErrNoItem) {
		return false, nil
	}
	return i.Subscription&From != 0, err
}

// Subscribed reports whether a user is subscribed to the presence of a contact;
// both are bare.
func (s *Service) Subscribed(ctx context.Context, user, contact stanza.JID) (bool, error) {
	if !s.Offered(user.Domain()) {
		return false, nil
	}
	i, err := s.store.Get(ctx, user, contact)
	if errors.Is(err, ErrNoItem) {
		return false, nil
	}
	return i.Subscription&To != 0, err
}

// Remove ends the subscriptions of a user in both directions and removes the
// roster. Nobody is left with a subscription if it is called again after an
// error.
func (s *Service) Remove(ctx context.Context, user stanza.JID) error {
	err := s.each(ctx, user, func(i *Item) {
		if ctx.Err() == nil {
			s.withdraw(ctx, user, i)
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	defer s.busy.lock(user)()
	return s.store.Forget(ctx, user)
}

// withdraw tells a contact that there are no subscriptions any more, nor
// requests. Its item does not count any more.
// See RFC 6121, section 2.5.2.
func (s *Service) withdraw(ctx context.Context, user stanza.JID, gone *Item) {
	sees := gone.Subscription&From != 0
	if sees || gone.Request != "" {
		s.send(ctx, user, gone.Contact, stanza.TypeUnsubscribed, Change{Pass: true, Hide: sees})
	}
	if gone.Subscription&To != 0 || gone.Ask {
		s.send(ctx, user, gone.Contact, stanza.TypeUnsubscribe, Change{Pass: true})
	}
}

// send sends presence of a user for which the roster has been changed already,
// even if the session that did so has ended meanwhile.
func (s *Service) send(ctx context.Context, user, contact stanza.JID, typ string, c Change) {
	ctx = context.WithValue(context.WithoutCancel(ctx), settlementKey{}, settlement{user, contact, typ, c})
	err := s.router.Route(ctx, &stanza.Stanza{Kind: stanza.Presence, Type: typ, From: user, To: contact})
	if err != nil {
		s.log.Warn("contact was not told of the end of a subscription", "user", user, "contact", contact, "type", typ, "err", err)
	}
}

// settlement says what follows from a stanza that is on its way, without another
// look at the roster: the item is gone, and by the rules the stanza would not
// pass.
type settlement struct {
	user, contact stanza.JID
	typ           string
	change        Change
}

type settlementKey struct{}

// settled returns what send has decided of a stanza.
func settled(ctx context.Context, user, contact stanza.JID, typ string) (c Change, ok bool) {
	d, ok := ctx.Value(settlementKey{}).(settlement)
	return d.change, ok && d.user == user && d.contact == contact && d.typ == typ
}
