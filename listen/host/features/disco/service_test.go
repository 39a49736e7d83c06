package disco

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func jid(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// contacts are pairs of watcher and user.
type contacts struct {
	pairs string
	err   error
}

func (c contacts) Sees(_ context.Context, watcher, user stanza.JID) (bool, error) {
	return strings.Contains(c.pairs, watcher.String()+">"+user.String()), c.err
}

func newService(t *testing.T, c Contacts) *Service {
	t.Helper()
	s := New(Config{
		Features: func(asker, to stanza.JID) []string { return []string{"urn:" + asker.Local() + ">" + to.Local()} },
		Items: func(to stanza.JID) []string {
			if to.Local() != "" {
				return nil
			}
			return []string{"echo.a.test"}
		},
		Anonymous: func(user stanza.JID) bool { return user.Domain() == "anon.test" },
		Contacts:  c,
	})
	s.Configure(stanza.PerHost[*Options]{Hosts: map[string]*Options{
		"anon.test": {},
		"a.test": {
			Name:         "A & B",
			ExtraDomains: []stanza.JID{jid(t, "rooms.else.test"), jid(t, "echo.a.test")},
			ServerInfo: []ServerInfo{
				{Name: "abuse-addresses", URLs: []string{"mailto:abuse@a.test?subject=a&body=b"}},
				{Modules: []string{"mod_muc"}, Name: "Web chatroom logs", URLs: []string{"https://a.test/logs"}},
				{Modules: []string{"mod_vcard", "mod_disco"}, Name: "admin-addresses", URLs: []string{"xmpp:admin@a.test"}},
				{Modules: []string{"all"}, Name: "abuse-addresses", URLs: []string{"xmpp:abuse@a.test"}},
			},
		},
	}})
	return s
}

// ask returns the payload of the answer, or the error.
func ask(t *testing.T, s *Service, from, to, typ, query string) string {
	t.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	iq, err := stanza.Parse("<iq type='" + typ + "' id='1' from='" + from + "'" + to + ">" + query + "</iq>")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.HandleIQ(t.Context(), iq, stanza.Peer{})
	var e *stanza.Error
	if errors.As(err, &e) {
		return string(e.Condition)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer.Inner
}

const (
	qInfo      = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
	qItems     = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
	qInfoNode  = "<query xmlns='http://jabber.org/protocol/disco#info' node='n'/>"
	qItemsNode = "<query xmlns='http://jabber.org/protocol/disco#items' node='n'/>"
)

func TestService(t *testing.T) {
	const info, items = "<query xmlns='http://jabber.org/protocol/disco#info'>", "<query xmlns='http://jabber.org/protocol/disco#items'>"
	const addresses = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>" +
		"<field var='abuse-addresses'><value>mailto:abuse@a.test?subject=a&amp;body=b</value><value>xmpp:abuse@a.test</value></field>" +
		"<field var='admin-addresses'><value>xmpp:admin@a.test</value></field></x>"
	tests := []struct{ name, from, to, typ, query, want string }{
		{"server (XEP-0157, section 3)", "romeo@b.test/x", "a.test", "get", qInfo, info + "<identity category='server' type='im' name='A &amp; B'/><feature var='urn:romeo&gt;'/>" + addresses + "</query>"},
		{"server without addresses", "romeo@b.test/x", "anon.test", "get", qInfo, info + "<identity category='server' type='im'/><feature var='urn:romeo&gt;'/></query>"},
		{"node of the server", "romeo@b.test/x", "a.test", "get", qInfoNode, "item-not-found"},
		{"items of the server", "romeo@b.test/x", "a.test", "get", qItems, items + "<item jid='echo.a.test'/><item jid='rooms.else.test'/></query>"},
		{"items of a node of the server", "romeo@b.test/x", "a.test", "get", qItemsNode, "item-not-found"},
		{"own account", "romeo@a.test/x", "", "get", qInfo, info + "<identity category='account' type='registered'/><feature var='urn:romeo&gt;romeo'/></query>"},
		{"own account, addressed", "romeo@a.test/x", "romeo@a.test", "get", qInfo, info + "<identity category='account' type='registered'/><feature var='urn:romeo&gt;romeo'/></query>"},
		{"own account, anonymous", "x1@anon.test/x", "", "get", qInfo, info + "<identity category='account' type='anonymous'/><feature var='urn:x1&gt;x1'/></query>"},
		{"own items", "romeo@a.test/x", "", "get", qItems, items + "</query>"},
		{"contact (XEP-0030, section 8)", "romeo@b.test/x", "juliet@a.test", "get", qInfo, info + "<identity category='account' type='registered'/><feature var='urn:romeo&gt;juliet'/></query>"},
		{"items of a contact", "romeo@b.test/x", "juliet@a.test", "get", qItems, items + "</query>"},
		{"node of a contact", "romeo@b.test/x", "juliet@a.test", "get", qInfoNode, "item-not-found"},
		{"stranger", "nurse@a.test/x", "juliet@a.test", "get", qInfo, "service-unavailable"},
		{"node of a stranger", "nurse@a.test/x", "juliet@a.test", "get", qInfoNode, "service-unavailable"},
		{"items of a stranger", "nurse@a.test/x", "juliet@a.test", "get", qItems, "service-unavailable"},
		{"items of a node of a stranger", "nurse@a.test/x", "juliet@a.test", "get", qItemsNode, "service-unavailable"},
		{"set for a stranger", "nurse@a.test/x", "juliet@a.test", "set", qInfo, "service-unavailable"},
		{"who is seen but does not see", "juliet@a.test/x", "romeo@a.test", "get", qInfo, "service-unavailable"},
		{"set", "romeo@a.test/x", "a.test", "set", qInfo, "not-allowed"},
		{"another namespace", "romeo@a.test/x", "a.test", "get", "<query xmlns='urn:x'/>", "bad-request"},
		{"off for the domain", "romeo@a.test/x", "off.test", "get", qInfo, "service-unavailable"},
	}
	s := newService(t, contacts{pairs: "romeo@b.test>juliet@a.test"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(t, s, tt.from, tt.to, tt.typ, tt.query); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Without rosters nobody is told about others.
func TestWithoutContacts(t *testing.T) {
	s := newService(t, nil)
	if got := ask(t, s, "romeo@b.test/x", "juliet@a.test", "get", qInfo); got != "service-unavailable" {
		t.Errorf("got %s, want service-unavailable", got)
	}
}

func TestContactsFail(t *testing.T) {
	broken := errors.New("disk is on fire")
	s := newService(t, contacts{err: broken})
	iq, err := stanza.Parse("<iq type='get' id='1' from='romeo@b.test/x' to='juliet@a.test'>" + qInfo + "</iq>")
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := s.HandleIQ(t.Context(), iq, stanza.Peer{}); answer != nil || !errors.Is(err, broken) {
		t.Errorf("got %v, %v; want %v", answer, err, broken)
	}
}

func TestOfferedWhereConfigured(t *testing.T) {
	if New(Config{}).Offered("a.test") {
		t.Errorf("a new Service is on, want off until it is configured")
	}
	s := newService(t, nil)
	if !s.Offered("a.test") || s.Offered("off.test") {
		t.Errorf("a.test: %v, off.test: %v; want true and false", s.Offered("a.test"), s.Offered("off.test"))
	}
}
