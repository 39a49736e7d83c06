package vcard

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Store keeps one vCard an account. Its methods are safe for concurrent use and
// atomic; a change is on stable storage when they return. Users are bare JIDs.
// Errors are temporary failures.
//
// The tests of package storetest check an implementation.
type Store interface {
	// Get returns the element vCard as XML, "" when there is none.
	Get(ctx context.Context, user stanza.JID) (xml string, err error)
	// Set replaces it; "" removes it.
	Set(ctx context.Context, user stanza.JID, xml string) error
	Forget(ctx context.Context, user stanza.JID) error
}
