package host_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMarks(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	w.bind("romeo@a.test/1", "")
	w.bind("romeo@a.test/2", "")
	one, two, romeo := jid(t, "romeo@a.test/1"), jid(t, "romeo@a.test/2"), jid(t, "romeo@a.test")
	if w.Mark(jid(t, "romeo@a.test/3"), stanza.WantsRoster, true) || w.Mark(romeo, stanza.WantsRoster, true) {
		t.Error("a session that is not there was marked")
	}
	for _, m := range []struct {
		full stanza.JID
		m    stanza.Mark
		on   bool
	}{
		{one, stanza.WantsRoster, true}, {one, stanza.WantsRoster, true}, {two, stanza.WantsRoster | stanza.WantsCarbons, true},
		{two, stanza.WantsBlocklist, true}, {two, stanza.WantsBlocklist, false}, {two, stanza.WantsBlocklist, false},
	} {
		if !w.Mark(m.full, m.m, m.on) {
			t.Errorf("Mark(%s): no such session", m.full)
		}
	}
	for _, tt := range []struct {
		m    stanza.Mark
		want string
	}{
		{stanza.WantsRoster, "[romeo@a.test/1 romeo@a.test/2]"},
		{stanza.WantsCarbons, "[romeo@a.test/2]"},
		{stanza.WantsRoster | stanza.WantsCarbons, "[romeo@a.test/2]"},
		{stanza.WantsBlocklist, "[]"},
	} {
		if got := fmt.Sprint(w.Marked(two, tt.m)); got != tt.want {
			t.Errorf("Marked(%b) = %s, want %s", tt.m, got, tt.want)
		}
	}
	// Marks outlive a connection, not the session.
	w.Detached(t.Context(), w.info("romeo@a.test/2"))
	w.Resumed(t.Context(), w.info("romeo@a.test/2"))
	if n := len(w.Marked(romeo, stanza.WantsCarbons)); n != 1 {
		t.Errorf("%d sessions are marked after a resumption, want 1", n)
	}
	w.bind("romeo@a.test/2", "")
	if n := len(w.Marked(romeo, stanza.WantsCarbons)); n != 0 {
		t.Errorf("%d sessions are marked after a replacement, want none", n)
	}
}

func TestDeliverTo(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	s := w.bind("romeo@a.test/x", "")
	push := &stanza.Stanza{Kind: stanza.IQ, Type: stanza.TypeSet, ID: "1", To: jid(t, "romeo@a.test/x")}
	for _, to := range []string{"romeo@a.test/y", "romeo@a.test", "juliet@a.test/x"} {
		if err := w.DeliverTo(jid(t, to), push); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("DeliverTo(%s): got %v, want ErrClosed", to, err)
		}
	}
	if err := w.DeliverTo(push.To, push); err != nil {
		t.Fatal(err)
	}
	w.expect("romeo@a.test/x: <iq to='romeo@a.test/x' type='set' id='1'/>")
	s.Limit = 1
	if err := w.DeliverTo(push.To, push); !errors.Is(err, stanza.ErrQueueFull) {
		t.Errorf("got %v, want ErrQueueFull", err)
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	release, err := w.RegisterDomain("rooms.a.test", new(listentest.Sink))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	w.bind("romeo@a.test/1", "<presence/>")
	w.bind("romeo@a.test/2", "")
	w.bind("juliet@a.test/1", "<presence/>")
	w.Mark(jid(t, "romeo@a.test/1"), stanza.WantsCarbons, true)
	w.Detached(t.Context(), w.info("juliet@a.test/1"))
	w.SetBlocked(jid(t, "romeo@a.test"), blocks("far.test"))
	w.send("romeo@a.test/1", "<presence xmlns='jabber:client' to='verona@rooms.a.test/romeo'/>")
	want := host.Stats{Sessions: 3, Accounts: 2, Available: 2, Detached: 1, Carbons: 1, Blocking: 1, Directed: 1, Domains: 1}
	if got := w.Stats(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for name, s := range w.sinks {
		w.Release(t.Context(), jid(t, name), s)
	}
	if got := w.Stats(); got != (host.Stats{Domains: 1}) {
		t.Errorf("got %+v, want nothing left", got)
	}
}

// A message is completed once, whatever becomes of it then.
func TestStamp(t *testing.T) {
	stamped := 0
	setup := func() (*world, *offline) {
		w := newWorld(t, hosts("a.test"), "romeo@a.test")
		o := new(offline)
		w.Offline, stamped = o, 0
		w.Stamp = func(s *stanza.Stanza) *stanza.Stanza {
			if s.Type == stanza.TypeError {
				return s
			}
			stamped++
			c := *s
			c.Inner += "<id/>"
			return &c
		}
		w.bind("juliet@a.test/x", "")
		return w, o
	}
	for _, tt := range []struct {
		name, to string
		n        int
	}{
		{"stored", "romeo@a.test", 1}, {"to nobody", "none@a.test", 1}, {"to the server", "a.test", 0}, {"abroad", "far@far.test", 0},
	} {
		w, _ := setup()
		w.send("juliet@a.test/x", "<message xmlns='jabber:client' to='"+tt.to+"' type='chat'/>")
		if stamped != tt.n {
			t.Errorf("%s: stamped %d times, want %d", tt.name, stamped, tt.n)
		}
	}
	w, o := setup()
	w.bind("romeo@a.test/x", "<presence/>")
	w.bind("romeo@a.test/y", "<presence/>")
	w.got()
	w.send("juliet@a.test/x", "<message xmlns='jabber:client' to='romeo@a.test' type='chat'/>")
	const m = "<message from='juliet@a.test/x' to='romeo@a.test' type='chat'><id/></message>"
	w.expect("romeo@a.test/x: "+m, "romeo@a.test/y: "+m)
	list := w.sinks["romeo@a.test/x"].Stanzas()
	for _, r := range []string{"x", "y"} {
		w.Release(t.Context(), jid(t, "romeo@a.test/"+r), w.sinks["romeo@a.test/"+r])
		w.Ended(t.Context(), w.info("romeo@a.test/"+r), queued(list[len(list)-1]), nil)
	}
	if stamped != 1 {
		t.Errorf("stamped %d times, want once", stamped)
	}
	if o.count() == 0 || !strings.HasPrefix(o.kept[0].Inner, "<id/><delay ") {
		t.Errorf("stored %v, want the stamped message", o.kept)
	}
}
