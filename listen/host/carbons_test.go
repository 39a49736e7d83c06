package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// everywhere is a feature that all domains have, but for plain.test.
type everywhere struct{}

func (everywhere) Offered(domain string) bool { return domain != "plain.test" }

// carbonWorld has romeo and juliet, each with the resources top (priority 5), low
// (1), minus (-1) and quiet (not available); all but top want carbons.
func carbonWorld(t *testing.T) *world {
	w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test")
	w.Carbons = everywhere{}
	for _, user := range []string{"romeo@a.test", "juliet@a.test"} {
		for r, p := range map[string]string{"top": prio(5), "low": prio(1), "minus": prio(-1), "quiet": ""} {
			w.bind(user+"/"+r, p)
			if r != "top" && !w.Mark(jid(t, user+"/"+r), stanza.WantsCarbons, true) {
				t.Fatalf("Mark(%s): no such session", r)
			}
		}
	}
	w.got()
	return w
}

// copies says who got what since the last call: the message itself (user/r), a
// received copy (user/r<), a sent copy (user/r>) or an error (user/r!).
func (w *world) copies() string {
	var all []string
	for name, s := range w.sinks {
		list := s.Stanzas()
		for _, st := range list[w.read[name]:] {
			user, resource, _ := strings.Cut(name, "/")
			what := user[:1] + "/" + resource
			switch {
			case st.Child.Local == "received" || st.Child.Local == "sent":
				what += map[string]string{"received": "<", "sent": ">"}[st.Child.Local]
				if st.From != jid(w.T, user) || st.To != jid(w.T, name) {
					w.Errorf("copy is %s, want it from the account to the resource", st)
				}
			case st.Type == stanza.TypeError:
				what += "!"
			}
			all = append(all, what)
		}
		w.read[name] = len(list)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// XEP-0280, sections 6.1, 7 and 8.
func TestCarbons(t *testing.T) {
	const sent = "r/low> r/minus> r/quiet>"
	tests := []struct{ name, to, attrs, payload, want string }{
		{"to the account", "juliet@a.test", "type='chat'", "<body/>", "j/low< j/minus< j/quiet< j/top " + sent},
		{"to a resource", "juliet@a.test/top", "type='chat'", "<body/>", "j/low< j/minus< j/quiet< j/top " + sent},
		{"to a resource that wants copies", "juliet@a.test/low", "type='chat'", "<body/>", "j/low j/minus< j/quiet< " + sent},
		{"to a resource that is gone", "juliet@a.test/gone", "type='chat'", "<body/>", "j/low< j/minus< j/quiet< j/top " + sent},
		{"normal with a body", "juliet@a.test/top", "", "<body/>", "j/low< j/minus< j/quiet< j/top " + sent},
		{"normal without", "juliet@a.test/top", "", "<x xmlns='urn:x'/>", "j/top"},
		{"groupchat", "juliet@a.test/top", "type='groupchat'", "<body/>", "j/top"},
		{"headline", "juliet@a.test", "type='headline'", "<body/>", "j/low j/top"},
		{"private", "juliet@a.test/top", "type='chat'", "<body/><private xmlns='urn:xmpp:carbons:2'/>", "j/top"},
		{"no-copy", "juliet@a.test/top", "type='chat'", "<body/><no-copy xmlns='urn:xmpp:hints'/>", "j/top"},
		{"abroad, and its error", "far@far.test", "type='chat'", "<body/>", sent + " r/top! r/low< r/minus< r/quiet<"},
		{"to oneself", "romeo@a.test", "type='chat'", "<body/>", "r/low< r/minus< r/quiet< r/top"},
		{"to another resource", "romeo@a.test/low", "type='chat'", "<body/>", "r/low r/minus< r/quiet<"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := carbonWorld(t)
			w.send("romeo@a.test/top", fmt.Sprintf("<message xmlns='jabber:client' to='%s' %s>%s</message>", tt.to, tt.attrs, tt.payload))
			want := strings.Fields(tt.want)
			slices.Sort(want)
			if got := w.copies(); got != strings.Join(want, " ") {
				t.Errorf("got  %s\nwant %s", got, strings.Join(want, " "))
			}
		})
	}
}

// A message that no resource takes is in the store; those who want copies are
// there nevertheless, and have it.
func TestCarbonsOfStoredMessage(t *testing.T) {
	for _, tt := range []struct {
		name    string
		offline host.Offline
		want    string
	}{
		{"stored", new(offline), "j/minus< j/quiet<"},
		{"refused", &offline{refuse: func(*stanza.Stanza) error { return errBroken }}, "f/x!"},
		{"no store", nil, "f/x!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := carbonWorld(t)
			w.Offline = tt.offline
			w.bind("friend@a.test/x", "")
			for _, r := range []string{"top", "low"} {
				w.Release(t.Context(), jid(t, "juliet@a.test/"+r), w.sinks["juliet@a.test/"+r])
			}
			w.got()
			w.send("friend@a.test/x", "<message xmlns='jabber:client' to='juliet@a.test' type='chat'><body/></message>")
			if got := w.copies(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("blocked", func(t *testing.T) {
		w := carbonWorld(t)
		w.SetBlocked(jid(t, "juliet@a.test"), func(stanza.JID) bool { return true })
		w.send("romeo@a.test/top", "<message xmlns='jabber:client' to='juliet@a.test' type='chat'><body/></message>")
		if got := w.copies(); strings.Contains(got, "j/") || !strings.Contains(got, "r/top!") {
			t.Errorf("got %q, want none at juliet and an error", got)
		}
		w.SetBlocked(jid(t, "juliet@a.test"), nil)
		w.SetBlocked(jid(t, "romeo@a.test"), func(stanza.JID) bool { return true })
		w.send("romeo@a.test/top", "<message xmlns='jabber:client' to='juliet@a.test' type='chat'><body/></message>")
		if got := w.copies(); got != "r/top!" {
			t.Errorf("got %q, want nothing sent", got)
		}
	})
}

// Copies keep the order of the messages, also where these wait for the store.
func TestCarbonsKeepOrder(t *testing.T) {
	w, o := detachable(t, "x", "y")
	w.Carbons = everywhere{}
	w.Mark(jid(t, "romeo@a.test/y"), stanza.WantsCarbons, true)
	w.Detached(t.Context(), w.info("romeo@a.test/x"))
	w.got()
	w.chat("romeo@a.test/x", "0")
	o.finish(0, errBroken)
	w.chat("romeo@a.test/x", "1")
	w.Resumed(t.Context(), w.info("romeo@a.test/x"))
	w.chat("romeo@a.test/x", "2")
	w.chat("romeo@a.test/x", "3")
	o.finish(2, nil)
	o.finish(1, errBroken)
	o.finish(0, nil)
	var got []string
	for _, s := range w.sinks["romeo@a.test/y"].Stanzas() {
		if s.Child.Local == "received" {
			_, id, _ := strings.Cut(s.Inner, " id='")
			got = append(got, id[:1])
		}
	}
	if fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("copies are %q, want 1 to 3: 0 was returned", got)
	}
}

// A copy that was not delivered is dropped (XEP-0280, section 10.2), and a
// message that is routed anew makes no further copies.
func TestCarbonsOfEndedSession(t *testing.T) {
	w := carbonWorld(t)
	w.send("romeo@a.test/top", "<message xmlns='jabber:client' to='juliet@a.test/low' type='chat'><body/></message>")
	low, minus := w.sinks["juliet@a.test/low"].Stanzas(), w.sinks["juliet@a.test/minus"].Stanzas()
	w.copies()
	for r, list := range map[string][]*stanza.Stanza{"low": low, "minus": minus} {
		full := "juliet@a.test/" + r
		w.Release(t.Context(), jid(t, full), w.sinks[full])
		w.copies()
		w.Ended(t.Context(), w.info(full), queued(list[len(list)-1]), nil)
		want := map[string]string{"low": "j/top", "minus": ""}[r]
		if got := w.copies(); got != want {
			t.Errorf("%s returns %v: got %q, want %q", r, list[len(list)-1], got, want)
		}
	}
}

// Nobody gets copies where they are not offered any more, or who does not want
// them any more.
func TestCarbonsOff(t *testing.T) {
	w := newWorld(t, hosts("plain.test", "a.test"))
	w.Carbons = everywhere{}
	w.bind("juliet@a.test/x", "")
	for _, d := range []string{"plain.test", "a.test"} {
		w.bind("romeo@"+d+"/top", prio(1))
		w.bind("romeo@"+d+"/low", prio(0))
		w.Mark(jid(t, "romeo@"+d+"/low"), stanza.WantsCarbons, true)
	}
	w.Mark(jid(t, "romeo@a.test/low"), stanza.WantsCarbons, false)
	w.got()
	for _, to := range []string{"romeo@plain.test", "romeo@a.test"} {
		w.send("juliet@a.test/x", "<message xmlns='jabber:client' to='"+to+"' type='chat'><body/></message>")
		if got := w.copies(); got != "r/top" {
			t.Errorf("%s: got %q, want no copies", to, got)
		}
	}
}
