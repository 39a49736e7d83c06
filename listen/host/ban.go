package host

import (
	"context"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Ban says why an administrator has disabled an account.
type Ban struct {
	Reason string
	At     time.Time // when; whole seconds, UTC

	// Last is when the account was last there before, zero if that is not known, and
	// LastStatus what it said then.
	Last       time.Time // whole seconds, UTC
	LastStatus string
}

var (
	// ErrBanned says that an account was banned before.
	ErrBanned = errors.New("the account is banned already")
	// ErrNotBanned says that an account may log in.
	ErrNotBanned = errors.New("the account is not banned")
)

// Ban disables an account, and ends its sessions, which are told the reason, and its
// tokens (Revoke). It remembers b until Unban or SetDisabled enables the account.
// Errors: stanza.ErrNoAccount, ErrBanned. After any other the account may be disabled:
// calling it again ends its tokens, also if that fails with ErrBanned.
func (a *Accounts) Ban(ctx context.Context, user stanza.JID, b Ban) error {
	text := "the account is banned"
	if b.Reason != "" {
		text += ": " + b.Reason
	}
	return a.revoking(ctx, user, func() error {
		before := false
		err := a.change(ctx, user, func(acc *Account) {
			if before = acc.Disabled && acc.Ban != nil; !before {
				acc.disable(true, &b)
			}
		})
		switch {
		case err != nil:
			return err
		case before:
			return ErrBanned
		}
		a.kick(user, stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: text})
		return nil
	})
}

// Unban lets an account log in again that is disabled, by whatever. Errors:
// stanza.ErrNoAccount, ErrNotBanned.
func (a *Accounts) Unban(ctx context.Context, user stanza.JID) error {
	before := false
	err := a.change(ctx, user, func(acc *Account) {
		before = acc.Disabled
		acc.disable(false, nil)
	})
	if err == nil && !before {
		return ErrNotBanned
	}
	return err
}

// disable says whether an account may not log in, and why; nil keeps the reason that
// it has.
func (a *Account) disable(disabled bool, why *Ban) {
	switch a.Disabled = disabled; {
	case !disabled:
		a.Ban = nil
	case why != nil:
		a.Ban = why
	}
}
