package offline

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Message is one that is kept.
type Message struct {
	Key uint64 // the store's: ascends within an account and is never used again
	XML string // the whole stanza, with its namespace and its delay (XEP-0203)
}

// Limits bound messages by their number and by the bytes of their XML; 0: no
// bound.
type Limits struct{ Messages, Bytes int }

// Admits reports whether so many messages, of together so many bytes, are within
// the limits.
func (l Limits) Admits(messages, bytes int) bool {
	return (l.Messages == 0 || messages <= l.Messages) && (l.Bytes == 0 || bytes <= l.Bytes)
}

// Store keeps messages. Its methods are safe for concurrent use; each is
// atomic. Users are bare JIDs. Errors other than those named are temporary
// failures.
//
// The tests of package storetest check an implementation.
type Store interface {
	// Add keeps a message and returns before it is on stable storage; done is
	// called once, within the call or later in a goroutine that must not be held
	// up, when it is or cannot be. Messages of one caller for one account keep
	// their order. l bounds what the account has with this message; one that has
	// more already keeps that. Errors: ErrFull; that of ctx only if it ended before
	// the message was taken.
	Add(ctx context.Context, user stanza.JID, xml string, l Limits, done func(key uint64, err error))
	// List returns the messages whose key is greater than after, in the order of
	// their keys: as many as l admits, and one in any case. more says that there
	// are others behind them.
	List(ctx context.Context, user stanza.JID, after uint64, l Limits) (page []Message, more bool, err error)
	// Delete removes messages; keys that do not exist are passed over. It
	// returns before that is on stable storage; done, if not nil, is called as by
	// Add.
	Delete(ctx context.Context, user stanza.JID, keys []uint64, done func(err error))
	// Count returns how many messages an account has.
	Count(ctx context.Context, user stanza.JID) (int, error)
	// Forget removes all messages of an account and waits until that is on
	// stable storage. Keys go on ascending.
	Forget(ctx context.Context, user stanza.JID) error
}

// ErrFull says that an account would have more messages than it may, or more
// bytes of them.
var ErrFull = errors.New("offline messages are full")
