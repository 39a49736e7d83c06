package host_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// callCommand calls a command as a module does that takes calls.
func callCommand(t *testing.T, h *host.Host, name string, values map[string]any) (any, *command.Error) {
	t.Helper()
	c, ok := h.Commands.Get(name)
	if !ok {
		t.Fatalf("there is no command %s", name)
	}
	args, err := c.Arguments(values)
	if err != nil {
		return nil, command.Fault(err)
	}
	result, err := c.Do(t.Context(), args)
	return result, command.Fault(err)
}

func TestTURNCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock starts at midnight of 2000-01-01, UTC
		h := turnHost(t, nil)
		got, fault := callCommand(t, h, "get_turn_credentials", map[string]any{"user": "Romeo", "host": "A.test"})
		if fault != nil {
			t.Fatal(fault)
		}
		list := got.([]any)
		if len(list) != 2 {
			t.Fatalf("got %v, want 2 services", list)
		}
		want := command.Args{"type": "stun", "host": "stun.a.test", "port": 3478, "transport": "udp", "username": "", "password": "", "expires": ""}
		if !reflect.DeepEqual(list[0], want) {
			t.Errorf("got %v, want %v", list[0], want)
		}
		relay := list[1].(command.Args)
		if relay.Text("type") != "turn" || relay.Text("host") != "turn.a.test" || relay.Text("expires") != "2000-01-01T12:00:00Z" {
			t.Errorf("got %v, want the relay of turn.a.test for 12 hours", relay)
		}
		name := relay.Text("username")
		wantKeys(t, h, name, "a.test", name+":a.test:"+relay.Text("password"), nil)
		if strings.Contains(name, "romeo") {
			t.Errorf("the user name %q tells who it is", name)
		}
	})
}

func TestTURNCredentialsRefused(t *testing.T) {
	off := func(c *host.Config) { c.Features.ExtDisco = stanza.PerHost[*extdisco.Options]{} }
	denied := func(c *host.Config) { c.Features.ExtDisco.Value.Access = acl.None }
	tests := []struct {
		name   string
		change func(*host.Config)
		values map[string]any
		want   command.Kind
	}{
		{"no account", nil, map[string]any{"user": "nobody", "host": "a.test"}, command.NotFound},
		{"disabled", nil, map[string]any{"user": "gone", "host": "a.test"}, command.NotAllowed},
		{"no user", nil, map[string]any{"user": "", "host": "a.test"}, command.NotFound},
		{"another virtual host", nil, map[string]any{"user": "romeo", "host": "b.test"}, command.NotFound},
		{"no address", nil, map[string]any{"user": "ro meo", "host": "a.test"}, command.BadArgument},
		{"argument missing", nil, map[string]any{"user": "romeo"}, command.MissingArgument},
		{"switched off", off, map[string]any{"user": "romeo", "host": "a.test"}, command.NotFound},
		{"denied", denied, map[string]any{"user": "romeo", "host": "a.test"}, command.NotAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := turnHost(t, tt.change)
			create(t, h.Accounts, "gone@a.test", "secret")
			if err := h.Accounts.SetDisabled(t.Context(), jid(t, "gone@a.test"), true); err != nil {
				t.Fatal(err)
			}
			got, fault := callCommand(t, h, "get_turn_credentials", tt.values)
			if got != nil || fault == nil || fault.Kind != tt.want {
				t.Errorf("got %v, %v, want an error of the kind %q", got, fault, tt.want)
			}
		})
	}
}

// What people and programs read about a command is there.
func TestCommandsAreDescribed(t *testing.T) {
	h := turnHost(t, nil)
	for _, c := range h.Commands.List() {
		if c.Description == "" || len(c.Tags) == 0 {
			t.Errorf("%s has the description %q and the tags %q, want both", c.Name, c.Description, c.Tags)
		}
	}
}
