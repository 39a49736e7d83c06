package host

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// sessionCommands tell who is connected. All lists are sorted.
func (h *Host) sessionCommands() []command.Command {
	tags, numbers := []string{"session"}, []string{"session", "statistics"}
	return []command.Command{{
		Name:        "connected_users",
		Description: "The addresses of all sessions.",
		Tags:        tags,
		Result:      textsField("connected_users", "sessions", ""),
		Run:         func(context.Context, command.Args) (any, error) { return h.addresses(""), nil },
	}, {
		Name:        "connected_users_number",
		Description: "How many sessions there are.",
		Tags:        numbers,
		Result:      numberField("num_sessions", ""),
		Run:         func(context.Context, command.Args) (any, error) { return h.Local.count(""), nil },
	}, {
		Name:        "connected_users_vhost",
		Description: "The addresses of the sessions of a virtual host.",
		Tags:        tags,
		Args:        []command.Field{hostField()},
		Result:      textsField("connected_users_vhost", "sessions", ""),
		Run:         h.connectedUsersVhost,
	}, {
		Name:        "connected_users_info",
		Description: "All sessions, with where they come from and their presence.",
		Tags:        tags,
		Result:      tuplesField("connected_users_info", "session", append(command.Tuple{textField("jid", "its address")}, sessionInfo()...)),
		Run:         h.connectedUsersInfo,
	}}
}

// resourceCommands tell of the sessions of one user. All lists are sorted.
func (h *Host) resourceCommands() []command.Command {
	tags := []string{"session"}
	return []command.Command{{
		Name:        "user_sessions_info",
		Description: "The sessions of a user, with where they come from and their presence.",
		Tags:        tags,
		Args:        userFields(),
		Result:      tuplesField("sessions_info", "session", sessionInfo()),
		Run:         h.userSessionsInfo,
	}, {
		Name:        "user_resources",
		Description: "The resources of a user that are connected.",
		Tags:        tags,
		Args:        userFields(),
		Result:      textsField("resources", "resource", ""),
		Run: func(_ context.Context, a command.Args) (any, error) {
			list, err := h.sessionsOf(a)
			return resources(list), err
		},
	}, {
		Name:        "num_resources",
		Description: "How many resources of a user are connected.",
		Tags:        tags,
		Args:        userFields(),
		Result:      numberField("resources", ""),
		Run: func(_ context.Context, a command.Args) (any, error) {
			list, err := h.sessionsOf(a)
			return len(list), err
		},
	}, {
		Name:        "resource_num",
		Description: "One of the resources of a user, by its place among those that user_resources tells.",
		Tags:        tags,
		Args:        userFields(numberField("num", "1 is the first one")),
		Result:      textField("resource", ""),
		Run:         h.resourceNum,
	}}
}

// sessionInfo is what is told of a session.
func sessionInfo() command.Tuple {
	return command.Tuple{
		textField("connection", "c2s, c2s_tls, websocket, http_bind, or unknown"),
		textField("ip", "empty where there is none"),
		numberField("port", ""),
		numberField("priority", "that of its presence, -1 if it is not available"),
		textField("node", "this program, and the machine that it runs on"),
		numberField("uptime", "for so many seconds there is the session"),
		textField("status", "available, chat, away, xa, dnd or unavailable"),
		textField("resource", ""),
		textField("statustext", "what the presence says besides"),
	}
}

// addresses returns the addresses of the sessions of a domain, "" for all.
func (h *Host) addresses(domain string) []string {
	var list []string
	for _, s := range h.Local.of(domain) {
		list = append(list, s.jid.String())
	}
	return list
}

// connectedUsersVhost runs connected_users_vhost.
func (h *Host) connectedUsersVhost(_ context.Context, a command.Args) (any, error) {
	domain, err := h.vhost(a, "host")
	if err != nil {
		return nil, err
	}
	return h.addresses(domain), nil
}

// connectedUsersInfo runs connected_users_info.
func (h *Host) connectedUsersInfo(context.Context, command.Args) (any, error) {
	return h.infos(h.Local.of("")), nil
}

// userSessionsInfo runs user_sessions_info.
func (h *Host) userSessionsInfo(_ context.Context, a command.Args) (any, error) {
	sessions, err := h.sessionsOf(a)
	list := h.infos(sessions)
	for _, info := range list {
		delete(info, "jid")
	}
	return list, err
}

// infos returns what is told of sessions, and their addresses.
func (h *Host) infos(sessions []*session) []command.Args {
	node := h.node()
	list := make([]command.Args, len(sessions))
	for i, s := range sessions {
		v, from := see(s), s.origin.Load()
		ip := ""
		if from.addr.IsValid() {
			ip = from.addr.Addr().Unmap().String()
		}
		list[i] = command.Args{
			"jid": s.jid.String(), "connection": from.kind, "ip": ip, "port": int(from.addr.Port()), "priority": v.priority, "node": node,
			"uptime": int(time.Since(from.began) / time.Second), "status": v.show, "resource": s.jid.Resource(), "statustext": v.status,
		}
	}
	return list
}

// node is what ejabberd calls the program and its machine.
func (h *Host) node() string {
	machine, err := os.Hostname()
	if err != nil {
		machine = "localhost"
	}
	return strings.ToLower(h.version.Name) + "@" + machine
}

// sessionsOf returns the sessions of the user that the arguments name, sorted.
func (h *Host) sessionsOf(a command.Args) ([]*session, error) {
	user, err := h.user(a)
	if err != nil {
		return nil, err
	}
	return inOrder(h.Local.sessions.of(user)), nil
}

func resources(list []*session) []string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.jid.Resource()
	}
	return names
}

// resourceNum runs resource_num.
func (h *Host) resourceNum(_ context.Context, a command.Args) (any, error) {
	list, err := h.sessionsOf(a)
	if err != nil {
		return nil, err
	}
	n := a.Int("num")
	if n < 1 || n > len(list) {
		return nil, badArgument("num", "there is no resource of this number: there are %d", len(list))
	}
	return list[n-1].jid.Resource(), nil
}
