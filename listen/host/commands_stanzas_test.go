package host_test

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

func TestSendMessage(t *testing.T) {
	r := newRig(t)
	s := r.bind("romeo@a.test/x", "<presence/>")
	send := func(typ, from, to, subject, body string) []any {
		return []any{"type", typ, "from", from, "to", to, "subject", subject, "body", body}
	}
	r.done("send_message", send("headline", "A.test", "romeo@a.test", "Restart", "In 5 < 6 minutes\x00")...)
	r.wantLast(s, "<message from='a.test' to='romeo@a.test' type='headline'><subject>Restart</subject><body>In 5 &lt; 6 minutes\uFFFD</body></message>")
	if list := s.Stanzas(); list[len(list)-1].ID == "" {
		t.Error("the message has no id")
	}
	r.done("send_message", send("chat", "anybody@elsewhere.test/y", "romeo@a.test/x", "", "")...)
	r.wantLast(s, "<message from='anybody@elsewhere.test/y' to='romeo@a.test/x' type='chat'/>")
	// It comes back to whoever it comes from.
	r.done("send_message", send("normal", "romeo@a.test/x", "nobody@a.test", "", "hello")...)
	list := s.Stanzas()
	if got := condition(list[len(list)-1]); got != "service-unavailable" {
		t.Errorf("got the condition %q, want service-unavailable", got)
	}
	for text, args := range map[string][]any{
		"type":    send("error", "a.test", "romeo@a.test", "", ""),
		"type is": send("", "a.test", "romeo@a.test", "", ""),
		"from":    send("chat", "a b", "romeo@a.test", "", ""),
		"from is": send("chat", "", "romeo@a.test", "", ""),
		"to":      send("chat", "a.test", "@a.test", "", ""),
		"body":    send("chat", "a.test", "romeo@a.test", "", strings.Repeat("x", 256<<10)),
	} {
		r.fails(command.BadArgument, text, "send_message", args...)
	}
}

// A domain that is registered gets what is for it.
func TestSendToComponent(t *testing.T) {
	r := newRig(t)
	room := new(listentest.Sink)
	if _, err := r.h.Local.RegisterDomain("rooms.a.test", room); err != nil {
		t.Fatal(err)
	}
	r.done("send_message", "type", "groupchat", "from", "romeo@a.test/x", "to", "verona@rooms.a.test", "subject", "", "body", "hi")
	r.wantLast(room, "<message from='romeo@a.test/x' to='verona@rooms.a.test' type='groupchat'><body>hi</body></message>")
}

func TestSendStanza(t *testing.T) {
	r := newRig(t)
	s := r.bind("romeo@a.test/x", "<presence/>")
	send := func(xml string) []any { return []any{"from", "juliet@a.test", "to", "romeo@a.test", "stanza", xml} }
	r.done("send_stanza", send(" <message from='x@y.test' to='z.test' id='1'><ext attr='value' xmlns='e'/></message>\n")...)
	r.wantLast(s, "<message from='juliet@a.test' to='romeo@a.test' id='1'><ext attr='value' xmlns='e'/></message>")
	r.done("send_stanza", send("<presence xmlns='jabber:client' id='2'><show>away</show></presence>")...)
	r.wantLast(s, "<presence from='juliet@a.test' to='romeo@a.test' id='2'><show>away</show></presence>")
	// A request is answered to its sender.
	r.done("send_stanza", "from", "romeo@a.test/x", "to", "a.test", "stanza", "<iq type='get' id='3'><ping xmlns='urn:xmpp:ping'/></iq>")
	r.wantLast(s, "<iq from='a.test' to='romeo@a.test/x' type='result' id='3'/>")

	n := len(s.Stanzas())
	for _, xml := range []string{
		"", "<message>", "<message/><message/>", "<iq type='get'/>", "<iq type='get' id='1'/>", "<a/>", "<message xmlns='x'/>", "<presence type='x'/>",
		"<message>\x01</message>", "<message>" + strings.Repeat("<a>", 200) + strings.Repeat("</a>", 200) + "</message>",
		"<message><body>" + strings.Repeat("x", 256<<10) + "</body></message>", "<message>" + strings.Repeat("<a/>", 10_000) + "</message>",
	} {
		r.fails(command.BadArgument, "stanza", "send_stanza", send(xml)...)
	}
	if got := len(s.Stanzas()); got != n {
		t.Errorf("%d stanzas arrived that were refused", got-n)
	}
	r.fails(command.BadArgument, "from", "send_stanza", "from", "@", "to", "romeo@a.test", "stanza", "<message/>")
	r.fails(command.BadArgument, "to", "send_stanza", "from", "romeo@a.test", "to", "", "stanza", "<message/>")
}

func TestSendStanzaC2S(t *testing.T) {
	r := newRig(t)
	s, juliet := r.bind("romeo@a.test/x", "<presence/>"), r.bind("juliet@a.test/y", "<presence/>")
	send := func(resource, xml string) []any {
		return []any{"user", "romeo", "host", "a.test", "resource", resource, "stanza", xml}
	}
	r.done("send_stanza_c2s", send("x", "<message to='juliet@a.test/y' from='forged@a.test'><body>1</body></message>")...)
	r.wantLast(juliet, "<message from='romeo@a.test/x' to='juliet@a.test/y'><body>1</body></message>")
	r.done("send_stanza_c2s", send("x", "<presence><show>dnd</show></presence>")...)
	r.want("map[jid:romeo@a.test/x show:dnd status:]", "get_presence", "user", "romeo", "host", "a.test")
	r.done("send_stanza_c2s", send("x", "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>")...)
	r.wantLast(s, "<iq from='romeo@a.test' to='romeo@a.test/x' type='result' id='1'><query xmlns='jabber:iq:roster'></query></iq>")
	r.fails(command.NotFound, "there is no session romeo@a.test/z", "send_stanza_c2s", send("z", "<message/>")...)
	r.fails(command.BadArgument, "stanza", "send_stanza_c2s", send("x", "<a/>")...)
	r.fails(command.BadArgument, "resource", "send_stanza_c2s", send("", "<message/>")...)
}
