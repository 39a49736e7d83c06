package blocking

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxTries bounds how often a change is tried again that another process got
// ahead of.
const maxTries = 8

// HandleIQ answers requests to the sender's own account. A change is on stable
// storage, and everybody whom it concerns has been told, before the answer.
//
// An account cannot block itself: that is not-allowed. It can block the domain
// of its server, which concerns the other users there.
// See XEP-0191, section 3.
func (s *Service) HandleIQ(ctx context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	user := iq.From.Bare()
	o := s.options.For(user.Domain())
	switch {
	case o == nil, !iq.To.IsZero() && iq.To != user: // as an account that does not exist
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	case iq.Child.Space != NS:
		return nil, &stanza.Error{Condition: stanza.BadRequest}
	}
	type request struct{ element, typ string }
	switch (request{iq.Child.Local, iq.Type}) {
	case request{"blocklist", stanza.TypeGet}:
		return s.list(ctx, iq)
	case request{"block", stanza.TypeSet}, request{"unblock", stanza.TypeSet}:
		return s.change(ctx, iq, o)
	}
	return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "want to get blocklist, or to set block or unblock"}
}

// list answers whom the account blocks. The client is marked before, so that it
// misses no change.
func (s *Service) list(ctx context.Context, iq *stanza.Stanza) (*stanza.Stanza, error) {
	s.sessions.Mark(iq.From, stanza.WantsBlocklist, true)
	l, err := s.store.Get(ctx, iq.From.Bare())
	if err != nil {
		return nil, err
	}
	return iq.Result(element("blocklist", l.Blocked)), nil
}

// change blocks or unblocks: XEP-0191, sections 3.3 to 3.5. One that changes
// nothing is pushed to the own clients all the same, as the XEP wants, but neither
// the store nor the router nor any contact hears of it.
func (s *Service) change(ctx context.Context, iq *stanza.Stanza, o *Options) (*stanza.Stanza, error) {
	items, err := itemsOf(iq)
	if err != nil {
		return nil, err
	}
	user := iq.From.Bare()
	leave, err := s.turns.enter(ctx, user)
	if err != nil {
		return nil, err
	}
	defer leave()
	if iq.Child.Local == "block" {
		err = s.block(ctx, user, items, o)
	} else {
		err = s.unblock(ctx, user, items)
	}
	if err != nil {
		return nil, err
	}
	s.push(user, iq.Child.Local, items)
	return iq.Result(""), nil
}

// block adds items. The router hears before the contacts, because presence that a
// resource sends meanwhile must not come after what the contacts are to see now.
func (s *Service) block(ctx context.Context, user stanza.JID, items []stanza.JID, o *Options) error {
	old, now, err := s.update(ctx, user, o, func(old []stanza.JID) []stanza.JID {
		return sorted(append(slices.Clip(old), items...))
	})
	if added := without(now, old); len(added) > 0 {
		s.sessions.SetBlocked(user, compile(user, now))
		s.warn(user, s.sessions.Hide(context.WithoutCancel(ctx), user, compile(user, added)))
	}
	return err
}

// unblock removes items, all if there are none.
func (s *Service) unblock(ctx context.Context, user stanza.JID, items []stanza.JID) error {
	old, now, err := s.update(ctx, user, nil, func(old []stanza.JID) []stanza.JID {
		if len(items) == 0 {
			return nil
		}
		return without(old, items)
	})
	if removed := without(old, now); len(removed) > 0 {
		free, blocks := compile(user, removed), compile(user, now)
		s.sessions.SetBlocked(user, blocks)
		s.warn(user, s.sessions.Show(context.WithoutCancel(ctx), user, func(j stanza.JID) bool {
			return free(j) && (blocks == nil || !blocks(j))
		}))
	}
	return err
}

func (s *Service) warn(user stanza.JID, err error) {
	if err != nil {
		s.log.Warn("presence was lost", "user", user, "err", err)
	}
}

// itemsOf reads the addresses of a request, sorted and each once. There may be
// none only in unblock, where it means all.
func itemsOf(iq *stanza.Stanza) ([]stanza.JID, error) {
	payload, err := iq.Payload()
	if err != nil {
		return nil, err
	}
	var items []stanza.JID
	for _, c := range payload.Children {
		if (c.Name != stanza.Name{Space: NS, Local: "item"}) {
			continue
		}
		j, err := stanza.ParseJID(c.Attr("jid"))
		switch {
		case err != nil:
			return nil, &stanza.Error{Condition: stanza.JIDMalformed}
		case iq.Child.Local == "block" && j.Bare() == iq.From.Bare():
			return nil, &stanza.Error{Condition: stanza.NotAllowed, Text: "an account cannot block itself"}
		}
		items = append(items, j)
	}
	if len(items) == 0 && (iq.Child.Local == "block" || len(payload.Children) > 0) {
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "no items"}
	}
	return sorted(items), nil
}

// update changes the stored list by edit and returns what it was and what it is,
// with an error, too: a store that has failed may have stored the change, and the
// client that tries again will change nothing. A list that grows stays within o;
// nil: whatever it has.
func (s *Service) update(ctx context.Context, user stanza.JID, o *Options, edit func([]stanza.JID) []stanza.JID) (old, now []stanza.JID, err error) {
	for range maxTries {
		l, err := s.store.Get(ctx, user)
		if err != nil {
			return nil, nil, err
		}
		old, now = l.Blocked, edit(l.Blocked)
		if slices.Equal(old, now) {
			return old, now, nil
		}
		if o != nil {
			if err := o.admits(now); err != nil {
				return nil, nil, err
			}
		}
		_, err = s.store.CompareAndSet(ctx, user, List{Blocked: now, Revision: l.Revision})
		s.cache.forget(user.String())
		switch {
		case err == nil:
			return old, now, nil
		case errors.Is(err, ErrChanged):
			continue
		}
		if l, getErr := s.store.Get(context.WithoutCancel(ctx), user); getErr == nil {
			return old, l.Blocked, err
		}
		return nil, nil, err
	}
	return nil, nil, fmt.Errorf("block list of %q: tried %d times: %w", user, maxTries, ErrChanged)
}

// push sends a change to the clients that have asked for the list.
func (s *Service) push(user stanza.JID, name string, items []stanza.JID) {
	to := s.sessions.Marked(user, stanza.WantsBlocklist)
	if len(to) == 0 {
		return
	}
	inner := element(name, items)
	for _, full := range to {
		err := s.sessions.DeliverTo(full, &stanza.Stanza{
			Kind: stanza.IQ, Type: stanza.TypeSet, ID: rand.Text(), From: user, To: full,
			Child: stanza.Name{Space: NS, Local: name}, Inner: inner,
		})
		if err != nil {
			s.log.Debug("push was lost", "user", full, "err", err)
		}
	}
}

// element returns an element with items.
func element(name string, items []stanza.JID) string {
	b := append([]byte{'<'}, name...)
	b = append(b, " xmlns='"+NS+"'>"...)
	for _, j := range items {
		b = append(b, "<item jid='"...)
		b = stanza.AppendEscaped(b, j.String())
		b = append(b, "'/>"...)
	}
	return string(append(append(append(b, "</"...), name...), '>'))
}

// sorted sorts a list by its bytes and leaves each address in it once.
func sorted(list []stanza.JID) []stanza.JID {
	slices.SortFunc(list, byBytes)
	return slices.Compact(list)
}

// without returns the addresses of a list that another one, which is sorted, has
// not.
func without(list, other []stanza.JID) []stanza.JID {
	return slices.DeleteFunc(slices.Clone(list), func(j stanza.JID) bool {
		_, found := slices.BinarySearchFunc(other, j, byBytes)
		return found
	})
}

func byBytes(a, b stanza.JID) int { return strings.Compare(a.String(), b.String()) }
