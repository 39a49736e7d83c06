package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// rig is a host for a.test with what people who chat expect, and b.test with none of
// it. romeo@a.test, juliet@a.test and tybalt@b.test have the password secret.
type rig struct {
	*testing.T
	h *host.Host
}

func newRig(t *testing.T) rig {
	t.Helper()
	f := host.Messenger()
	f.Roster.Hosts = off(f.Roster)
	f.Offline.Hosts = off(f.Offline)
	f.Last.Hosts = off(f.Last)
	f.Private.Hosts = off(f.Private)
	f.VCard.Hosts = off(f.VCard)
	h, err := host.New(host.Config{Options: hosts("a.test", "b.test"), Features: f})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"romeo@a.test", "juliet@a.test", "tybalt@b.test"} {
		create(t, h.Accounts, user, "secret")
	}
	return rig{t, h}
}

// off switches a feature off for b.test.
func off[O any](stanza.PerHost[*O]) map[string]*O { return map[string]*O{"b.test": nil} }

// values makes arguments of names and values.
func values(list ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(list); i += 2 {
		m[list[i].(string)] = list[i+1]
	}
	return m
}

// call calls a command of a version of the API; the name is followed by " v1" for
// version 1, and by nothing for the newest.
func (r rig) call(name string, args ...any) (any, *command.Error) {
	r.Helper()
	version := command.Newest
	name, v, ok := strings.Cut(name, " v")
	if ok {
		if _, err := fmt.Sscan(v, &version); err != nil {
			r.Fatal(err)
		}
	}
	c, ok := r.h.Commands.At(name, version)
	if !ok {
		r.Fatalf("there is no command %s", name)
	}
	a, err := c.Arguments(values(args...))
	if err != nil {
		return nil, command.Fault(err)
	}
	result, err := c.Do(r.Context(), a)
	return result, command.Fault(err)
}

// want calls a command and compares the result as text.
func (r rig) want(result, name string, args ...any) {
	r.Helper()
	got, fault := r.call(name, args...)
	if fault != nil {
		r.Errorf("%s %v: %v, want %s", name, args, fault, result)
	} else if text := fmt.Sprint(got); text != result {
		r.Errorf("%s %v: got %s, want %s", name, args, text, result)
	}
}

// done calls a command that has to succeed.
func (r rig) done(name string, args ...any) {
	r.Helper()
	r.want("true", name, args...)
}

// fails calls a command that fails with an error of a kind, and of a text that has
// this.
func (r rig) fails(kind command.Kind, text, name string, args ...any) *command.Error {
	r.Helper()
	got, fault := r.call(name, args...)
	if fault == nil {
		r.Errorf("%s %.200v: got %v, want an error of the kind %q", name, args, got, kind)
		return &command.Error{}
	}
	if fault.Kind != kind || !strings.Contains(fault.Text, text) {
		r.Errorf("%s %.200v: got an error of the kind %q that says %q, want the kind %q and %q", name, args, fault.Kind, fault.Text, kind, text)
	}
	return fault
}

// bind makes a session; presence is XML, "" for none.
func (r rig) bind(full, presence string) *listentest.Sink {
	r.Helper()
	return r.bindFrom(full, presence, stanza.Peer{})
}

func (r rig) bindFrom(full, presence string, from stanza.Peer) *listentest.Sink {
	r.Helper()
	s := new(listentest.Sink)
	j := jid(r.T, full)
	if _, err := r.h.Local.Bind(r.Context(), stanza.Binding{JID: j, Sink: s, Peer: from}); err != nil {
		r.Fatal(err)
	}
	if presence != "" {
		r.route(full, presence)
	}
	return s
}

// route routes a stanza of a session.
func (r rig) route(from, xml string) {
	r.Helper()
	st, err := stanza.Parse(xml)
	if err == nil {
		err = r.h.Local.Route(r.Context(), st.WithFrom(jid(r.T, from)))
	}
	if err != nil {
		r.Fatalf("%s: %v", xml, err)
	}
}

// wantLast compares the last stanza that a session got; an id that the server has
// made is not compared.
func (r rig) wantLast(s *listentest.Sink, want string) {
	r.Helper()
	list := s.Stanzas()
	if len(list) == 0 {
		r.Errorf("got nothing, want %s", want)
		return
	}
	last := *list[len(list)-1]
	if !strings.Contains(want, " id=") {
		last.ID = ""
	}
	if got := last.String(); got != want {
		r.Errorf("got %s, want %s", got, want)
	}
}

// wantKicked compares why a session was ended, "" for one that was not.
func (r rig) wantKicked(s *listentest.Sink, want string) {
	r.Helper()
	got := ""
	if reason, ok := s.Kicked(); ok {
		got = fmt.Sprintf("%s: %s", reason.Condition, reason.Text)
	}
	if got != want {
		r.Errorf("the session was ended by %q, want %q", got, want)
	}
}

// Commands that name an account or a virtual host say what is wrong about it.
func TestCommandsNeedAnAccount(t *testing.T) {
	r := newRig(t)
	more := map[string][]any{
		"change_password": {"newpass", "x"}, "ban_account": {"reason", "x"}, "get_vcard": {"name", "FN"}, "set_vcard": {"name", "FN", "content", "x"},
		"private_get": {"element", "x", "ns", "y"}, "private_set": {"element", "<x xmlns='y'/>"}, "set_last": {"timestamp", 1, "status", ""},
		"unban_account": nil, "get_ban_details": nil, "get_last": nil, "get_roster": nil, "get_roster_count": nil, "get_offline_count": nil,
		"get_turn_credentials": nil,
	}
	for name, args := range more {
		t.Run(name, func(t *testing.T) {
			r := rig{t, r.h}
			r.fails(command.NotFound, "there is no account nobody@a.test", name, append(args, "user", "nobody", "host", "a.test")...)
			r.fails(command.BadArgument, "unknown virtual host", name, append(args, "user", "romeo", "host", "c.test")...)
			r.fails(command.BadArgument, "user", name, append(args, "user", "ro meo", "host", "a.test")...)
			r.fails(command.BadArgument, "user", name, append(args, "user", "", "host", "a.test")...)
		})
	}
}

// Commands about modules say that a virtual host has none.
func TestCommandsNeedAModule(t *testing.T) {
	r := newRig(t)
	of := []any{"user", "tybalt", "host", "b.test"}
	for _, tt := range []struct {
		module, name string
		args         []any
	}{
		{"mod_roster", "get_roster", of},
		{"mod_roster", "get_roster_count", of},
		{"mod_roster", "delete_rosteritem", []any{"localuser", "tybalt", "localhost", "b.test", "user", "romeo", "host", "a.test"}},
		{"mod_last", "get_last", of},
		{"mod_last", "set_last", append([]any{"timestamp", 1, "status", ""}, of...)},
		{"mod_last", "delete_old_users", []any{"days", 1}},
		{"mod_last", "delete_old_users_vhost", []any{"host", "b.test", "days", 1}},
		{"mod_offline", "get_offline_count", of},
		{"mod_private", "private_get", append([]any{"element", "x", "ns", "y"}, of...)},
		{"mod_private", "private_set", append([]any{"element", "<x xmlns='y'/>"}, of...)},
		{"mod_vcard", "get_vcard", append([]any{"name", "FN"}, of...)},
		{"mod_vcard", "set_vcard", append([]any{"name", "FN", "content", ""}, of...)},
	} {
		r.fails(command.NotFound, "b.test has no "+tt.module, tt.name, tt.args...)
	}
}

// Commands about sessions take users without an account, and refuse other virtual
// hosts.
func TestSessionCommandsNeedAVirtualHost(t *testing.T) {
	r := newRig(t)
	resource := []any{"resource", "x"}
	for name, args := range map[string][]any{
		"user_resources": nil, "num_resources": nil, "user_sessions_info": nil, "kick_user v0": nil, "kick_user": nil, "get_presence": nil,
		"resource_num": {"num", 1}, "kick_session": append(resource, "reason", ""),
		"send_stanza_c2s": append(resource, "stanza", "<presence/>"),
		"set_presence":    append(resource, "type", "available", "show", "", "status", "", "priority", 0),
		"check_account":   nil, "unregister": nil, "register": {"password", "x"}, "check_password": {"password", "x"},
	} {
		r.fails(command.BadArgument, "unknown virtual host", name, append(args, "user", "romeo", "host", "c.test")...)
		r.fails(command.BadArgument, "unknown virtual host", name, append(args, "user", "romeo", "host", "")...)
	}
	for name, args := range map[string][]any{
		"connected_users_vhost": nil, "kick_users": nil, "registered_users": nil, "list_banned": nil, "count_banned": nil,
		"status_num_host": {"status", "all"}, "status_list_host": {"status", "all"}, "status_list_host v0": {"status", "all"},
		"stats_host": {"name", "onlineusers"}, "delete_old_users_vhost": {"days", 1},
	} {
		r.fails(command.BadArgument, "unknown virtual host", name, append(args, "host", "c.test")...)
	}
}
