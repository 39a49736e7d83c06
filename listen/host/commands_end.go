package host

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/logs"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxDelay is how many seconds before a server may be announced to stop.
const maxDelay = 24 * 60 * 60

// endCommands end the program by a function, at once, or kindly: with an announcement.
func (h *Host) endCommands(name, verb string, end func(after time.Duration)) []command.Command {
	if end == nil {
		return nil
	}
	return []command.Command{{
		Name:        name,
		Description: verb + " the server: it tells its sessions. The command does not wait for that.",
		Tags:        []string{"server"},
		Result:      codeResult(),
		Run:         func(context.Context, command.Args) (any, error) { end(0); return true, nil },
	}, {
		Name:        name + "_kindly",
		Description: verb + " the server after a while, and announce that to all who are connected. The command does not wait for that.",
		Tags:        []string{"server"},
		Args:        []command.Field{numberField("delay", "seconds, at most 86400"), textField("announcement", "a text")},
		Result:      codeResult(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			delay := a.Int("delay")
			if delay < 0 || delay > maxDelay {
				return nil, badArgument("delay", "argument delay is not from 0 to %d", maxDelay)
			}
			m, err := newMessage(stanza.TypeHeadline, fmt.Sprintf("Server %s in %d seconds!", name, delay), a.Text("announcement"))
			if err != nil {
				return nil, badArgument("announcement", "argument announcement is too long")
			}
			h.announce(ctx, m)
			end(time.Duration(delay) * time.Second)
			return true, nil
		},
	}}
}

// announce sends a message to all sessions. Who does not get it does not keep the
// server running.
func (h *Host) announce(ctx context.Context, m *stanza.Stanza) {
	from, _ := stanza.NewJID("", h.Local.Hosts()[0], "") // a domain that is served is an address
	for _, s := range h.Local.of("") {
		if err := h.Local.Route(ctx, m.WithFrom(from).WithTo(s.jid)); err != nil {
			h.Local.trouble.Log(ctx, slog.LevelWarn, "session did not get the announcement", "to", s.jid, "err", err)
		}
	}
}

// logCommands are about the log.
func logCommands(p Process) []command.Command {
	const reopened = "Open the files of the log anew, after they were renamed."
	list := append(task("reopen_log", "logs", reopened, p.ReopenLog), task("rotate_log", "logs", reopened, p.ReopenLog)...)
	if p.LogLevel != nil {
		list = append(list, command.Command{
			Name:        "get_loglevel",
			Description: "The level of the log.",
			Tags:        []string{"logs"},
			Result:      textField("levelatom", ""),
			Run:         func(context.Context, command.Args) (any, error) { return p.LogLevel(), nil },
		})
	}
	if p.SetLogLevel == nil {
		return list
	}
	return append(list, command.Command{
		Name:        "set_loglevel",
		Description: "Change the level of the log.",
		Tags:        []string{"logs"},
		Args:        []command.Field{textField("loglevel", "none, emergency, alert, critical, error, warning, notice, info or debug")},
		Result:      codeResult(),
		Run: func(_ context.Context, a command.Args) (any, error) {
			var l logs.Level
			if err := l.UnmarshalText([]byte(a.Text("loglevel"))); err != nil {
				return nil, badArgument("loglevel", "argument loglevel is no level of the log")
			}
			return true, failure(p.SetLogLevel(string(l)))
		},
	})
}
