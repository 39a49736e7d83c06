package host

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// managing is the handler of requests about rosters, which some components may
// make, too (XEP-0356, section 4).
type managing struct {
	storing
	host *Host
}

// HandleIQ has the roster answer whoever may ask.
func (h managing) HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
	if !h.host.Privilege.MayManage(iq) {
		return h.storing.HandleIQ(ctx, iq, p)
	}
	if iq.Type == stanza.TypeSet {
		switch guest, err := h.guests.has(ctx, iq.To); {
		case err != nil:
			return nil, err
		case guest:
			return nil, noAccount()
		}
	}
	return h.host.Roster.Manage(ctx, iq)
}

// delegate has a component answer a request. A resource that gets the roster of its
// account from there hears of changes all the same (XEP-0355, section 4.3.1).
func (h *Host) delegate(ctx context.Context, iq *stanza.Stanza) (taken bool, err error) {
	taken, err = h.Delegation.Delegate(ctx, iq)
	own := iq.To.IsZero() || iq.To == iq.From.Bare()
	if taken && err == nil && own && iq.Type == stanza.TypeGet && iq.Child == (stanza.Name{Space: roster.NS, Local: "query"}) {
		h.Local.Mark(iq.From, stanza.WantsRoster, true)
	}
	return taken, err
}

// answered hears of answers to requests that somebody else has sent in the name
// of a domain or a user here.
func (h *Host) answered(ctx context.Context, iq *stanza.Stanza) {
	if !h.Delegation.Answer(ctx, iq) {
		h.Privilege.Answer(ctx, iq)
	}
}

// subscribed reports whether a user is subscribed to the presence of a contact.
func (h *Host) subscribed(ctx context.Context, user, contact stanza.JID) (bool, error) {
	return h.Roster.Subscribed(ctx, user, contact)
}
