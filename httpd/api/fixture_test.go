package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// permissions are who may run what.
type permissions func(acl.Subject, acl.Command) bool

func (p permissions) Permits(s acl.Subject, c acl.Command) bool { return p(s, c) }

func everybody(acl.Subject, acl.Command) bool { return true }

// public lets callers without an account run everything but stop, and ana that, too.
func public(s acl.Subject, c acl.Command) bool { return c.Name != "stop" || s.User == "ana" }

// accounts have one account, ana@localhost with the password anchor: off and the token
// tide; cy@localhost has a store that does not answer, and so has the token fog.
type accounts struct{}

var errDisk = errors.New("the disk is gone")

func (accounts) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	switch {
	case user.String() == "cy@localhost":
		return errDisk
	case user.String() != "ana@localhost":
		return stanza.ErrNoAccount
	case password != "anchor: off":
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (accounts) Token(_ context.Context, token string) (stanza.JID, string, error) {
	switch token {
	case "fog":
		return stanza.JID{}, "", errDisk
	case "tide":
		user, err := stanza.NewJID("ana", "localhost", "")
		return user, "ejabberd:admin", err
	}
	return stanza.JID{}, "", stanza.ErrNotAuthorized
}

func field(name string, t command.Type) command.Field { return command.Field{Name: name, Type: t} }

func listOf(name string, t command.Type) command.List { return command.List{Of: field(name, t)} }

var (
	contact  = command.Tuple{field("jid", command.String), field("nick", command.String), field("groups", listOf("group", command.String))}
	settings = listOf("setting", command.Tuple{field("name", command.String), field("value", command.Integer)})
	seats    = listOf("seat", command.Tuple{field("user", command.String), field("number", command.Integer)})
)

// commands are of all shapes. Those called echo_ return what they are given.
func commands() []command.Command {
	host := command.Field{Name: "host", Old: "server", Type: command.String, Description: "the virtual host"}
	returns := func(v any, err error) func(context.Context, command.Args) (any, error) {
		return func(context.Context, command.Args) (any, error) { return v, err }
	}
	value := func(_ context.Context, a command.Args) (any, error) { return a["v"], nil }
	echo := func(name string, typ command.Type) command.Command {
		return command.Command{Name: "echo_" + name, Args: []command.Field{field("v", typ)}, Result: field("got", typ), Run: value}
	}
	code, text := field("res", command.ResCode), field("res", command.ResTuple)
	failing := func(name string, e error) command.Command {
		return command.Command{Name: name, Result: text, Run: returns(nil, e)}
	}
	return []command.Command{
		echo("integer", command.Integer), echo("string", command.String), echo("integers", listOf("n", command.Integer)),
		echo("strings", listOf("s", command.String)), echo("tuple", contact), echo("tuples", listOf("contact", contact)),
		echo("settings", settings), echo("seats", seats), echo("lists", listOf("l", listOf("n", command.Integer))),
		{Name: "connected_users_number", Description: "How many sessions there are", Tags: []string{"statistics"},
			Result: field("num_sessions", command.Integer), Run: returns(7, nil)},
		{Name: "registered_users", Tags: []string{"accounts"}, Args: []command.Field{host}, Result: field("users", listOf("user", command.String)),
			Run: func(_ context.Context, a command.Args) (any, error) {
				return []string{"cy", "ana", a.Text("host")}, nil
			}},
		{Name: "add", Args: []command.Field{field("user", command.String), {Name: "groups", Old: "group", Type: listOf("group", command.String)}},
			Result: field("groups", listOf("group", command.String)),
			Run:    func(_ context.Context, a command.Args) (any, error) { return a["groups"], nil }},
		{Name: "yes", Result: code, Run: returns(true, nil)},
		{Name: "no", Result: code, Run: returns(false, nil)},
		{Name: "told", Result: text, Run: returns("done & <dusted>", nil)},
		failing("exists", &command.Error{Kind: command.Conflict, Text: "User exists", Code: 10090}),
		failing("busy", command.Errorf(command.Conflict, "in the way")),
		failing("fault", &command.Error{Text: "not made", Code: 10001, Err: errDisk}),
		failing("typed", &command.Error{Kind: command.BadArgument, Text: "too weak", Code: 10002}),
		failing("gone", &command.Error{Kind: command.NotFound, Text: "no room", Code: 10003}),
		failing("nothing", command.Errorf(command.NotFound, "there is no such thing")),
		failing("forbidden", command.Errorf(command.NotAllowed, "that may not be")),
		failing("unserved", command.Errorf(command.BadArgument, "unknown virtual host")),
		failing("sorry", &command.Error{Text: "come back tomorrow", Err: errDisk}),
		failing("broken", errors.New("secret of the database")),
		{Name: "panics", Result: code, Run: func(context.Context, command.Args) (any, error) { panic("secret") }},
		{Name: "stop", Result: code, Run: returns(true, nil)},
		{Name: "webadmin_page", Tags: []string{"internal"}, Result: code, Run: returns(true, nil)},
		{Name: "versions", Tags: []string{"statistics"}, Result: field("n", command.Integer), Run: returns(0, nil)},
		{Name: "versions", Since: 2, Tags: []string{"statistics"}, Result: field("n", command.Integer), Run: returns(2, nil)},
		{Name: "versions", Since: 3, Tags: []string{"statistics"}, Result: text, Run: returns("three", nil)},
		{Name: "young", Since: 2, Result: code, Run: returns(true, nil)},
	}
}

// handler is one that has everything.
func handler(t testing.TB, p permissions) *Handler {
	t.Helper()
	r := new(command.Registry)
	if err := r.Add(commands()...); err != nil {
		t.Fatal(err)
	}
	return New(Host{Commands: r, Permissions: p, Passwords: accounts{}, Tokens: accounts{}})
}

// client is where requests of the tests come from.
var client = netip.MustParseAddr("127.0.0.1")

// request is one as httpd passes it on: of a handler for /api.
func request(method, path, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "http://localhost:5280/api/"+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	rest, _, _ := strings.Cut(path, "?")
	return httpd.WithInfo(r, httpd.Info{Host: "localhost", Client: client, Tag: "ops", Mount: "/api", Rest: rest})
}

// do sends a request and returns the answer.
func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// check compares an answer with a status and a body.
func check(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body {
		t.Errorf("got %d and %s, want %d and %s", w.Code, w.Body, status, body)
	}
}
