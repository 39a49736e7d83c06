package blocking

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// turns lets one request at a time change the list of an account, so that the
// router and the clients hear of changes in the order in which they happened. The
// zero value is ready. It remembers an account while somebody works for it.
type turns struct {
	mu       sync.Mutex
	accounts map[stanza.JID]*turn
}

type turn struct {
	busy chan struct{} // holds one element while somebody works
	in   int           // who works or waits; turns.mu guards it
}

// enter waits for the turn; leave ends it. The error is that of ctx.
func (t *turns) enter(ctx context.Context, user stanza.JID) (leave func(), err error) {
	t.mu.Lock()
	if t.accounts == nil {
		t.accounts = make(map[stanza.JID]*turn)
	}
	mine := t.accounts[user]
	if mine == nil {
		mine = &turn{busy: make(chan struct{}, 1)}
		t.accounts[user] = mine
	}
	mine.in++
	t.mu.Unlock()

	out := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.in--; mine.in == 0 {
			delete(t.accounts, user)
		}
	}
	select {
	case mine.busy <- struct{}{}:
		return func() { <-mine.busy; out() }, nil
	case <-ctx.Done():
		out()
		return nil, context.Cause(ctx)
	}
}
