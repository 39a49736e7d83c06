package xmppstream

import (
	"errors"
	"os"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var (
	// ErrShutdown is what peers are told when the context of Listen is cancelled.
	ErrShutdown = &stanza.StreamError{Condition: stanza.StreamSystemShutdown}
	// ErrPanic is what a stream ends with when something panicked in it.
	ErrPanic = &stanza.StreamError{Condition: stanza.StreamInternalServerError, Err: errors.New("panic")}
)

// Reason returns what a peer is told of the error that its stream ends with: the
// reason of Transport.Close, nil for none.
func Reason(err error) *stanza.StreamError {
	var reason *stanza.StreamError
	switch {
	case errors.As(err, &reason):
		return reason
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &stanza.StreamError{Condition: stanza.StreamConnectionTimeout}
	}
	return nil
}
