package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// put returns the arguments of add_rosteritem for romeo.
func put(user, domain, subs string, more ...any) []any {
	return append([]any{"localuser", "romeo", "localhost", "a.test", "user", user, "host", domain, "subs", subs}, more...)
}

func TestRosterCommands(t *testing.T) {
	r := newRig(t)
	romeo := []any{"user", "romeo", "host", "a.test"}
	r.want("[]", "get_roster", romeo...)
	s := r.bind("romeo@a.test/orchard", "<presence/>")
	r.route("romeo@a.test/orchard", "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>")
	push := func(item string) {
		t.Helper()
		list := s.Stanzas()
		if got := list[len(list)-1].Inner; got != "<query xmlns='jabber:iq:roster'>"+item+"</query>" {
			t.Errorf("the client got %s, want a push of %s", got, item)
		}
	}
	r.done("add_rosteritem", put("Juliet", "a.test", "both", "nick", "J & co", "groups", []any{"Friends", "Veronese"})...)
	push("<item jid='juliet@a.test' name='J &amp; co' subscription='both'><group>Friends</group><group>Veronese</group></item>")
	r.done("add_rosteritem v0", put("juliet", "a.test", "to", "nick", "", "group", "One;;Two")...)
	push("<item jid='juliet@a.test' subscription='to'><group>One</group><group>Two</group></item>")
	r.done("add_rosteritem v0", put("", "icq.a.test", "none", "nick", "Gateway", "group", "")...)
	r.want("[map[groups:[] jid:icq.a.test nick:Gateway pending:none subscription:none]"+
		" map[groups:[One Two] jid:juliet@a.test nick: pending:none subscription:to]]", "get_roster", romeo...)
	r.want("2", "get_roster_count", romeo...)
	r.want("2", "get_roster_count", "user", "romeo", "server", "a.test")

	juliet := []any{"localuser", "romeo", "localhost", "a.test", "user", "juliet", "host", "a.test"}
	r.done("delete_rosteritem", juliet...)
	push("<item jid='juliet@a.test' subscription='remove'/>")
	r.done("delete_rosteritem", juliet...)
	r.done("delete_rosteritem", "localuser", "romeo", "localserver", "a.test", "user", "", "server", "icq.a.test")
	r.want("0", "get_roster_count", romeo...)
}

func TestAddRosterItemRefused(t *testing.T) {
	r := newRig(t)
	some := []any{"nick", "", "groups", []any{}}
	for _, tt := range []struct {
		kind command.Kind
		text string
		args []any
	}{
		{command.BadArgument, "subs", put("juliet", "a.test", "remove", some...)},
		{command.BadArgument, "no address", put("ju liet", "a.test", "both", some...)},
		{command.BadArgument, "no address", put("juliet", "", "both", some...)},
		{command.BadArgument, "too long", put("juliet", "a.test", "both", "nick", strings.Repeat("x", 1024), "groups", []any{})},
		{command.BadArgument, "same group", put("juliet", "a.test", "both", "nick", "", "groups", []any{"a", "a"})},
		{command.BadArgument, "control", put("juliet", "a.test", "both", "nick", "\x01", "groups", []any{})},
		{command.NotAllowed, "own contact", put("romeo", "a.test", "both", some...)},
	} {
		r.fails(tt.kind, tt.text, "add_rosteritem", tt.args...)
	}
	of := func(user, domain string) []any {
		return append([]any{"localuser", user, "localhost", domain, "user", "x", "host", "a.test", "subs", "both"}, some...)
	}
	r.fails(command.NotFound, "no account nobody@a.test", "add_rosteritem", of("nobody", "a.test")...)
	r.fails(command.BadArgument, "unknown virtual host", "add_rosteritem", of("romeo", "c.test")...)
	r.fails(command.NotFound, "b.test has no mod_roster", "add_rosteritem", of("tybalt", "b.test")...)

	o := roster.Defaults()
	o.MaxItems = 1
	r.h.Roster.Configure(stanza.PerHost[*roster.Options]{Value: &o})
	r.done("add_rosteritem", put("juliet", "a.test", "both", some...)...)
	r.fails(command.Conflict, "full", "add_rosteritem", put("nurse", "a.test", "both", some...)...)
}

// Presence follows the subscription at once.
func TestAddRosterItemShowsPresence(t *testing.T) {
	r := newRig(t)
	r.bind("romeo@a.test/orchard", "<presence/>")
	juliet := r.bind("juliet@a.test/balcony", "<presence/>")
	some := []any{"nick", "", "groups", []any{}}
	r.done("add_rosteritem", put("juliet", "a.test", "from", some...)...)
	r.wantLast(juliet, "<presence from='romeo@a.test/orchard' to='juliet@a.test'/>")
	n := len(juliet.Stanzas())
	r.done("add_rosteritem", put("juliet", "a.test", "both", some...)...)
	if got := len(juliet.Stanzas()); got != n {
		t.Errorf("juliet got presence that she had already")
	}
	r.done("add_rosteritem", put("juliet", "a.test", "to", some...)...)
	r.wantLast(juliet, "<presence from='romeo@a.test/orchard' to='juliet@a.test' type='unavailable'/>")
}

// Requests are told, and those that a subscription settles are gone.
func TestRosterRequests(t *testing.T) {
	r := newRig(t)
	r.bind("romeo@a.test/orchard", "<presence/>")
	r.route("romeo@a.test/orchard", "<presence type='subscribe' to='juliet@a.test'/>")
	some := []any{"nick", "", "groups", []any{}}
	romeo, juliet := []any{"user", "romeo", "host", "a.test"}, []any{"user", "juliet", "host", "a.test"}
	listed := func(subscription, pending string) string {
		return "[map[groups:[] jid:juliet@a.test nick: pending:" + pending + " subscription:" + subscription + "]]"
	}
	r.want(listed("none", "out"), "get_roster", romeo...)
	r.want("[]", "get_roster", juliet...) // who does not see romeo in it, though he has asked
	r.done("add_rosteritem", put("juliet", "a.test", "from", some...)...)
	r.want(listed("from", "out"), "get_roster", romeo...)
	r.done("add_rosteritem", put("juliet", "a.test", "to", some...)...)
	r.want(listed("to", "none"), "get_roster", romeo...)

	reverse := []any{"localuser", "juliet", "localhost", "a.test", "user", "romeo", "host", "a.test"}
	r.done("add_rosteritem", append(append([]any{"subs", "none"}, some...), reverse...)...)
	r.want("[map[groups:[] jid:romeo@a.test nick: pending:in subscription:none]]", "get_roster", juliet...)
	r.done("add_rosteritem", append(append([]any{"subs", "from"}, some...), reverse...)...)
	r.want("[map[groups:[] jid:romeo@a.test nick: pending:none subscription:from]]", "get_roster", juliet...)

	// As if the user had done it: the contact has no subscription left.
	r.done("delete_rosteritem", reverse...)
	r.want(listed("none", "none"), "get_roster", romeo...)
}

func TestProcessRosterItems(t *testing.T) {
	r := newRig(t)
	r.h.Roster.Configure(host.Messenger().Roster) // b.test, too
	some := []any{"nick", "", "groups", []any{}}
	for _, c := range []string{"juliet@a.test both", "nurse@b.test to", "me@icq.test none", "icq.test from"} {
		address, subs, _ := strings.Cut(c, " ")
		j := jid(t, address)
		r.done("add_rosteritem", put(j.Local(), j.Domain(), subs, some...)...)
	}
	r.bind("tybalt@b.test/x", "<presence/>")
	r.route("tybalt@b.test/x", "<presence type='subscribe' to='romeo@a.test'/>") // romeo has not answered
	list := func(subs, asks, users, contacts string) []any {
		return []any{"subs", subs, "asks", asks, "users", users, "contacts", contacts}
	}
	pairs := func(list ...string) string {
		var b strings.Builder
		for _, p := range list {
			user, contact, _ := strings.Cut(p, " ")
			fmt.Fprintf(&b, " map[contact:%s user:%s]", contact, user)
		}
		return "[" + strings.TrimPrefix(b.String(), " ") + "]"
	}
	const romeo = "romeo@a.test "
	for _, tt := range []struct {
		args []any
		want []string
	}{
		{list("any", "any", "any", "any"), []string{
			romeo + "icq.test", romeo + "juliet@a.test", romeo + "me@icq.test", romeo + "nurse@b.test", romeo + "tybalt@b.test", "tybalt@b.test romeo@a.test"}},
		{list("none:to", "any", "romeo@*", "any"), []string{romeo + "me@icq.test", romeo + "nurse@b.test", romeo + "tybalt@b.test"}},
		{list("any", "in", "any", "any"), []string{romeo + "tybalt@b.test"}},
		{list("any", "out:in", "any", "any"), []string{romeo + "tybalt@b.test", "tybalt@b.test romeo@a.test"}},
		{list("none", "none", "any", "any"), []string{romeo + "me@icq.test"}},
		{list("any", "any", "*@A.test", "*icq*"), []string{romeo + "icq.test"}},
		{list("any", "any", "*@a.test", "*@*icq*:*icq*"), []string{romeo + "icq.test", romeo + "me@icq.test"}},
		{list("any", "any", "*@!b.test", "*@[!a-f]*"), []string{romeo + "icq.test", romeo + "me@icq.test"}},
		{list("any", "any", "?????@a.test", "nurse@?.test"), []string{romeo + "nurse@b.test"}},
		{list("any", "any", "nobody@*", "any"), nil},
	} {
		r.want(pairs(tt.want...), "process_rosteritems", append(tt.args, "action", "list")...)
	}
	r.want(pairs(romeo+"me@icq.test", romeo+"tybalt@b.test"), "process_rosteritems", append(list("none", "any", "romeo@a.test", "any"), "action", "delete")...)
	r.want(pairs(romeo+"icq.test", romeo+"juliet@a.test", romeo+"nurse@b.test", "tybalt@b.test romeo@a.test"),
		"process_rosteritems", append(list("any", "any", "any", "any"), "action", "list")...)
	r.want("[]", "process_rosteritems", append(list("any", "in:out", "any", "any"), "action", "list")...) // tybalt was refused

	for _, tt := range []struct {
		action string
		args   []any
		text   string
	}{
		{"purge", list("any", "any", "any", "any"), "action"},
		{"list", list("all", "any", "any", "any"), "subs"},
		{"list", list("any", "both", "any", "any"), "asks"},
		{"list", list("any", "any", "", "any"), "users"},
		{"list", list("any", "any", "any", "*@[a"), "contacts"},
		{"list", list("any", "any", "[z-@x", "any"), "users"},
	} {
		r.fails(command.BadArgument, tt.text, "process_rosteritems", append(tt.args, "action", tt.action)...)
	}
}

// The result is bounded.
func TestProcessManyRosterItems(t *testing.T) {
	store := new(roster.Memory)
	h, err := host.New(host.Config{Options: hosts("a.test"), Stores: host.Stores{Roster: store}, Features: host.Messenger()})
	if err != nil {
		t.Fatal(err)
	}
	romeo := create(t, h.Accounts, "romeo@a.test", "secret")
	for i := range host.MaxProcessed + 1 {
		if _, err := store.Set(t.Context(), romeo, roster.Item{Contact: jid(t, fmt.Sprintf("c%d.test", i)), Listed: true}, 0); err != nil {
			t.Fatal(err)
		}
	}
	r := rig{t, h}
	r.fails(command.Conflict, "more than 100000", "process_rosteritems", "action", "list", "subs", "any", "asks", "any", "users", "any", "contacts", "any")
	got, fault := r.call("process_rosteritems", "action", "list", "subs", "any", "asks", "any", "users", "any", "contacts", "c1*.test")
	if fault != nil || len(got.([]any)) != 11112 {
		t.Errorf("got %v and an error %v, want the 11112 that begin with 1", len(got.([]any)), fault)
	}
}
