package roster

import (
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// accounts serialises what happens to one roster: changes, and what sessions
// are told of them. A client that heard of a later change before an earlier one
// would take the roster of the later one for complete.
type accounts struct {
	mu   sync.Mutex
	busy map[stanza.JID]*account
}

// account is one whose roster somebody works on.
type account struct {
	mu    sync.Mutex
	users int // who hold it or wait for it
}

// lock waits until nobody else works on the roster of an account.
func (a *accounts) lock(user stanza.JID) (unlock func()) {
	a.mu.Lock()
	one := a.busy[user]
	if one == nil {
		if a.busy == nil {
			a.busy = make(map[stanza.JID]*account)
		}
		one = new(account)
		a.busy[user] = one
	}
	one.users++
	a.mu.Unlock()

	one.mu.Lock()
	return func() {
		one.mu.Unlock()
		a.mu.Lock()
		defer a.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(a.busy, user)
		}
	}
}
