package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	maxDays  = 36500 // that something may be old
	maxNamed = 1000  // accounts that a result names
)

// purgeCommands remove accounts that nobody uses.
func (h *Host) purgeCommands() []command.Command {
	const description = " that have no session and whose last resource went so many days ago, by mod_last, or of " +
		"which it knows nothing: they have never been there. There is no rule that protects accounts from it."
	days := numberField("days", "at most 36500")
	return []command.Command{{
		Name:        "delete_old_users",
		Description: "Remove all accounts" + description,
		Tags:        []string{"accounts", "purge"},
		Args:        []command.Field{days},
		Result:      textResult(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return h.deleteOld(ctx, h.Local.Hosts(), a.Int("days"))
		},
	}, {
		Name:        "delete_old_users_vhost",
		Description: "Remove the accounts of a virtual host" + description,
		Tags:        []string{"accounts", "purge"},
		Args:        []command.Field{hostField(), days},
		Result:      textResult(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			domain, err := h.vhost(a, "host")
			if err != nil {
				return nil, err
			}
			return h.deleteOld(ctx, []string{domain}, a.Int("days"))
		},
	}}
}

// deleteOld removes the old accounts of some virtual hosts, and says which. Without
// mod_last all would look old.
func (h *Host) deleteOld(ctx context.Context, domains []string, days int) (any, error) {
	if days < 0 || days > maxDays {
		return nil, badArgument("days", "argument days is not from 0 to %d", maxDays)
	}
	for _, domain := range domains {
		if err := wantModule(domain, "mod_last", h.Last.Offered); err != nil {
			return nil, err
		}
	}
	before := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
	n := 0
	var named []string
	err := h.eachAccount(ctx, domains, func(user stanza.JID) error {
		removed, err := h.removeIfOld(ctx, user, before)
		if removed {
			if n++; n <= maxNamed {
				named = append(named, fmt.Sprintf("%q", user))
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("deleting old users, %d so far: %w", n, err)
	}
	if n > maxNamed {
		named = append(named, fmt.Sprintf("and %d more", n-maxNamed))
	}
	return fmt.Sprintf("Deleted %d users: [%s]", n, strings.Join(named, ", ")), nil
}

// removeIfOld removes an account that was not there since a time.
func (h *Host) removeIfOld(ctx context.Context, user stanza.JID, before time.Time) (removed bool, err error) {
	if len(h.Local.sessions.of(user)) > 0 {
		return false, nil
	}
	was, known, err := h.Last.Seen(ctx, user)
	if err != nil || known && was.At.After(before) {
		return false, err
	}
	err = h.Accounts.Remove(ctx, user, stanza.JID{})
	if errors.Is(err, stanza.ErrNoAccount) {
		return false, nil // somebody else was faster
	}
	return err == nil, err
}
