package roster

import (
	"context"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// watcher records what it hears of rosters of a.test.
type watcher struct{ got []string }

func (w *watcher) WantsPushes(domain string) bool { return domain == "a.test" }
func (w *watcher) Push(user stanza.JID, query string) {
	w.got = append(w.got, user.String()+" "+query)
}

// XEP-0356, section 4: somebody else manages a roster. The answer to a get is
// routed, because there is no session that could have it.
func TestManage(t *testing.T) {
	f, w := newFake(), new(watcher)
	s := New(Config{Store: new(Memory), Router: f, Watcher: w})
	s.Configure(stanza.PerHost[*Options]{Value: &Options{Access: acl.All, MaxItems: 10, Versioning: true}})
	f.login(t, balcony, true)
	manage := func(xml string) (*stanza.Stanza, error) {
		t.Helper()
		iq, err := stanza.Parse(xml)
		if err != nil {
			t.Fatal(err)
		}
		return s.Manage(t.Context(), iq)
	}
	const set = "<iq type='set' id='1' from='gate.test' to='juliet@a.test'><query xmlns='jabber:iq:roster'><item jid='romeo@b.test' name='R'/></query></iq>"
	answer, err := manage(set)
	if err != nil || answer == nil || answer.String() != "<iq from='juliet@a.test' to='gate.test' type='result' id='1'/>" {
		t.Errorf("set: got %v, %v", answer, err)
	}
	pushes := f.takePushes(t, balcony)
	if len(pushes) != 1 || len(w.got) != 1 || !strings.HasPrefix(w.got[0], "juliet@a.test <query ") || !strings.Contains(w.got[0], pushes[0]) {
		t.Errorf("the session heard %q, the watcher %q", pushes, w.got)
	}
	for _, ver := range []string{"", " ver=''", " ver='x'"} {
		f.routed = nil
		answer, err = manage("<iq type='get' id='2' from='gate.test' to='juliet@a.test'><query xmlns='jabber:iq:roster'" + ver + "/></iq>")
		if answer != nil || err != nil || len(f.routed) != 1 {
			t.Fatalf("get: got %v, %v, routed %v", answer, err, f.routed)
		}
		got := f.routed[0].String()
		if !strings.HasPrefix(got, "<iq from='juliet@a.test' to='gate.test' type='result' id='2'>") || !strings.Contains(got, "<item jid='romeo@b.test' name='R' subscription='none'/>") ||
			strings.Contains(got, " ver=") != (ver != "") {
			t.Errorf("get%s: routed %s", ver, got)
		}
	}
	if marks := f.marks[jid(t, balcony)]; marks != stanza.WantsRoster {
		t.Errorf("marks are %v", marks)
	}
	// The account itself, without a session.
	f.routed = nil
	iq, err := stanza.Parse("<iq type='get' id='3' from='juliet@a.test' to='juliet@a.test'><query xmlns='jabber:iq:roster'/></iq>")
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := s.HandleIQ(t.Context(), iq, stanza.Peer{}); answer != nil || err != nil || len(f.routed) != 1 || f.routed[0].To != iq.From {
		t.Errorf("get of the account: got %v, %v, routed %v", answer, err, f.routed)
	}
}

func TestSubscribed(t *testing.T) {
	s, f := newService(nil)
	f.route = func(context.Context, *stanza.Stanza) error { return nil }
	user, contact := jid(t, juliet), jid(t, romeo)
	presence := func(from, to stanza.JID, typ string) *stanza.Stanza {
		return &stanza.Stanza{Kind: stanza.Presence, Type: typ, From: from, To: to}
	}
	want := func(want bool) {
		t.Helper()
		if got, err := s.Subscribed(t.Context(), user, contact); got != want || err != nil {
			t.Errorf("got %t, %v; want %t", got, err, want)
		}
	}
	want(false)
	if _, err := s.Outbound(t.Context(), presence(user, contact, stanza.TypeSubscribe)); err != nil {
		t.Fatal(err)
	}
	want(false)
	if _, err := s.Inbound(t.Context(), presence(contact, user, stanza.TypeSubscribed), func() {}); err != nil {
		t.Fatal(err)
	}
	want(true)
	if sees, err := s.Sees(t.Context(), contact, user); sees || err != nil {
		t.Errorf("the other way round: got %t, %v", sees, err)
	}
	s.Configure(stanza.PerHost[*Options]{})
	want(false)
}
