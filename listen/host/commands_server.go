package host

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// serverCommands are about the program.
func (h *Host) serverCommands() []command.Command {
	name := textField("name", "")
	return []command.Command{{
		Name:        "status",
		Description: "That the server runs, and its version.",
		Tags:        []string{"server"},
		Result:      textResult(),
		Run: func(context.Context, command.Args) (any, error) {
			return fmt.Sprintf("The node %s is started\n%s %s is running in that node", h.node(), h.version.Name, h.version.Version), nil
		},
	}, {
		Name: "stats",
		Description: "A number: registeredusers, onlineusers and onlineusersnode (sessions), uptimeseconds, or processes (goroutines). " +
			"The first one reads the names of all accounts.",
		Tags:   []string{"statistics"},
		Args:   []command.Field{name},
		Result: numberField("stat", ""),
		Run:    h.stats,
	}, {
		Name:        "stats_host",
		Description: "A number of a virtual host: registeredusers, or onlineusers (sessions).",
		Tags:        []string{"statistics"},
		Args:        []command.Field{name, hostField()},
		Result:      numberField("stat", ""),
		Run:         h.statsHost,
	}, {
		Name:        "gc",
		Description: "Collect garbage, and wait for the end of it.",
		Tags:        []string{"server"},
		Result:      codeResult(),
		Run:         func(context.Context, command.Args) (any, error) { runtime.GC(); return true, nil },
	}}
}

// stats runs stats.
func (h *Host) stats(ctx context.Context, a command.Args) (any, error) {
	switch a.Text("name") {
	case "registeredusers":
		return h.countAccounts(ctx, h.Local.Hosts())
	case "onlineusers", "onlineusersnode":
		return h.Local.count(""), nil
	case "uptimeseconds":
		return int(time.Since(h.began) / time.Second), nil
	case "processes":
		return runtime.NumGoroutine(), nil
	}
	return nil, badArgument("name", "argument name is none of registeredusers, onlineusers, onlineusersnode, uptimeseconds and processes")
}

// statsHost runs stats_host.
func (h *Host) statsHost(ctx context.Context, a command.Args) (any, error) {
	domain, err := h.vhost(a, "host")
	if err != nil {
		return nil, err
	}
	switch a.Text("name") {
	case "registeredusers":
		return h.countAccounts(ctx, []string{domain})
	case "onlineusers":
		return h.Local.count(domain), nil
	}
	return nil, badArgument("name", "argument name is neither registeredusers nor onlineusers")
}

func (h *Host) countAccounts(ctx context.Context, domains []string) (n int, err error) {
	err = h.eachAccount(ctx, domains, func(stanza.JID) error { n++; return nil })
	return n, err
}
