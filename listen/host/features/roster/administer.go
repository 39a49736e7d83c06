package roster

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Each calls f for everything that a roster holds, in the order of the contacts, until
// f returns an error: also for what clients do not see (Item.Listed). f may change the
// roster.
func (s *Service) Each(ctx context.Context, user stanza.JID, f func(Item) error) error {
	var after stanza.JID
	for {
		page, err := s.store.List(ctx, user, after, pageSize)
		if err != nil {
			return err
		}
		for _, i := range page {
			if err := f(i); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].Contact
	}
}

// Put lists a contact as an administrator wants it, the subscription included, and
// tells the clients of the user; nobody asks the contact, nor hears it of this. It
// returns the subscription before. Requests that the subscription settles are gone. The
// bounds of what clients may say of a contact apply; whether the user may change the
// roster does not matter. Errors for the caller are a *stanza.Error.
func (s *Service) Put(ctx context.Context, user, contact stanza.JID, name string, groups []string, want Subscription) (before Subscription, err error) {
	o := s.optionsOf(user.Domain())
	if o == nil {
		return None, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	e, err := parseEntry(itemOf(contact, name, groups), user)
	if err != nil {
		return None, err
	}
	err = s.change(ctx, user, e.contact, o.placeForContact(), nil, func(i Item) (Item, effect) {
		before = i.Subscription
		i.Listed, i.Name, i.Groups, i.Subscription = true, e.name, e.groups, want
		if want&To != 0 {
			i.Ask = false
		}
		if want&From != 0 {
			i.Request, i.Approved = "", false
		}
		return i, seen
	})
	return before, refusal(err)
}

// itemOf returns what a client would send of a contact.
func itemOf(contact stanza.JID, name string, groups []string) *stanza.Element {
	attr := func(name, value string) stanza.Attr { return stanza.Attr{Name: stanza.Name{Local: name}, Value: value} }
	item := &stanza.Element{
		Name:  stanza.Name{Space: NS, Local: "item"},
		Attrs: []stanza.Attr{attr("jid", contact.String()), attr("name", name)},
	}
	for _, g := range groups {
		item.Children = append(item.Children, &stanza.Element{Name: stanza.Name{Space: NS, Local: "group"}, Text: g})
	}
	return &stanza.Element{Name: stanza.Name{Space: NS, Local: "query"}, Children: []*stanza.Element{item}}
}

// Delete removes all that a roster holds of a contact, and with it the subscriptions
// between the two and their requests, as if the user had done so. It reports whether
// there was something.
func (s *Service) Delete(ctx context.Context, user, contact stanza.JID) (was bool, err error) {
	var gone Item
	err = s.change(ctx, user, contact, place{}, nil, func(i Item) (Item, effect) {
		gone = i
		switch {
		case i.Version == 0:
			return i, nothing
		case i.Listed:
			return Item{Contact: contact}, seen
		}
		return Item{Contact: contact}, quiet
	})
	if err != nil || gone.Version == 0 {
		return false, err
	}
	s.withdraw(ctx, user, &gone)
	return true, nil
}
