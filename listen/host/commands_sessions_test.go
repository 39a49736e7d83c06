package host_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestSessionCommands(t *testing.T) {
	r := newRig(t)
	r.want("[]", "connected_users")
	r.want("0", "connected_users_number")
	for _, full := range []string{"romeo@a.test/street", "juliet@a.test/x", "romeo@a.test/orchard", "tybalt@b.test/y"} {
		r.bind(full, "")
	}
	r.want("[juliet@a.test/x romeo@a.test/orchard romeo@a.test/street tybalt@b.test/y]", "connected_users")
	r.want("4", "connected_users_number")
	r.want("[tybalt@b.test/y]", "connected_users_vhost", "host", "B.test")
	r.want("[orchard street]", "user_resources", "user", "Romeo", "host", "a.test")
	r.want("[]", "user_resources", "user", "nobody", "host", "a.test")
	r.want("2", "num_resources", "user", "romeo", "host", "a.test")
	r.want("0", "num_resources", "user", "nobody", "host", "a.test")
	r.want("orchard", "resource_num", "user", "romeo", "host", "a.test", "num", 1)
	r.want("street", "resource_num", "user", "romeo", "host", "a.test", "num", 2)
	for _, n := range []int{-1, 0, 3} {
		r.fails(command.BadArgument, "there are 2", "resource_num", "user", "romeo", "host", "a.test", "num", n)
	}
}

func TestSessionsInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		machine, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		peer := stanza.Peer{Addr: netip.MustParseAddrPort("[::ffff:192.0.2.1]:4711"), Name: "tcp", Secure: true}
		s := r.bindFrom("romeo@a.test/orchard", "<presence><show>dnd</show><status>fence\nrope</status><priority>8</priority></presence>", peer)
		time.Sleep(231 * time.Second)
		const shown = "connection:%s ip:%s %snode:tidewaiter@%s port:%d priority:%d resource:orchard status:%s statustext:%s uptime:231"
		line := fmt.Sprintf(shown, "c2s_tls", "192.0.2.1", "jid:romeo@a.test/orchard ", machine, 4711, 8, "dnd", "fence\nrope")
		r.want("[map["+line+"]]", "connected_users_info")
		r.want("[map["+strings.Replace(line, "jid:romeo@a.test/orchard ", "", 1)+"]]", "user_sessions_info", "user", "romeo", "host", "a.test")
		r.want("[]", "user_sessions_info", "user", "juliet", "host", "a.test")

		// It goes on elsewhere, and is as old as before.
		info := stanza.SessionInfo{JID: jid(t, "romeo@a.test/orchard"), Sink: s, Peer: stanza.Peer{Name: "bosh"}}
		r.h.Local.Detached(t.Context(), info)
		r.h.Local.Resumed(t.Context(), info)
		r.route("romeo@a.test/orchard", "<presence type='unavailable'><status>gone</status></presence>")
		line = fmt.Sprintf(shown, "http_bind", "", "", machine, 0, -1, "unavailable", "gone")
		r.want("[map["+line+"]]", "user_sessions_info", "user", "romeo", "host", "a.test")
	})
}

func TestKindsOfConnections(t *testing.T) {
	r := newRig(t)
	for i, tt := range []struct {
		peer stanza.Peer
		want string
	}{
		{stanza.Peer{Name: "tcp"}, "c2s"},
		{stanza.Peer{Name: "tcp", Secure: true}, "c2s_tls"},
		{stanza.Peer{Name: "unix", Secure: true}, "c2s"},
		{stanza.Peer{Name: "websocket", Secure: true}, "websocket"},
		{stanza.Peer{Name: "bosh"}, "http_bind"},
		{stanza.Peer{}, "unknown"},
	} {
		user := fmt.Sprintf("user%d", i)
		r.bindFrom(user+"@a.test/x", "", tt.peer)
		got, fault := r.call("user_sessions_info", "user", user, "host", "a.test")
		if fault != nil {
			t.Fatal(fault)
		}
		if kind := got.([]any)[0].(command.Args).Text("connection"); kind != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.peer, kind, tt.want)
		}
	}
}

func TestKickCommands(t *testing.T) {
	r := newRig(t)
	const ended = "policy-violation: ended by an administrator"
	street, orchard := r.bind("romeo@a.test/street", ""), r.bind("romeo@a.test/orchard", "")
	x, y := r.bind("juliet@a.test/x", ""), r.bind("tybalt@b.test/y", "")

	session := []any{"user", "romeo", "host", "a.test", "resource", "street", "reason"}
	r.fails(command.BadArgument, "resource", "kick_session", "user", "romeo", "host", "a.test", "resource", "", "reason", "x")
	r.fails(command.BadArgument, "reason", "kick_session", append(session, strings.Repeat("x", 1025))...)
	r.wantKicked(street, "")
	r.done("kick_session", append(session, "stuck connection")...)
	r.wantKicked(street, "policy-violation: stuck connection")
	r.wantKicked(orchard, "")
	r.done("kick_session", "user", "nobody", "host", "a.test", "resource", "x", "reason", "")

	r.want("1", "kick_user v0", "user", "juliet", "host", "a.test")
	r.wantKicked(x, ended)
	r.want("1", "kick_user v1", "user", "juliet", "host", "a.test") // a recorder does not leave by itself
	r.want("Kicked sessions: 2", "kick_user v2", "user", "romeo", "host", "a.test")
	r.wantKicked(orchard, ended)
	r.want("Kicked sessions: 0", "kick_user", "user", "nobody", "host", "a.test")

	r.want("1", "kick_users", "host", "b.test")
	r.wantKicked(y, ended)
	r.want("3", "kick_users", "host", "a.test")
}

func TestStatusCommands(t *testing.T) {
	r := newRig(t)
	r.bind("romeo@a.test/1", "<presence><show>away</show><status>one\ntwo</status></presence>")
	r.bind("romeo@a.test/2", "<presence><priority>-3</priority></presence>")
	r.bind("romeo@a.test/3", "")
	r.bind("juliet@a.test/1", "<presence><show>asleep</show><priority>5</priority></presence>") // which is none of the values
	r.bind("tybalt@b.test/1", "<presence><show>away</show></presence>")
	for _, tt := range []struct{ status, all, here string }{
		{"available", "2", "2"}, {"away", "2", "1"}, {"chat", "0", "0"}, {"unavailable", "1", "1"}, {"all", "5", "4"},
	} {
		r.want(tt.all, "status_num", "status", tt.status)
		r.want(tt.here, "status_num_host", "host", "a.test", "status", tt.status)
	}
	r.want(`[map[jid:romeo@a.test/1 priority:0 status:one\ntwo] map[jid:tybalt@b.test/1 priority:0 status:]]`, "status_list", "status", "away")
	r.want(`[map[jid:romeo@a.test/1 priority:0 status:one\ntwo]]`, "status_list_host v3", "host", "a.test", "status", "away")
	r.want("[map[host:a.test priority:5 resource:1 status: user:juliet] map[host:a.test priority:-3 resource:2 status: user:romeo]]",
		"status_list v2", "status", "available")
	r.want("[map[host:a.test priority:-1 resource:3 status: user:romeo]]", "status_list_host v0", "host", "a.test", "status", "unavailable")
	for _, name := range []string{"status_num", "status_list", "status_list v0"} {
		r.fails(command.BadArgument, "status", name, "status", "asleep")
	}
}

func TestGetPresence(t *testing.T) {
	r := newRig(t)
	romeo := []any{"user", "romeo", "host", "a.test"}
	r.want("map[jid:romeo@a.test show:unavailable status:]", "get_presence", romeo...)
	r.bind("romeo@a.test/1", "")
	r.want("map[jid:romeo@a.test/1 show:unavailable status:]", "get_presence", romeo...)
	r.bind("romeo@a.test/2", "<presence><priority>-5</priority><status>low</status></presence>")
	r.want("map[jid:romeo@a.test/2 show:available status:low]", "get_presence", romeo...)
	r.bind("romeo@a.test/3", "<presence><priority>7</priority><show>xa</show></presence>")
	r.bind("romeo@a.test/4", "<presence><priority>6</priority></presence>")
	r.want("map[jid:romeo@a.test/3 show:xa status:]", "get_presence", romeo...)
	r.bind("romeo@a.test/5", "<presence><priority>7</priority></presence>")
	r.want("map[jid:romeo@a.test/5 show:available status:]", "get_presence", romeo...)
	r.bind("romeo@a.test/6", "")
	r.want("map[jid:romeo@a.test/5 show:available status:]", "get_presence", "user", "romeo", "server", "a.test") // as it once was
}

func TestSetPresence(t *testing.T) {
	r := newRig(t)
	other := r.bind("romeo@a.test/street", "<presence/>")
	r.bind("romeo@a.test/orchard", "")
	at := []any{"user", "romeo", "host", "a.test", "resource", "orchard"}
	set := func(typ, show, status string, priority any) []any {
		return append(append([]any{}, at...), "type", typ, "show", show, "status", status, "priority", priority)
	}
	r.done("set_presence", set("available", "away", "B & B\x01", 7)...)
	const want = "<presence from='romeo@a.test/orchard' to='romeo@a.test'><show>away</show><status>B &amp; B\uFFFD</status><priority>7</priority></presence>"
	r.wantLast(other, want)
	r.want("map[jid:romeo@a.test/orchard show:away status:B & B\uFFFD]", "get_presence", "user", "romeo", "host", "a.test")
	r.done("set_presence v0", set("available", "available", "", "-1")...)
	r.wantLast(other, "<presence from='romeo@a.test/orchard' to='romeo@a.test'><priority>-1</priority></presence>")
	r.done("set_presence v1", set("unavailable", "", "bye", 0)...)
	r.wantLast(other, "<presence from='romeo@a.test/orchard' to='romeo@a.test' type='unavailable'><status>bye</status><priority>0</priority></presence>")

	for _, tt := range []struct {
		name, text string
		args       []any
	}{
		{"set_presence", "type", set("subscribe", "", "", 0)},
		{"set_presence", "type", set("error", "", "", 0)},
		{"set_presence", "show", set("", "asleep", "", 0)},
		{"set_presence", "priority", set("", "", "", 128)},
		{"set_presence", "priority", set("", "", "", -129)},
		{"set_presence", "presence has at most 16384 bytes", set("", "", strings.Repeat("x", 17<<10), 0)},
		{"set_presence v0", "priority", set("", "", "", "high")},
		{"set_presence v0", "priority", set("", "", "", "128")},
	} {
		r.fails(command.BadArgument, tt.text, tt.name, tt.args...)
	}
	at[5] = "nowhere"
	r.fails(command.NotFound, "there is no session romeo@a.test/nowhere", "set_presence", set("", "", "", 0)...)
}
