package carbons

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func jid(t testing.TB, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func parse(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return s
}

// message returns one between two clients.
func message(t testing.TB, typ, payload string) *stanza.Stanza {
	t.Helper()
	return parse(t, "<message type='"+typ+"' from='juliet@capulet.test/balcony' to='romeo@montague.test/garden'>"+payload+"</message>")
}

const (
	private  = "<private xmlns='urn:xmpp:carbons:2'/>"
	noCopy   = "<no-copy xmlns='urn:xmpp:hints'/>"
	inRoom   = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
	mediated = "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='juliet@capulet.test/balcony'/></x>"
	direct   = "<x xmlns='jabber:x:conference' jid='room@muc.test'/>"
)

// XEP-0280, sections 6.1 and 9.
func TestEligible(t *testing.T) {
	tests := []struct {
		name, typ, payload string
		sent, received     bool
	}{
		{"chat", "chat", "<body>a</body>", true, true},
		{"chat without payload", "chat", "", true, true},
		{"normal with body", "normal", "<body>a</body>", true, true},
		{"normal with body as second child", "normal", "<subject>s</subject><body>a</body>", true, true},
		{"normal without body", "normal", "<subject>s</subject>", false, false},
		{"normal with a body below", "normal", "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'/></html>", false, false},
		{"normal with a body of another namespace", "normal", "<body xmlns='urn:x'/>", false, false},
		{"normal with a prefixed body", "normal", "<c:body xmlns:c='jabber:client'>a</c:body>", true, true},
		{"headline with body", "headline", "<body>a</body>", false, false},
		{"groupchat", "groupchat", "<body>a</body>", false, false},
		{"groupchat with receipt", "groupchat", "<received xmlns='urn:xmpp:receipts' id='1'/>", false, false},
		{"receipt (XEP-0184)", "normal", "<received xmlns='urn:xmpp:receipts' id='1'/>", true, true},
		{"state (XEP-0085)", "normal", "<active xmlns='http://jabber.org/protocol/chatstates'/>", true, true},
		{"marker (XEP-0333)", "normal", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true, true},
		{"marker in a headline", "headline", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true, true},
		{"marker with a spelled-out namespace", "normal", "<displayed xmlns='urn:xmpp:chat-m&#x61;rkers:0' id='1'/>", true, true},
		{"marker further down", "normal", "<a xmlns='urn:a'><displayed xmlns='urn:xmpp:chat-markers:0'/></a>", false, false},
		{"error with the payload of a chat", "error", "<body>a</body><error type='cancel'/>", true, true},
		{"error without payload from a resource", "error", "<error type='cancel'/>", false, false},
		{"direct invitation (XEP-0249)", "normal", direct, true, true},
		{"mediated invitation (XEP-0045)", "normal", mediated, true, true},
		{"private message in a room", "chat", "<body>a</body>" + inRoom, true, false},
		{"private message in a room, normal", "normal", "<body>a</body>" + inRoom, true, false},
		{"private message in a room, prefixed", "chat", "<body>a</body><r:x xmlns:r='http://jabber.org/protocol/m&#117;c#user'/>", true, false},
		{"private", "chat", "<body>a</body>" + private, false, false},
		{"private, prefixed", "chat", "<body>a</body><p:private xmlns:p='urn:xmpp:c&#97;rbons:2'/>", false, false},
		{"private, normal", "normal", "<body>a</body>" + private, false, false},
		{"private receipt", "normal", private + "<received xmlns='urn:xmpp:receipts' id='1'/>", false, false},
		{"private of another namespace", "chat", "<body>a</body><private xmlns='urn:x'/>", true, true},
		{"private further down", "chat", "<body>a</body><a xmlns='urn:a'>" + private + "</a>", true, true},
		{"private in the text", "chat", "<body>a private no-copy muc#user</body>", true, true},
		{"no-copy (XEP-0334)", "chat", "<body>a</body>" + noCopy, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := message(t, tt.typ, tt.payload)
			if got := Eligible(s); got != tt.sent {
				t.Errorf("Eligible: got %v, want %v", got, tt.sent)
			}
			if got := EligibleReceived(s); got != tt.received {
				t.Errorf("EligibleReceived: got %v, want %v", got, tt.received)
			}
		})
	}
}

// The prefix of an element may be declared by the message itself.
func TestEligiblePrefixOfTheMessage(t *testing.T) {
	s := parse(t, "<message xmlns:p='urn:xmpp:carbons:2' type='chat'><body>a</body><p:private/></message>")
	if Eligible(s) || EligibleReceived(s) {
		t.Errorf("got a copy of %s, want none", s)
	}
}

func TestEligibleOthers(t *testing.T) {
	tests := []struct {
		name, xml      string
		sent, received bool
	}{
		{"presence", "<presence from='juliet@capulet.test/balcony'/>", false, false},
		{"iq", "<iq type='get' id='1' from='juliet@capulet.test/balcony'><body/></iq>", false, false},
		{"error from an account", "<message type='error' from='juliet@capulet.test'><error type='cancel'/></message>", false, true},
		{"error from a server", "<message type='error' from='capulet.test'><error type='cancel'/></message>", false, false},
		{"private error from an account", "<message type='error' from='juliet@capulet.test'>" + private + "</message>", false, false},
		{"invitation by a room", "<message from='room@muc.test'>" + mediated + "</message>", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.xml)
			if got := Eligible(s); got != tt.sent {
				t.Errorf("Eligible: got %v, want %v", got, tt.sent)
			}
			if got := EligibleReceived(s); got != tt.received {
				t.Errorf("EligibleReceived: got %v, want %v", got, tt.received)
			}
		})
	}
}

// XEP-0280, sections 7 and 8; XEP-0297, section 3.
func TestCopies(t *testing.T) {
	original := parse(t, "<message xmlns='jabber:client' xmlns:p='urn:p' from='juliet@capulet.test/balcony' to='romeo@montague.test/garden' type='chat' id='1' xml:lang='en'><body>&lt;a&gt;</body><p:b/></message>")
	original.Kept = 7
	const forwarded = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='juliet@capulet.test/balcony' to='romeo@montague.test/garden' type='chat' id='1' xml:lang='en' xmlns:p='urn:p'><body>&lt;a&gt;</body><p:b/></message></forwarded>"
	tests := []struct {
		name string
		copy *stanza.Stanza
		want string
	}{
		{"received", Received(original, jid(t, "romeo@montague.test/home")),
			"<message from='romeo@montague.test' to='romeo@montague.test/home' type='chat'><received xmlns='urn:xmpp:carbons:2'>" + forwarded + "</received></message>"},
		{"sent", Sent(original, jid(t, "juliet@capulet.test/chamber")),
			"<message from='juliet@capulet.test' to='juliet@capulet.test/chamber' type='chat'><sent xmlns='urn:xmpp:carbons:2'>" + forwarded + "</sent></message>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.copy.String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if again := parse(t, tt.copy.String()); again.Child != tt.copy.Child {
				t.Errorf("the first child is %v, want %v", tt.copy.Child, again.Child)
			}
			if tt.copy.Kept != 0 {
				t.Errorf("Kept is %d, want 0: no store holds the copy", tt.copy.Kept)
			}
			if !IsCopy(tt.copy) || Eligible(tt.copy) || EligibleReceived(tt.copy) {
				t.Errorf("a copy would be copied")
			}
			if IsCopy(tt.copy.WithFrom(jid(t, "juliet@capulet.test/balcony"))) {
				t.Errorf("what a client sends counts as a copy of the server")
			}
			if IsCopy(original) {
				t.Errorf("%s counts as a copy", original)
			}
		})
	}
}

// sessions records the marks of one session.
type sessions struct {
	jid stanza.JID
	on  bool
}

func (s *sessions) Mark(full stanza.JID, m stanza.Mark, on bool) bool {
	if full != s.jid || m != stanza.WantsCarbons {
		return false
	}
	s.on = on
	return true
}

// XEP-0280, sections 4, 5 and 10.1.
func TestRequests(t *testing.T) {
	f := &sessions{jid: jid(t, "romeo@montague.test/home")}
	svc := New(Config{Sessions: f})
	tests := []struct {
		name, from, typ, payload string
		on                       bool // before
		want                     string
		wantOn                   bool
	}{
		{"enable", "romeo@montague.test/home", "set", "<enable xmlns='urn:xmpp:carbons:2'/>", false, "", true},
		{"enable again", "romeo@montague.test/home", "set", "<enable xmlns='urn:xmpp:carbons:2'/>", true, "", true},
		{"disable", "romeo@montague.test/home", "set", "<disable xmlns='urn:xmpp:carbons:2'/>", true, "", false},
		{"disable again", "romeo@montague.test/home", "set", "<disable xmlns='urn:xmpp:carbons:2'/>", false, "", false},
		{"get", "romeo@montague.test/home", "get", "<enable xmlns='urn:xmpp:carbons:2'/>", false, "not-allowed", false},
		{"another element", "romeo@montague.test/home", "set", "<private xmlns='urn:xmpp:carbons:2'/>", false, "bad-request", false},
		{"no session", "romeo@montague.test/other", "set", "<enable xmlns='urn:xmpp:carbons:2'/>", false, "not-allowed", false},
		{"off for the domain", "romeo@off.test/home", "set", "<enable xmlns='urn:xmpp:carbons:2'/>", false, "service-unavailable", false},
	}
	if svc.Offered("montague.test") {
		t.Errorf("a new Service offers carbons, want off until it is configured")
	}
	svc.Configure(stanza.PerHost[*Options]{Value: &Options{}, Hosts: map[string]*Options{"off.test": nil}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.on = tt.on
			iq := parse(t, "<iq type='"+tt.typ+"' id='1' from='"+tt.from+"'>"+tt.payload+"</iq>")
			answer, err := svc.HandleIQ(t.Context(), iq, stanza.Peer{})
			got := ""
			if e := (*stanza.Error)(nil); errors.As(err, &e) {
				got = string(e.Condition)
			} else if answer == nil || answer.Type != stanza.TypeResult || answer.To != iq.From {
				t.Errorf("got the answer %v, want a result", answer)
			}
			if got != tt.want || f.on != tt.wantOn {
				t.Errorf("got %q and %v, want %q and %v", got, f.on, tt.want, tt.wantOn)
			}
		})
	}
}

func TestEligibleAllocations(t *testing.T) {
	s := message(t, "chat", "<body>"+strings.Repeat("a", 100)+"</body><request xmlns='urn:xmpp:receipts'/>")
	if n := testing.AllocsPerRun(100, func() { _ = Eligible(s) && EligibleReceived(s) }); n != 0 {
		t.Errorf("got %v allocations for a chat message, want 0", n)
	}
}

func BenchmarkEligible(b *testing.B) {
	s := message(b, "chat", "<body>"+strings.Repeat("a", 100)+"</body><request xmlns='urn:xmpp:receipts'/>")
	b.ReportAllocs()
	for b.Loop() {
		if !Eligible(s) || !EligibleReceived(s) {
			b.Fatal("not eligible")
		}
	}
}

func BenchmarkSent(b *testing.B) {
	s := message(b, "chat", "<body>"+strings.Repeat("a", 100)+"</body><request xmlns='urn:xmpp:receipts'/>")
	b.ReportAllocs()
	for b.Loop() {
		Sent(s, s.From)
	}
}

// XEP-0280, section 11: what clients would take for a copy.
func TestPassesForCopy(t *testing.T) {
	for payload, want := range map[string]bool{
		"<body>x</body>":                                          false,
		"<received xmlns='urn:xmpp:carbons:2'/>":                  true,
		"<sent xmlns='urn:xmpp:carbons:2'/>":                      true,
		"<body/><sent xmlns='urn:xmpp:carbons:2'/>":               true,
		"<p:sent xmlns:p='&#117;rn:xmpp:carbons:2'/>":             true,
		"<private xmlns='urn:xmpp:carbons:2'/>":                   false,
		"<sent xmlns='urn:x'/>":                                   false,
		"<x xmlns='urn:x'><sent xmlns='urn:xmpp:carbons:2'/></x>": false,
	} {
		s, err := stanza.Parse("<message>" + payload + "</message>")
		if err != nil {
			t.Fatal(err)
		}
		if got := PassesForCopy(s); got != want {
			t.Errorf("%s: got %t, want %t", payload, got, want)
		}
	}
}
