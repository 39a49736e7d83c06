package host_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// RFC 6121, sections 4.2.2, 4.4.2 and 4.5.2: the account's own resources, the
// sender among them, are told.
func TestOwnPresence(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	w.bind("romeo@a.test/one", "")
	w.bind("romeo@a.test/two", "")

	w.send("romeo@a.test/one", "<presence xmlns='jabber:client'/>")
	w.expect("romeo@a.test/one: <presence from='romeo@a.test/one' to='romeo@a.test'/>")

	// The second one also hears of the first.
	w.send("romeo@a.test/two", "<presence xmlns='jabber:client' id='p'><show>away</show></presence>")
	w.expect(
		"romeo@a.test/one: <presence from='romeo@a.test/two' to='romeo@a.test' id='p'><show>away</show></presence>",
		"romeo@a.test/two: <presence from='romeo@a.test/two' to='romeo@a.test' id='p'><show>away</show></presence>",
		"romeo@a.test/two: <presence from='romeo@a.test/one' to='romeo@a.test'/>",
	)

	// A change is told, and only the change.
	w.send("romeo@a.test/one", "<presence xmlns='jabber:client'><show>dnd</show></presence>")
	w.expect(
		"romeo@a.test/one: <presence from='romeo@a.test/one' to='romeo@a.test'><show>dnd</show></presence>",
		"romeo@a.test/two: <presence from='romeo@a.test/one' to='romeo@a.test'><show>dnd</show></presence>",
	)

	w.send("romeo@a.test/one", "<presence xmlns='jabber:client' type='unavailable'><status>bye</status></presence>")
	w.expect(
		"romeo@a.test/one: <presence from='romeo@a.test/one' to='romeo@a.test' type='unavailable'><status>bye</status></presence>",
		"romeo@a.test/two: <presence from='romeo@a.test/one' to='romeo@a.test' type='unavailable'><status>bye</status></presence>",
	)

	// It has told so itself: its end is no news.
	w.Release(t.Context(), jid(t, "romeo@a.test/one"), w.sinks["romeo@a.test/one"])
	w.expect()
	w.Release(t.Context(), jid(t, "romeo@a.test/two"), w.sinks["romeo@a.test/two"])
	w.expect()
}

func TestReleaseOfAvailableSession(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	w.bind("romeo@a.test/one", "<presence/>")
	w.bind("romeo@a.test/two", "<presence/>")
	w.Release(t.Context(), jid(t, "romeo@a.test/one"), new(listentest.Sink)) // somebody else's
	w.expect()
	w.Release(t.Context(), jid(t, "romeo@a.test/one"), w.sinks["romeo@a.test/one"])
	w.expect("romeo@a.test/two: <presence from='romeo@a.test/one' to='romeo@a.test' type='unavailable'/>")
	w.Release(t.Context(), jid(t, "romeo@a.test/one"), w.sinks["romeo@a.test/one"])
	w.expect()
}

func TestPresenceThatNeedsTo(t *testing.T) {
	for _, typ := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"} {
		t.Run(typ, func(t *testing.T) {
			w := newWorld(t, hosts("a.test"))
			s := w.bind("romeo@a.test/x", "")
			w.send("romeo@a.test/x", fmt.Sprintf("<presence xmlns='jabber:client' type='%s'/>", typ))
			list := s.Stanzas()
			if len(list) != 1 || condition(list[0]) != "bad-request" || list[0].To != jid(t, "romeo@a.test/x") {
				t.Errorf("got %v, want bad-request", list)
			}
		})
	}
}

func TestPriority(t *testing.T) {
	tests := []struct {
		presence string
		takes    bool // messages to the bare JID, with another resource at 3
	}{
		{"<presence xmlns='jabber:client'><priority>4</priority></presence>", true},
		{"<presence xmlns='jabber:client'><show>chat</show><priority> 4\n</priority></presence>", true},
		{"<presence xmlns='jabber:client'><priority>1000</priority></presence>", true},
		{"<presence xmlns='jabber:client'><priority>2</priority></presence>", false},
		{"<presence xmlns='jabber:client'/>", false},
		{"<presence xmlns='jabber:client'><priority/></presence>", false},
		{"<presence xmlns='jabber:client'><priority>high</priority></presence>", false},
		{"<presence xmlns='jabber:client'><priority>-1000</priority></presence>", false},
		{"<presence xmlns='jabber:client'><priority xmlns='urn:x'>9</priority></presence>", false},
		{"<presence xmlns='jabber:client'><status>priority</status></presence>", false},
	}
	for _, tt := range tests {
		t.Run(tt.presence, func(t *testing.T) {
			w := newWorld(t, hosts("a.test"), "romeo@a.test")
			w.bind("romeo@a.test/three", prio(3))
			w.bind("romeo@a.test/other", tt.presence)
			w.bind("juliet@a.test/x", "")
			w.send("juliet@a.test/x", "<message xmlns='jabber:client' to='romeo@a.test'/>")
			want := "three"
			if tt.takes {
				want = "other"
			}
			if got := outcome(w); got != want {
				t.Errorf("message went to %q, want %q", got, want)
			}
		})
	}
}

// RFC 6121, section 4.6.3.
func TestDirectedPresence(t *testing.T) {
	const hello = "<presence xmlns='jabber:client' to='juliet@a.test/x'/>"
	gone := "juliet@a.test/x: <presence from='romeo@a.test/x' to='juliet@a.test/x' type='unavailable'/>"
	setup := func(t *testing.T) *world {
		w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test")
		w.bind("romeo@a.test/x", "")
		w.bind("juliet@a.test/x", "")
		w.send("romeo@a.test/x", hello)
		w.expect("juliet@a.test/x: <presence from='romeo@a.test/x' to='juliet@a.test/x'/>")
		return w
	}
	t.Run("taken back at the end of the session", func(t *testing.T) {
		w := setup(t)
		w.send("romeo@a.test/x", hello) // told twice, taken back once
		w.got()
		w.Release(t.Context(), jid(t, "romeo@a.test/x"), w.sinks["romeo@a.test/x"])
		w.expect(gone)
	})
	t.Run("taken back with unavailable presence", func(t *testing.T) {
		w := setup(t)
		w.send("romeo@a.test/x", "<presence xmlns='jabber:client' type='unavailable'/>")
		w.expect(gone, "romeo@a.test/x: <presence from='romeo@a.test/x' to='romeo@a.test' type='unavailable'/>")
		w.Release(t.Context(), jid(t, "romeo@a.test/x"), w.sinks["romeo@a.test/x"])
		w.expect()
	})
	t.Run("taken back by the sender", func(t *testing.T) {
		w := setup(t)
		w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='juliet@a.test/x' type='unavailable'/>")
		w.expect(gone)
		w.Release(t.Context(), jid(t, "romeo@a.test/x"), w.sinks["romeo@a.test/x"])
		w.expect()
	})
	t.Run("taken back when the session is replaced", func(t *testing.T) {
		w := setup(t)
		w.bind("romeo@a.test/x", "")
		w.expect(gone)
	})
	t.Run("to a registered domain", func(t *testing.T) {
		w := newWorld(t, hosts("a.test"))
		w.bind("romeo@a.test/x", "")
		rooms := new(listentest.Sink)
		release, err := w.RegisterDomain("rooms.a.test", rooms)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='verona@rooms.a.test/romeo'/>")
		w.Release(t.Context(), jid(t, "romeo@a.test/x"), w.sinks["romeo@a.test/x"])
		if got := fmt.Sprint(rooms.Stanzas()); got != "[<presence from='romeo@a.test/x' to='verona@rooms.a.test/romeo'/>"+
			" <presence from='romeo@a.test/x' to='verona@rooms.a.test/romeo' type='unavailable'/>]" {
			t.Errorf("the component got %s", got)
		}
	})
}

// RFC 6121, section 4.6.1: nobody hears of the end who has gone before.
func TestDirectedPresenceToWhoHasLeft(t *testing.T) {
	const x, y = "juliet@a.test/x", "juliet@a.test/y"
	for _, tt := range []struct {
		name, to string
		then     func(w *world)
		want     []string // who hears of the end
	}{
		{"stays", x, func(w *world) {}, []string{x}},
		{"changes the presence", x, func(w *world) { w.send(x, prio(3)) }, []string{x}},
		{"directed unavailable presence", x, func(w *world) {
			w.send(x, "<presence xmlns='jabber:client' to='romeo@a.test/x' type='unavailable'/>")
		}, nil},
		{"directed unavailable presence to the account", x, func(w *world) {
			w.send(x, "<presence xmlns='jabber:client' to='romeo@a.test' type='unavailable'/>")
		}, nil},
		{"directed unavailable presence to another resource", x, func(w *world) {
			w.send(x, "<presence xmlns='jabber:client' to='romeo@a.test/y' type='unavailable'/>")
		}, []string{x}},
		{"unavailable presence", x, func(w *world) { w.send(x, "<presence xmlns='jabber:client' type='unavailable'/>") }, nil},
		{"unavailable presence and comes back", x, func(w *world) {
			w.send(x, "<presence xmlns='jabber:client' type='unavailable'/>")
			w.send(x, "<presence xmlns='jabber:client'/>")
		}, nil},
		{"the session is replaced", x, func(w *world) { w.bind(x, "<presence/>") }, nil},
		{"gets it again", x, func(w *world) {
			w.bind(x, "<presence/>")
			w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='"+x+"'/>")
		}, []string{x}},
		{"another resource goes", x, func(w *world) { w.send(y, "<presence xmlns='jabber:client' type='unavailable'/>") }, []string{x}},
		{"the account stays", "juliet@a.test", func(w *world) {}, []string{x, y}},
		{"one of the account goes", "juliet@a.test", func(w *world) { w.send(x, "<presence xmlns='jabber:client' type='unavailable'/>") }, []string{y}},
		{"the account goes and comes back", "juliet@a.test", func(w *world) {
			for _, full := range []string{x, y} {
				w.send(full, "<presence xmlns='jabber:client' type='unavailable'/>")
				w.send(full, "<presence xmlns='jabber:client'/>")
			}
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test")
			w.bind("romeo@a.test/x", "")
			for _, full := range []string{x, y} {
				w.bind(full, "<presence/>")
			}
			w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='"+tt.to+"'/>")
			tt.then(w)
			for full := range w.sinks {
				w.read[full] = len(w.sinks[full].Stanzas())
			}
			w.Release(t.Context(), jid(t, "romeo@a.test/x"), w.sinks["romeo@a.test/x"])
			var want []string
			for _, full := range tt.want {
				want = append(want, full+": <presence from='romeo@a.test/x' to='"+tt.to+"' type='unavailable'/>")
			}
			w.expect(want...)
		})
	}
}

// Whoever is elsewhere says so.
func TestDirectedPresenceToWhoHasLeftElsewhere(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	rooms := new(listentest.Sink)
	release, err := w.RegisterDomain("rooms.test", rooms)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	w.bind("romeo@a.test/x", "")
	for _, nick := range []string{"old", "new"} {
		w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='verona@rooms.test/"+nick+"'/>")
	}
	gone := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeUnavailable, From: jid(t, "verona@rooms.test/old"), To: jid(t, "romeo@a.test/x")}
	if err := w.Route(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	told := len(rooms.Stanzas())
	w.Release(t.Context(), jid(t, "romeo@a.test/x"), w.sinks["romeo@a.test/x"])
	list := rooms.Stanzas()[told:]
	if len(list) != 1 || list[0].To.Resource() != "new" || list[0].Type != stanza.TypeUnavailable {
		t.Errorf("the room got %v, want unavailable presence to the new nickname alone", list)
	}
}

func TestDirectedPresenceIsBounded(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	release, err := w.RegisterDomain("b.test", new(listentest.Sink))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	s := w.bind("romeo@a.test/x", "")
	for i := range host.MaxDirected - 1 {
		w.send("romeo@a.test/x", fmt.Sprintf("<presence xmlns='jabber:client' to='u%d@b.test'/>", i))
	}
	for i := range host.MaxDirected { // of those who are not there nothing stays
		w.send("romeo@a.test/x", fmt.Sprintf("<presence xmlns='jabber:client' to='u%d@a.test'/>", i))
	}
	w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='last@b.test'/>")
	if n := len(s.Stanzas()); n != 0 {
		t.Fatalf("got %d stanzas, want none", n)
	}
	w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='more@b.test'/>")
	w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='u0@b.test'/>") // a known one
	if list := s.Stanzas(); len(list) != 1 || condition(list[0]) != "resource-constraint" {
		t.Errorf("got %v, want one resource-constraint", list)
	}
	w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='u0@b.test' type='unavailable'/>")
	w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='more@b.test'/>")
	if n := len(s.Stanzas()); n != 1 {
		t.Errorf("got %d stanzas, want 1: there was room again", n)
	}
}

// RFC 6121, section 4.3.2: one's own account may know.
func TestProbe(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test")
	w.bind("romeo@a.test/one", "<presence/>")
	w.bind("romeo@a.test/two", "")
	w.bind("juliet@a.test/x", "<presence/>")
	w.send("romeo@a.test/two", "<presence xmlns='jabber:client' to='romeo@a.test' type='probe'/>")
	w.expect("romeo@a.test/two: <presence from='romeo@a.test/one' to='romeo@a.test'/>")
	w.send("romeo@a.test/two", "<presence xmlns='jabber:client' to='juliet@a.test' type='probe'/>")
	w.expect()
}

// chatterbox is a sink whose owner acts on what it hears, within Deliver.
type chatterbox struct {
	listentest.Sink
	heard func(*stanza.Stanza)
}

func (c *chatterbox) Deliver(s *stanza.Stanza) error {
	if c.heard != nil {
		c.heard(s)
	}
	return c.Sink.Deliver(s)
}

// A resource that goes away while another one is told of it must not stay on as
// a ghost there; and no lock is held while a sink is called.
func TestPresenceChangesWhileItIsTold(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	w.bind("romeo@a.test/old", "<presence/>")
	old := w.sinks["romeo@a.test/old"]
	c := new(chatterbox)
	full, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, "romeo@a.test/new"), Sink: c})
	if err != nil {
		t.Fatal(err)
	}
	c.heard = func(s *stanza.Stanza) {
		if s.From.Resource() == "old" && s.Type == "" {
			w.Release(context.Background(), s.From, old)
		}
	}
	if err := w.Route(t.Context(), &stanza.Stanza{Kind: stanza.Presence, From: full}); err != nil {
		t.Fatal(err)
	}
	var last *stanza.Stanza
	for _, s := range c.Stanzas() {
		if s.From.Resource() == "old" {
			last = s
		}
	}
	if last == nil || last.Type != stanza.TypeUnavailable {
		t.Errorf("last presence of the old resource is %v, want unavailable", last)
	}
}

func TestOfflineHears(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	o := new(offline)
	w.Offline = o
	x := w.bind("romeo@a.test/x", "")
	for _, tt := range []struct {
		presence string
		want     []stanza.Sink
	}{
		{prio(-1), nil},
		{prio(0), []stanza.Sink{x}},
		{prio(3), nil},
		{prio(-3), nil},
		{"<presence/>", []stanza.Sink{x}},
		{"<presence type='unavailable'/>", nil},
		{"<presence/>", []stanza.Sink{x}},
	} {
		o.delivers = nil
		w.send("romeo@a.test/x", tt.presence)
		if !slices.Equal(o.delivers, tt.want) {
			t.Errorf("after %s the offline store was asked for %d sessions, want %d", tt.presence, len(o.delivers), len(tt.want))
		}
	}
}
