package host_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/privilege"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const gate = "gate.a.test"

// privileged gives gate.a.test all privileges at a.test and none at b.test.
func privileged() host.Features {
	f := host.Messenger()
	g := only(gate)
	f.Privilege.Hosts = map[string]*privilege.Options{"a.test": {
		Roster:   privilege.Requests{Both: g},
		IQ:       map[string]privilege.Requests{pubsub: {Both: g}, "urn:get": {Get: g}, "jabber:iq:private": {Both: g}, "jabber:iq:roster": {Both: g}},
		Message:  privilege.Message{Outgoing: g},
		Presence: privilege.Presence{Roster: g},
	}}
	return f
}

// newPrivileged returns a quay with gate.a.test connected and told, and another
// component.
func newPrivileged(t *testing.T, f host.Features) *quay {
	t.Helper()
	q := newQuay(t, f)
	q.attach(gate)
	q.attach("other.a.test")
	q.got()
	return q
}

// XEP-0356, sections 4.2, 5.2, 6.2, 7.2 and 7.5.
func TestPrivilegesAdvertised(t *testing.T) {
	g := only(gate)
	both := privilege.Requests{Both: g}
	tests := []struct {
		name string
		o    privilege.Options
		want string // perms; "": nothing is said
	}{
		{"nothing", privilege.Options{}, ""},
		{"for others", privilege.Options{Roster: privilege.Requests{Both: only("other.a.test")}}, ""},
		{"for users", privilege.Options{Message: privilege.Message{Outgoing: acl.None}}, ""},
		{"roster both", privilege.Options{Roster: both}, "<perm access='roster' type='both' push='true'/>"},
		{"roster get and set", privilege.Options{Roster: privilege.Requests{Get: g, Set: g}}, "<perm access='roster' type='both' push='true'/>"},
		{"roster get", privilege.Options{Roster: privilege.Requests{Get: g}}, "<perm access='roster' type='get' push='true'/>"},
		{"roster set", privilege.Options{Roster: privilege.Requests{Set: g}}, "<perm access='roster' type='set'/>"},
		{"message", privilege.Options{Message: privilege.Message{Outgoing: g}}, "<perm access='message' type='outgoing'/>"},
		{"iq", privilege.Options{IQ: map[string]privilege.Requests{"urn:b&amp;": {Get: g}, "urn:a": both, "urn:c": {Set: g}, "urn:d": {}}},
			"<perm access='iq'><namespace ns='urn:a' type='both'/><namespace ns='urn:b&amp;amp;' type='get'/><namespace ns='urn:c' type='set'/></perm>"},
		{"presence of users", privilege.Options{Presence: privilege.Presence{ManagedEntity: g}}, "<perm access='presence' type='managed_entity'/>"},
		{"presence of contacts", privilege.Options{Roster: privilege.Requests{Get: g}, Presence: privilege.Presence{Roster: g}},
			"<perm access='roster' type='get' push='true'/><perm access='presence' type='roster'/>"},
		// Section 7.4: not without the roster.
		{"presence of contacts, no roster", privilege.Options{Presence: privilege.Presence{Roster: g}}, "<perm access='presence' type='managed_entity'/>"},
		{"presence of contacts, roster set", privilege.Options{Roster: privilege.Requests{Set: g}, Presence: privilege.Presence{Roster: g}},
			"<perm access='roster' type='set'/><perm access='presence' type='managed_entity'/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newQuay(t, host.Features{Privilege: onAll(tt.o)})
			q.attach(gate)
			var want []string
			for _, h := range []string{"a.test", "b.test"} {
				if tt.want != "" {
					want = append(want, gate+": <message from='"+h+"' to='"+gate+"' id='*'><privilege xmlns='urn:xmpp:privilege:2'>"+tt.want+"</privilege></message>")
				}
			}
			q.expect(want...)
		})
	}
}

// A change is told: what is lost is of type none.
func TestPrivilegesChanged(t *testing.T) {
	q := newPrivileged(t, privileged())
	told := func(perms string) string {
		return gate + ": <message from='a.test' to='" + gate + "' id='*'><privilege xmlns='urn:xmpp:privilege:2'>" + perms + "</privilege></message>"
	}
	configure := func(o *privilege.Options) {
		q.Privilege.Configure(stanza.PerHost[*privilege.Options]{Hosts: map[string]*privilege.Options{"a.test": o}})
	}
	less := &privilege.Options{Message: privilege.Message{Outgoing: only(gate)}, IQ: map[string]privilege.Requests{"urn:get": {Both: only(gate)}}}
	configure(less)
	q.expect(told("<perm access='roster' type='none'/><perm access='message' type='outgoing'/><perm access='iq'>" +
		"<namespace ns='" + pubsub + "' type='none'/><namespace ns='jabber:iq:private' type='none'/><namespace ns='jabber:iq:roster' type='none'/>" +
		"<namespace ns='urn:get' type='both'/></perm><perm access='presence' type='none'/>"))
	configure(less)
	q.expect()
	configure(nil)
	q.expect(told("<perm access='message' type='none'/><perm access='iq'><namespace ns='urn:get' type='none'/></perm>"))
	configure(nil)
	q.expect()
	configure(&privilege.Options{Message: privilege.Message{Outgoing: only(gate)}})
	q.expect(told("<perm access='message' type='outgoing'/>"))

	// A virtual host that comes is one more; one that goes is gone.
	q.Privilege.Configure(onAll(privilege.Options{Message: privilege.Message{Outgoing: only(gate)}}))
	q.got()
	if err := q.Configure(hosts("a.test", "c.test")); err != nil {
		t.Fatal(err)
	}
	q.expect(
		strings.ReplaceAll(told("<perm access='message' type='none'/>"), "'a.test'", "'b.test'"),
		strings.ReplaceAll(told("<perm access='message' type='outgoing'/>"), "'a.test'", "'c.test'"),
	)
}

// XEP-0356, section 4.3.
func TestPrivilegedRoster(t *testing.T) {
	const add = "<query xmlns='jabber:iq:roster'><item jid='c@gate.a.test' name='C' subscription='both'><group>G</group></item></query>"
	g := only(gate)
	answer := func(typ, inner string) string {
		return gate + ": <iq from='juliet@a.test' to='" + gate + "' type='" + typ + "' id='1'>" + inner + "</iq>"
	}
	forbidden := func(text string) []string { return []string{answer("error", errorXML("auth", "forbidden", text))} }
	notYours := forbidden("this is not your roster")
	const item = "<query xmlns='jabber:iq:roster'><item jid='c@gate.a.test' name='C' subscription='none'><group>G</group></item></query>"
	tests := []struct {
		name, typ, payload string
		roster             privilege.Requests
		want               []string
	}{
		{"get", "get", "<query xmlns='jabber:iq:roster'/>", privilege.Requests{Get: g},
			[]string{answer("result", "<query xmlns='jabber:iq:roster'><item jid='friend@a.test' subscription='none'/></query>")}},
		{"set", "set", add, privilege.Requests{Set: g}, []string{
			strings.Replace(answer("result", ""), "></iq>", "/>", 1),
			"juliet@a.test/j: <iq from='juliet@a.test' to='juliet@a.test/j' type='set' id='*'>" + item + "</iq>",
		}},
		// Section 4.4.
		{"set with pushes", "set", add, privilege.Requests{Both: g}, []string{
			strings.Replace(answer("result", ""), "></iq>", "/>", 1),
			"juliet@a.test/j: <iq from='juliet@a.test' to='juliet@a.test/j' type='set' id='*'>" + item + "</iq>",
			gate + ": <iq from='juliet@a.test' to='" + gate + "' type='set' id='*'>" + item + "</iq>",
		}},
		{"remove", "set", "<query xmlns='jabber:iq:roster'><item jid='friend@a.test' subscription='remove'/></query>", privilege.Requests{Set: g}, []string{
			strings.Replace(answer("result", ""), "></iq>", "/>", 1),
			"juliet@a.test/j: <iq from='juliet@a.test' to='juliet@a.test/j' type='set' id='*'><query xmlns='jabber:iq:roster'><item jid='friend@a.test' subscription='remove'/></query></iq>",
		}},
		{"two at once", "set", "<query xmlns='jabber:iq:roster'><item jid='a@x.test'/><item jid='b@x.test'/></query>", privilege.Requests{Set: g},
			[]string{answer("error", errorXML("modify", "bad-request", "more than one item"))}},
		{"get with set", "get", "<query xmlns='jabber:iq:roster'/>", privilege.Requests{Set: g}, notYours},
		{"set with get", "set", add, privilege.Requests{Get: g}, notYours},
		{"nothing", "get", "<query xmlns='jabber:iq:roster'/>", privilege.Requests{}, notYours},
		{"what another one may", "get", "<query xmlns='jabber:iq:roster'/>", privilege.Requests{Both: only("other.a.test")}, notYours},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := host.Messenger()
			f.Privilege = onAll(privilege.Options{Roster: tt.roster})
			q := newQuay(t, f)
			q.come("juliet@a.test/j", "")
			q.ask("juliet@a.test/j", "<iq type='set' id='0'><query xmlns='jabber:iq:roster'><item jid='friend@a.test'/></query></iq>")
			q.ask("juliet@a.test/j", "<iq type='get' id='0'><query xmlns='jabber:iq:roster'/></iq>")
			q.attach(gate)
			q.got()
			q.send(gate, "<iq type='"+tt.typ+"' id='1' to='juliet@a.test'>"+tt.payload+"</iq>")
			q.expect(tt.want...)
		})
	}
}

// A privilege is of one component at one virtual host, for accounts that exist
// and what they could do themselves.
func TestPrivilegedRosterOfWhom(t *testing.T) {
	f := privileged()
	f.Roster.Value.Access = acl.All
	q := newPrivileged(t, f)
	const get = "<query xmlns='jabber:iq:roster'/>"
	for _, tt := range []struct{ from, to, condition string }{
		{gate, "nurse@b.test", "forbidden"},
		{gate, "nobody@a.test", "forbidden"},
		{gate, "a.test", "service-unavailable"},
		{gate, "juliet@a.test/j", "service-unavailable"},
		{"x@" + gate, "juliet@a.test", "forbidden"},
		{gate + "/x", "juliet@a.test", "forbidden"},
		{"other.a.test", "juliet@a.test", "forbidden"},
		{"far.test", "juliet@a.test", "forbidden"},
	} {
		q.send(tt.from, "<iq type='get' id='1' to='"+tt.to+"'>"+get+"</iq>")
		got := q.got()
		if len(got) != 1 || !strings.Contains(got[0], "type='error'") || !strings.Contains(got[0], "<"+tt.condition+" ") {
			t.Errorf("%s about %s: got %q, want %s", tt.from, tt.to, got, tt.condition)
		}
	}
	// mod_roster's access is that of the user.
	none := *f.Roster.Value
	none.Access = acl.None
	q.Roster.Configure(onAll(none))
	q.send(gate, "<iq type='set' id='1' to='juliet@a.test'><query xmlns='jabber:iq:roster'><item jid='c@gate.a.test'/></query></iq>")
	if got := q.got(); len(got) != 1 || !strings.Contains(got[0], "<forbidden ") {
		t.Errorf("a user who may not change the roster: got %q", got)
	}
}

// XEP-0356, section 5.
func TestPrivilegedMessages(t *testing.T) {
	const (
		open, end = "<privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>", "</forwarded></privilege>"
		body      = "<body>hi</body>"
	)
	inner := func(from, to string) string {
		return open + "<message xmlns='jabber:client' from='" + from + "' to='" + to + "' type='chat' id='i'>" + body + "</message>" + end
	}
	sent := func(from, to string) string {
		return "<message from='" + from + "' to='" + to + "' type='chat' id='i'>" + body + "</message>"
	}
	copied := "juliet@a.test/j: <message from='juliet@a.test' to='juliet@a.test/j' type='chat'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
		"<message xmlns='jabber:client' from='juliet@a.test' to='%s' type='chat' id='i'><body>hi</body></message></forwarded></sent></message>"
	refused := func(from, typ, condition, text string) string {
		return from + ": <message from='a.test' to='" + from + "' type='error' id='m'>" + errorXML(typ, condition, text) + "</message>"
	}
	const notFrom, mayNot = "the message inside is not from this server or the bare address of a user", "you may not send messages for others here"
	tests := []struct {
		name, from, to, payload string
		want                    []string
	}{
		{"to another server", gate, "a.test", inner("juliet@a.test", "far@far.test"),
			[]string{"far: " + sent("juliet@a.test", "far@far.test"), fmt.Sprintf(copied, "far@far.test")}},
		{"to a user", gate, "a.test", inner("juliet@a.test", "romeo@a.test"),
			[]string{"romeo@a.test/r: " + sent("juliet@a.test", "romeo@a.test"), fmt.Sprintf(copied, "romeo@a.test")}},
		{"to the component itself", gate, "a.test", inner("juliet@a.test", "c@"+gate),
			[]string{gate + ": " + sent("juliet@a.test", "c@"+gate), fmt.Sprintf(copied, "c@"+gate)}},
		{"to the own account", gate, "a.test", inner("juliet@a.test", "juliet@a.test"),
			[]string{"juliet@a.test/j: " + sent("juliet@a.test", "juliet@a.test")}},
		{"from the server", gate, "a.test", inner("a.test", "romeo@a.test"), []string{"romeo@a.test/r: " + sent("a.test", "romeo@a.test")}},
		{"without recipient", gate, "a.test", strings.Replace(inner("juliet@a.test", "x"), " to='x'", "", 1),
			[]string{"juliet@a.test/j: " + sent("juliet@a.test", "juliet@a.test")}},
		{"behind something else", gate, "a.test", "<x xmlns='urn:x'/>" + inner("a.test", "romeo@a.test"), []string{"romeo@a.test/r: " + sent("a.test", "romeo@a.test")}},
		{"of the stream's namespace", gate, "a.test", strings.Replace(inner("a.test", "romeo@a.test"), "jabber:client", "jabber:component:accept", 1),
			[]string{"romeo@a.test/r: " + sent("a.test", "romeo@a.test")}},
		{"from a resource", gate, "a.test", inner("juliet@a.test/j", "romeo@a.test"), []string{refused(gate, "auth", "forbidden", notFrom)}},
		{"from another host", gate, "a.test", inner("nurse@b.test", "romeo@a.test"), []string{refused(gate, "auth", "forbidden", notFrom)}},
		{"from another server", gate, "a.test", inner("far@far.test", "romeo@a.test"), []string{refused(gate, "auth", "forbidden", notFrom)}},
		{"from the component", gate, "a.test", inner(gate, "romeo@a.test"), []string{refused(gate, "auth", "forbidden", notFrom)}},
		{"from nobody", gate, "a.test", strings.Replace(inner("x", "romeo@a.test"), " from='x'", "", 1), []string{refused(gate, "auth", "forbidden", notFrom)}},
		{"from who does not exist", gate, "a.test", inner("nobody@a.test", "romeo@a.test"), []string{refused(gate, "auth", "forbidden", "there is no such user")}},
		{"from the server to nobody", gate, "a.test", strings.Replace(inner("a.test", "x"), " to='x'", "", 1),
			[]string{refused(gate, "modify", "bad-request", "the message inside has no recipient")}},
		{"to who is blocked", gate, "a.test", inner("juliet@a.test", "enemy@far.test"),
			[]string{gate + ": <message from='a.test' to='" + gate + "' type='error' id='m'><error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error></message>"}},
		{"a copy", gate, "a.test", strings.Replace(inner("juliet@a.test", "juliet@a.test"), body, body+"<received xmlns='urn:xmpp:carbons:2'/>", 1),
			[]string{refused(gate, "auth", "forbidden", "only the server makes copies of messages")}},
		{"two", gate, "a.test", strings.Replace(inner("a.test", "romeo@a.test"), end, "<message xmlns='jabber:client' from='a.test'/>"+end, 1),
			[]string{refused(gate, "modify", "bad-request", "more than one stanza is inside")}},
		{"none", gate, "a.test", open + end, []string{refused(gate, "modify", "bad-request", "no stanza is inside")}},
		{"no message", gate, "a.test", open + "<presence xmlns='jabber:client' from='juliet@a.test'/>" + end, []string{refused(gate, "modify", "bad-request", "no stanza is inside")}},
		{"from another component", "other.a.test", "a.test", inner("juliet@a.test", "romeo@a.test"), []string{refused("other.a.test", "auth", "forbidden", mayNot)}},
		{"from behind the component", "x@" + gate, "a.test", inner("juliet@a.test", "romeo@a.test"),
			[]string{strings.ReplaceAll(refused("x@"+gate, "auth", "forbidden", mayNot), "x@"+gate+": ", gate+": ")}},
		{"from another server's domain", "far.test", "a.test", inner("juliet@a.test", "romeo@a.test"),
			[]string{strings.ReplaceAll(refused("far.test", "auth", "forbidden", mayNot), "far.test: ", "far: ")}},
		{"from a user", "romeo@a.test/r", "a.test", inner("juliet@a.test", "romeo@a.test"), []string{refused("romeo@a.test/r", "auth", "forbidden", mayNot)}},
		// At b.test it is no business of anybody.
		{"to a host without", gate, "b.test", inner("nurse@b.test", "romeo@a.test"),
			[]string{gate + ": <message from='b.test' to='" + gate + "' type='error' id='m'>" + errorXML("cancel", "service-unavailable", "") + "</message>"}},
		{"to an account", gate, "romeo@a.test", inner("juliet@a.test", "romeo@a.test"),
			[]string{"romeo@a.test/r: <message from='" + gate + "' to='romeo@a.test' id='m'>" + inner("juliet@a.test", "romeo@a.test") + "</message>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := privileged()
			f.Privilege.Hosts["a.test"].Presence = privilege.Presence{}
			q := newPrivileged(t, f)
			q.come("juliet@a.test/j", "<presence/>")
			q.come("romeo@a.test/r", "<presence/>")
			q.ask("juliet@a.test/j", "<iq type='set' id='0'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
			q.ask("juliet@a.test/j", "<iq type='set' id='0'><block xmlns='urn:xmpp:blocking'><item jid='enemy@far.test'/></block></iq>")
			q.got()
			q.send(tt.from, "<message to='"+tt.to+"' id='m'>"+tt.payload+"</message>")
			q.expect(tt.want...)
		})
	}
}

// An error that answers a message in the name of a user is for the user's
// resources.
func TestPrivilegedMessageReturned(t *testing.T) {
	f := privileged()
	f.Privilege.Hosts["a.test"].Presence = privilege.Presence{}
	q := newPrivileged(t, f)
	q.come("juliet@a.test/j", "<presence/>")
	q.got()
	q.send(gate, "<message to='a.test'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>"+
		"<message xmlns='jabber:client' from='juliet@a.test' to='nobody@a.test' id='i'><body/></message></forwarded></privilege></message>")
	q.expect() // RFC 6121, section 8.5.2.1: an error to a bare address is dropped
}

// XEP-0356, section 6.
func TestPrivilegedRequests(t *testing.T) {
	const sub = "<pubsub xmlns='" + pubsub + "'><subscribe node='n'/></pubsub>"
	wrap := func(inner string) string {
		return "<privileged_iq xmlns='urn:xmpp:privilege:2'>" + inner + "</privileged_iq>"
	}
	iq := func(attrs, payload string) string {
		return wrap("<iq xmlns='jabber:client' " + attrs + ">" + payload + "</iq>")
	}
	good := iq("type='set' to='far@far.test' id='s&amp;1'", sub)
	const ok = "far: <iq from='juliet@a.test' to='far@far.test' type='set' id='*'>" + sub + "</iq>"
	tests := []struct{ name, from, typ, to, payload, want string }{ // want: or a condition
		{"to another server", gate, "set", "juliet@a.test", good, ok},
		{"says whom it is from", gate, "set", "juliet@a.test", iq("type='set' from='juliet@a.test' to='far@far.test' id='s'", sub), ok},
		{"of type get", gate, "get", "juliet@a.test", iq("type='get' to='far@far.test' id='s'", sub), strings.Replace(ok, "set", "get", 1)},
		{"what only get is for", gate, "get", "juliet@a.test", iq("type='get' to='far@far.test' id='s'", "<x xmlns='urn:get'/>"),
			"far: <iq from='juliet@a.test' to='far@far.test' type='get' id='*'><x xmlns='urn:get'/></iq>"},
		{"set where only get is for", gate, "set", "juliet@a.test", iq("type='set' to='far@far.test' id='s'", "<x xmlns='urn:get'/>"), "forbidden"},
		{"namespace without permission", gate, "set", "juliet@a.test", iq("type='set' to='far@far.test' id='s'", "<x xmlns='urn:x'/>"), "forbidden"},
		{"to a server", gate, "set", "a.test", good, "forbidden"},
		{"to a resource", gate, "set", "juliet@a.test/j", good, "forbidden"},
		{"to a resource that is not there", gate, "set", "juliet@a.test/k", good, "forbidden"},
		{"to nobody", gate, "set", "nobody@a.test", good, "forbidden"},
		{"to a user of another host", gate, "set", "nurse@b.test", good, "service-unavailable"}, // which knows nothing of this
		{"from a resource", gate, "set", "juliet@a.test", iq("type='set' from='juliet@a.test/j' to='far@far.test' id='s'", sub), "forbidden"},
		{"from somebody else", gate, "set", "juliet@a.test", iq("type='set' from='romeo@a.test' to='far@far.test' id='s'", sub), "forbidden"},
		{"other type", gate, "get", "juliet@a.test", good, "forbidden"},
		{"other type of the request", gate, "set", "juliet@a.test", iq("type='get' to='far@far.test' id='s'", sub), "forbidden"},
		{"of a result", gate, "set", "juliet@a.test", iq("type='result' to='far@far.test' id='s'", sub), "forbidden"},
		{"other namespace of the iq", gate, "set", "juliet@a.test", strings.Replace(good, "jabber:client", "jabber:component:accept", 1), "forbidden"},
		{"no namespace of the iq", gate, "set", "juliet@a.test", strings.Replace(good, " xmlns='jabber:client'", "", 1), "forbidden"},
		{"nothing inside", gate, "set", "juliet@a.test", wrap(""), "forbidden"},
		{"without id", gate, "set", "juliet@a.test", iq("type='set' to='far@far.test'", sub), "bad-request"},
		{"without payload", gate, "set", "juliet@a.test", iq("type='set' to='far@far.test' id='s'", ""), "bad-request"},
		{"two", gate, "set", "juliet@a.test", strings.Replace(good, "</privileged_iq>", "<iq xmlns='jabber:client'/></privileged_iq>", 1), "bad-request"},
		{"to a resource of the user", gate, "set", "juliet@a.test", iq("type='set' to='juliet@a.test/j' id='s'", "<query xmlns='jabber:iq:roster'><item jid='x@x.test'/></query>"), "forbidden"},
		{"to who is blocked", gate, "set", "juliet@a.test", iq("type='set' to='enemy@far.test' id='s'", sub), "not-acceptable"},
		{"from another component", "other.a.test", "set", "juliet@a.test", good, "forbidden"},
		{"from another component to nobody", "other.a.test", "set", "nobody@a.test", good, "forbidden"},
		{"from behind the component", "x@" + gate, "set", "juliet@a.test", good, "forbidden"},
		{"from another server", "far.test", "set", "juliet@a.test", good, "forbidden"},
		{"from the user", "juliet@a.test/j", "set", "juliet@a.test", good, "forbidden"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newPrivileged(t, privileged())
			q.come("juliet@a.test/j", "")
			q.ask("juliet@a.test/j", "<iq type='set' id='0'><block xmlns='urn:xmpp:blocking'><item jid='enemy@far.test'/></block></iq>")
			q.got()
			q.send(tt.from, "<iq type='"+tt.typ+"' id='o' to='"+tt.to+"'>"+tt.payload+"</iq>")
			got := q.got()
			if strings.HasPrefix(tt.want, "far: ") {
				if len(got) != 1 || got[0] != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], " type='error' id='o'>") || !strings.Contains(got[0], "<"+tt.want+" ") {
				t.Errorf("got %q, want the error %s", got, tt.want)
			}
		})
	}
}

// XEP-0356, section 6.3: the answer comes back under the ids of the component,
// from whoever was asked.
func TestPrivilegedAnswers(t *testing.T) {
	const result = "<pubsub xmlns='" + pubsub + "'><x/></pubsub>"
	returned := func(typ, from, inner, more string) string {
		return gate + ": <iq from='juliet@a.test' to='" + gate + "' type='" + typ + "' id='o&amp;1'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
			"<iq xmlns='jabber:client' from='" + from + "' to='juliet@a.test' type='" + typ + "' id='i&amp;1'>" + inner + "</iq></forwarded></privilege>" + more + "</iq>"
	}
	request := func(q *quay, to, payload string) {
		q.Helper()
		q.send(gate, "<iq type='get' id='o&amp;1' to='juliet@a.test'><privileged_iq xmlns='urn:xmpp:privilege:2'>"+
			"<iq xmlns='jabber:client' type='get' id='i&amp;1'"+to+">"+payload+"</iq></privileged_iq></iq>")
	}
	const sub = "<pubsub xmlns='" + pubsub + "'/>"
	start := func(t *testing.T) *quay {
		q := newPrivileged(t, privileged())
		q.come("juliet@a.test/j", "")
		q.come("romeo@a.test/r", "")
		q.got()
		return q
	}
	t.Run("of another server", func(t *testing.T) {
		for _, typ := range []string{"result", "error"} {
			q := start(t)
			request(q, " to='far@far.test'", sub)
			id := q.far.ids()[0]
			q.got()
			inner, more := result, ""
			if typ == "error" {
				inner, more = result+errorXML("auth", "forbidden", ""), strings.Replace(errorXML("auth", "forbidden", ""), "<error ", "<error xmlns='jabber:client' ", 1)
			}
			for _, wrong := range []string{"other@far.test", "far.test", "far@far.test/x", "romeo@a.test/r", "juliet@a.test"} {
				q.send(wrong, "<iq type='"+typ+"' id='"+id+"' to='juliet@a.test'>"+inner+"</iq>")
			}
			q.send("far@far.test", "<iq type='"+typ+"' id='"+id+"' to='romeo@a.test'>"+inner+"</iq>")
			q.send("far@far.test", "<iq type='"+typ+"' id='i&amp;1' to='juliet@a.test'>"+inner+"</iq>")
			q.expect()
			q.send("far@far.test", "<iq type='"+typ+"' id='"+id+"' to='juliet@a.test'>"+inner+"</iq>")
			q.expect(returned(typ, "far@far.test", inner, more))
			q.send("far@far.test", "<iq type='"+typ+"' id='"+id+"' to='juliet@a.test'>"+inner+"</iq>")
			q.expect()
		}
	})
	t.Run("of a resource here", func(t *testing.T) {
		q := start(t)
		request(q, " to='romeo@a.test/r'", sub)
		id := q.last("romeo@a.test/r").ID
		q.got()
		q.send("romeo@a.test/r", "<iq type='result' id='"+id+"' to='juliet@a.test'>"+result+"</iq>")
		q.expect(returned("result", "romeo@a.test/r", result, ""))
	})
	t.Run("of the own account", func(t *testing.T) {
		for _, to := range []string{"", " to='juliet@a.test'"} {
			q := start(t)
			request(q, to, "<query xmlns='jabber:iq:private'><x xmlns='urn:mine'/></query>")
			q.expect(returned("result", "juliet@a.test", "<query xmlns='jabber:iq:private'><x xmlns='urn:mine'/></query>", ""))
			request(q, to, "<query xmlns='jabber:iq:roster'/>")
			q.expect(returned("result", "juliet@a.test", "<query xmlns='jabber:iq:roster'></query>", ""))
		}
	})
	t.Run("of the server", func(t *testing.T) {
		q := start(t)
		request(q, " to='a.test'", sub)
		q.expect(returned("error", "a.test", errorXML("cancel", "service-unavailable", ""),
			strings.Replace(errorXML("cancel", "service-unavailable", ""), "<error ", "<error xmlns='jabber:client' ", 1)))
	})
	t.Run("none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := start(t)
			request(q, " to='far@far.test'", sub)
			q.got()
			time.Sleep(30 * time.Second)
			synctest.Wait()
			q.expect(gate + ": <iq from='juliet@a.test' to='" + gate + "' type='error' id='o&amp;1'>" + errorXML("wait", "remote-server-timeout", "") + "</iq>")
			q.detach(gate)
			q.detach("other.a.test")
		})
	})
	t.Run("too many", func(t *testing.T) {
		q := start(t)
		for range 1000 {
			request(q, " to='far@far.test'", sub)
		}
		if n := len(q.got()); n != 1000 {
			t.Fatalf("got %d, want 1000", n)
		}
		request(q, " to='far@far.test'", sub)
		if got := q.got(); len(got) != 1 || !strings.Contains(got[0], "<resource-constraint ") {
			t.Errorf("got %q", got)
		}
	})
}
