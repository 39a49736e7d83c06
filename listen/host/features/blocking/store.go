package blocking

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// List is whom an account blocks.
type List struct {
	Blocked  []stanza.JID // sorted by their bytes, each once
	Revision uint64       // the store's; 0 for an account that never blocked anybody
}

// Store keeps one List an account. Its methods are safe for concurrent use and
// atomic; a change is on stable storage when they return. Users are bare JIDs;
// lists are never changed, neither by the store nor by its users. Errors other
// than those named are temporary failures.
//
// The tests of package storetest check an implementation.
type Store interface {
	Get(ctx context.Context, user stanza.JID) (List, error)
	// CompareAndSet replaces a list whose revision is l.Revision and returns the
	// new revision. Error: ErrChanged.
	CompareAndSet(ctx context.Context, user stanza.JID, l List) (revision uint64, err error)
	Forget(ctx context.Context, user stanza.JID) error
}

// ErrChanged says that a list has changed since it was read.
var ErrChanged = errors.New("block list has changed meanwhile")
