// Package features_test tests the small features together: each answers one or
// two requests.
package features_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host/features/disco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/entitytime"
	"github.com/tidewaiter/tidewaiter/listen/host/features/ping"
	"github.com/tidewaiter/tidewaiter/listen/host/features/version"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

type handler interface {
	HandleIQ(context.Context, *stanza.Stanza, stanza.Peer) (*stanza.Stanza, error)
}

// ask returns the payload of the answer, or the condition of the error.
func ask(t *testing.T, h handler, typ, to, payload string) string {
	t.Helper()
	iq, err := stanza.Parse("<iq xmlns='jabber:client' type='" + typ + "' id='1' from='romeo@a.test/x' to='" + to + "'>" + payload + "</iq>")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := h.HandleIQ(t.Context(), iq, stanza.Peer{})
	var e *stanza.Error
	if errors.As(err, &e) {
		return string(e.Condition)
	}
	if err != nil {
		t.Fatal(err)
	}
	if answer.Type != stanza.TypeResult || answer.ID != "1" || answer.From != iq.To || answer.To != iq.From {
		t.Errorf("answer is %s", answer)
	}
	return answer.Inner
}

func TestAnswers(t *testing.T) {
	info := disco.Info{
		Identity: func(to stanza.JID) disco.Identity {
			if to.Local() != "" {
				return disco.Identity{Category: "account", Type: "registered"}
			}
			return disco.Identity{Category: "server", Type: "im", Name: "A & B"}
		},
		Features: func(to stanza.JID) []string { return []string{"urn:a", "urn:" + to.Local()} },
	}
	items := disco.Items{List: func(to stanza.JID) []string {
		if to.Local() != "" {
			return nil
		}
		return []string{"echo.a.test", "rooms.a.test"}
	}}
	const qi, qt = "<query xmlns='http://jabber.org/protocol/disco#info'", "<query xmlns='http://jabber.org/protocol/disco#items'"
	tests := []struct {
		name             string
		h                handler
		typ, to, payload string
		want             string
	}{
		{"ping", ping.Handler{}, "get", "a.test", "<ping xmlns='urn:xmpp:ping'/>", ""},
		{"ping set", ping.Handler{}, "set", "a.test", "<ping xmlns='urn:xmpp:ping'/>", "not-allowed"},
		{"version", version.Info{Name: "T&A", Version: "1.0"}, "get", "a.test", "<query xmlns='jabber:iq:version'/>",
			"<query xmlns='jabber:iq:version'><name>T&amp;A</name><version>1.0</version></query>"},
		{"version with OS", version.Info{Name: "T", Version: "1.0", OS: "Plan 9"}, "get", "a.test", "<query xmlns='jabber:iq:version'/>",
			"<query xmlns='jabber:iq:version'><name>T</name><version>1.0</version><os>Plan 9</os></query>"},
		{"version set", version.Info{}, "set", "a.test", "<query xmlns='jabber:iq:version'/>", "not-allowed"},
		{"time set", entitytime.Handler{}, "set", "a.test", "<time xmlns='urn:xmpp:time'/>", "not-allowed"},
		{"info of the server", info, "get", "a.test", qi + "/>",
			qi + "><identity category='server' type='im' name='A &amp; B'/><feature var='urn:a'/><feature var='urn:'/></query>"},
		{"info of an account", info, "get", "romeo@a.test", qi + "/>",
			qi + "><identity category='account' type='registered'/><feature var='urn:a'/><feature var='urn:romeo'/></query>"},
		{"info of a node", info, "get", "a.test", qi + " node='x'/>", "item-not-found"},
		{"info set", info, "set", "a.test", qi + "/>", "not-allowed"},
		{"items of the server", items, "get", "a.test", qt + "/>",
			qt + "><item jid='echo.a.test'/><item jid='rooms.a.test'/></query>"},
		{"items of an account", items, "get", "romeo@a.test", qt + "/>", qt + "></query>"},
		{"items of a node", items, "get", "a.test", qt + " node='x'/>", "item-not-found"},
		{"items set", items, "set", "a.test", qt + "/>", "not-allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(t, tt.h, tt.typ, tt.to, tt.payload); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// XEP-0202, section 3.
func TestTime(t *testing.T) {
	old := time.Local
	time.Local = time.FixedZone("", -6*3600-30*60)
	defer func() { time.Local = old }()
	synctest.Test(t, func(t *testing.T) { // whose clock starts at midnight of 2000-01-01, UTC
		time.Sleep(time.Hour + 2*time.Second)
		got := ask(t, entitytime.Handler{}, "get", "a.test", "<time xmlns='urn:xmpp:time'/>")
		if want := "<time xmlns='urn:xmpp:time'><tzo>-06:30</tzo><utc>2000-01-01T01:00:02Z</utc></time>"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// Without to it is the sender's own account.
func TestInfoWithoutTo(t *testing.T) {
	i := disco.Info{
		Identity: func(to stanza.JID) disco.Identity { return disco.Identity{Category: to.String()} },
		Features: func(stanza.JID) []string { return nil },
	}
	iq, err := stanza.Parse("<iq xmlns='jabber:client' type='get' id='1' from='romeo@a.test/x'><query xmlns='" + disco.NSInfo + "'/></iq>")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := i.HandleIQ(t.Context(), iq, stanza.Peer{})
	want := "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='romeo@a.test' type=''/></query>"
	if err != nil || answer.Inner != want {
		t.Errorf("got %v, %v; want %s", answer, err, want)
	}
}
