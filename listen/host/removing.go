package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxRemoval is how long the removal of an account may take. What is left then is
// removed when somebody wants the name, or by Recover.
const MaxRemoval = time.Minute

// Remove deletes an account and ends its sessions except keep, which the caller
// ends when it has told it. From the moment that is stored the account does not
// exist for anybody any more, but its name is free only when everything that is
// kept of it has been deleted (Forget): a new account of that name inherits
// nothing. That goes on when ctx ends, but no longer than MaxRemoval. If it breaks
// off, keep is ended, too, and calling Remove again, Create with that name and
// Recover finish it. Error: stanza.ErrNoAccount.
func (a *Accounts) Remove(ctx context.Context, user, keep stanza.JID) error {
	user = user.Bare()
	leave, err := a.names.enter(ctx, user)
	if err != nil {
		return err
	}
	defer leave()
	err = a.change(ctx, user, func(acc *Account) { acc.Disabled, acc.Removing = true, true })
	switch {
	case errors.Is(err, stanza.ErrNoAccount):
		return a.resume(ctx, user)
	case err != nil:
		return err
	}
	reason := &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: "the account was removed"}
	a.kick(user, keep, reason)
	if err = a.finish(ctx, user); err != nil {
		a.kick(user, stanza.JID{}, reason)
	}
	return err
}

// Recover finishes the removals that have broken off, such as when the program
// ended. It is called once the services are configured, at the start; accounts
// can be used meanwhile. The errors are those of all that it could not finish.
func (a *Accounts) Recover(ctx context.Context) error {
	list, err := a.store.Removing(ctx)
	if err != nil {
		return fmt.Errorf("looking for accounts that are being removed: %w", err)
	}
	var errs []error
	for _, user := range list {
		if ctx.Err() != nil {
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
		errs = append(errs, a.recoverOne(ctx, user))
	}
	return errors.Join(errs...)
}

func (a *Accounts) recoverOne(ctx context.Context, user stanza.JID) error {
	leave, err := a.names.enter(ctx, user)
	if err != nil {
		return err
	}
	defer leave()
	if err := a.resume(ctx, user); !errors.Is(err, stanza.ErrNoAccount) {
		return err
	}
	return nil // somebody else was faster
}

// resume goes on with a removal. The name is the caller's. Error:
// stanza.ErrNoAccount if there is none.
func (a *Accounts) resume(ctx context.Context, user stanza.JID) error {
	acc, err := a.store.Get(ctx, user)
	switch {
	case err != nil:
		return err
	case !acc.Removing:
		return stanza.ErrNoAccount
	}
	return a.finish(ctx, user)
}

// finish deletes what is kept of an account that is Removing, and then the
// account. The name is the caller's.
func (a *Accounts) finish(ctx context.Context, user stanza.JID) error {
	if err := a.forget(ctx, user); err != nil {
		return err
	}
	return a.store.Delete(context.WithoutCancel(ctx), user)
}

// forget deletes what is kept of an account that does not exist for anybody.
func (a *Accounts) forget(ctx context.Context, user stanza.JID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), MaxRemoval)
	defer cancel()
	for _, f := range a.Forget {
		if err := f(ctx, user); err != nil {
			return fmt.Errorf("deleting what is kept of %q: %w", user, err)
		}
	}
	return nil
}

// names lets one call at a time make or remove accounts of a name. Its zero value
// is ready. It remembers a name while somebody works on it.
type names struct {
	mu   sync.Mutex
	busy map[stanza.JID]*name
}

type name struct {
	turn  chan struct{} // holds one element while somebody works
	users int           // who work or wait; names.mu guards it
}

// enter waits until nobody else works on a name. The error is the cause of ctx.
func (n *names) enter(ctx context.Context, bare stanza.JID) (leave func(), err error) {
	n.mu.Lock()
	one := n.busy[bare]
	if one == nil {
		if n.busy == nil {
			n.busy = make(map[stanza.JID]*name)
		}
		one = &name{turn: make(chan struct{}, 1)}
		n.busy[bare] = one
	}
	one.users++
	n.mu.Unlock()

	done := func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(n.busy, bare)
		}
	}
	select {
	case one.turn <- struct{}{}:
		return func() { <-one.turn; done() }, nil
	case <-ctx.Done():
		done()
		return nil, context.Cause(ctx)
	}
}
