package host

import (
	"context"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxReason is the most bytes of the reason why an account is banned or a session is
// ended.
const MaxReason = 1024

// banCommands keep accounts from logging in.
func (h *Host) banCommands() []command.Command {
	tags := []string{"accounts"}
	everywhere := []command.Field{textField("host", "the virtual host, or all")}
	return []command.Command{{
		Name:        "ban_account",
		Description: "Ban an account: it cannot log in, its sessions and its tokens end, and the reason is kept.",
		Tags:        tags,
		Args:        userFields(textField("reason", "which its sessions are told, at most 1024 bytes")),
		Result:      codeResult(),
		Run:         h.banAccount,
	}, {
		Name:        "unban_account",
		Description: "Let an account log in again that is banned.",
		Tags:        tags,
		Since:       2,
		Args:        userFields(),
		Result:      codeResult(),
		Run:         h.unbanAccount,
	}, {
		Name:        "get_ban_details",
		Description: "Why an account is banned, and since when; empty for one that is not.",
		Tags:        tags,
		Since:       2,
		Args:        userFields(),
		Result:      tuplesField("ban_details", "detail", command.Tuple{textField("name", "reason, bandate, lastdate or lastreason"), textField("value", "")}),
		Run:         h.banDetails,
	}, {
		Name:        "list_banned",
		Description: "The accounts that are banned.",
		Tags:        tags,
		Args:        everywhere,
		Result:      textsField("banned", "jid", ""),
		Run:         h.listBanned,
	}, {
		Name:        "count_banned",
		Description: "How many accounts are banned.",
		Tags:        tags,
		Args:        everywhere,
		Result:      numberField("banned", ""),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			n := 0
			err := h.eachBanned(ctx, a, func(stanza.JID) { n++ })
			return n, err
		},
	}}
}

// reason returns the argument reason.
func reason(a command.Args) (string, error) {
	if len(a.Text("reason")) > MaxReason {
		return "", badArgument("reason", "argument reason has more than %d bytes", MaxReason)
	}
	return a.Text("reason"), nil
}

// banAccount runs ban_account.
func (h *Host) banAccount(ctx context.Context, a command.Args) (any, error) {
	why, err := reason(a)
	if err != nil {
		return nil, err
	}
	acc, err := h.existing(ctx, a)
	if err != nil {
		return nil, err
	}
	was, err := h.lastSeen(ctx, acc.JID)
	if err != nil {
		return nil, err
	}
	ban := Ban{Reason: why, At: time.Now().UTC().Truncate(time.Second), Last: was.At, LastStatus: was.Status}
	return true, banFault(acc.JID, h.Accounts.Ban(ctx, acc.JID, ban))
}

// lastSeen returns when an account was last there, in whole seconds.
func (h *Host) lastSeen(ctx context.Context, user stanza.JID) (last.Activity, error) {
	if len(h.Local.sessions.of(user)) > 0 {
		return last.Activity{At: time.Now().UTC().Truncate(time.Second), Status: statusOnline}, nil
	}
	if !h.Last.Offered(user.Domain()) {
		return last.Activity{}, nil
	}
	was, _, err := h.Last.Seen(ctx, user)
	return was, err
}

// unbanAccount runs unban_account.
func (h *Host) unbanAccount(ctx context.Context, a command.Args) (any, error) {
	acc, err := h.existing(ctx, a)
	if err != nil {
		return nil, err
	}
	return true, banFault(acc.JID, h.Accounts.Unban(ctx, acc.JID))
}

// banFault makes errors of Ban and Unban those of a command.
func banFault(user stanza.JID, err error) error {
	switch {
	case errors.Is(err, stanza.ErrNoAccount):
		return noSuchAccount(user)
	case errors.Is(err, ErrBanned), errors.Is(err, ErrNotBanned):
		return &command.Error{Kind: command.Conflict, Text: err.Error()}
	}
	return err
}

// banDetails runs get_ban_details.
func (h *Host) banDetails(ctx context.Context, a command.Args) (any, error) {
	acc, err := h.existing(ctx, a)
	if err != nil {
		return nil, err
	}
	details := []command.Args{}
	if !acc.Disabled || acc.Ban == nil {
		return details, nil
	}
	for _, d := range [...][2]string{
		{"reason", acc.Ban.Reason}, {"bandate", extdisco.FormatTime(acc.Ban.At)},
		{"lastdate", formatLast(acc.Ban.Last)}, {"lastreason", acc.Ban.LastStatus},
	} {
		details = append(details, command.Args{"name": d[0], "value": d[1]})
	}
	return details, nil
}

func formatLast(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return extdisco.FormatTime(t)
}

// listBanned runs list_banned.
func (h *Host) listBanned(ctx context.Context, a command.Args) (any, error) {
	var list []string
	err := h.eachBanned(ctx, a, func(user stanza.JID) { list = append(list, user.String()) })
	return list, err
}

// eachBanned calls f for the banned accounts of the virtual host that is named, or of
// all. It reads every account.
func (h *Host) eachBanned(ctx context.Context, a command.Args, f func(user stanza.JID)) error {
	domains := h.Local.Hosts()
	if a.Text("host") != "all" {
		domain, err := h.vhost(a, "host")
		if err != nil {
			return err
		}
		domains = []string{domain}
	}
	return h.eachAccount(ctx, domains, func(user stanza.JID) error {
		acc, err := h.Accounts.get(ctx, user)
		if err == nil && acc.Disabled {
			f(user)
		}
		if errors.Is(err, stanza.ErrNoAccount) {
			err = nil // it was removed meanwhile
		}
		return err
	})
}
