package calls

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// password is what VerifyPassword does.
type password func(ctx context.Context, user stanza.JID, password string) error

func (p password) VerifyPassword(ctx context.Context, user stanza.JID, password string) error {
	return p(ctx, user, password)
}

// token is what Token returns.
type token struct {
	user   stanza.JID
	scopes string
	err    error
}

func (t token) Token(context.Context, string) (stanza.JID, string, error) {
	return t.user, t.scopes, t.err
}

var errDisk = errors.New("the disk is gone")

func jid(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func registry(t *testing.T) *command.Registry {
	t.Helper()
	code := command.Field{Name: "res", Type: command.ResCode}
	host := command.Field{Name: "host", Old: "server", Type: command.String}
	returns := func(v any, err error) func(context.Context, command.Args) (any, error) {
		return func(context.Context, command.Args) (any, error) { return v, err }
	}
	r := new(command.Registry)
	err := r.Add(
		command.Command{Name: "status", Tags: []string{"server"}, Result: code, Run: returns(true, nil)},
		command.Command{Name: "since", Result: code, Since: 2, Run: returns(true, nil)},
		command.Command{Name: "users", Args: []command.Field{host}, Result: code, Run: returns(true, nil)},
		command.Command{Name: "numbered", Args: []command.Field{{Name: "host", Type: command.Integer}}, Result: code, Run: returns(true, nil)},
		command.Command{Name: "hosts", Args: []command.Field{{Name: "hosts", Type: command.String}}, Result: code, Run: returns(true, nil)},
		command.Command{Name: "contact", Args: []command.Field{host, {Name: "localhost", Old: "localserver", Type: command.String}}, Result: code, Run: returns(true, nil)},
		command.Command{Name: "fails", Result: code, Run: returns(nil, errDisk)},
		command.Command{Name: "refuses", Result: code, Run: returns(nil, command.Errorf(command.NotFound, "nothing there"))},
		command.Command{Name: "page", Tags: []string{"internal"}, Result: code, Run: returns(true, nil)},
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPassword(t *testing.T) {
	tests := []struct {
		name string
		user string
		err  error // of the accounts
		want error
	}{
		{"right", "ana@one.test", nil, nil},
		{"with a resource", "ana@one.test/boat", nil, nil},
		{"wrong", "ana@one.test", stanza.ErrNotAuthorized, ErrCredentials},
		{"nobody", "ana@one.test", stanza.ErrNoAccount, ErrCredentials},
		{"disabled", "ana@one.test", stanza.ErrAccountDisabled, ErrCredentials},
		{"wrapped", "ana@one.test", &command.Error{Err: stanza.ErrNoAccount}, ErrCredentials},
		{"no answer", "ana@one.test", errDisk, errDisk},
		{"a domain", "one.test", nil, ErrCredentials},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := New(nil, nil, password(func(_ context.Context, user stanza.JID, p string) error {
				if user.String() != "ana@one.test" || p != "anchor" {
					t.Errorf("asked for %s and %q", user, p)
				}
				return tt.err
			}), nil, nil)
			caller := acl.Subject{From: "mod_http_api", Tag: "x", IP: netip.MustParseAddr("192.0.2.1")}
			want := caller
			if tt.want == nil {
				want.User, want.Server = "ana", "one.test"
			}
			got, err := g.Password(t.Context(), caller, jid(t, tt.user), "anchor")
			if got != want || !errors.Is(err, tt.want) {
				t.Errorf("got %v and %v, want %v and %v", got, err, want, tt.want)
			}
		})
	}
	if _, err := New(nil, nil, nil, nil, nil).Password(t.Context(), acl.Subject{}, jid(t, "ana@one.test"), ""); err != ErrCredentials {
		t.Errorf("without accounts: got %v, want %v", err, ErrCredentials)
	}
}

// As many passwords are checked at a time as there are processors; the others wait as
// long as their callers do.
func TestPasswordsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checking, most atomic.Int64
		g := New(nil, nil, password(func(context.Context, stanza.JID, string) error {
			most.Store(max(most.Load(), checking.Add(1)))
			time.Sleep(time.Second)
			checking.Add(-1)
			return nil
		}), nil, nil)
		n := runtime.GOMAXPROCS(0)
		results := make(chan error, 3*n)
		for range 3 * n {
			go func() {
				_, err := g.Password(t.Context(), acl.Subject{}, jid(t, "ana@one.test"), "anchor")
				results <- err
			}()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := g.Password(ctx, acl.Subject{}, jid(t, "ana@one.test"), "anchor"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the one whose caller leaves: got %v, want %v", err, context.DeadlineExceeded)
		}
		for range 3 * n {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if most.Load() != int64(n) {
			t.Errorf("got %d checks at a time, want %d", most.Load(), n)
		}
	})
}

func TestToken(t *testing.T) {
	ana := jid(t, "ana@one.test")
	tests := []struct {
		name   string
		tokens Tokens
		want   acl.Subject
		err    error
	}{
		{"right", token{user: ana, scopes: "a b"}, acl.Subject{User: "ana", Server: "one.test", Token: true, Scopes: "a b"}, nil},
		{"wrong", token{err: stanza.ErrNotAuthorized}, acl.Subject{}, ErrCredentials},
		{"no answer", token{err: errDisk}, acl.Subject{}, errDisk},
		{"no tokens", nil, acl.Subject{}, ErrCredentials},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := New(nil, nil, nil, tt.tokens, nil).Token(t.Context(), acl.Subject{}, "x")
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %v and %v, want %v and %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestFind(t *testing.T) {
	tests := []struct {
		name    string
		from    string
		command string
		version int
		values  map[string]any
		host    string // that the permissions hear of
		want    error
	}{
		{"no arguments", "", "status", 0, nil, "", nil},
		{"unknown", "", "nothing", 0, nil, "", ErrUnknown},
		{"too young", "", "since", 1, nil, "", ErrUnknown},
		{"old enough", "", "since", 2, nil, "", nil},
		{"host", "", "users", 0, map[string]any{"host": "One.Test"}, "one.test", nil},
		{"host of a query", "", "users", 0, map[string]any{"host": command.Text("one.test.")}, "one.test", nil},
		{"old name", "", "users", 0, map[string]any{"server": "one.test"}, "one.test", nil},
		{"both names", "", "users", 0, map[string]any{"host": "one.test", "server": "two.test"}, "one.test", nil},
		{"no host", "", "users", 0, nil, "", nil},
		{"no old name", "", "numbered", 0, map[string]any{"": "one.test"}, "", nil},
		{"another type", "", "users", 0, map[string]any{"host": 5}, "", nil},
		{"not a text", "", "numbered", 0, map[string]any{"host": 5}, "", nil},
		{"no name of a host", "", "users", 0, map[string]any{"host": "a@one.test"}, ".", nil},
		{"no host at all", "", "users", 0, map[string]any{"host": ""}, ".", nil},
		{"host that is none of the arguments", "", "hosts", 0, map[string]any{"host": "one.test"}, "", nil},
		{"own host and that of another", "", "contact", 0, map[string]any{"host": "far.test", "localhost": "One.Test"}, "one.test", nil},
		{"own host by its old name", "", "contact", 0, map[string]any{"server": "far.test", "localserver": "one.test"}, "one.test", nil},
		{"the host of another alone", "", "contact", 0, map[string]any{"host": "far.test"}, "", nil},
		{"internal", "ejabberd_ctl", "page", 0, nil, "", nil},
		{"internal by HTTP", "mod_http_api", "page", 0, nil, "none", ErrDenied},
		{"internal by XML-RPC", "ejabberd_xmlrpc", "page", 0, nil, "none", ErrDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			heard := "none"
			may := permissions(func(_ acl.Subject, c acl.Command) bool {
				heard = c.Host
				return true
			})
			c, err := New(registry(t), may, nil, nil, nil).Find(acl.Subject{From: tt.from}, tt.command, tt.version, tt.values)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil && (c.Name != tt.command || heard != tt.host) {
				t.Errorf("got %s for the host %q, want %s for %q", c.Name, heard, tt.command, tt.host)
			}
			never := permissions(func(acl.Subject, acl.Command) bool { return false })
			if _, err := New(registry(t), never, nil, nil, nil).Find(acl.Subject{}, tt.command, tt.version, tt.values); err == nil {
				t.Error("a caller without permission finds it")
			}
		})
	}
	if _, err := New(registry(t), nil, nil, nil, nil).Find(acl.Subject{From: "ejabberd_ctl"}, "status", 0, nil); err != ErrDenied {
		t.Errorf("without permissions: got %v, want %v", err, ErrDenied)
	}
}

// Who is foreign may do what is permitted with the address and without it, whether rules
// allow or forbid by address.
func TestForeign(t *testing.T) {
	here := netip.MustParseAddr("127.0.0.1")
	tests := []struct {
		name string
		may  permissions
		want error
	}{
		{"everybody", everybody, nil},
		{"from here", func(s acl.Subject, _ acl.Command) bool { return s.IP == here }, ErrDenied},
		{"not from here", func(s acl.Subject, _ acl.Command) bool { return s.IP != here }, ErrDenied},
		{"by tag", func(s acl.Subject, _ acl.Command) bool { return s.Tag == "x" }, ErrDenied},
		{"not by tag", func(s acl.Subject, _ acl.Command) bool { return s.From == "mod_http_api" }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := New(registry(t), tt.may, nil, nil, nil)
			caller := acl.Subject{IP: here, Tag: "x", From: "mod_http_api"}
			if _, err := g.FindForeign(caller, "status", 0, nil); err != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if n := len(g.List(caller, true, 0)); (n == 0) != (tt.want != nil) {
				t.Errorf("got a list of %d", n)
			}
		})
	}
}

func TestList(t *testing.T) {
	g := New(registry(t), permissions(func(_ acl.Subject, c acl.Command) bool { return c.Name != "users" }), nil, nil, nil)
	for _, tt := range []struct {
		from    string
		version int
		want    string
	}{
		{"mod_http_api", command.Newest, "contact fails hosts numbered refuses since status"},
		{"mod_http_api", 1, "contact fails hosts numbered refuses status"},
		{"ejabberd_ctl", 1, "contact fails hosts numbered page refuses status"},
	} {
		var names []string
		for _, c := range g.List(acl.Subject{From: tt.from}, false, tt.version) {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s in version %d: got %s, want %s", tt.from, tt.version, got, tt.want)
		}
	}
}

// The log says who has called what, and what went wrong here; never a value.
func TestRun(t *testing.T) {
	tests := []struct {
		name    string
		command string
		values  map[string]any
		want    any
		kind    command.Kind
		log     string // "": nothing
	}{
		{"done", "users", map[string]any{"host": "secret"}, true, 0, "level=INFO msg=\"command called\" command=users from=mod_http_api peer=192.0.2.1 user=ana@one.test\n"},
		{"bad argument", "users", map[string]any{"secret": "secret"}, nil, command.MissingArgument, ""},
		{"refused", "refuses", nil, nil, command.NotFound, "level=INFO msg=\"command called\" command=refuses from=mod_http_api peer=192.0.2.1 user=ana@one.test\n"},
		{"failed", "fails", nil, nil, command.Internal, "level=ERROR msg=\"command failed\" command=fails from=mod_http_api peer=192.0.2.1 user=ana@one.test err=\"the disk is gone\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			g := New(registry(t), permissions(everybody), nil, nil, logger(&log))
			caller := acl.Subject{User: "ana", Server: "one.test", From: "mod_http_api", IP: netip.MustParseAddr("192.0.2.1")}
			c, err := g.Find(caller, tt.command, 0, tt.values)
			if err != nil {
				t.Fatal(err)
			}
			got, err := g.Run(t.Context(), caller, &c, tt.values)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if f := command.Fault(err); f != nil && f.Kind != tt.kind || (f == nil) != (tt.want != nil) {
				t.Errorf("got %v, want %s", err, tt.kind)
			}
			if log.String() != tt.log {
				t.Errorf("got the log %q, want %q", log.String(), tt.log)
			}
		})
	}
}

func logger(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// Callers who may not cannot fill the log.
func TestDenialsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := New(registry(t), nil, nil, nil, logger(&log))
		for range 1000 {
			_, _ = g.Find(acl.Subject{From: "mod_http_api"}, "status", 0, nil)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Count(log.String(), "\n"); got < 2 || got > 20 || !strings.Contains(log.String(), "command denied") {
			t.Errorf("got %d lines for 1000 calls, want few:\n%s", got, &log)
		}
	})
}

// Who comes by a unix socket has no address.
func TestPeerInTheLog(t *testing.T) {
	for ip, want := range map[netip.Addr]string{
		{}:                               "level=INFO msg=\"command denied\" command=status from=mod_http_api\n",
		netip.MustParseAddr("192.0.2.1"): "level=INFO msg=\"command denied\" command=status from=mod_http_api peer=192.0.2.1\n",
	} {
		var log bytes.Buffer
		g := New(registry(t), nil, nil, nil, logger(&log))
		_, _ = g.Find(acl.Subject{From: "mod_http_api", IP: ip}, "status", 0, nil)
		if got := log.String(); got != want {
			t.Errorf("%v: got %q, want %q", ip, got, want)
		}
	}
}
