package roster

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// HandleIQ answers requests of a session about its own roster. Those about the
// roster of somebody else are refused. The answer to a get goes out through the
// Router, because it has to keep its place among the pushes.
// See RFC 6121, sections 2.1 to 2.6.
func (s *Service) HandleIQ(ctx context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	user := iq.From.Bare()
	if !iq.To.IsZero() && iq.To != user {
		return nil, &stanza.Error{Condition: stanza.Forbidden, Text: "this is not your roster"}
	}
	return s.handle(ctx, iq, user)
}

// Manage answers a request about the roster of the account iq.To, whoever has
// sent it: the caller knows that he may (XEP-0356). The answer to a get goes out
// through the Router.
func (s *Service) Manage(ctx context.Context, iq *stanza.Stanza) (*stanza.Stanza, error) {
	return s.handle(ctx, iq, iq.To)
}

// handle answers a request about the roster of a user.
func (s *Service) handle(ctx context.Context, iq *stanza.Stanza, user stanza.JID) (*stanza.Stanza, error) {
	o := s.optionsOf(user.Domain())
	if o == nil {
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	query, err := iq.Payload()
	if err != nil || query == nil || query.Name != (stanza.Name{Space: NS, Local: "query"}) {
		return nil, badRequest("no roster query")
	}
	if iq.Type == stanza.TypeGet {
		return nil, s.get(ctx, iq, user, query, o)
	}
	if !o.allows(user) {
		return nil, forbidden()
	}
	e, err := parseEntry(query, user)
	if err != nil {
		return nil, err
	}
	if e.remove {
		err = s.remove(ctx, user, e.contact)
	} else {
		err = s.update(ctx, user, e, o)
	}
	if err != nil {
		return nil, err
	}
	return iq.Result(""), nil
}

// update adds a contact or changes its name and groups.
// See RFC 6121, sections 2.3 and 2.4.
func (s *Service) update(ctx context.Context, user stanza.JID, e entry, o *Options) error {
	err := s.change(ctx, user, e.contact, o.placeForContact(), nil, func(i Item) (Item, effect) {
		i.Listed, i.Name, i.Groups = true, e.name, e.groups
		return i, seen
	})
	return refusal(err)
}

// refusal makes an error for the user of ErrFull.
func refusal(err error) error {
	if errors.Is(err, ErrFull) {
		return &stanza.Error{Condition: stanza.ResourceConstraint, Text: "the roster is full: remove a contact first"}
	}
	return err
}

// remove removes a contact, and the subscriptions between the two with it.
// See RFC 6121, section 2.5.
func (s *Service) remove(ctx context.Context, user, contact stanza.JID) error {
	var gone Item
	err := s.change(ctx, user, contact, place{}, nil, func(i Item) (Item, effect) {
		gone = i
		if !i.Listed {
			return i, nothing
		}
		return Item{Contact: contact}, seen
	})
	if err != nil {
		return err
	}
	if !gone.Listed {
		return &stanza.Error{Condition: stanza.ItemNotFound}
	}
	s.withdraw(ctx, user, &gone)
	return nil
}

// get answers with the roster, or with what has changed in it.
func (s *Service) get(ctx context.Context, iq *stanza.Stanza, user stanza.JID, query *stanza.Element, o *Options) error {
	ver, hasVer := "", false
	for _, a := range query.Attrs {
		if a.Name == (stanza.Name{Local: "ver"}) {
			ver, hasVer = a.Value, o.Versioning
		}
	}
	defer s.busy.lock(user)()
	if iq.From.IsBare() || iq.From.Bare() != user { // no session of the user
		inner, err := s.whole(ctx, user, hasVer)
		if err != nil {
			return err
		}
		return s.router.Route(ctx, iq.Result(inner).WithFrom(user))
	}
	changes, ok, err := s.changes(ctx, user, ver, hasVer)
	if err != nil {
		return err
	}
	inner := ""
	if !ok {
		if inner, err = s.whole(ctx, user, hasVer); err != nil {
			return err
		}
	}
	s.router.Mark(iq.From, stanza.WantsRoster, true)
	if err := s.router.DeliverTo(iq.From, iq.Result(inner)); err != nil {
		s.log.Debug("session has ended without its roster", "user", iq.From, "err", err)
		return nil
	}
	for _, i := range changes {
		s.pushTo(iq.From, s.pushed(user, i))
	}
	return nil
}

// whole returns the roster as the payload of an answer.
// See RFC 6121, section 2.1.4.
func (s *Service) whole(ctx context.Context, user stanza.JID, versioned bool) (string, error) {
	v, err := s.store.Version(ctx, user)
	if err != nil {
		return "", err
	}
	b := s.appendQuery(make([]byte, 0, 1024), versioned, v.Current)
	err = s.each(ctx, user, func(i *Item) {
		if i.Listed {
			b = i.appendXML(b)
		}
	})
	return string(append(b, "</query>"...)), err
}

// changes returns what was changed since the version that a client has, oldest
// first. ok is false if it needs the whole roster: it has none, what it has is
// of unknown origin, contacts were removed since, or too much has changed.
// See RFC 6121, section 2.6.3.
func (s *Service) changes(ctx context.Context, user stanza.JID, ver string, hasVer bool) (changed []*Item, ok bool, err error) {
	since, known := s.parseVersion(ver)
	if !hasVer || !known {
		return nil, false, nil
	}
	v, err := s.store.Version(ctx, user)
	if err != nil || since > v.Current || since < v.Deleted {
		return nil, false, err
	}
	if since == v.Current {
		return nil, true, nil
	}
	n := 0
	err = s.each(ctx, user, func(i *Item) {
		if !i.Listed || i.Version <= since {
			return
		}
		if n++; n <= maxChanges {
			changed = append(changed, i)
		}
	})
	if err != nil || n > maxChanges {
		return nil, false, err
	}
	slices.SortFunc(changed, func(a, b *Item) int { return cmp.Compare(a.Version, b.Version) })
	return changed, true, nil
}
