package host

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// kickCommands end sessions; who has lost one may log in again.
func (h *Host) kickCommands() []command.Command {
	tags := []string{"session"}
	const user = "End the sessions of a user."
	return []command.Command{{
		Name:        "kick_session",
		Description: "End a session. It succeeds if there is no such session, too.",
		Tags:        tags,
		Args:        userFields(textField("resource", ""), textField("reason", "which it is told, at most 1024 bytes")),
		Result:      codeResult(),
		Run:         h.kickSession,
	}, {
		Name:        "kick_user",
		Description: user,
		Tags:        tags,
		Args:        userFields(),
		Result:      numberField("num_resources", "how many there were"),
		Run:         func(_ context.Context, a command.Args) (any, error) { return h.kickUser(a) },
	}, {
		Name:        "kick_user",
		Description: user,
		Tags:        tags,
		Since:       2,
		Args:        userFields(),
		Result:      textResult(),
		Run: func(_ context.Context, a command.Args) (any, error) {
			n, err := h.kickUser(a)
			return fmt.Sprintf("Kicked sessions: %d", n), err
		},
	}, {
		Name:        "kick_users",
		Description: "End all sessions of a virtual host.",
		Tags:        tags,
		Args:        []command.Field{hostField()},
		Result:      numberField("num_sessions", "how many there were"),
		Run:         h.kickUsers,
	}}
}

// kicked is what a session is told that a command ends.
func kicked(reason string) *stanza.StreamError {
	if reason == "" {
		reason = "ended by an administrator"
	}
	return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: reason}
}

// kickSession runs kick_session.
func (h *Host) kickSession(_ context.Context, a command.Args) (any, error) {
	full, err := h.resource(a)
	if err != nil {
		return nil, err
	}
	why, err := reason(a)
	if err != nil {
		return nil, err
	}
	h.Local.Kick(full, stanza.JID{}, kicked(why))
	return true, nil
}

// resource returns the address that the arguments user, host and resource name.
func (h *Host) resource(a command.Args) (stanza.JID, error) {
	user, err := h.user(a)
	if err != nil {
		return stanza.JID{}, err
	}
	full, err := user.WithResource(a.Text("resource"))
	if err != nil || full.IsBare() {
		return stanza.JID{}, badArgument("resource", "argument resource is no name of a resource")
	}
	return full, nil
}

func (h *Host) kickUser(a command.Args) (int, error) {
	user, err := h.user(a)
	if err != nil {
		return 0, err
	}
	return h.Local.Kick(user, stanza.JID{}, kicked("")), nil
}

// kickUsers runs kick_users.
func (h *Host) kickUsers(_ context.Context, a command.Args) (any, error) {
	domain, err := h.vhost(a, "host")
	if err != nil {
		return nil, err
	}
	list := h.Local.of(domain)
	for _, s := range list {
		s.sink.Kick(kicked(""))
	}
	return len(list), nil
}
