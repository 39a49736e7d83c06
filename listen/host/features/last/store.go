package last

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Activity is when an account was last there.
type Activity struct {
	At     time.Time // whole seconds, UTC
	Status string    // of the last unavailable presence
}

// Store keeps one Activity an account. Its methods are safe for concurrent use
// and atomic; a change is on stable storage when they return. Users are bare
// JIDs. Errors are temporary failures.
//
// The tests of package storetest check an implementation.
type Store interface {
	// Get returns what was set last; ok is false when nothing was.
	Get(ctx context.Context, user stanza.JID) (a Activity, ok bool, err error)
	Set(ctx context.Context, user stanza.JID, a Activity) error
	Forget(ctx context.Context, user stanza.JID) error
}
