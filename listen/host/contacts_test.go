package host_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// abroad records what goes to other servers.
type abroad struct {
	mu  sync.Mutex
	got []string
}

func (a *abroad) Route(_ context.Context, s *stanza.Stanza) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, "far: "+s.String())
	return nil
}

func (a *abroad) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.got
	a.got = nil
	return got
}

// social is a world with rosters. juliet sees romeo, mutual and he see each
// other, far@far.test sees him and he sees seen@far.test; he sees nurse, who is
// available, and idle, who is not.
type social struct {
	*world
	*contacts
	*abroad
}

func newSocial(t *testing.T) *social {
	w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test", "mutual@a.test", "nurse@a.test", "idle@a.test", "stranger@a.test")
	s := &social{w, new(contacts), new(abroad)}
	w.Local.Contacts, w.Local.Next = s.contacts, s.abroad
	for _, p := range [][2]string{
		{"juliet@a.test", "romeo@a.test"}, {"mutual@a.test", "romeo@a.test"}, {"romeo@a.test", "mutual@a.test"},
		{"far@far.test", "romeo@a.test"}, {"romeo@a.test", "seen@far.test"}, {"romeo@a.test", "nurse@a.test"}, {"romeo@a.test", "idle@a.test"},
	} {
		s.subscribe(t, p[0], p[1])
	}
	for _, b := range []string{"juliet@a.test/j", "mutual@a.test/m", "nurse@a.test/n", "stranger@a.test/s"} {
		w.bind(b, "<presence/>")
	}
	w.bind("juliet@a.test/quiet", "")
	s.abroad.take()
	s.calls = nil
	return s
}

// expect compares what sessions and other servers got since the last call.
func (s *social) expect(want ...string) {
	s.Helper()
	got := append(s.world.got(), s.abroad.take()...)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// RFC 6121, sections 4.2 to 4.5.
func TestPresenceOfContacts(t *testing.T) {
	s := newSocial(t)
	s.bind("romeo@a.test/one", "")
	s.expect()

	// 4.2.2: to subscribers and oneself; and what the user is subscribed to.
	s.send("romeo@a.test/one", "<presence xmlns='jabber:client' id='p'><show>away</show></presence>")
	const p = "<presence from='romeo@a.test/one' to='%s' id='p'><show>away</show></presence>"
	s.expect(
		"romeo@a.test/one: "+fmt.Sprintf(p, "romeo@a.test"),
		"juliet@a.test/j: "+fmt.Sprintf(p, "juliet@a.test"),
		"mutual@a.test/m: "+fmt.Sprintf(p, "mutual@a.test"),
		"far: "+fmt.Sprintf(p, "far@far.test"),
		"romeo@a.test/one: <presence from='mutual@a.test/m' to='romeo@a.test/one'/>",
		"romeo@a.test/one: <presence from='nurse@a.test/n' to='romeo@a.test/one'/>",
		"far: <presence from='romeo@a.test/one' to='seen@far.test' type='probe'/>",
	)

	// 4.4.2: a change goes to subscribers, and nobody is asked again.
	s.send("romeo@a.test/one", "<presence xmlns='jabber:client'/>")
	s.expect(
		"romeo@a.test/one: <presence from='romeo@a.test/one' to='romeo@a.test'/>",
		"juliet@a.test/j: <presence from='romeo@a.test/one' to='juliet@a.test'/>",
		"mutual@a.test/m: <presence from='romeo@a.test/one' to='mutual@a.test'/>",
		"far: <presence from='romeo@a.test/one' to='far@far.test'/>",
	)

	// 4.5.2: to whom it was told, by broadcast or directly, each once.
	for _, to := range []string{"stranger@a.test/s", "juliet@a.test/j", "juliet@a.test", "room@far.test/romeo"} {
		s.send("romeo@a.test/one", fmt.Sprintf("<presence xmlns='jabber:client' to='%s'/>", to))
	}
	s.world.got()
	s.abroad.take()
	s.send("romeo@a.test/one", "<presence xmlns='jabber:client' type='unavailable'/>")
	gone := func(to string) string {
		return fmt.Sprintf("<presence from='romeo@a.test/one' to='%s' type='unavailable'/>", to)
	}
	s.expect(
		"romeo@a.test/one: "+gone("romeo@a.test"),
		"juliet@a.test/j: "+gone("juliet@a.test"),
		"mutual@a.test/m: "+gone("mutual@a.test"),
		"far: "+gone("far@far.test"),
		"stranger@a.test/s: "+gone("stranger@a.test/s"),
		"far: "+gone("room@far.test/romeo"),
	)
	s.Release(t.Context(), jid(t, "romeo@a.test/one"), s.sinks["romeo@a.test/one"])
	s.expect()
}

// RFC 6121, section 4.5.2: the same when the session ends without a word.
func TestContactsHearOfTheEnd(t *testing.T) {
	s := newSocial(t)
	s.bind("romeo@a.test/two", "<presence/>")
	s.abroad.take()
	s.Release(t.Context(), jid(t, "romeo@a.test/two"), s.sinks["romeo@a.test/two"])
	s.expect(
		"juliet@a.test/j: <presence from='romeo@a.test/two' to='juliet@a.test' type='unavailable'/>",
		"mutual@a.test/m: <presence from='romeo@a.test/two' to='mutual@a.test' type='unavailable'/>",
		"far: <presence from='romeo@a.test/two' to='far@far.test' type='unavailable'/>",
	)

	// A session that was never available has told nobody.
	s.bind("romeo@a.test/three", "")
	s.send("romeo@a.test/three", "<presence xmlns='jabber:client' to='juliet@a.test'/>")
	s.world.got()
	s.Release(t.Context(), jid(t, "romeo@a.test/three"), s.sinks["romeo@a.test/three"])
	s.expect("juliet@a.test/j: <presence from='romeo@a.test/three' to='juliet@a.test' type='unavailable'/>")
}

// A roster may be out of date: the contact decides, and the user's roster is
// mended (RFC 6121, section 4.3.2).
func TestContactThatKnowsNothing(t *testing.T) {
	s := newSocial(t)
	s.item(jid(t, "nurse@a.test"), jid(t, "romeo@a.test")).from = false
	s.bind("romeo@a.test/one", "<presence/>")
	if got := s.calls; !slices.Contains(got, "in <presence from='nurse@a.test' to='romeo@a.test' type='unsubscribed'/>") {
		t.Errorf("the roster heard %q, want that the nurse is not there for him", got)
	}
	for _, st := range s.sinks["romeo@a.test/one"].Stanzas() {
		if st.From == jid(t, "nurse@a.test/n") {
			t.Errorf("got %s", st)
		}
	}
}

// RFC 6121, section 4.3.2.
func TestProbeOfContact(t *testing.T) {
	const here = "<presence from='romeo@a.test/one' to='%s'/>"
	tests := []struct{ from, to, want string }{
		{"juliet@a.test/j", "romeo@a.test", here},
		{"juliet@a.test/j", "romeo@a.test/one", here},
		{"juliet@a.test/j", "romeo@a.test/other", "<presence from='romeo@a.test/other' to='%s' type='unavailable'/>"},
		{"juliet@a.test/j", "romeo@a.test/quiet", "<presence from='romeo@a.test/quiet' to='%s' type='unavailable'/>"},
		{"far@far.test", "romeo@a.test", here},
		{"far@far.test/x", "romeo@a.test", here},
		{"romeo@a.test/one", "idle@a.test", "<presence from='idle@a.test' to='%s' type='unavailable'/>"},
		{"stranger@far.test/x", "romeo@a.test", "<presence from='romeo@a.test' to='stranger@far.test' type='unsubscribed'/>"},
		{"stranger@far.test/x", "romeo@a.test/one", "<presence from='romeo@a.test' to='stranger@far.test' type='unsubscribed'/>"},
		{"stranger@far.test/x", "none@a.test", "<presence from='none@a.test' to='stranger@far.test' type='unsubscribed'/>"},
		{"romeo@a.test/quiet", "romeo@a.test", "<presence from='romeo@a.test/one' to='romeo@a.test'/>"},
		{"juliet@a.test/j", "a.test", ""},
	}
	for _, tt := range tests {
		t.Run(tt.from+" asks for "+tt.to, func(t *testing.T) {
			s := newSocial(t)
			s.bind("romeo@a.test/one", "<presence/>")
			s.bind("romeo@a.test/quiet", "")
			s.world.got()
			s.abroad.take()
			s.send(tt.from, fmt.Sprintf("<presence xmlns='jabber:client' to='%s' type='probe'/>", tt.to))
			var want []string
			if tt.want != "" {
				who := tt.from
				if strings.Contains(who, "far.test") {
					who = "far"
				}
				w := tt.want
				if strings.Contains(w, "%s") {
					w = fmt.Sprintf(w, tt.from)
				}
				want = []string{who + ": " + w}
			}
			s.expect(want...)
		})
	}
}

func sub(typ, from, to string) string {
	return fmt.Sprintf("<presence from='%s' to='%s' type='%s'/>", from, to, typ)
}

func avail(from, to string) string { return fmt.Sprintf("<presence from='%s' to='%s'/>", from, to) }

// RFC 6121, section 3: what goes where, in which order.
func TestSubscriptions(t *testing.T) {
	const romeo, stranger = "romeo@a.test", "stranger@a.test"
	tests := []struct {
		name      string
		before    func(*contacts, *testing.T)
		from, typ string // from sends it
		to        string
		want      []string
	}{
		{"3.1.2 request", nil, stranger + "/s", "subscribe", romeo + "/one", []string{"romeo@a.test/one: " + sub("subscribe", stranger, romeo)}},
		{"3.1.3 request to nobody", nil, stranger + "/s", "subscribe", "none@a.test", nil},
		{"3.1.3 request that was approved before", func(c *contacts, t *testing.T) {
			c.item(jid(t, romeo), jid(t, stranger)).approved = true
		}, stranger + "/s", "subscribe", romeo, []string{
			"stranger@a.test/s: " + sub("subscribed", romeo, stranger), "stranger@a.test/s: " + avail("romeo@a.test/one", stranger),
		}},
		{"3.1.5 approval", func(c *contacts, t *testing.T) {
			c.item(jid(t, stranger), jid(t, romeo)).asked = true
			c.item(jid(t, romeo), jid(t, stranger)).request = new(stanza.Stanza)
		}, romeo + "/one", "subscribed", stranger, []string{
			"stranger@a.test/s: " + sub("subscribed", romeo, stranger), "stranger@a.test/s: " + avail("romeo@a.test/one", stranger),
		}},
		{"3.2.2 cancellation", nil, romeo + "/one", "unsubscribed", "juliet@a.test", []string{
			"juliet@a.test/j: " + sub("unavailable", "romeo@a.test/one", "juliet@a.test"), "juliet@a.test/j: " + sub("unsubscribed", romeo, "juliet@a.test"),
		}},
		{"3.2.2 cancellation abroad", nil, romeo + "/one", "unsubscribed", "far@far.test", []string{
			"far: " + sub("unavailable", "romeo@a.test/one", "far@far.test"), "far: " + sub("unsubscribed", romeo, "far@far.test"),
		}},
		{"3.3.3 unsubscription", nil, "juliet@a.test/j", "unsubscribe", romeo, []string{
			"romeo@a.test/one: " + sub("unsubscribe", "juliet@a.test", romeo), "juliet@a.test/j: " + sub("unavailable", "romeo@a.test/one", "juliet@a.test"),
		}},
		{"3.4.2 approval before the request", nil, romeo + "/one", "subscribed", stranger, nil},
		{"from abroad", nil, "new@far.test", "subscribe", romeo, []string{"romeo@a.test/one: " + sub("subscribe", "new@far.test", romeo)}},
		{"from abroad, unsubscription", nil, "far@far.test", "unsubscribe", romeo, []string{
			"romeo@a.test/one: " + sub("unsubscribe", "far@far.test", romeo), "far: " + sub("unavailable", "romeo@a.test/one", "far@far.test"),
		}},
		{"to oneself", nil, romeo + "/one", "subscribe", romeo, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSocial(t)
			s.bind("romeo@a.test/one", "<presence/>")
			s.bind("romeo@a.test/quiet", "")
			s.abroad.take()
			if tt.before != nil {
				tt.before(s.contacts, t)
			}
			s.world.got()
			read := len(s.sinks["juliet@a.test/j"].Stanzas())
			s.send(tt.from, fmt.Sprintf("<presence xmlns='jabber:client' to='%s' type='%s'/>", tt.to, tt.typ))
			if tt.name == "3.2.2 cancellation" { // while juliet is still subscribed
				if got := s.sinks["juliet@a.test/j"].Stanzas()[read:]; len(got) != 2 || got[0].Type != stanza.TypeUnavailable {
					t.Errorf("juliet got %v, want unavailable presence first", got)
				}
			}
			s.expect(tt.want...)
		})
	}
}

// RFC 6121, section 3.1.3: a request waits for an answer, however often the user
// comes.
func TestRequestsAreRedelivered(t *testing.T) {
	s := newSocial(t)
	s.send("stranger@a.test/s", "<presence xmlns='jabber:client' to='idle@a.test' type='subscribe'><status>hi</status></presence>")
	s.expect()
	request := "<presence from='stranger@a.test' to='idle@a.test' type='subscribe'><status>hi</status></presence>"
	for _, r := range []string{"one", "two"} {
		s.bind("idle@a.test/"+r, "")
		s.send("idle@a.test/"+r, "<presence xmlns='jabber:client'/>")
		if got := s.world.got(); !slices.Contains(got, "idle@a.test/"+r+": "+request) {
			t.Errorf("%s got %q, want the request", r, got)
		}
		s.send("idle@a.test/"+r, "<presence xmlns='jabber:client'><show>away</show></presence>")
		if got := s.world.got(); slices.Contains(got, "idle@a.test/"+r+": "+request) {
			t.Errorf("%s got the request again without leaving", r)
		}
	}
}

// What the rosters refuse, the sender hears; what they cannot do is hidden.
func TestSubscriptionFails(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&stanza.Error{Condition: stanza.NotAllowed}, "not-allowed"},
		{errBroken, "internal-server-error"},
	} {
		s := newSocial(t)
		s.fail = tt.err
		s.send("stranger@a.test/s", "<presence xmlns='jabber:client' to='romeo@a.test' type='subscribe' id='1'/>")
		list := s.sinks["stranger@a.test/s"].Stanzas()
		last := list[len(list)-1]
		if condition(last) != tt.want || last.From != jid(t, "romeo@a.test") || last.Kind != stanza.Presence {
			t.Errorf("got %s, want %s", last, tt.want)
		}
		if err := s.Local.Route(t.Context(), &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeUnsubscribe, From: jid(t, "far@far.test"), To: jid(t, "romeo@a.test")}); err == nil {
			t.Error("an unsubscription that failed: got no error")
		}
	}
}

// echoing are contacts that answer everything with the same, and approve.
type echoing struct{ contacts }

func (e *echoing) Inbound(_ context.Context, s *stanza.Stanza, pass func()) (host.Change, error) {
	pass()
	return host.Change{Pass: true, Reply: s.Type, Show: true, Hide: true}, nil
}

// Servers that answer for their users must not go on for ever.
func TestSubscriptionLoopEnds(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test")
	w.Contacts = new(echoing)
	w.bind("romeo@a.test/x", "<presence/>")
	w.bind("juliet@a.test/x", "<presence/>")
	for _, typ := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
		w.got()
		w.send("romeo@a.test/x", fmt.Sprintf("<presence xmlns='jabber:client' to='juliet@a.test' type='%s'/>", typ))
		if n := len(w.got()); n > 10 {
			t.Errorf("%s made %d stanzas", typ, n)
		}
	}

	// Both approve before they are asked.
	s := newSocial(t)
	s.bind("romeo@a.test/x", "<presence/>")
	romeo, stranger := jid(t, "romeo@a.test"), jid(t, "stranger@a.test")
	s.item(romeo, stranger).approved, s.item(stranger, romeo).approved = true, true
	s.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='stranger@a.test' type='subscribe'/>")
	s.send("stranger@a.test/s", "<presence xmlns='jabber:client' to='romeo@a.test' type='subscribe'/>")
	for _, p := range [][2]stanza.JID{{romeo, stranger}, {stranger, romeo}} {
		if i := s.item(p[0], p[1]); !i.to || !i.from {
			t.Errorf("%s has %+v, want both to see each other", p[0], i)
		}
	}
}

// A domain without rosters is as it was.
func TestDomainWithoutRosters(t *testing.T) {
	w := newWorld(t, hosts("plain.test"), "romeo@plain.test", "juliet@plain.test")
	c := new(contacts)
	w.Contacts = c
	w.bind("juliet@plain.test/x", "<presence/>")
	w.bind("romeo@plain.test/x", "<presence/>")
	w.send("romeo@plain.test/x", "<presence xmlns='jabber:client' to='juliet@plain.test/x' type='subscribe'/>")
	w.expect("juliet@plain.test/x: <presence from='romeo@plain.test' to='juliet@plain.test' type='subscribe'/>")
	w.send("romeo@plain.test/x", "<presence xmlns='jabber:client' to='juliet@plain.test' type='probe'/>")
	w.expect()
	if len(c.calls) > 0 {
		t.Errorf("rosters were asked: %q", c.calls)
	}
}

func TestHideAndShow(t *testing.T) {
	gone := "<presence from='romeo@a.test/%s' to='%s' type='unavailable'/>"
	s := newSocial(t)
	s.bind("romeo@a.test/one", "<presence><show>away</show></presence>")
	s.bind("romeo@a.test/quiet", "")
	for _, to := range []string{"stranger@a.test/s", "juliet@a.test/j", "room@far.test/romeo"} {
		s.send("romeo@a.test/one", fmt.Sprintf("<presence xmlns='jabber:client' to='%s'/>", to))
	}
	s.send("romeo@a.test/quiet", "<presence xmlns='jabber:client' to='stranger@a.test/s'/>")
	s.world.got()
	s.abroad.take()

	match := func(domainOrBare ...string) func(stanza.JID) bool {
		return func(j stanza.JID) bool {
			return slices.Contains(domainOrBare, j.Bare().String()) || slices.Contains(domainOrBare, j.Domain())
		}
	}
	if err := s.Hide(t.Context(), jid(t, "romeo@a.test/one"), match("juliet@a.test", "stranger@a.test", "far.test")); err != nil {
		t.Fatal(err)
	}
	s.expect(
		"juliet@a.test/j: "+fmt.Sprintf(gone, "one", "juliet@a.test"),
		"stranger@a.test/s: "+fmt.Sprintf(gone, "one", "stranger@a.test/s"),
		"stranger@a.test/s: "+fmt.Sprintf(gone, "quiet", "stranger@a.test/s"),
		"far: "+fmt.Sprintf(gone, "one", "far@far.test"),
		"far: "+fmt.Sprintf(gone, "one", "room@far.test/romeo"),
	)
	// What was taken back is not taken back again.
	if err := s.Hide(t.Context(), jid(t, "romeo@a.test"), match("stranger@a.test")); err != nil {
		t.Fatal(err)
	}
	s.expect()
	if err := s.Show(t.Context(), jid(t, "romeo@a.test"), match("juliet@a.test", "stranger@a.test")); err != nil {
		t.Fatal(err)
	}
	s.expect("juliet@a.test/j: <presence from='romeo@a.test/one' to='juliet@a.test'><show>away</show></presence>")
	s.fail = errBroken
	if s.Show(t.Context(), jid(t, "romeo@a.test"), match()) == nil || s.Hide(t.Context(), jid(t, "romeo@a.test"), match()) == nil {
		t.Error("rosters that fail: got no error")
	}
}

// The last available resource that goes, goes with these words.
func TestLeft(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	var left []string
	w.Left = func(_ context.Context, gone *stanza.Stanza) { left = append(left, gone.String()) }
	expect := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(left, want) {
			t.Errorf("%s: heard %q, want %q", what, left, want)
		}
		left = nil
	}
	w.bind("romeo@a.test/one", "<presence/>")
	w.bind("romeo@a.test/two", "<presence/>")
	w.bind("romeo@a.test/quiet", "")
	w.send("romeo@a.test/one", "<presence xmlns='jabber:client' type='unavailable'/>")
	expect("one of two")
	if !w.Local.Available(jid(t, "romeo@a.test/x")) {
		t.Error("not available with one resource left")
	}
	w.send("romeo@a.test/two", "<presence xmlns='jabber:client' type='unavailable'><status>bye</status></presence>")
	expect("the last", "<presence from='romeo@a.test/two' to='romeo@a.test' type='unavailable'><status>bye</status></presence>")
	if w.Local.Available(jid(t, "romeo@a.test")) {
		t.Error("available without a resource that is")
	}
	w.send("romeo@a.test/two", "<presence xmlns='jabber:client' type='unavailable'/>")
	expect("again")
	w.send("romeo@a.test/one", "<presence xmlns='jabber:client'/>")
	w.Release(t.Context(), jid(t, "romeo@a.test/one"), w.sinks["romeo@a.test/one"])
	expect("without a word", "<presence from='romeo@a.test/one' to='romeo@a.test' type='unavailable'/>")
}

// A presence that changes while subscribers are told of it leaves each with the
// last one.
func TestPresenceChangesWhileSubscribersAreTold(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	c := new(contacts)
	w.Contacts = c
	var all []*listentest.Sink
	old := new(listentest.Sink)
	for i := range 20 {
		name := fmt.Sprintf("u%d@a.test", i)
		w.Users.(users)[name] = true
		c.subscribe(t, name, "romeo@a.test")
		box := new(chatterbox)
		full, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, name+"/x"), Sink: box})
		if err != nil {
			t.Fatal(err)
		}
		w.send(full.String(), "<presence/>")
		all = append(all, &box.Sink)
		if i == 10 {
			box.heard = func(s *stanza.Stanza) {
				if s.From.Local() == "romeo" && s.Type == "" {
					w.Release(context.Background(), s.From, old)
				}
			}
		}
	}
	full, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, "romeo@a.test/x"), Sink: old})
	if err != nil {
		t.Fatal(err)
	}
	w.send(full.String(), "<presence/>")
	for i, sink := range all {
		list := sink.Stanzas()
		if last := list[len(list)-1]; last.From != full || last.Type != stanza.TypeUnavailable {
			t.Errorf("user %d saw %s last, want that romeo left", i, last)
		}
	}
}

// ids returns the ids of what goes to other servers and has not been taken.
func (a *abroad) ids() (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, line := range a.got {
		_, rest, _ := strings.Cut(line, " id='")
		id, _, _ := strings.Cut(rest, "'")
		ids = append(ids, id)
	}
	return ids
}
