package bosh

import (
	"context"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Host is what the handler needs of the program around it.
type Host struct {
	// Serve serves a client until its stream has ended, and closes it. When ctx is done
	// it tells the client.
	Serve func(ctx context.Context, t stanza.Transport) error

	Log *slog.Logger // nil discards
}
