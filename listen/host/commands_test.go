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

func TestTURNCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock starts at midnight of 2000-01-01, UTC
		h := turnHost(t, nil)
		got, fault := rig{t, h}.call("get_turn_credentials", "user", "Romeo", "host", "A.test")
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
		args   []any
		want   command.Kind
	}{
		{"no account", nil, []any{"user", "nobody", "host", "a.test"}, command.NotFound},
		{"disabled", nil, []any{"user", "gone", "host", "a.test"}, command.NotAllowed},
		{"no user", nil, []any{"user", "", "host", "a.test"}, command.BadArgument},
		{"another virtual host", nil, []any{"user", "romeo", "host", "b.test"}, command.BadArgument},
		{"no address", nil, []any{"user", "ro meo", "host", "a.test"}, command.BadArgument},
		{"argument missing", nil, []any{"user", "romeo"}, command.MissingArgument},
		{"switched off", off, []any{"user", "romeo", "host", "a.test"}, command.NotFound},
		{"denied", denied, []any{"user", "romeo", "host", "a.test"}, command.NotAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := turnHost(t, tt.change)
			create(t, h.Accounts, "gone@a.test", "secret")
			if err := h.Accounts.SetDisabled(t.Context(), jid(t, "gone@a.test"), true); err != nil {
				t.Fatal(err)
			}
			rig{t, h}.fails(tt.want, "", "get_turn_credentials", tt.args...)
		})
	}
}
