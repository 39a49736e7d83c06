package host

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// guests tells which users of the served domains have a session and no account:
// those who have logged in anonymously, and one whose account is being removed.
// They never come back under their names, so nothing is stored for them, nor of
// them in the rosters of others. What they ask for is empty.
type guests struct{ local *Local }

// has reports whether a user of this server has no account.
func (g guests) has(ctx context.Context, user stanza.JID) (bool, error) {
	if g.local.Users == nil || user.Local() == "" || !g.local.IsLocal(user.Domain()) {
		return false, nil
	}
	exists, err := g.local.Users.Exists(ctx, user.Bare())
	return err == nil && !exists, err
}

// storing is a handler of what a feature stores for the sender.
type storing struct {
	IQHandler
	guests guests
}

// HandleIQ refuses guests what would be stored; who may do what with the accounts
// of others is the feature's to say.
func (h storing) HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
	if iq.Type == stanza.TypeSet && (iq.To.IsZero() || iq.To == iq.From.Bare()) {
		switch guest, err := h.guests.has(ctx, iq.From); {
		case err != nil:
			return nil, err
		case guest:
			return nil, noAccount()
		}
	}
	return h.IQHandler.HandleIQ(ctx, iq, p)
}

// refusing is a handler of which only the errors count: there is nothing to tell,
// even if something is still stored of an account that is being removed.
type refusing struct{ IQHandler }

// HandleIQ returns an error.
func (h refusing) HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
	if _, err := h.IQHandler.HandleIQ(ctx, iq, p); err != nil {
		return nil, err
	}
	return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
}

func noAccount() error {
	return &stanza.Error{Condition: stanza.NotAllowed, Text: "nothing is stored for users without an account"}
}

// contactsOfAccounts are the rosters, without those of guests and without guests
// in them.
type contactsOfAccounts struct {
	*roster.Service
	guests guests
}

// Outbound refuses guests the types that leave something in a roster.
func (c contactsOfAccounts) Outbound(ctx context.Context, s *stanza.Stanza) (Change, error) {
	if s.Type == stanza.TypeSubscribe || s.Type == stanza.TypeSubscribed {
		switch guest, err := c.guests.has(ctx, s.From); {
		case err != nil:
			return Change{}, err
		case guest:
			return Change{}, noAccount()
		}
	}
	return c.Service.Outbound(ctx, s)
}

// Inbound denies requests to guests. Those of guests have been refused unless
// their domain has no rosters.
func (c contactsOfAccounts) Inbound(ctx context.Context, s *stanza.Stanza, pass func()) (Change, error) {
	switch guest, err := c.guests.has(ctx, s.To); {
	case err != nil:
		return Change{}, err
	case guest && s.Type == stanza.TypeSubscribe:
		return Change{Reply: stanza.TypeUnsubscribed}, nil
	case guest:
		return Change{}, nil
	}
	if s.Type == stanza.TypeSubscribe {
		if guest, err := c.guests.has(ctx, s.From); guest || err != nil {
			return Change{}, err
		}
	}
	return c.Service.Inbound(ctx, s, pass)
}

// messagesForAccounts are the offline messages, without those for guests.
type messagesForAccounts struct {
	*offline.Service
	guests guests
}

// Keep lets sessions of a guest have a message that is not stored.
func (m messagesForAccounts) Keep(ctx context.Context, s *stanza.Stanza, to []stanza.Sink, done func(kept *stanza.Stanza, err error)) {
	switch guest, err := m.guests.has(ctx, s.To); {
	case err != nil:
		done(nil, err)
	case guest && len(to) == 0:
		done(nil, &stanza.Error{Condition: stanza.ServiceUnavailable})
	case guest:
		done(nil, nil)
	default:
		m.Service.Keep(ctx, s, to, done)
	}
}
