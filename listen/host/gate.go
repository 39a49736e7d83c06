package host

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxWaiting is the most calls that may wait for a processor to derive keys
// from a password.
const MaxWaiting = 1024

// ErrBusy says that too many calls wait already. It can go to a client as it
// is.
var ErrBusy error = &stanza.Error{Condition: stanza.ResourceConstraint, Text: "the server is busy, try again later"}

// gate lets a few calls work at a time and a bounded number of others wait.
type gate struct {
	working chan struct{}
	inside  chan struct{} // working or waiting
}

func newGate(working, waiting int) *gate {
	return &gate{make(chan struct{}, working), make(chan struct{}, working+waiting)}
}

// do calls f when its turn has come. It returns ErrBusy, or the cause of ctx,
// without having called it.
func (g *gate) do(ctx context.Context, f func()) error {
	select {
	case g.inside <- struct{}{}:
	default:
		return ErrBusy
	}
	defer func() { <-g.inside }()
	select {
	case g.working <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-g.working }()
	f()
	return nil
}
