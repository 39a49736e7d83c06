package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestRegisterCommand(t *testing.T) {
	r := newRig(t)
	r.want("User mercutio@a.test successfully registered", "register", "user", "Mercutio", "host", "A.test", "password", "secret")
	r.done("check_password", "user", "mercutio", "host", "a.test", "password", "secret")
	for _, tt := range []struct {
		user, host, password string
		kind                 command.Kind
		text                 string
		code                 int
	}{
		{"MERCUTIO", "a.test", "x", command.Conflict, "User mercutio@a.test already registered", 10090},
		{"paris", "c.test", "x", command.BadArgument, "unknown virtual host", 10001},
		{"pa ris", "a.test", "x", command.BadArgument, "argument user is no name", 10001},
		{"", "a.test", "x", command.BadArgument, "argument user is no name", 10001},
		{"paris", "a.test", "", command.BadArgument, "password", 10001},
		{"paris", "a.test", strings.Repeat("x", 1025), command.BadArgument, "password", 10001},
	} {
		fault := r.fails(tt.kind, tt.text, "register", "user", tt.user, "host", tt.host, "password", tt.password)
		if fault.Code != tt.code {
			t.Errorf("registering %s@%s: got the code %d, want %d", tt.user, tt.host, fault.Code, tt.code)
		}
	}
	r.want("false", "check_account", "user", "paris", "host", "a.test")
}

// failingAccounts is a store that does not work.
type failingAccounts struct{ *host.MemoryAccounts }

var errStore = errors.New("the disk is on fire")

func (failingAccounts) Create(context.Context, host.Account) error { return errStore }

func (failingAccounts) List(context.Context, string, string, int) ([]stanza.JID, error) {
	return nil, errStore
}

// What fails here is not for the caller to know.
func TestRegisterFails(t *testing.T) {
	h, err := host.New(host.Config{Stores: host.Stores{Accounts: failingAccounts{new(host.MemoryAccounts)}}})
	if err != nil {
		t.Fatal(err)
	}
	r := rig{t, h}
	fault := r.fails(command.Internal, "the account was not made", "register", "user", "romeo", "host", "localhost", "password", "x")
	if fault.Code != 10001 || !errors.Is(fault, errStore) || strings.Contains(fault.Text, "disk") {
		t.Errorf("got %v with the code %d, want 10001, and the cause for the log alone", fault, fault.Code)
	}
	fault = r.fails(command.Internal, "internal error", "registered_users", "host", "localhost")
	if !errors.Is(fault, errStore) {
		t.Errorf("got %v, want the cause for the log", fault)
	}
}

func TestAccountCommands(t *testing.T) {
	r := newRig(t)
	s := r.bind("romeo@a.test/orchard", "<presence/>")
	r.done("check_account", "user", "Romeo", "host", "a.test")
	r.want("false", "check_account", "user", "nobody", "host", "a.test")
	r.done("check_password", "user", "romeo", "host", "a.test", "password", "secret")
	r.want("false", "check_password", "user", "romeo", "host", "a.test", "password", "wrong")
	r.want("false", "check_password", "user", "nobody", "host", "a.test", "password", "secret")

	r.fails(command.BadArgument, "password", "change_password", "user", "romeo", "host", "a.test", "newpass", "")
	r.wantKicked(s, "")
	r.done("change_password", "user", "romeo", "host", "a.test", "newpass", "new")
	r.wantKicked(s, "reset: the password was changed")
	r.want("false", "check_password", "user", "romeo", "host", "a.test", "password", "secret")
	r.done("check_password", "user", "romeo", "host", "a.test", "password", "new")

	r.want("[a.test b.test]", "registered_vhosts")
	r.want("[juliet romeo]", "registered_users", "host", "A.TEST")
	r.want("[tybalt]", "registered_users", "host", "b.test")
}

func TestUnregisterCommand(t *testing.T) {
	r := newRig(t)
	r.done("set_vcard", "user", "juliet", "host", "a.test", "name", "FN", "content", "Juliet")
	s := r.bind("juliet@a.test/balcony", "")
	r.want("", "unregister", "user", "juliet", "host", "a.test")
	r.wantKicked(s, "not-authorized: the account was removed")
	r.want("[romeo]", "registered_users", "host", "a.test")
	r.want("", "unregister", "user", "juliet", "host", "a.test") // it is gone already
	r.call("register", "user", "juliet", "host", "a.test", "password", "x")
	r.fails(command.NotFound, "has no FN", "get_vcard", "user", "juliet", "host", "a.test", "name", "FN")
}

// A virtual host without accounts has none, even if some are stored.
func TestCommandsOfAnonymousHost(t *testing.T) {
	o := hosts("a.test")
	o.AuthMethod.Value = []string{"anonymous"}
	store := new(host.MemoryAccounts)
	if err := store.Create(t.Context(), host.Account{JID: jid(t, "old@a.test")}); err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Config{Options: o, Stores: host.Stores{Accounts: store}})
	if err != nil {
		t.Fatal(err)
	}
	r := rig{t, h}
	r.want("[]", "registered_users", "host", "a.test")
	r.want("false", "check_account", "user", "old", "host", "a.test")
	r.fails(command.NotAllowed, "no accounts", "register", "user", "new", "host", "a.test", "password", "x")
	r.bind("guest@a.test/x", "")
	r.want("[x]", "user_resources", "user", "guest", "host", "a.test")
}

// countingAccounts is a store that notes what it is asked for.
type countingAccounts struct {
	*host.MemoryAccounts
	largest, calls int
}

func (c *countingAccounts) List(ctx context.Context, domain, after string, limit int) ([]stanza.JID, error) {
	c.calls++
	c.largest = max(c.largest, limit)
	return c.MemoryAccounts.List(ctx, domain, after, limit)
}

// Many accounts are read in pages, and nobody has to wait for all of them.
func TestManyAccounts(t *testing.T) {
	const many = 100_000
	store := &countingAccounts{MemoryAccounts: new(host.MemoryAccounts)}
	for i := range many {
		if err := store.Create(t.Context(), host.Account{JID: jid(t, fmt.Sprintf("u%06d@localhost", i)), Disabled: i%1000 == 0}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.New(host.Config{Stores: host.Stores{Accounts: store}})
	if err != nil {
		t.Fatal(err)
	}
	r := rig{t, h}
	r.want(fmt.Sprint(many), "stats", "name", "registeredusers")
	r.want(fmt.Sprint(many/1000), "count_banned", "host", "all")
	got, fault := r.call("registered_users", "host", "localhost")
	if fault != nil {
		t.Fatal(fault)
	}
	names := got.([]any)
	if len(names) != many || names[0] != "u000000" || names[many-1] != "u099999" {
		t.Errorf("got %d names from %v to %v, want %d in order", len(names), names[0], names[len(names)-1], many)
	}
	if store.largest > 10_000 {
		t.Errorf("%d accounts were read at once, want at most 10,000", store.largest)
	}
	c, _ := h.Commands.Get("registered_users")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStore)
	store.calls = 0
	if _, err := c.Do(ctx, command.Args{"host": "localhost"}); !errors.Is(err, errStore) || store.calls > 1 {
		t.Errorf("got %v after %d pages, want the cause of its end at once", err, store.calls)
	}
}

func TestBanCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock starts at midnight of 2000-01-01, UTC
		r := newRig(t)
		romeo := []any{"user", "romeo", "host", "a.test"}
		r.want("[]", "get_ban_details", romeo...)
		r.fails(command.Conflict, "not banned", "unban_account", romeo...)
		if err := r.h.Last.Note(t.Context(), jid(t, "juliet@a.test"), last.Activity{At: time.Unix(86400, 0), Status: "bye"}); err != nil {
			t.Fatal(err)
		}

		r.fails(command.BadArgument, "reason", "ban_account", append(romeo, "reason", strings.Repeat("x", 1025))...)
		s := r.bind("romeo@a.test/orchard", "<presence/>")
		r.done("ban_account", append(romeo, "reason", "spam & <lies>")...)
		r.wantKicked(s, "not-authorized: the account is banned: spam & <lies>")
		r.want("[map[name:reason value:spam & <lies>] map[name:bandate value:2000-01-01T00:00:00Z]"+
			" map[name:lastdate value:2000-01-01T00:00:00Z] map[name:lastreason value:ONLINE]]", "get_ban_details", romeo...)
		r.want("false", "check_password", append(romeo, "password", "secret")...)
		r.fails(command.Conflict, "banned already", "ban_account", append(romeo, "reason", "again")...)

		r.done("ban_account", "user", "juliet", "host", "a.test", "reason", "")
		r.want("[map[name:reason value:] map[name:bandate value:2000-01-01T00:00:00Z]"+
			" map[name:lastdate value:1970-01-02T00:00:00Z] map[name:lastreason value:bye]]", "get_ban_details", "user", "juliet", "host", "a.test")
		r.done("ban_account", "user", "tybalt", "host", "b.test", "reason", "duel") // without mod_last
		r.want("[map[name:reason value:duel] map[name:bandate value:2000-01-01T00:00:00Z]"+
			" map[name:lastdate value:] map[name:lastreason value:]]", "get_ban_details", "user", "tybalt", "host", "b.test")

		r.want("[juliet@a.test romeo@a.test]", "list_banned", "host", "a.test")
		r.want("[juliet@a.test romeo@a.test tybalt@b.test]", "list_banned", "host", "all")
		r.want("1", "count_banned", "host", "b.test")

		r.done("unban_account", romeo...)
		r.done("check_password", append(romeo, "password", "secret")...)
		r.want("[]", "get_ban_details", romeo...)
		r.want("2", "count_banned", "host", "all")
	})
}

// An account that was disabled in another way counts as banned, for a reason that
// nobody knows.
func TestBanOfDisabledAccount(t *testing.T) {
	r := newRig(t)
	j, romeo := jid(t, "romeo@a.test"), []any{"user", "romeo", "host", "a.test"}
	disable := func(disabled bool) {
		t.Helper()
		if err := r.h.Accounts.SetDisabled(t.Context(), j, disabled); err != nil {
			t.Fatal(err)
		}
	}
	disable(true)
	r.want("[romeo@a.test]", "list_banned", "host", "a.test")
	r.want("[]", "get_ban_details", romeo...)
	r.done("unban_account", romeo...)
	disable(true)
	r.done("ban_account", append(romeo, "reason", "x")...)
	disable(true) // which keeps the reason
	if got, _ := r.call("get_ban_details", romeo...); len(got.([]any)) != 4 {
		t.Errorf("got the details %v, want 4", got)
	}
	disable(false)
	disable(true)
	r.want("[]", "get_ban_details", romeo...)
}

func TestDeleteOldUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		note := func(user string, ago time.Duration) {
			t.Helper()
			create(t, r.h.Accounts, user, "secret")
			if err := r.h.Last.Note(t.Context(), jid(t, user), last.Activity{At: time.Now().Add(-ago)}); err != nil {
				t.Fatal(err)
			}
		}
		const day = 24 * time.Hour
		note("old@a.test", 31*day)
		note("older@a.test", 400*day)
		note("back@a.test", 400*day)
		note("young@a.test", 29*day)
		note("tomorrow@a.test", -day)
		r.bind("back@a.test/x", "")
		r.bind("romeo@a.test/x", "") // of whom nothing is known, and who is there
		for _, days := range []int{-1, 36501} {
			r.fails(command.BadArgument, "days", "delete_old_users_vhost", "host", "a.test", "days", days)
		}
		// juliet was never there.
		r.want(`Deleted 2 users: ["juliet@a.test", "older@a.test"]`, "delete_old_users_vhost", "host", "a.test", "days", 100)
		r.want("[back old romeo tomorrow young]", "registered_users", "host", "a.test")

		r.h.Last.Configure(host.Messenger().Last) // b.test, too
		r.want(`Deleted 2 users: ["old@a.test", "tybalt@b.test"]`, "delete_old_users", "days", 30)
		r.want("Deleted 0 users: []", "delete_old_users", "days", 30)
		r.want("[back romeo tomorrow young]", "registered_users", "host", "a.test")
	})
}

// The text of the result does not grow with the number of accounts.
func TestDeleteManyOldUsers(t *testing.T) {
	store := new(host.MemoryAccounts)
	for i := range 1002 {
		if err := store.Create(t.Context(), host.Account{JID: jid(t, fmt.Sprintf("u%04d@localhost", i))}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.New(host.Config{Stores: host.Stores{Accounts: store}, Features: host.Messenger()})
	if err != nil {
		t.Fatal(err)
	}
	got, fault := rig{t, h}.call("delete_old_users", "days", 1)
	if fault != nil {
		t.Fatal(fault)
	}
	if text := got.(string); !strings.HasPrefix(text, `Deleted 1002 users: ["u0000@localhost", `) || !strings.HasSuffix(text, `"u0999@localhost", and 2 more]`) {
		t.Errorf("got %.60s ... %s, want the first 1000", text, text[max(0, len(text)-60):])
	}
}
