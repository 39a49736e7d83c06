package host_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users are the accounts of a test.
type users map[string]bool

func (u users) Exists(_ context.Context, j stanza.JID) (bool, error) {
	return u[j.Bare().String()], nil
}

// world is a router with sessions that record.
type world struct {
	*testing.T
	*host.Local
	sinks map[string]*listentest.Sink // by full JID
	read  map[string]int
}

func newWorld(t *testing.T, o host.Options, names ...string) *world {
	t.Helper()
	l, err := host.NewLocal(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	u := users{}
	for _, n := range names {
		u[n] = true
	}
	l.Users = u
	return &world{t, l, map[string]*listentest.Sink{}, map[string]int{}}
}

// hosts are the options of a host with these domains.
func hosts(names ...string) host.Options {
	o := host.Defaults()
	o.Hosts = names
	return o
}

// bind makes a session; presence is XML, "" for none. What the server sends in
// return is forgotten.
func (w *world) bind(full, presence string) *listentest.Sink {
	w.Helper()
	s := new(listentest.Sink)
	j, err := w.Bind(w.Context(), stanza.Binding{JID: jid(w.T, full), Sink: s, Conflict: stanza.AcceptNew})
	if err != nil {
		w.Fatalf("Bind(%q): %v", full, err)
	}
	w.sinks[j.String()] = s
	if presence != "" {
		w.send(full, presence)
		w.got()
	}
	return s
}

// send routes a stanza as the session of from.
func (w *world) send(from, xml string) {
	w.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		w.Fatalf("stanza %q: %v", xml, err)
	}
	if err := w.Route(w.Context(), s.WithFrom(jid(w.T, from))); err != nil {
		w.Fatalf("Route(%s): %v", xml, err)
	}
}

// got returns what the sessions received since the last call, as sorted lines
// "recipient: stanza".
func (w *world) got() []string {
	var all []string
	for name, s := range w.sinks {
		list := s.Stanzas()
		for _, st := range list[w.read[name]:] {
			all = append(all, name+": "+st.String())
		}
		w.read[name] = len(list)
	}
	slices.Sort(all)
	return all
}

// expect compares what the sessions received since the last call, in any order.
func (w *world) expect(want ...string) {
	w.Helper()
	got := w.got()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("sessions got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func jid(t testing.TB, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// condition returns the condition of an error stanza, "" for none.
func condition(s *stanza.Stanza) string {
	if s.Type != stanza.TypeError {
		return ""
	}
	_, rest, _ := strings.Cut(s.Inner, "><")
	c, _, _ := strings.Cut(rest, " ")
	return c
}
