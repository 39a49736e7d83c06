package host_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
)

// wholeProcess has all that commands can ask of a program.
func wholeProcess() host.Process {
	nothing := func(context.Context) error { return nil }
	return host.Process{
		Stop: func(time.Duration) {}, Restart: func(time.Duration) {}, Halt: func() {},
		Reload: nothing, DumpConfig: func(context.Context, string) error { return nil },
		ReopenLog: nothing, LogLevel: func() string { return "info" }, SetLogLevel: func(string) error { return nil },
		S2SNumbers: func() (int, int) { return 0, 0 }, StopS2S: nothing,
	}
}

const (
	sessionShape = "connection s, ip s, port i, priority i, node s, uptime i, status s, resource s, statustext s"
	pendingShape = "jid s, nick s, subscription s, pending s, groups [s]"
)

// expectedCommands are the commands of ejabberd that a host has, as ejabberd's
// documentation has them: name, version since which, arguments with their old names,
// result.
func expectedCommands() [][4]string {
	return [][4]string{
		{"add_rosteritem", "v0", "localuser s, localhost(localserver) s, user s, host(server) s, nick s, group s, subs s", "res: ok"},
		{"add_rosteritem", "v1", "localuser s, localhost(localserver) s, user s, host(server) s, nick s, groups [s], subs s", "res: ok"},
		{"ban_account", "v0", "user s, host s, reason s", "res: ok"},
		{"change_password", "v0", "user s, host s, newpass s", "res: ok"},
		{"check_account", "v0", "user s, host s", "res: ok"},
		{"check_password", "v0", "user s, host s, password s", "res: ok"},
		{"connected_users", "v0", "", "connected_users: [s]"},
		{"connected_users_info", "v0", "", "connected_users_info: [{jid s, " + sessionShape + "}]"},
		{"connected_users_number", "v0", "", "num_sessions: i"},
		{"connected_users_vhost", "v0", "host s", "connected_users_vhost: [s]"},
		{"count_banned", "v0", "host s", "banned: i"},
		{"delete_old_users", "v0", "days i", "res: text"},
		{"delete_old_users_vhost", "v0", "host s, days i", "res: text"},
		{"delete_rosteritem", "v0", "localuser s, localhost(localserver) s, user s, host(server) s", "res: ok"},
		{"dump_config", "v0", "out s", "res: ok"},
		{"gc", "v0", "", "res: ok"},
		{"get_ban_details", "v2", "user s, host s", "ban_details: [{name s, value s}]"},
		{"get_last", "v0", "user s, host s", "last_activity: {timestamp s, status s}"},
		{"get_loglevel", "v0", "", "levelatom: s"},
		{"get_offline_count", "v0", "user s, host(server) s", "value: i"},
		{"get_presence", "v0", "user s, host(server) s", "presence: {jid s, show s, status s}"},
		{"get_roster", "v0", "user s, host(server) s", "contacts: [{" + pendingShape + "}]"},
		{"get_roster_count", "v0", "user s, host(server) s", "value: i"},
		{"get_vcard", "v0", "user s, host s, name s", "content: s"},
		{"halt", "v0", "", "res: ok"},
		{"incoming_s2s_number", "v0", "", "s2s_incoming: i"},
		{"kick_session", "v0", "user s, host s, resource s, reason s", "res: ok"},
		{"kick_user", "v0", "user s, host s", "num_resources: i"},
		{"kick_user", "v2", "user s, host s", "res: text"},
		{"kick_users", "v0", "host s", "num_sessions: i"},
		{"list_banned", "v0", "host s", "banned: [s]"},
		{"num_resources", "v0", "user s, host s", "resources: i"},
		{"outgoing_s2s_number", "v0", "", "s2s_outgoing: i"},
		{"private_get", "v0", "user s, host s, element s, ns s", "res: s"},
		{"private_set", "v0", "user s, host s, element s", "res: ok"},
		{"process_rosteritems", "v0", "action s, subs s, asks s, users s, contacts s", "response: [{user s, contact s}]"},
		{"register", "v0", "user s, host s, password s", "res: text"},
		{"registered_users", "v0", "host s", "users: [s]"},
		{"registered_vhosts", "v0", "", "vhosts: [s]"},
		{"reload_config", "v0", "", "res: ok"},
		{"reopen_log", "v0", "", "res: ok"},
		{"resource_num", "v0", "user s, host s, num i", "resource: s"},
		{"restart", "v0", "", "res: ok"},
		{"restart_kindly", "v0", "delay i, announcement s", "res: ok"},
		{"rotate_log", "v0", "", "res: ok"},
		{"send_message", "v0", "type s, from s, to s, subject s, body s", "res: ok"},
		{"send_stanza", "v0", "from s, to s, stanza s", "res: ok"},
		{"send_stanza_c2s", "v0", "user s, host s, resource s, stanza s", "res: ok"},
		{"set_last", "v0", "user s, host s, timestamp i, status s", "res: ok"},
		{"set_loglevel", "v0", "loglevel s", "res: ok"},
		{"set_presence", "v0", "user s, host s, resource s, type s, show s, status s, priority s", "res: ok"},
		{"set_presence", "v1", "user s, host s, resource s, type s, show s, status s, priority i", "res: ok"},
		{"set_vcard", "v0", "user s, host s, name s, content s", "res: ok"},
		{"stats", "v0", "name s", "stat: i"},
		{"stats_host", "v0", "name s, host s", "stat: i"},
		{"status", "v0", "", "res: text"},
		{"status_list", "v0", "status s", "users: [{user s, host s, resource s, priority i, status s}]"},
		{"status_list", "v3", "status s", "users: [{jid s, priority i, status s}]"},
		{"status_list_host", "v0", "host s, status s", "users: [{user s, host s, resource s, priority i, status s}]"},
		{"status_list_host", "v3", "host s, status s", "users: [{jid s, priority i, status s}]"},
		{"status_num", "v0", "status s", "users: i"},
		{"status_num_host", "v0", "host s, status s", "users: i"},
		{"stop", "v0", "", "res: ok"},
		{"stop_kindly", "v0", "delay i, announcement s", "res: ok"},
		{"stop_s2s_connections", "v0", "", "res: ok"},
		{"unban_account", "v2", "user s, host s", "res: ok"},
		{"unregister", "v0", "user s, host s", "res: text"},
		{"user_resources", "v0", "user s, host s", "resources: [s]"},
		{"user_sessions_info", "v0", "user s, host s", "sessions_info: [{" + sessionShape + "}]"},
	}
}

// shape writes a type as the table does.
func shape(t command.Type) string {
	switch t := t.(type) {
	case command.List:
		return "[" + shape(t.Of.Type) + "]"
	case command.Tuple:
		return "{" + fields(t) + "}"
	}
	return map[command.Type]string{command.String: "s", command.Integer: "i", command.ResCode: "ok", command.ResTuple: "text"}[t]
}

func fields(list []command.Field) string {
	var parts []string
	for _, f := range list {
		name := f.Name
		if f.Old != "" {
			name += "(" + f.Old + ")"
		}
		parts = append(parts, name+" "+shape(f.Type))
	}
	return strings.Join(parts, ", ")
}

// sinceOf returns the versions of a command that there are, oldest first.
func sinceOf(r *command.Registry, name string) (list []int) {
	for v := range 20 {
		if c, ok := r.At(name, v); ok && c.Since == v {
			list = append(list, v)
		}
	}
	return list
}

func TestCommandsAreThoseOfTheTable(t *testing.T) {
	h := newRig(t).h
	if err := h.SetProcess(wholeProcess()); err != nil {
		t.Fatal(err)
	}
	versions := map[string][]int{}
	for _, want := range expectedCommands() {
		since := int(want[1][1] - '0')
		versions[want[0]] = append(versions[want[0]], since)
		c, ok := h.Commands.At(want[0], since)
		if !ok || c.Since != since {
			t.Errorf("there is no %s of version %d", want[0], since)
			continue
		}
		if got := fields(c.Args); got != want[2] {
			t.Errorf("%s %s: got the arguments %s, want %s", want[0], want[1], got, want[2])
		}
		if got := c.Result.Name + ": " + shape(c.Result.Type); got != want[3] {
			t.Errorf("%s %s: got the result %s, want %s", want[0], want[1], got, want[3])
		}
	}
	for name, want := range versions {
		if got := sinceOf(h.Commands, name); !slices.Equal(got, want) {
			t.Errorf("%s has the versions %v, want %v", name, got, want)
		}
	}
}

// What people and programs read about a command is there, in each version.
func TestCommandsAreDescribed(t *testing.T) {
	h := newRig(t).h
	if err := h.SetProcess(wholeProcess()); err != nil {
		t.Fatal(err)
	}
	list := h.Commands.List()
	if !slices.IsSortedFunc(list, func(a, b command.Command) int { return cmp.Compare(a.Name, b.Name) }) {
		t.Error("the commands are not sorted")
	}
	for _, newest := range list {
		for _, v := range sinceOf(h.Commands, newest.Name) {
			c, _ := h.Commands.At(newest.Name, v)
			if !strings.HasSuffix(c.Description, ".") || len(c.Tags) == 0 {
				t.Errorf("%s of version %d has the description %q and the tags %q, want both", c.Name, v, c.Description, c.Tags)
			}
		}
	}
}
