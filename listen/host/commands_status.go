package host

import (
	"context"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// statusCommands tell which sessions have a presence.
func (h *Host) statusCommands() []command.Command {
	tags, numbers := []string{"session"}, []string{"session", "statistics"}
	status := textField("status", "available, chat, away, xa, dnd, unavailable or all")
	everywhere, there := []command.Field{status}, []command.Field{hostField(), status}
	const (
		howMany = "How many sessions show this."
		which   = "The sessions that show this, sorted, with what their presence says besides."
	)
	parts := tuplesField("users", "userstatus", command.Tuple{
		textField("user", ""), textField("host", ""), textField("resource", ""), numberField("priority", ""), textField("status", "the text"),
	})
	whole := tuplesField("users", "userstatus", command.Tuple{textField("jid", ""), numberField("priority", ""), textField("status", "the text")})
	number := numberField("users", "")
	return []command.Command{
		{Name: "status_num", Description: howMany, Tags: numbers, Args: everywhere, Result: number, Run: h.statusNum},
		{Name: "status_num_host", Description: howMany, Tags: numbers, Args: there, Result: number, Run: h.statusNum},
		{Name: "status_list", Description: which, Tags: tags, Args: everywhere, Result: parts, Run: h.statusParts},
		{Name: "status_list_host", Description: which, Tags: tags, Args: there, Result: parts, Run: h.statusParts},
		{Name: "status_list", Since: 3, Description: which, Tags: tags, Args: everywhere, Result: whole, Run: h.statusWhole},
		{Name: "status_list_host", Since: 3, Description: which, Tags: tags, Args: there, Result: whole, Run: h.statusWhole},
	}
}

// withStatus returns the sessions that show the argument status: those of the argument
// host, or all if there is none.
func (h *Host) withStatus(a command.Args) ([]sight, error) {
	domain, err := "", error(nil)
	if _, there := a["host"]; there {
		if domain, err = h.vhost(a, "host"); err != nil {
			return nil, err
		}
	}
	want := a.Text("status")
	if !isShow(want) && !slices.Contains([]string{"available", "unavailable", "all"}, want) {
		return nil, badArgument("status", "argument status is none of available, chat, away, xa, dnd, unavailable and all")
	}
	var found []sight
	for _, s := range h.Local.of(domain) {
		if v := see(s); want == "all" || v.show == want {
			v.status = strings.ReplaceAll(v.status, "\n", `\n`) // for tools that print a line each
			found = append(found, v)
		}
	}
	return found, nil
}

// statusNum runs status_num and status_num_host.
func (h *Host) statusNum(_ context.Context, a command.Args) (any, error) {
	found, err := h.withStatus(a)
	return len(found), err
}

// statusParts runs the older status_list and status_list_host.
func (h *Host) statusParts(_ context.Context, a command.Args) (any, error) {
	found, err := h.withStatus(a)
	list := make([]command.Args, len(found))
	for i, v := range found {
		j := v.session.jid
		list[i] = command.Args{"user": j.Local(), "host": j.Domain(), "resource": j.Resource(), "priority": v.priority, "status": v.status}
	}
	return list, err
}

// statusWhole runs status_list and status_list_host.
func (h *Host) statusWhole(_ context.Context, a command.Args) (any, error) {
	found, err := h.withStatus(a)
	list := make([]command.Args, len(found))
	for i, v := range found {
		list[i] = command.Args{"jid": v.session.jid.String(), "priority": v.priority, "status": v.status}
	}
	return list, err
}
