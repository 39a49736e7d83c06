package private

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Store keeps one XML element of each name an account. Its methods are safe for
// concurrent use and atomic; a change is on stable storage when they return.
// Users are bare JIDs. Errors other than those named are temporary failures.
//
// The tests of package storetest check an implementation.
type Store interface {
	// Get returns the element of a name, "" when there is none.
	Get(ctx context.Context, user stanza.JID, name stanza.Name) (xml string, err error)
	// Set replaces the element of a name; "" removes it. An account has at most
	// l.Elements elements of together l.Bytes (names not counted; 0: no limit).
	// Error: ErrFull.
	Set(ctx context.Context, user stanza.JID, name stanza.Name, xml string, l Limits) error
	Forget(ctx context.Context, user stanza.JID) error
}

// Limits bound what one account may keep.
type Limits struct{ Elements, Bytes int }

// ErrFull says that an account would exceed its limits.
var ErrFull = errors.New("private storage is full")
