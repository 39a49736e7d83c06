package roster

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Subscription says which of a user and a contact sees the presence of the
// other.
// See RFC 6121, section 2.1.2.5.
type Subscription uint8

const (
	None Subscription = 0         // neither
	To   Subscription = 1         // the user sees the contact
	From Subscription = 2         // the contact sees the user
	Both Subscription = To | From // each sees the other
)

// Item is what a user's roster holds of a contact.
type Item struct {
	Contact stanza.JID // bare, or as the client gave it
	Name    string     // "" for none
	Groups  []string   // each once, in the order of the client
	Subscription
	Ask      bool   // the user asked for a subscription, and nobody answered ("pending out")
	Approved bool   // the user has approved a request before it comes (RFC 6121, section 3.4)
	Listed   bool   // in the roster that clients see; else only Request is kept
	Request  string // the request of the contact that nobody answered ("pending in"): the presence stanza as XML; "" for none

	// Version is that of the roster at which the item last changed. The store
	// sets it; versions ascend.
	Version uint64
}

// Version says how far a roster has come.
type Version struct {
	Current uint64 // of the last change, 0 for a roster that never had one
	Deleted uint64 // of the last change that removed an item or took it from the list
}

// Store keeps rosters. Its methods are safe for concurrent use; each is atomic,
// and its change on stable storage when it returns. Users are bare JIDs. Items
// are never changed, neither by the store nor by its users. Errors other than
// those named are temporary failures.
//
// The tests of package storetest check an implementation.
type Store interface {
	// Get returns the item of a contact. Error: ErrNoItem.
	Get(ctx context.Context, user, contact stanza.JID) (Item, error)
	// Set stores an item whose version is still i.Version, 0 for one that does
	// not exist, and returns its new version. An account has at most limit items
	// (0: no limit). Errors: ErrChanged, ErrFull.
	Set(ctx context.Context, user stanza.JID, i Item, limit int) (version uint64, err error)
	// Delete removes an item of this version. Errors: ErrNoItem, ErrChanged.
	Delete(ctx context.Context, user, contact stanza.JID, version uint64) (rosterVersion uint64, err error)
	// List returns the items whose contact is greater than after, by the bytes of
	// the JID, at most limit, sorted. Fewer than limit means that there are no
	// more.
	List(ctx context.Context, user, after stanza.JID, limit int) ([]Item, error)
	// Version returns how far a roster has come.
	Version(ctx context.Context, user stanza.JID) (Version, error)
	// Forget removes a roster. Its versions go on ascending.
	Forget(ctx context.Context, user stanza.JID) error
}

var (
	// ErrNoItem says that a roster has no item for a contact.
	ErrNoItem = errors.New("no such roster item")
	// ErrChanged says that an item has changed since it was read.
	ErrChanged = errors.New("roster item has changed meanwhile")
	// ErrFull says that a roster has as many items as it may.
	ErrFull = errors.New("roster is full")
)
