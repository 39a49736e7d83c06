package host

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Router takes stanzas. A *Local is one, and what serves other domains another.
type Router interface {
	// Route delivers a stanza and answers for what it cannot deliver: it sends
	// the error stanza to the sender itself. Its error is for the log.
	Route(ctx context.Context, s *stanza.Stanza) error
}

// Users knows which accounts exist.
type Users interface {
	Exists(ctx context.Context, user stanza.JID) (bool, error)
}

// IQHandler answers requests (IQ of type get or set).
type IQHandler interface {
	// HandleIQ answers a request. A nil answer with a nil error means that the
	// answer follows through the Router. A *stanza.Error becomes the error
	// reply, any other error becomes internal-server-error.
	HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error)
}

// Offline keeps messages for accounts that cannot take them now. Users are bare
// JIDs. Sessions are known by their sinks, because one may come after another
// under the same address. The methods are called from the goroutines of senders
// and recipients.
type Offline interface {
	// Offered reports whether the accounts of a domain have this.
	Offered(domain string) bool

	// Keep takes a message of type normal, chat or groupchat for an account that
	// has no resource to take it, or none whose connection is there. It returns
	// before the message is stored; done is called once, within the call or later
	// in a goroutine that must not be held up: with the copy that has its Kept
	// set when the message is on stable storage; with nil, nil for a message that
	// is not worth keeping (XEP-0160, section 3) and is dropped; or with an error
	// for the sender: a *stanza.Error as it is, any other as
	// internal-server-error. The copy says since when the message is kept
	// (XEP-0203), unless it is Delayed already.
	//
	// to are sessions, mostly none, to which done gives the copy. The message
	// counts as handed to them from the moment it is stored, so that no Deliver
	// gives it to another one; Lost is called for one that does not take the
	// copy. done calls neither Keep nor Deliver, which waits for it.
	Keep(ctx context.Context, s *stanza.Stanza, to []stanza.Sink, done func(kept *stanza.Stanza, err error))

	// Deliver sends what is kept for an account to one of its sessions, which has
	// announced a priority of at least 0: in order, by send, until send returns
	// an error. It waits for calls of Keep that are under way: for all that have
	// begun before one whose message it sends. It leaves out what has been handed
	// to a session that has not lost it.
	Deliver(ctx context.Context, user stanza.JID, to stanza.Sink, send func(*stanza.Stanza) error) error

	// Arrived removes messages that a session of an account has got. It does not
	// block.
	Arrived(user stanza.JID, kept []uint64)

	// Holds reports whether a session has been handed something that has neither
	// arrived nor been lost. It does not block.
	Holds(user stanza.JID, by stanza.Sink) bool

	// Lost says that a session did not take some of what it was handed or, without
	// keys, that it has ended: another session may get that, other than what has
	// arrived. It does not block.
	Lost(user stanza.JID, by stanza.Sink, keys ...uint64)
}

// Contacts knows who may see whose presence: the rosters of the accounts. All
// changes are on stable storage when a method returns.
type Contacts interface {
	// Offered reports whether the accounts of a domain have rosters.
	Offered(domain string) bool

	// Outbound does what the server of the sender has to do for presence of the
	// types subscribe, subscribed, unsubscribe and unsubscribed that a local user
	// sends: RFC 6121, section 3 and appendix A.2. From and To are bare.
	Outbound(ctx context.Context, s *stanza.Stanza) (Change, error)

	// Inbound does the same for the server of the recipient: section 3 and
	// appendix A.3. When Change.Pass is set it has called pass, once, after the
	// change is stored and before anybody is told of it: the stanza has to come
	// before the roster push (sections 3.1.6, 3.2.3 and 3.3.3). pass must not call
	// the roster.
	Inbound(ctx context.Context, s *stanza.Stanza, pass func()) (Change, error)

	// Presence returns what a user's presence concerns.
	Presence(ctx context.Context, user stanza.JID) (Audience, error)

	// Sees reports whether watcher is subscribed to the presence of user; both
	// are bare.
	Sees(ctx context.Context, watcher, user stanza.JID) (bool, error)
}

// Watcher hears of presence besides those who get it (XEP-0356).
type Watcher interface {
	// Watches reports whether anybody watches the users of a domain. It must not
	// block.
	Watches(domain string) bool

	// Presence hears of presence, available or unavailable: that with which a
	// resource becomes available to its own account, or ceases to be; and that
	// which somebody else sends to an account, or to one of its resources,
	// whether or not it is there. It must not wait for long.
	Presence(ctx context.Context, p *stanza.Stanza)
}

// Change says what follows from a subscription stanza, and Audience what the
// presence of a user concerns.
type (
	Change   = roster.Change
	Audience = roster.Audience
)

// Blocking knows whom accounts have blocked (XEP-0191).
type Blocking interface {
	// Blocked returns what tells whether an account blocks a peer, nil when it
	// blocks nobody. The function must be fast, not block and not change. The
	// router asks once while an account has sessions and is told of changes by
	// SetBlocked, and asks each time when an account has none.
	Blocked(ctx context.Context, user stanza.JID) (func(peer stanza.JID) bool, error)
}

// Carbons knows where message carbons (XEP-0280) are on. Sessions ask for them
// by the mark stanza.WantsCarbons.
type Carbons interface {
	// Offered reports whether the accounts of a domain have this. It does not
	// block.
	Offered(domain string) bool
}
