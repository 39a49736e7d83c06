package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	juliet  = "juliet@a.test"
	romeo   = "romeo@b.test"
	balcony = "juliet@a.test/balcony"
	chamber = "juliet@a.test/chamber"
)

func jid(t testing.TB, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// fake is a router whose sessions record what they get.
type fake struct {
	mu     sync.Mutex
	marks  map[stanza.JID]stanza.Mark
	got    map[stanza.JID][]*stanza.Stanza
	full   map[stanza.JID]bool // whose queue is full
	routed []*stanza.Stanza
	route  func(ctx context.Context, s *stanza.Stanza) error // instead of recording
}

func newFake() *fake {
	return &fake{marks: map[stanza.JID]stanza.Mark{}, got: map[stanza.JID][]*stanza.Stanza{}, full: map[stanza.JID]bool{}}
}

func (f *fake) Route(ctx context.Context, s *stanza.Stanza) error {
	if f.route != nil {
		return f.route(ctx, s)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.routed = append(f.routed, s)
	return nil
}

func (f *fake) DeliverTo(full stanza.JID, s *stanza.Stanza) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.marks[full]; !ok {
		return stanza.ErrClosed
	}
	if f.full[full] {
		return stanza.ErrQueueFull
	}
	f.got[full] = append(f.got[full], s)
	return nil
}

func (f *fake) Mark(full stanza.JID, m stanza.Mark, on bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, ok := f.marks[full]
	if ok && on {
		f.marks[full] = old | m
	} else if ok {
		f.marks[full] = old &^ m
	}
	return ok
}

func (f *fake) Marked(user stanza.JID, m stanza.Mark) []stanza.JID {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []stanza.JID
	for full, marks := range f.marks {
		if full.Bare() == user && marks&m != 0 {
			found = append(found, full)
		}
	}
	return found
}

// log in makes a session; interested says that it gets pushes.
func (f *fake) login(t testing.TB, full string, interested bool) {
	f.marks[jid(t, full)] = 0
	if interested {
		f.marks[jid(t, full)] = stanza.WantsRoster
	}
}

// take returns what a session got since the last call.
func (f *fake) take(t testing.TB, full string) []*stanza.Stanza {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := jid(t, full)
	got := f.got[j]
	delete(f.got, j)
	return got
}

// takePushes returns the payloads of the pushes that a session got, and nothing
// else.
func (f *fake) takePushes(t testing.TB, full string) []string {
	t.Helper()
	var all []string
	for _, s := range f.take(t, full) {
		if s.Kind != stanza.IQ || s.Type != stanza.TypeSet || s.ID == "" || s.From != jid(t, full).Bare() || s.To != jid(t, full) {
			t.Errorf("got %s, want a push", s)
		}
		all = append(all, itemsOf(t, s.Inner)...)
	}
	return all
}

// takeRouted returns what was routed since the last call.
func (f *fake) takeRouted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, s := range f.routed {
		all = append(all, fmt.Sprintf("%s %s>%s", s.Type, s.From, s.To))
	}
	f.routed = nil
	return all
}

// itemsOf returns the items of a query as XML.
func itemsOf(t testing.TB, inner string) []string {
	t.Helper()
	if inner == "" {
		return nil
	}
	q := element(t, inner)
	if q.Name != (stanza.Name{Space: NS, Local: "query"}) {
		t.Errorf("got %s, want a roster query", inner)
	}
	var all []string
	for _, c := range q.Children {
		all = append(all, strings.Replace(string(c.AppendXML(nil)), " xmlns='"+NS+"'", "", 1))
	}
	return all
}

func element(t testing.TB, xml string) *stanza.Element {
	t.Helper()
	e, err := stanza.ParseElement(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return e
}

func verOf(t testing.TB, inner string) string { return element(t, inner).Attr("ver") }

// newService returns a service with a store in memory for all domains.
func newService(change func(*Options)) (*Service, *fake) {
	o := Defaults()
	if change != nil {
		change(&o)
	}
	f := newFake()
	s := New(Config{Store: new(Memory), Router: f})
	s.Configure(stanza.PerHost[*Options]{Value: &o})
	return s, f
}

func versioned(o *Options) { o.Versioning = true }

// request makes a request of the balcony for its own roster.
func request(t testing.TB, typ, payload string) *stanza.Stanza {
	t.Helper()
	iq, err := stanza.Parse(fmt.Sprintf("<iq type='%s' id='1' from='%s'>%s</iq>", typ, balcony, payload))
	if err != nil {
		t.Fatal(err)
	}
	return iq
}

// set sends a roster set with these items and returns the condition of the
// error.
func set(t testing.TB, s *Service, items string) string {
	t.Helper()
	return handle(t, s, request(t, stanza.TypeSet, "<query xmlns='jabber:iq:roster'>"+items+"</query>"))
}

// handle returns the condition of the error that a request gets, or "".
func handle(t testing.TB, s *Service, iq *stanza.Stanza) string {
	t.Helper()
	answer, err := s.HandleIQ(context.Background(), iq, stanza.Peer{})
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		return string(e.Condition)
	case err != nil:
		t.Fatal(err)
	case iq.Type == stanza.TypeGet && answer != nil:
		t.Errorf("got the answer %s, want it among the pushes", answer)
	case iq.Type == stanza.TypeSet && (answer == nil || answer.Type != stanza.TypeResult || answer.ID != iq.ID || answer.To != iq.From || answer.Inner != ""):
		t.Errorf("got the answer %v, want an empty result", answer)
	}
	return ""
}

// get asks for the roster and returns the payload of the answer and the items
// that were pushed after it.
func get(t testing.TB, s *Service, f *fake, attr string) (inner string, pushed []*stanza.Stanza) {
	t.Helper()
	f.take(t, balcony)
	if got := handle(t, s, request(t, stanza.TypeGet, "<query xmlns='jabber:iq:roster'"+attr+"/>")); got != "" {
		t.Fatalf("got the error %s", got)
	}
	all := f.take(t, balcony)
	if len(all) == 0 || all[0].Type != stanza.TypeResult || all[0].ID != "1" {
		t.Fatalf("got %v, want a result first", all)
	}
	return all[0].Inner, all[1:]
}

// presence makes presence between two bare addresses.
func presence(t testing.TB, typ, from, to string) *stanza.Stanza {
	t.Helper()
	return &stanza.Stanza{Kind: stanza.Presence, Type: typ, From: jid(t, from), To: jid(t, to)}
}

// out and in are what happens when Juliet sends Romeo presence, or gets it.
func out(t testing.TB, s *Service, typ string) Change {
	t.Helper()
	c, err := s.Outbound(context.Background(), presence(t, typ, juliet, romeo))
	if err != nil {
		t.Fatalf("outbound %s: %v", typ, err)
	}
	return c
}

// inbound calls Inbound and checks that it lets pass what it says.
func inbound(t testing.TB, s *Service, st *stanza.Stanza) (Change, error) {
	t.Helper()
	passed := 0
	c, err := s.Inbound(context.Background(), st, func() { passed++ })
	want := 0
	if c.Pass {
		want = 1
	}
	if passed != want {
		t.Errorf("%s: passed %d times, want %d", st, passed, want)
	}
	return c, err
}

func in(t testing.TB, s *Service, typ string) Change {
	t.Helper()
	c, err := inbound(t, s, presence(t, typ, romeo, juliet))
	if err != nil {
		t.Fatalf("inbound %s: %v", typ, err)
	}
	return c
}

// item returns what Juliet's roster has of a contact; the zero Item: nothing.
func item(t testing.TB, s *Service, contact string) Item {
	t.Helper()
	i, err := s.store.Get(context.Background(), jid(t, juliet), jid(t, contact))
	if err != nil && !errors.Is(err, ErrNoItem) {
		t.Fatal(err)
	}
	return i
}

// listed returns the roster that Juliet's clients see, as XML.
func listed(t testing.TB, s *Service) []string {
	t.Helper()
	var all []string
	err := s.each(context.Background(), jid(t, juliet), func(i *Item) {
		if i.Listed {
			all = append(all, string(i.appendXML(nil)))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantStrings(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// deny is a rule against one user.
type deny string

func (d deny) Allow(s acl.Subject) bool { return s.User+"@"+s.Server != string(d) }
