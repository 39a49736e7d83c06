package main

import (
	"context"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd/xmlrpc"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host has one account, and callers with an account may do everything.
type host struct{}

func (host) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if user.String() != "ana@localhost" || password != "a<n&chor" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (host) Permits(caller acl.Subject, cmd acl.Command) bool {
	return caller.User == "ana" || cmd.Name == "hello"
}

// start returns the URL of a server with two commands.
func start(t *testing.T) string {
	var commands command.Registry
	err := commands.Add(command.Command{
		Name:   "hello",
		Result: command.Field{Name: "text", Type: command.String},
		Run:    func(context.Context, command.Args) (any, error) { return "ahoy", nil },
	}, command.Command{
		Name:   "repeat",
		Args:   []command.Field{{Name: "text", Type: command.String}, {Name: "times", Type: command.Integer}},
		Result: command.Field{Name: "texts", Type: command.List{Of: command.Field{Name: "text", Type: command.String}}},
		Run: func(_ context.Context, a command.Args) (any, error) {
			return strings.Split(strings.Repeat(a.Text("text")+" ", a.Int("times")), " ")[:a.Int("times")], nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(xmlrpc.New(xmlrpc.Host{Commands: &commands, Permissions: host{}, Passwords: host{}}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestCall(t *testing.T) {
	const password = "a<n&chor"
	tests := []struct {
		name, user, password string
		command              string
		words                []string
		want                 any
		problem              string
	}{
		{"no account", "", "", "hello", nil, map[string]any{"text": "ahoy"}, ""},
		{"account", "ana@localhost", password, "repeat", []string{"text=a=b", "times:=2"}, map[string]any{"texts": []any{"a=b", "a=b"}}, ""},
		{"methods", "ana@localhost", password, "system.listMethods", nil, []any{"hello", "repeat"}, ""},
		{"wrong password", "ana@localhost", "x", "hello", nil, nil, "Invalid authentication data"},
		{"denied", "", "", "repeat", []string{"text=a", "times:=2"}, nil, "denied"},
		{"no number", "", "", "repeat", []string{"times:=two"}, nil, "times:=two"},
		{"no command", "", "", "", nil, nil, "Unknown call"},
	}
	url := start(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := call(url, tt.user, tt.password, tt.command, tt.words)
			if !reflect.DeepEqual(got, tt.want) || (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("got %#v and %v, want %#v and %q", got, err, tt.want, tt.problem)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	if _, err := call("http://127.0.0.1:1/", "", "", "hello", nil); err == nil {
		t.Error("got no error where nobody listens")
	}
}
