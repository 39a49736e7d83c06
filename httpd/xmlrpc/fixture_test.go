package xmlrpc

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
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

// accounts have one account, ana@localhost with the password anchor and the token tide;
// bo@localhost has the token ebb, and cy@localhost a store that does not answer.
type accounts struct{}

func (accounts) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	switch {
	case user.String() == "cy@localhost":
		return errors.New("the disk is gone")
	case user.String() != "ana@localhost":
		return stanza.ErrNoAccount
	case password != "anchor":
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (accounts) Token(_ context.Context, token string) (stanza.JID, string, error) {
	owner := map[string]string{"tide": "ana", "ebb": "bo"}[token]
	if owner == "" {
		return stanza.JID{}, "", stanza.ErrNotAuthorized
	}
	user, err := stanza.NewJID(owner, "localhost", "")
	return user, "sasl_auth", err
}

func field(name string, t command.Type) command.Field { return command.Field{Name: name, Type: t} }

func listOf(name string, t command.Type) command.List { return command.List{Of: field(name, t)} }

// contact is a tuple with a list in it.
var contact = command.Tuple{field("jid", command.String), field("groups", listOf("group", command.String))}

// registry has commands of all shapes. Those without a result of their own return what
// they are given.
func registry(t testing.TB) *command.Registry {
	t.Helper()
	host := command.Field{Name: "host", Old: "server", Type: command.String}
	returns := func(v any, err error) func(context.Context, command.Args) (any, error) {
		return func(context.Context, command.Args) (any, error) { return v, err }
	}
	value := func(_ context.Context, a command.Args) (any, error) { return a["v"], nil }
	echo := func(name string, typ command.Type) command.Command {
		return command.Command{Name: name, Args: []command.Field{field("v", typ)}, Result: field("got", typ), Run: value}
	}
	code, text := field("res", command.ResCode), field("res", command.ResTuple)
	users := make([]string, 100)
	for i := range users {
		users[i] = "somebody"
	}
	r := new(command.Registry)
	err := r.Add(
		echo("integer", command.Integer), echo("string", command.String), echo("integers", listOf("n", command.Integer)),
		echo("strings", listOf("s", command.String)), echo("tuple", contact), echo("tuples", listOf("contact", contact)),
		echo("onetuples", listOf("s", command.Tuple{field("s", command.String)})),
		command.Command{Name: "connected_users_number", Description: "How many sessions there are", Tags: []string{"statistics"},
			Result: field("num_sessions", command.Integer), Run: returns(7, nil)},
		command.Command{Name: "everybody", Result: field("users", listOf("user", command.String)), Run: returns(users, nil)},
		command.Command{Name: "registered_users", Args: []command.Field{host}, Result: field("users", listOf("user", command.String)),
			Run: func(_ context.Context, a command.Args) (any, error) { return []string{"ana@" + a.Text("host")}, nil }},
		command.Command{Name: "yes", Result: code, Run: returns(true, nil)},
		command.Command{Name: "no", Result: code, Run: returns(false, nil)},
		command.Command{Name: "told", Result: text, Run: returns("done & <dusted>", nil)},
		command.Command{Name: "conflict", Result: text, Run: returns(nil, &command.Error{Kind: command.Conflict, Text: "User exists", Code: 10090})},
		command.Command{Name: "nothing", Result: code, Run: returns(nil, command.Errorf(command.NotFound, "there is no such thing"))},
		command.Command{Name: "unserved", Args: []command.Field{host}, Result: code, Run: returns(nil, command.Errorf(command.BadArgument, "that host is not served"))},
		command.Command{Name: "broken", Result: code, Run: returns(nil, errors.New("secret of the database"))},
		command.Command{Name: "panics", Result: code, Run: func(context.Context, command.Args) (any, error) { panic("secret") }},
		command.Command{Name: "stop", Result: code, Run: returns(true, nil)},
		command.Command{Name: "webadmin_page", Tags: []string{"internal"}, Result: code, Run: returns(true, nil)},
		command.Command{Name: "versions", Result: field("n", command.Integer), Run: returns(0, nil)},
		command.Command{Name: "versions", Since: 3, Result: text, Run: returns("three", nil)},
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// handler is one that has everything.
func handler(t testing.TB, p permissions) *Handler {
	return New(Host{Commands: registry(t), Permissions: p, Passwords: accounts{}, Tokens: accounts{}})
}

// document is a call as we encode it.
func document(method string, params ...any) []byte {
	b := appendText([]byte("<?xml version='1.0'?>\n<methodCall>\n<methodName>"), method)
	b = append(b, "</methodName>\n<params>\n"...)
	for _, p := range params {
		b = append(b, "<param>\n"...)
		b = appendValue(b, p)
		b = append(b, "\n</param>\n"...)
	}
	return append(b, "</params>\n</methodCall>\n"...)
}

// post sends a body to a handler.
func post(h http.Handler, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/xmlrpc/", strings.NewReader(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// response reads a response, as a client does.
func response(b []byte) (v any, f *fault, err error) {
	d := new(decoder)
	if err := d.start(b); err != nil {
		return nil, nil, err
	}
	if err := d.begin("methodResponse"); err != nil {
		return nil, nil, err
	}
	t, err := d.next()
	if err != nil {
		return nil, nil, err
	}
	if string(t.name) == "fault" {
		if err := d.begin("value"); err != nil {
			return nil, nil, err
		}
		v, err = d.value()
		if err == nil {
			err = d.end("fault")
		}
	} else {
		var params []any
		params, err = d.params()
		if err == nil && len(params) != 1 {
			err = errors.New("want one parameter")
		} else if err == nil {
			v = params[0]
		}
	}
	if err == nil {
		err = d.end("methodResponse")
	}
	if err != nil || string(t.name) != "fault" {
		return v, nil, err
	}
	s, _ := v.(structure)
	code, _ := s.get("faultCode")
	n, ok := code.(int)
	if !ok || len(s) != 2 {
		return nil, nil, errors.New("a fault has a code and a text")
	}
	return nil, &fault{n, s.text("faultString")}, nil
}

// expect sees that a call has a result, or a fault of a code whose text has some words.
func expect(t *testing.T, h *Handler, body []byte, want any, code int, words string) {
	t.Helper()
	w := post(h, string(body))
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d and %s, want 200", w.Code, w.Body)
	}
	got, f, err := response(w.Body.Bytes())
	switch {
	case err != nil:
		t.Fatalf("%v in %s", err, w.Body)
	case code == 0 && f != nil:
		t.Errorf("got the fault %v, want %v", f.text, want)
	case code == 0:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v", got, want)
		}
	case f == nil:
		t.Errorf("got %#v, want the fault %d", got, code)
	case f.code != code || !strings.Contains(f.text, words):
		t.Errorf("got the fault %d, %q, want %d with %q", f.code, f.text, code, words)
	}
}
