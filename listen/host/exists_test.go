package host_test

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// strangersWorld is a host with the accounts mallory, online and offline. The
// first two have a session each; that of mallory is returned.
func strangersWorld(t *testing.T) (*host.Host, *listentest.Sink) {
	t.Helper()
	h, err := host.New(host.Config{Options: hosts("a.test"), Features: host.Messenger()})
	if err != nil {
		t.Fatal(err)
	}
	sink := new(listentest.Sink)
	for name, s := range map[string]*listentest.Sink{"mallory": sink, "online": new(listentest.Sink), "offline": nil} {
		user := jid(t, name+"@a.test")
		if err := h.Accounts.Create(t.Context(), user, "secret"); err != nil {
			t.Fatal(err)
		}
		if s == nil {
			continue
		}
		full, err := h.Local.Bind(t.Context(), stanza.Binding{JID: jid(t, name+"@a.test/x"), Sink: s})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Local.Route(t.Context(), &stanza.Stanza{Kind: stanza.Presence, From: full}); err != nil {
			t.Fatal(err)
		}
	}
	return h, sink
}

// Nobody finds out by requests who has an account, or who is there: strangers get
// the same answer from an account whose user is away, from one whose user is
// there, and where there is no account. RFC 6121, section 8.5.1.
func TestNobodyTellsWhoExists(t *testing.T) {
	h, sink := strangersWorld(t)
	for _, tt := range []struct{ typ, payload, resource string }{
		{"get", "<query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query>", ""},
		{"get", "<query xmlns='jabber:iq:private'/>", ""},
		{"set", "<query xmlns='jabber:iq:private'><a xmlns='urn:a'>1</a></query>", ""},
		{"get", "<vCard xmlns='vcard-temp'/>", ""},
		{"set", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>", ""},
		{"set", "<vCard xmlns='vcard-temp'/>", ""},
		{"get", "<x xmlns='vcard-temp'/>", ""},
		{"get", "<query xmlns='jabber:iq:last'/>", ""},
		{"set", "<query xmlns='jabber:iq:last'/>", ""},
		{"get", "<query xmlns='jabber:iq:last'/>", "/x"},
		{"set", "<query xmlns='jabber:iq:last'/>", "/x"},
		{"get", "<query xmlns='jabber:iq:roster'/>", ""},
		{"set", "<query xmlns='jabber:iq:roster'><item jid='c@b.test'/></query>", ""},
		{"set", "<query xmlns='jabber:iq:roster'/>", ""},
		{"get", "<x xmlns='jabber:iq:roster'/>", ""},
		{"set", "<query xmlns='jabber:iq:roster'><item jid='c@b.test'/></query>", "/x"},
		{"get", "<query xmlns='jabber:iq:register'/>", ""},
		{"set", "<query xmlns='jabber:iq:register'><remove/></query>", ""},
		{"get", "<blocklist xmlns='urn:xmpp:blocking'/>", ""},
		{"set", "<block xmlns='urn:xmpp:blocking'/>", ""},
		{"get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", ""},
		{"get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", ""},
		{"get", "<x xmlns='http://jabber.org/protocol/disco#items'/>", ""},
		{"get", "<ping xmlns='urn:xmpp:ping'/>", ""},
		{"get", "<query xmlns='jabber:iq:version'/>", ""},
		{"get", "<x xmlns='urn:unknown'/>", ""},
	} {
		ask := func(user string) (answer string) {
			s, err := stanza.Parse("<iq type='" + tt.typ + "' id='1' to='" + user + "@a.test" + tt.resource + "'>" + tt.payload + "</iq>")
			if err != nil {
				t.Fatal(err)
			}
			n := len(sink.Stanzas())
			if err := h.Local.Route(t.Context(), s.WithFrom(jid(t, "mallory@a.test/x"))); err != nil {
				t.Fatal(err)
			}
			for _, a := range sink.Stanzas()[n:] {
				answer += strings.ReplaceAll(a.String(), user, "USER")
			}
			return answer
		}
		want := ask("nobody")
		if !strings.Contains(want, "<service-unavailable ") && !strings.Contains(want, "<forbidden ") { // XEP-0012, XEP-0054
			t.Errorf("%s %s: nobody's answer is %s", tt.typ, tt.payload, want)
		}
		for _, user := range []string{"online", "offline"} {
			if got := ask(user); got != want {
				t.Errorf("%s %s%s:\n%s's answer  %s\nnobody's answer %s", tt.typ, tt.payload, tt.resource, user, got, want)
			}
		}
	}
}

// What a message tells its sender about an account whose user is away: nothing,
// but that a message which would be stored comes back where there is no account.
// The sender has to know that nobody will read it, and RFC 6121, section 8.5.1,
// leaves no third way. An account that takes nothing more, and one that blocks
// him, is as good as none.
func TestMessagesTellWhoExists(t *testing.T) {
	const body = "<body>x</body>"
	for _, tt := range []struct {
		name, typ, resource, payload string
		stored                       bool // where there is place
	}{
		{"chat", "chat", "", body, true},
		{"normal", "normal", "", body, true},
		{"chat to a resource", "chat", "/x", body, true},
		{"normal to a resource", "normal", "/x", body, false},
		{"not to be stored", "chat", "", body + "<no-store xmlns='urn:xmpp:hints'/>", false},
		{"to be stored", "chat", "", "<x xmlns='urn:x'/><store xmlns='urn:xmpp:hints'/>", true},
		{"groupchat", "groupchat", "", body, false},
		{"headline", "headline", "", body, false},
		{"headline to a resource", "headline", "/x", body, false},
		{"error", "error", "", body, false},
		{"error to a resource", "error", "/x", body, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, sink := senderWorld(t)
			send := func(user string) (answer string) {
				s, err := stanza.Parse("<message type='" + tt.typ + "' id='1' to='" + user + "@a.test" + tt.resource + "'>" + tt.payload + "</message>")
				if err != nil {
					t.Fatal(err)
				}
				n := len(sink.Stanzas())
				if err := h.Local.Route(t.Context(), s.WithFrom(jid(t, "mallory@a.test/x"))); err != nil {
					t.Fatal(err)
				}
				for _, a := range sink.Stanzas()[n:] {
					answer += strings.ReplaceAll(a.String(), user, "USER")
				}
				return answer
			}
			want := send("nobody")
			for _, user := range []string{"full", "blocks"} {
				if got := send(user); got != want {
					t.Errorf("%s's answer  %s\nnobody's answer %s", user, got, want)
				}
			}
			if tt.stored {
				want = ""
			}
			if got := send("away"); got != want {
				t.Errorf("away's answer is %q, want %q", got, want)
			}
		})
	}
}

// senderWorld has the accounts mallory, whose session is returned, away, full, who
// has the one message that an account may have here, and blocks, who blocks
// mallory.
func senderWorld(t *testing.T) (*host.Host, *listentest.Sink) {
	t.Helper()
	f, store := host.Messenger(), new(host.MemoryAccounts)
	f.Offline.Value.AccessMaxUserMessages = atMost{1, nil}
	h, err := host.New(host.Config{Options: hosts("a.test"), Features: f, Stores: host.Stores{Accounts: store}})
	if err != nil {
		t.Fatal(err)
	}
	sink := new(listentest.Sink)
	for _, name := range []string{"mallory", "away", "full", "blocks"} {
		if err := store.Create(t.Context(), host.Account{JID: jid(t, name+"@a.test")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Local.Bind(t.Context(), stanza.Binding{JID: jid(t, "mallory@a.test/x"), Sink: sink}); err != nil {
		t.Fatal(err)
	}
	for from, xml := range map[string]string{
		"blocks@a.test/x":  "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='mallory@a.test'/></block></iq>",
		"mallory@a.test/x": "<message type='chat' to='full@a.test'><body>x</body></message>",
	} {
		s, err := stanza.Parse(xml)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Local.Route(t.Context(), s.WithFrom(jid(t, from))); err != nil {
			t.Fatal(err)
		}
	}
	return h, sink
}
