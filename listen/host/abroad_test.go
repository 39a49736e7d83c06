package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// step is something that happens, and what sessions and other servers get.
type step struct {
	from, xml string // a session that asks for something itself: from "ask …"
	want      []string
}

func (q *quay) play(steps []step) {
	q.Helper()
	for i, s := range steps {
		if from, ok := strings.CutPrefix(s.from, "ask "); ok {
			q.ask(from, s.xml)
		} else {
			q.send(s.from, s.xml)
		}
		if s.want == nil {
			q.got() // it is not about this one
			continue
		}
		q.Run(fmt.Sprintf("step %d", i), func(t *testing.T) {
			outer := q.T
			q.T = t
			defer func() { q.T = outer }()
			q.expect(s.want...)
		})
	}
}

const rosterGet = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"

// pushOf is a roster push to a session.
func pushOf(full, item string) string {
	bare, _, _ := strings.Cut(full, "/")
	return full + ": <iq from='" + bare + "' to='" + full + "' type='set' id='*'><query xmlns='jabber:iq:roster'>" + item + "</query></iq>"
}

// RFC 6121, section 3, between servers.
func TestSubscriptionsAbroad(t *testing.T) {
	const (
		juliet, far = "juliet@a.test/j", "far@far.test"
		item        = "<item jid='far@far.test' subscription='%s'/>"
		asking      = "<item jid='far@far.test' subscription='%s' ask='subscribe'/>"
	)
	p := func(typ, to string) string { return "<presence type='" + typ + "' to='" + to + "'/>" }
	in := func(typ string) string {
		return juliet + ": <presence from='far@far.test' to='juliet@a.test' type='" + typ + "'/>"
	}
	out := func(typ string) string {
		return "far: <presence from='juliet@a.test' to='far@far.test' type='" + typ + "'/>"
	}
	push := func(format, sub string) string { return pushOf(juliet, fmt.Sprintf(format, sub)) }
	shown := "far: <presence from='juliet@a.test/j' to='far@far.test'/>"
	hidden := "far: <presence from='juliet@a.test/j' to='far@far.test' type='unavailable'/>"
	nothing := []string{}
	tests := []struct {
		name  string
		steps []step
	}{
		{"the user asks, and is granted", []step{
			{juliet, p("subscribe", far), []string{out("subscribe"), push(asking, "none")}},
			{juliet, p("subscribe", far), []string{out("subscribe")}},
			{far, p("subscribed", "juliet@a.test"), []string{in("subscribed"), push(item, "to")}},
			{far, p("subscribed", "juliet@a.test"), nothing},
			{juliet, p("unsubscribe", far), []string{out("unsubscribe"), push(item, "none")}},
			{far, p("unsubscribed", "juliet@a.test"), nothing}, // the state is none already
		}},
		{"the user asks a resource", []step{
			{juliet, p("subscribe", far+"/x"), []string{out("subscribe"), push(asking, "none")}},
			{far + "/x", p("subscribed", "juliet@a.test/j"), []string{in("subscribed"), push(item, "to")}},
		}},
		{"the user asks, and is denied", []step{
			{juliet, p("subscribe", far), nil},
			{far, p("unsubscribed", "juliet@a.test"), []string{in("unsubscribed"), push(item, "none")}},
		}},
		{"the user asks, and takes it back", []step{
			{juliet, p("subscribe", far), nil},
			{juliet, p("unsubscribe", far), []string{out("unsubscribe"), push(item, "none")}},
			{far, p("subscribed", "juliet@a.test"), nothing}, // too late
		}},
		{"the contact asks, and is granted", []step{
			{far, p("subscribe", "juliet@a.test"), []string{in("subscribe")}},
			{far, p("subscribe", "juliet@a.test"), nothing},
			{juliet, p("subscribed", far), []string{out("subscribed"), shown, push(item, "from")}},
			{far, p("subscribe", "juliet@a.test"), []string{out("subscribed"), shown}}, // it has lost it
			{far, p("unsubscribe", "juliet@a.test"), []string{in("unsubscribe"), hidden, push(item, "none")}},
			{far, p("unsubscribe", "juliet@a.test"), nothing},
		}},
		{"the contact asks, and is denied", []step{
			{far, p("subscribe", "juliet@a.test"), nil},
			{juliet, p("unsubscribed", far), []string{out("unsubscribed")}},
			{juliet, p("unsubscribed", far), nothing},
		}},
		{"the contact asks by a resource", []step{
			{far + "/x", p("subscribe", "juliet@a.test/j"), []string{in("subscribe")}},
			{juliet, p("subscribed", far+"/x"), []string{out("subscribed"), shown, push(item, "from")}},
		}},
		{"the user ends the contact's subscription", []step{
			{far, p("subscribe", "juliet@a.test"), nil},
			{juliet, p("subscribed", far), nil},
			{juliet, p("unsubscribed", far), []string{hidden, out("unsubscribed"), push(item, "none")}},
		}},
		{"approved before", []step{
			{juliet, p("subscribed", far), []string{push("<item jid='far@far.test' subscription='%s' approved='true'/>", "none")}},
			{far, p("subscribe", "juliet@a.test"), []string{out("subscribed"), shown, push(item, "from")}},
		}},
		{"the user removes the contact", []step{
			{far, p("subscribe", "juliet@a.test"), nil},
			{juliet, p("subscribed", far), nil},
			{juliet, p("subscribe", far), nil},
			{far, p("subscribed", "juliet@a.test"), []string{in("subscribed"), push(item, "both")}},
			{"ask " + juliet, "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='far@far.test' subscription='remove'/></query></iq>", []string{
				juliet + ": <iq to='juliet@a.test/j' type='result' id='1'/>", pushOf(juliet, "<item jid='far@far.test' subscription='remove'/>"),
				hidden, out("unsubscribe"), out("unsubscribed"),
			}},
		}},
		{"a server that does not know anybody", []step{
			{far, p("subscribed", "juliet@a.test"), nothing},
			{far, p("unsubscribed", "juliet@a.test"), nothing},
			{far, p("unsubscribe", "juliet@a.test"), nothing},
			{far, p("subscribe", "nobody@a.test"), nothing}, // RFC 6121, section 8.5.1
			{far, p("subscribe", "a.test"), nothing},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newQuay(t, host.Messenger())
			q.come(juliet, "<presence/>")
			q.ask(juliet, rosterGet)
			q.got()
			q.play(tt.steps)
		})
	}
}

// A request that comes while nobody is there waits, with what it says.
func TestRequestFromAbroadWaits(t *testing.T) {
	q := newQuay(t, host.Messenger())
	q.send("far@far.test", "<presence type='subscribe' to='juliet@a.test' id='s'><status>hi</status></presence>")
	q.expect()
	q.come("juliet@a.test/j", "<presence/>")
	q.expect("juliet@a.test/j: <presence from='juliet@a.test/j' to='juliet@a.test'/>",
		"juliet@a.test/j: <presence from='far@far.test' to='juliet@a.test' type='subscribe' id='s'><status>hi</status></presence>")
}

// newFriends returns a quay where juliet@a.test and far@far.test see each other.
func newFriends(t *testing.T, f host.Features) *quay {
	t.Helper()
	q := newQuay(t, f)
	for _, s := range []struct{ from, typ, to string }{
		{"far@far.test", "subscribe", "juliet@a.test"}, {"juliet@a.test", "subscribed", "far@far.test"},
		{"juliet@a.test", "subscribe", "far@far.test"}, {"far@far.test", "subscribed", "juliet@a.test"},
	} {
		q.send(s.from, "<presence type='"+s.typ+"' to='"+s.to+"'/>")
	}
	q.got()
	return q
}

// RFC 6121, sections 4.2 to 4.6, between servers.
func TestPresenceAbroad(t *testing.T) {
	const j = "juliet@a.test/j"
	self := func(inner string) string {
		return j + ": <presence from='juliet@a.test/j' to='juliet@a.test'" + inner
	}
	far := func(to, rest string) string { return "far: <presence from='juliet@a.test/j' to='" + to + "'" + rest }
	in := func(rest string) string { return j + ": <presence from='far@far.test/f' to='" + rest }
	q := newFriends(t, host.Messenger())
	q.come(j, "")
	q.play([]step{
		{j, "<presence id='p'><show>away</show></presence>", []string{self(" id='p'><show>away</show></presence>"),
			far("far@far.test", " id='p'><show>away</show></presence>"), far("far@far.test", " type='probe'/>")}},
		{"far@far.test/f", "<presence to='juliet@a.test/j'/>", []string{in("juliet@a.test/j'/>")}}, // answers the probe
		{"far@far.test/f", "<presence to='juliet@a.test'><show>dnd</show></presence>", []string{in("juliet@a.test'><show>dnd</show></presence>")}},
		{j, "<presence/>", []string{self("/>"), far("far@far.test", "/>")}},
		{j, "<presence to='room@muc.test/me'/>", []string{far("room@muc.test/me", "/>")}},
		{j, "<presence to='gone@muc.test'/>", []string{far("gone@muc.test", "/>")}},
		{"gone@muc.test", "<presence to='juliet@a.test/j' type='unavailable'/>", nil},
		{"far@far.test/f", "<presence to='juliet@a.test' type='unavailable'/>", []string{in("juliet@a.test' type='unavailable'/>")}},
	})
	q.leave(j)
	delete(q.sinks, j)
	q.expect(far("far@far.test", " type='unavailable'/>"), far("room@muc.test/me", " type='unavailable'/>"))

	// Nobody hears of a session that was never available.
	q.come("juliet@a.test/k", "")
	q.leave("juliet@a.test/k")
	q.expect()
}

// RFC 6121, section 4.3.2: who gets an answer.
func TestProbesFromAbroad(t *testing.T) {
	const j = "juliet@a.test/j"
	probe := func(to string) string { return "<presence type='probe' id='x' to='" + to + "'/>" }
	denied := func(user, to string) []string {
		return []string{"far: <presence from='" + user + "' to='" + to + "' type='unsubscribed'/>"}
	}
	q := newFriends(t, host.Messenger())
	q.send("nurse@far.test", "<presence type='subscribe' to='juliet@a.test'/>") // asked, not granted
	q.play([]step{
		{"far@far.test", probe("juliet@a.test"), []string{"far: <presence from='juliet@a.test' to='far@far.test' type='unavailable' id='x'/>"}},
	})
	q.come(j, "<presence><show>away</show></presence>")
	q.come("juliet@a.test/k", "")
	q.got()
	const here = "far: <presence from='juliet@a.test/j' to='%s'><show>away</show></presence>"
	q.play([]step{
		{"far@far.test", probe("juliet@a.test"), []string{fmt.Sprintf(here, "far@far.test")}},
		{"far@far.test/f", probe("juliet@a.test"), []string{fmt.Sprintf(here, "far@far.test/f")}},
		{"far@far.test/f", probe("juliet@a.test/j"), []string{fmt.Sprintf(here, "far@far.test/f")}},
		{"far@far.test/f", probe("juliet@a.test/k"), []string{"far: <presence from='juliet@a.test/k' to='far@far.test/f' type='unavailable' id='x'/>"}},
		// Not to others, and nobody can tell who exists.
		{"nurse@far.test", probe("juliet@a.test"), denied("juliet@a.test", "nurse@far.test")},
		{"stranger@far.test/f", probe("juliet@a.test"), denied("juliet@a.test", "stranger@far.test")},
		{"stranger@far.test/f", probe("juliet@a.test/j"), denied("juliet@a.test", "stranger@far.test")},
		{"stranger@far.test/f", probe("nobody@a.test"), denied("nobody@a.test", "stranger@far.test")},
		{"far.test", probe("juliet@a.test"), denied("juliet@a.test", "far.test")},
		{"far@far.test", probe("a.test"), []string{}},
		{"stranger@far.test", "<presence to='nobody@a.test'/>", []string{}},
		{"stranger@far.test", "<presence to='nobody@a.test/x'/>", []string{}},
	})
}

// What comes back from another server, by its errors or because there is none.
func TestErrorsFromAbroad(t *testing.T) {
	const j, k = "juliet@a.test/j", "juliet@a.test/k"
	e := errorXML("cancel", "remote-server-not-found", "")
	come := func(t *testing.T, f host.Features) *quay {
		q := newFriends(t, f)
		q.come(j, "<presence/>")
		q.come(k, "<presence/>")
		q.come("juliet@a.test/silent", "")
		q.got()
		return q
	}
	t.Run("that are sent", func(t *testing.T) {
		q := come(t, host.Messenger())
		q.play([]step{
			// A request of subscription is between bare addresses.
			{"none@none.test", "<presence type='error' to='juliet@a.test'>" + e + "</presence>", []string{
				j + ": <presence from='none@none.test' to='juliet@a.test' type='error'>" + e + "</presence>",
				k + ": <presence from='none@none.test' to='juliet@a.test' type='error'>" + e + "</presence>"}},
			// A probe and presence are from a resource.
			{"far@far.test", "<presence type='error' to='juliet@a.test/j'>" + e + "</presence>",
				[]string{j + ": <presence from='far@far.test' to='juliet@a.test/j' type='error'>" + e + "</presence>"}},
			{"far@far.test", "<presence type='error' to='juliet@a.test/gone'>" + e + "</presence>", []string{}},
			{"far@far.test", "<message type='error' id='m' to='juliet@a.test/j'>" + e + "</message>",
				[]string{j + ": <message from='far@far.test' to='juliet@a.test/j' type='error' id='m'>" + e + "</message>"}},
			{"far@far.test", "<message type='error' id='m' to='juliet@a.test/gone'>" + e + "</message>", []string{}},
			{"far@far.test", "<message type='error' id='m' to='juliet@a.test'>" + e + "</message>", []string{}},
			{"far@far.test", "<message type='error' id='m' to='a.test'>" + e + "</message>", []string{}},
			{"far@far.test", "<iq type='error' id='i' to='juliet@a.test/j'>" + e + "</iq>",
				[]string{j + ": <iq from='far@far.test' to='juliet@a.test/j' type='error' id='i'>" + e + "</iq>"}},
			{"far@far.test", "<iq type='error' id='i' to='juliet@a.test/gone'>" + e + "</iq>", []string{}},
			{"far@far.test", "<iq type='result' id='i' to='juliet@a.test'/>", []string{}},
			{"far@far.test", "<iq type='result' id='i' to='a.test'/>", []string{}},
		})
	})
	t.Run("without other servers", func(t *testing.T) {
		q := come(t, host.Messenger())
		q.Local.Next = nil
		q.play([]step{
			{j, "<presence type='subscribe' to='none@none.test'/>", []string{
				j + ": <presence from='none@none.test' to='juliet@a.test' type='error'>" + e + "</presence>",
				k + ": <presence from='none@none.test' to='juliet@a.test' type='error'>" + e + "</presence>"}},
			{j, "<presence to='room@none.test/me' id='x'/>", []string{j + ": <presence from='room@none.test/me' to='juliet@a.test/j' type='error' id='x'>" + e + "</presence>"}},
			{j, "<presence to='room@none.test/me' type='unavailable'/>", []string{}},
			{j, "<message to='x@none.test' id='m'/>", []string{j + ": <message from='x@none.test' to='juliet@a.test/j' type='error' id='m'>" + e + "</message>"}},
			{j, "<iq type='get' id='i' to='none.test'><x xmlns='urn:x'/></iq>", []string{j + ": <iq from='none.test' to='juliet@a.test/j' type='error' id='i'>" + e + "</iq>"}},
			{j, "<iq type='result' id='i' to='none.test'/>", []string{}},
		})
	})
}

// stern is a component that says why it does not take anything.
type stern struct{ listentest.Sink }

func (*stern) Deliver(*stanza.Stanza) error {
	return fmt.Errorf("not for you: %w", &stanza.Error{Condition: stanza.NotAllowed, Text: "not for you"})
}

// What a sink says goes to the sender; what is no answer for it does not.
func TestSinkThatRefuses(t *testing.T) {
	q := newQuay(t, host.Messenger())
	release, err := q.Local.RegisterDomain("stern.test", new(stern))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	const j = "juliet@a.test/j"
	q.come(j, "<presence/>")
	q.got()
	e := errorXML("cancel", "not-allowed", "not for you")
	q.play([]step{
		{j, "<message to='x@stern.test' id='m'/>", []string{j + ": <message from='x@stern.test' to='juliet@a.test/j' type='error' id='m'>" + e + "</message>"}},
		{j, "<iq type='get' id='i' to='stern.test'><x xmlns='urn:x'/></iq>", []string{j + ": <iq from='stern.test' to='juliet@a.test/j' type='error' id='i'>" + e + "</iq>"}},
		{j, "<presence to='x@stern.test'/>", []string{j + ": <presence from='x@stern.test' to='juliet@a.test/j' type='error'>" + e + "</presence>"}},
		{j, "<presence type='subscribe' to='x@stern.test'/>", []string{j + ": <presence from='x@stern.test' to='juliet@a.test' type='error'>" + e + "</presence>"}},
		{j, "<presence to='x@stern.test' type='unavailable'/>", []string{}},
		{j, "<message to='x@stern.test' type='error'/>", []string{}},
		{j, "<iq type='result' id='i' to='stern.test'/>", []string{}},
		{"far@far.test", "<message to='x@stern.test' id='m'/>", []string{"far: <message from='x@stern.test' to='far@far.test' type='error' id='m'>" + e + "</message>"}},
	})

	// A session, too.
	if _, err := q.Local.Bind(t.Context(), stanza.Binding{JID: jid(t, "romeo@a.test/r"), Sink: new(stern)}); err != nil {
		t.Fatal(err)
	}
	q.send("romeo@a.test/r", "<presence/>")
	q.got()
	for _, to := range []string{"romeo@a.test/r", "romeo@a.test"} {
		q.play([]step{{j, "<message to='" + to + "' id='m'/>", []string{j + ": <message from='" + to + "' to='juliet@a.test/j' type='error' id='m'>" + e + "</message>"}}})
	}
	q.play([]step{{j, "<iq type='get' id='i' to='romeo@a.test/r'><x xmlns='urn:x'/></iq>",
		[]string{j + ": <iq from='romeo@a.test/r' to='juliet@a.test/j' type='error' id='i'>" + e + "</iq>"}}})
}

// XEP-0191, sections 3.2 and 3.3: a whole server is blocked.
func TestBlockingOfServers(t *testing.T) {
	const j = "juliet@a.test/j"
	q := newFriends(t, host.Messenger())
	q.come(j, "<presence/>")
	q.send(j, "<presence to='room@far.test/me'/>")
	q.send(j, "<presence to='room@else.test/me'/>")
	q.got()
	e := errorXML("cancel", "service-unavailable", "")
	not := "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error>"
	q.play([]step{
		{"ask " + j, "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='far.test'/></block></iq>", []string{
			j + ": <iq to='juliet@a.test/j' type='result' id='b'/>",
			"far: <presence from='juliet@a.test/j' to='far@far.test' type='unavailable'/>",
			"far: <presence from='juliet@a.test/j' to='room@far.test/me' type='unavailable'/>"}},
		{"far@far.test/f", "<message to='juliet@a.test' id='m'/>", []string{"far: <message from='juliet@a.test' to='far@far.test/f' type='error' id='m'>" + e + "</message>"}},
		{"far@far.test/f", "<message to='juliet@a.test/j' id='m'/>", []string{"far: <message from='juliet@a.test/j' to='far@far.test/f' type='error' id='m'>" + e + "</message>"}},
		{"other@far.test", "<iq type='get' id='i' to='juliet@a.test/j'><x xmlns='urn:x'/></iq>", []string{"far: <iq from='juliet@a.test/j' to='other@far.test' type='error' id='i'>" + e + "</iq>"}},
		{"far.test", "<iq type='get' id='i' to='juliet@a.test'><x xmlns='urn:x'/></iq>", []string{"far: <iq from='juliet@a.test' to='far.test' type='error' id='i'>" + e + "</iq>"}},
		{"far@far.test", "<iq type='result' id='i' to='juliet@a.test/j'/>", []string{}},
		{"far@far.test", "<presence to='juliet@a.test'/>", []string{}},
		{"far@far.test", "<presence type='probe' to='juliet@a.test'/>", []string{}},
		{"new@far.test", "<presence type='subscribe' to='juliet@a.test'/>", []string{}},
		{"far@far.test", "<presence type='unsubscribe' to='juliet@a.test'/>", []string{}},
		{"x@sub.far.test", "<message to='juliet@a.test/j' id='m'/>", []string{j + ": <message from='x@sub.far.test' to='juliet@a.test/j' id='m'/>"}},
		{j, "<message to='x@far.test' id='m'/>", []string{j + ": <message from='x@far.test' to='juliet@a.test/j' type='error' id='m'>" + not + "</message>"}},
		{j, "<presence to='x@far.test'/>", []string{j + ": <presence from='x@far.test' to='juliet@a.test/j' type='error'>" + not + "</presence>"}},
		{j, "<presence><show>away</show></presence>", []string{j + ": <presence from='juliet@a.test/j' to='juliet@a.test'><show>away</show></presence>"}},
		{"ask " + j, "<iq type='set' id='b'><unblock xmlns='urn:xmpp:blocking'><item jid='far.test'/></unblock></iq>", []string{
			j + ": <iq to='juliet@a.test/j' type='result' id='b'/>",
			"far: <presence from='juliet@a.test/j' to='far@far.test'><show>away</show></presence>"}},
		{"ask " + j, "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='far.test'/></block></iq>", nil},
	})
	// It holds while nobody is there.
	q.leave(j)
	delete(q.sinks, j)
	q.expect("far: <presence from='juliet@a.test/j' to='room@else.test/me' type='unavailable'/>")
	q.play([]step{
		{"far@far.test/f", "<message to='juliet@a.test' type='chat' id='m'><body/></message>",
			[]string{"far: <message from='juliet@a.test' to='far@far.test/f' type='error' id='m'>" + e + "</message>"}},
		{"far@far.test/f", "<iq type='get' id='i' to='juliet@a.test'><query xmlns='jabber:iq:last'/></iq>",
			[]string{"far: <iq from='juliet@a.test' to='far@far.test/f' type='error' id='i'>" + e + "</iq>"}},
		{"far@far.test", "<presence type='probe' to='juliet@a.test'/>", []string{}},
	})
}

// RFC 6121, section 8.5.2.2, and XEP-0160: messages of other servers are kept like
// others, and what is not kept comes back.
func TestMessagesFromAbroad(t *testing.T) {
	const chat = "<message to='%s' type='chat' id='m'><body>hi</body></message>"
	e := errorXML("cancel", "service-unavailable", "")
	q := newQuay(t, host.Messenger())
	q.play([]step{
		{"far@far.test/f", fmt.Sprintf(chat, "juliet@a.test"), []string{}},
		{"far@far.test/f", fmt.Sprintf(chat, "juliet@a.test/gone"), []string{}},
		{"far@far.test/f", fmt.Sprintf(chat, "nobody@a.test"), []string{"far: <message from='nobody@a.test' to='far@far.test/f' type='error' id='m'>" + e + "</message>"}},
		{"far@far.test/f", fmt.Sprintf(chat, "nobody@a.test/x"), []string{"far: <message from='nobody@a.test/x' to='far@far.test/f' type='error' id='m'>" + e + "</message>"}},
		{"far@far.test/f", fmt.Sprintf(chat, "a.test"), []string{"far: <message from='a.test' to='far@far.test/f' type='error' id='m'>" + e + "</message>"}},
		{"far@far.test/f", "<message to='a.test' type='headline'/>", []string{}},
		{"far@far.test/f", "<message to='juliet@a.test' type='groupchat' id='m'/>", []string{"far: <message from='juliet@a.test' to='far@far.test/f' type='error' id='m'>" + e + "</message>"}},
		{"far@far.test/f", "<message to='juliet@a.test' type='error' id='m'/>", []string{}},
	})
	q.come("juliet@a.test/j", "<presence/>")
	n := 0
	for _, line := range q.got() {
		if strings.HasPrefix(line, "juliet@a.test/j: <message from='far@far.test/f'") && strings.Contains(line, "<delay xmlns='urn:xmpp:delay' from='a.test'") {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d messages were kept, want 2", n)
	}
}

// Requests of other servers: RFC 6120, section 8.2.3, and who may know what.
func TestRequestsFromAbroad(t *testing.T) {
	f := host.Messenger()
	const far, stranger = "far@far.test/f", "stranger@far.test/f"
	payloads := map[string]string{
		"disco": "<query xmlns='http://jabber.org/protocol/disco#info'/>",
		"items": "<query xmlns='http://jabber.org/protocol/disco#items'/>",
		"last":  "<query xmlns='jabber:iq:last'/>", "version": "<query xmlns='jabber:iq:version'/>",
		"time": "<time xmlns='urn:xmpp:time'/>", "ping": "<ping xmlns='urn:xmpp:ping'/>", "vcard": "<vCard xmlns='vcard-temp'/>",
		"roster": "<query xmlns='jabber:iq:roster'/>", "private": "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>",
		"blocklist": "<blocklist xmlns='urn:xmpp:blocking'/>", "unknown": "<x xmlns='urn:x'/>", "register": "<query xmlns='jabber:iq:register'/>",
	}
	tests := []struct{ from, to, what, want string }{ // want: the type, or the condition
		{far, "a.test", "disco", "result"}, {far, "a.test", "items", "result"}, {far, "a.test", "version", "result"}, {far, "a.test", "time", "result"},
		{far, "a.test", "ping", "result"}, {far, "a.test", "last", "result"}, {far, "a.test", "unknown", "service-unavailable"},
		{far, "a.test", "roster", "service-unavailable"}, {far, "a.test", "private", "service-unavailable"}, {far, "a.test", "blocklist", "service-unavailable"},
		{far, "a.test/x", "ping", "service-unavailable"}, {"far.test", "a.test", "ping", "result"},

		{far, "juliet@a.test", "disco", "result"}, {far, "juliet@a.test", "items", "result"}, {far, "juliet@a.test", "last", "result"},
		{far, "juliet@a.test", "vcard", "result"}, {far, "juliet@a.test", "roster", "forbidden"}, {far, "juliet@a.test", "private", "service-unavailable"},
		{far, "juliet@a.test", "blocklist", "service-unavailable"}, {far, "juliet@a.test", "unknown", "service-unavailable"},
		{far, "juliet@a.test", "version", "service-unavailable"}, {far, "juliet@a.test", "ping", "service-unavailable"},

		{stranger, "juliet@a.test", "disco", "service-unavailable"}, {stranger, "nobody@a.test", "disco", "service-unavailable"},
		{stranger, "juliet@a.test", "items", "service-unavailable"}, {stranger, "nobody@a.test", "items", "service-unavailable"},
		{stranger, "juliet@a.test", "last", "forbidden"}, {stranger, "nobody@a.test", "last", "forbidden"},
		{stranger, "romeo@a.test", "vcard", "same"}, {stranger, "juliet@a.test", "roster", "forbidden"}, {stranger, "nobody@a.test", "roster", "forbidden"},
		{stranger, "juliet@a.test", "private", "same"}, {stranger, "juliet@a.test", "unknown", "same"}, {stranger, "juliet@a.test", "ping", "same"},
		{stranger, "juliet@a.test", "blocklist", "same"}, {stranger, "juliet@a.test", "version", "same"}, {stranger, "juliet@a.test", "register", "same"},

		{far, "juliet@a.test/j", "version", "delivered"}, {far, "juliet@a.test/j", "last", "delivered"}, {stranger, "juliet@a.test/j", "version", "delivered"},
		{stranger, "juliet@a.test/j", "last", "forbidden"}, {stranger, "juliet@a.test/gone", "last", "forbidden"}, {stranger, "nobody@a.test/x", "last", "forbidden"},
		{stranger, "juliet@a.test/gone", "version", "service-unavailable"}, {stranger, "nobody@a.test/x", "version", "service-unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.from+" "+tt.to+" "+tt.what, func(t *testing.T) {
			q := newFriends(t, f)
			q.come("juliet@a.test/j", "<presence/>")
			q.ask("juliet@a.test/j", "<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>J</FN></vCard></iq>")
			q.got()
			ask := func(to string) string {
				q.send(tt.from, "<iq type='get' id='i' to='"+to+"'>"+payloads[tt.what]+"</iq>")
				return strings.ReplaceAll(strings.Join(q.got(), "\n"), to, "TO")
			}
			got := ask(tt.to)
			switch tt.want {
			case "result":
				if !strings.HasPrefix(got, "far: <iq from='TO' to='"+tt.from+"' type='result' id='i'") {
					t.Errorf("got %s", got)
				}
			case "delivered":
				if !strings.HasPrefix(got, "TO: <iq from='"+tt.from+"' to='TO' type='get' id='i'>") {
					t.Errorf("got %s", got)
				}
			case "same": // as for an account that does not exist
				if other := ask("nobody@a.test"); got != other {
					t.Errorf("got %s, and of nobody %s", got, other)
				}
			default:
				if !strings.HasPrefix(got, "far: <iq from='TO' to='"+tt.from+"' type='error' id='i'>") || !strings.Contains(got, "<"+tt.want+" ") {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
		})
	}
}

// Nobody registers from another server, unless the options say so.
func TestRegistrationFromAbroad(t *testing.T) {
	h, err := host.New(host.Config{Options: hosts("a.test"), Register: stanza.PerHost[register.Options]{Value: register.Defaults()}})
	if err != nil {
		t.Fatal(err)
	}
	next := new(abroad)
	h.Local.Next = next
	for _, payload := range []string{"<username>x</username><password>secret</password>", "<remove/>"} {
		err := h.Local.Route(t.Context(), &stanza.Stanza{
			Kind: stanza.IQ, Type: stanza.TypeSet, ID: "1", From: jid(t, "x@far.test/f"), To: jid(t, "a.test"),
			Child: stanza.Name{Space: register.NS, Local: "query"}, Inner: "<query xmlns='jabber:iq:register'>" + payload + "</query>",
		})
		if err != nil {
			t.Fatal(err)
		}
		got := next.take()
		if len(got) != 1 || !strings.Contains(got[0], "type='error'") || !strings.Contains(got[0], "<forbidden ") && !strings.Contains(got[0], "<not-allowed ") {
			t.Errorf("%s: got %q", payload, got)
		}
	}
	if ok, _ := h.Accounts.Exists(t.Context(), jid(t, "x@a.test")); ok {
		t.Error("there is an account")
	}
}

// XEP-0280, sections 7 and 8, with somebody at another server.
func TestCarbonsAbroad(t *testing.T) {
	const j, k = "juliet@a.test/j", "juliet@a.test/k"
	q := newQuay(t, host.Messenger())
	for _, s := range []string{j, k} {
		q.come(s, "<presence/>")
		q.ask(s, "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	}
	q.got()
	const body = "<body>hi</body>"
	copied := func(kind, of string) string {
		return k + ": <message from='juliet@a.test' to='juliet@a.test/k' type='chat'><" + kind + " xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
			strings.Replace(of, "<message ", "<message xmlns='jabber:client' ", 1) + "</forwarded></" + kind + "></message>"
	}
	out := "<message from='juliet@a.test/j' to='far@far.test' type='chat'>" + body + "</message>"
	in := "<message from='far@far.test/f' to='juliet@a.test/j' type='chat'>" + body + "</message>"
	q.play([]step{
		{j, "<message to='far@far.test' type='chat'>" + body + "</message>", []string{"far: " + out, copied("sent", out)}},
		{"far@far.test/f", "<message to='juliet@a.test/j' type='chat'>" + body + "</message>", []string{j + ": " + in, copied("received", in)}},
		// Nobody else has copies made, nor passes for them.
		{"far@far.test/f", "<message to='other@else.test' type='chat'>" + body + "</message>", []string{"far: <message from='far@far.test/f' to='other@else.test' type='chat'>" + body + "</message>"}},
	})
}

// What another server or a component says never does what a session does.
func TestForeignersAreNoSessions(t *testing.T) {
	q := newFriends(t, host.Messenger())
	q.come("juliet@a.test/j", "<presence/>")
	q.ask("juliet@a.test/j", rosterGet)
	q.got()
	s := &stanza.Stanza{Kind: stanza.Presence, From: jid(t, "far@far.test/f")}
	if err := q.Local.Route(t.Context(), s); err == nil {
		t.Error("presence of a stranger without to: got no error")
	}
	q.play([]step{
		// Outbound subscriptions of others are not of our rosters.
		{"far@far.test", "<presence type='subscribed' to='new@else.test'/>", []string{"far: <presence from='far@far.test' to='new@else.test' type='subscribed'/>"}},
		{"x@a.test.far.test/j", "<presence type='unsubscribed' to='juliet@a.test'/>", []string{}},
		{"far@far.test", "<iq type='set' id='i' to='juliet@a.test/j'><query xmlns='jabber:iq:roster'><item jid='x@x.test'/></query></iq>",
			[]string{"far: <iq from='juliet@a.test/j' to='far@far.test' type='error' id='i'>" + errorXML("cancel", "service-unavailable", "") + "</iq>"}},
		{"a.far.test", "<iq type='set' id='i' to='juliet@a.test'><query xmlns='jabber:iq:roster'><item jid='x@x.test'/></query></iq>",
			[]string{"far: <iq from='juliet@a.test' to='a.far.test' type='error' id='i'>" + errorXML("auth", "forbidden", "this is not your roster") + "</iq>"}},
	})
	if st := q.Local.Stats(); st.Directed != 0 || st.Sessions != 1 {
		t.Errorf("stats are %+v", st)
	}
}

// ending is a server beyond that looks at the context.
type ending struct {
	abroad
	err error
}

func (e *ending) Route(ctx context.Context, s *stanza.Stanza) error {
	e.err = errors.Join(e.err, ctx.Err())
	return e.abroad.Route(ctx, s)
}

// A server that goes down ends its sessions with a context that is over; their
// last presence goes out all the same.
func TestPresenceAtShutdown(t *testing.T) {
	q := newFriends(t, host.Messenger())
	e := new(ending)
	q.Local.Next = e
	q.come("juliet@a.test/j", "<presence/>")
	q.send("juliet@a.test/j", "<presence to='room@muc.test/me'/>")
	e.take()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q.Local.Release(ctx, jid(t, "juliet@a.test/j"), q.sinks["juliet@a.test/j"])
	got := e.take()
	want := map[string]bool{
		"far: <presence from='juliet@a.test/j' to='far@far.test' type='unavailable'/>":     true,
		"far: <presence from='juliet@a.test/j' to='room@muc.test/me' type='unavailable'/>": true,
	}
	for _, line := range got {
		delete(want, line)
	}
	if len(got) != 2 || len(want) != 0 || e.err != nil {
		t.Errorf("got %q, %v", got, e.err)
	}
}
