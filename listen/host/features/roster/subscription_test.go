package roster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// RFC 6121, sections 3.1.2, 3.1.3, 3.1.5 and 3.4.2: who comes into the roster
// that clients see.
func TestNewContacts(t *testing.T) {
	tests := []struct {
		name     string
		outbound bool
		typ      string
		pending  bool // Romeo asked before
		want     string
		change   string
	}{
		{"subscribe", true, stanza.TypeSubscribe, false, "<item jid='romeo@b.test' subscription='none' ask='subscribe'/>", "pass push"},
		{"unsubscribe", true, stanza.TypeUnsubscribe, false, "", "pass"},
		{"pre-approve", true, stanza.TypeSubscribed, false, "<item jid='romeo@b.test' subscription='none' approved='true'/>", "push"},
		{"deny nobody", true, stanza.TypeUnsubscribed, false, "", ""},
		{"subscribe in return", true, stanza.TypeSubscribe, true, "<item jid='romeo@b.test' subscription='none' ask='subscribe'/>", "pass push"},
		{"approve", true, stanza.TypeSubscribed, true, "<item jid='romeo@b.test' subscription='from'/>", "pass push show"},
		{"deny", true, stanza.TypeUnsubscribed, true, "", "pass"},
		{"unsubscribe from who asked", true, stanza.TypeUnsubscribe, true, "", "pass"},
		{"be asked", false, stanza.TypeSubscribe, false, "", "pass"},
		{"be asked again", false, stanza.TypeSubscribe, true, "", ""},
		{"be approved by nobody one asked", false, stanza.TypeSubscribed, false, "", ""},
		{"be denied by nobody one asked", false, stanza.TypeUnsubscribed, false, "", ""},
		{"be left by nobody", false, stanza.TypeUnsubscribe, false, "", ""},
		{"request is taken back", false, stanza.TypeUnsubscribe, true, "", "pass"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := newService(nil)
			f.login(t, balcony, true)
			if tt.pending {
				in(t, s, stanza.TypeSubscribe)
			}
			step := in
			if tt.outbound {
				step = out
			}
			c := step(t, s, tt.typ)
			pushes := f.takePushes(t, balcony)
			if got := describe(c, len(pushes) > 0); got != tt.change {
				t.Errorf("got %q, want %q", got, tt.change)
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			wantStrings(t, "roster", listed(t, s), want...)
			wantStrings(t, "pushes", pushes, want...)
			pending := item(t, s, romeo).Request != ""
			if kept := strings.Contains(tt.name, "asked") && !strings.Contains(tt.name, "nobody") || tt.name == "subscribe in return"; pending != kept {
				t.Errorf("request is kept: got %v, want %v", pending, kept)
			}
		})
	}
}

// What stands for nothing takes no room.
func TestNothingIsKeptOfStrangers(t *testing.T) {
	s, _ := newService(nil)
	in(t, s, stanza.TypeSubscribe)
	out(t, s, stanza.TypeUnsubscribed)
	in(t, s, stanza.TypeSubscribe)
	in(t, s, stanza.TypeUnsubscribe)
	if all, err := s.store.List(t.Context(), jid(t, juliet), stanza.JID{}, 10); err != nil || len(all) > 0 {
		t.Errorf("got %v, %v, want nothing", all, err)
	}
}

// world routes presence between the accounts of one service as a router does.
type world struct {
	t       *testing.T
	s       *Service
	f       *fake
	stanzas int
	changes []string
}

func newWorld(t *testing.T) *world {
	s, f := newService(nil)
	w := &world{t: t, s: s, f: f}
	f.route = w.Route
	return w
}

func (w *world) Route(ctx context.Context, st *stanza.Stanza) error {
	c, err := w.s.Outbound(ctx, st)
	if err != nil {
		return err
	}
	w.note(st.From, st.To, c)
	if c.Pass {
		return w.inbound(ctx, st)
	}
	return nil
}

func (w *world) inbound(ctx context.Context, st *stanza.Stanza) error {
	if w.stanzas++; w.stanzas > 1000 {
		w.t.Fatal("stanzas go round in circles")
	}
	c, err := inbound(w.t, w.s, st)
	if err != nil {
		return err
	}
	w.note(st.To, st.From, c)
	if c.Reply != "" {
		return w.inbound(ctx, &stanza.Stanza{Kind: stanza.Presence, Type: c.Reply, From: st.To, To: st.From})
	}
	return nil
}

func (w *world) note(user, contact stanza.JID, c Change) {
	if c.Show {
		w.changes = append(w.changes, fmt.Sprintf("%s shows %s", user, contact))
	}
	if c.Hide {
		w.changes = append(w.changes, fmt.Sprintf("%s hides from %s", user, contact))
	}
}

func (w *world) send(typ, from, to string) {
	w.t.Helper()
	if err := w.Route(w.t.Context(), presence(w.t, typ, from, to)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) subscription(user, contact string) string {
	w.t.Helper()
	i, err := w.s.store.Get(w.t.Context(), jid(w.t, user), jid(w.t, contact))
	if errors.Is(err, ErrNoItem) {
		return ""
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return i.Subscription.String()
}

// Clients of the predecessor of RFC 6121 acknowledge subscribed with subscribe.
// Neither this nor subscriptions in both directions nor pre-approvals may make
// servers answer each other for ever.
func TestSubscriptionLoops(t *testing.T) {
	w := newWorld(t)
	w.send(stanza.TypeSubscribed, romeo, juliet) // pre-approvals on both sides
	w.send(stanza.TypeSubscribed, juliet, romeo)
	w.send(stanza.TypeSubscribe, juliet, romeo)
	w.send(stanza.TypeSubscribe, romeo, juliet)
	if a, b := w.subscription(juliet, romeo), w.subscription(romeo, juliet); a != "both" || b != "both" {
		t.Errorf("got %s and %s, want both", a, b)
	}
	w.stanzas = 0
	for range 10 {
		w.send(stanza.TypeSubscribe, juliet, romeo)
		w.send(stanza.TypeSubscribed, romeo, juliet)
	}
	if w.stanzas > 20 { // each one and its answer
		t.Errorf("got %d stanzas between the servers, want at most 20", w.stanzas)
	}
}

func TestNobodySubscribesToThemselves(t *testing.T) {
	w := newWorld(t)
	w.f.login(t, balcony, true)
	for _, typ := range []string{stanza.TypeSubscribe, stanza.TypeSubscribed, stanza.TypeUnsubscribe, stanza.TypeUnsubscribed} {
		w.send(typ, juliet, juliet)
		if c, err := inbound(t, w.s, presence(t, typ, juliet, juliet)); err != nil || c != (Change{}) {
			t.Errorf("inbound %s: got %+v, %v, want nothing", typ, c, err)
		}
	}
	if w.stanzas > 0 || w.subscription(juliet, juliet) != "" || len(w.f.take(t, balcony)) > 0 {
		t.Errorf("got %d stanzas and %q, want none", w.stanzas, w.subscription(juliet, juliet))
	}
	if ok, err := w.s.Sees(t.Context(), jid(t, juliet), jid(t, juliet)); err != nil || !ok {
		t.Errorf("got %v, %v, want that all see themselves", ok, err)
	}
}

// RFC 6121, section 2.5.2.
func TestRemoveContact(t *testing.T) {
	for state, want := range map[string][]string{
		"None":                  nil,
		"None, approved":        nil,
		"None + Pending Out":    {"unsubscribe"},
		"None + Pending In":     {"unsubscribed"},
		"None + Pending Out+In": {"unsubscribed", "unsubscribe"},
		"To":                    {"unsubscribe"},
		"To + Pending In":       {"unsubscribed", "unsubscribe"},
		"From":                  {"unsubscribed"},
		"From + Pending Out":    {"unsubscribed", "unsubscribe"},
		"Both":                  {"unsubscribed", "unsubscribe"},
	} {
		t.Run(state, func(t *testing.T) {
			s, f := newService(versioned)
			f.login(t, balcony, true)
			i := named[state]
			i.Contact = jid(t, romeo)
			if _, err := s.store.Set(t.Context(), jid(t, juliet), i, 0); err != nil {
				t.Fatal(err)
			}
			var changes []Change
			var types []string
			f.route = func(ctx context.Context, st *stanza.Stanza) error {
				if st.From != jid(t, juliet) || st.To != jid(t, romeo) || st.Kind != stanza.Presence {
					t.Errorf("got %s", st)
				}
				c, err := s.Outbound(ctx, st)
				changes, types = append(changes, c), append(types, st.Type)
				// What else is sent meanwhile is not excused from the rules.
				if other, err := s.Outbound(ctx, presence(t, st.Type, juliet, "other@b.test")); err != nil || other.Hide {
					t.Errorf("got %+v, %v for another contact", other, err)
				}
				return err
			}
			if got := set(t, s, "<item jid='romeo@b.test' subscription='remove'/>"); got != "" {
				t.Fatalf("got the error %s", got)
			}
			wantStrings(t, "sent", types, want...)
			for n, c := range changes {
				hide := types[n] == "unsubscribed" && i.Subscription&From != 0
				if c != (Change{Pass: true, Hide: hide}) {
					t.Errorf("%s: got %+v, want it to pass, hide %v", types[n], c, hide)
				}
			}
			wantStrings(t, "pushes", f.takePushes(t, balcony), "<item jid='romeo@b.test' subscription='remove'/>")
			if got := item(t, s, romeo); got.Version != 0 {
				t.Errorf("got %+v, want no item", got)
			}
		})
	}
}

// The contact hears of it even if the client does not wait for the answer.
func TestRemoveContactAndLeave(t *testing.T) {
	s, f := newService(nil)
	i := named["Both"]
	i.Contact = jid(t, romeo)
	if _, err := s.store.Set(t.Context(), jid(t, juliet), i, 0); err != nil {
		t.Fatal(err)
	}
	sent := 0
	f.route = func(ctx context.Context, _ *stanza.Stanza) error {
		sent++
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	iq := request(t, stanza.TypeSet, "<query xmlns='jabber:iq:roster'><item jid='romeo@b.test' subscription='remove'/></query>")
	log := &strings.Builder{}
	s.log = slog.New(slog.NewTextHandler(log, nil))
	if _, err := s.HandleIQ(ctx, iq, stanza.Peer{}); err != nil || sent != 2 || log.Len() > 0 {
		t.Errorf("got %v, %d stanzas and the log %q, want 2 stanzas", err, sent, log)
	}
}

func TestRemoveMutualContact(t *testing.T) {
	w := newWorld(t)
	w.send(stanza.TypeSubscribe, juliet, romeo)
	w.send(stanza.TypeSubscribed, romeo, juliet)
	w.send(stanza.TypeSubscribe, romeo, juliet)
	w.send(stanza.TypeSubscribed, juliet, romeo)
	w.changes = nil
	if got := set(t, w.s, "<item jid='romeo@b.test' subscription='remove'/>"); got != "" {
		t.Fatalf("got the error %s", got)
	}
	if a, b := w.subscription(juliet, romeo), w.subscription(romeo, juliet); a != "" || b != "none" {
		t.Errorf("got %q and %q, want no item and none", a, b)
	}
	wantStrings(t, "presence", w.changes, "juliet@a.test hides from romeo@b.test", "romeo@b.test hides from juliet@a.test")
}

func TestRemoveAccount(t *testing.T) {
	s, f := newService(nil)
	for n, name := range []string{"Both", "To", "From", "None", "None + Pending In", "None + Pending Out"} {
		i := named[name]
		i.Contact = jid(t, fmt.Sprintf("%d@b.test", n))
		if _, err := s.store.Set(t.Context(), jid(t, juliet), i, 0); err != nil {
			t.Fatal(err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Remove(cancelled, jid(t, juliet)); !errors.Is(err, context.Canceled) || len(listed(t, s)) == 0 {
		t.Errorf("got %v and %q, want the error and the roster as it was", err, listed(t, s))
	}
	if err := s.Remove(t.Context(), jid(t, juliet)); err != nil {
		t.Fatal(err)
	}
	wantStrings(t, "sent", f.takeRouted(),
		"unsubscribed juliet@a.test>0@b.test", "unsubscribe juliet@a.test>0@b.test", "unsubscribe juliet@a.test>1@b.test",
		"unsubscribed juliet@a.test>2@b.test", "unsubscribed juliet@a.test>4@b.test", "unsubscribe juliet@a.test>5@b.test")
	wantStrings(t, "roster", listed(t, s))
	if err := s.Remove(t.Context(), jid(t, "nobody@a.test")); err != nil {
		t.Errorf("no roster: got %v", err)
	}
}

// RFC 6121, section 3.1.3: the whole stanza is kept, and told again until it is
// answered.
func TestRequests(t *testing.T) {
	s, _ := newService(nil)
	ask := func(xml string) *stanza.Stanza {
		t.Helper()
		st, err := stanza.Parse(xml)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := inbound(t, s, st); err != nil || !c.Pass {
			t.Fatalf("got %+v, %v, want it to pass", c, err)
		}
		return st
	}
	first := ask("<presence from='romeo@b.test' to='juliet@a.test' type='subscribe' id='&lt;1' xml:lang='de' xmlns:x='urn:x' x:y='1'><status>It&apos;s me</status><x:z/></presence>")
	in(t, s, stanza.TypeSubscribe) // another one does not take its place
	long := strings.Repeat("x", MaxRequest)
	ask("<presence from='long@b.test' to='juliet@a.test' type='subscribe' id='1'><status>" + long + "</status></presence>")
	ask("<presence from='longid@b.test' to='juliet@a.test' type='subscribe' id='" + long + "'/>")

	a, err := s.Presence(t.Context(), jid(t, juliet))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range a.Requests {
		got = append(got, r.String())
	}
	want := []string{first.String(), presence(t, "subscribe", "long@b.test", juliet).String(), presence(t, "subscribe", "longid@b.test", juliet).String()}
	wantStrings(t, "requests", got, want...)

	out(t, s, stanza.TypeSubscribed)
	a, err = s.Presence(t.Context(), jid(t, juliet))
	if err != nil || len(a.Requests) != 2 {
		t.Errorf("got %d requests, %v, want 2", len(a.Requests), err)
	}
}

// What is in the store cannot be read as a stanza any more.
func TestBrokenRequest(t *testing.T) {
	s, _ := newService(nil)
	_, err := s.store.Set(t.Context(), jid(t, juliet), Item{Contact: jid(t, romeo), Request: "<presence"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Presence(t.Context(), jid(t, juliet))
	if err != nil || len(a.Requests) != 1 || a.Requests[0].String() != presence(t, "subscribe", romeo, juliet).String() {
		t.Errorf("got %v, %v, want a plain request", a.Requests, err)
	}
}

func TestAudience(t *testing.T) {
	s, _ := newService(nil)
	for n, name := range []string{"Both", "To", "From", "None", "None + Pending In", "To + Pending In", "From + Pending Out"} {
		i := named[name]
		i.Contact = jid(t, fmt.Sprintf("%d@b.test", n))
		if _, err := s.store.Set(t.Context(), jid(t, juliet), i, 0); err != nil {
			t.Fatal(err)
		}
	}
	a, err := s.Presence(t.Context(), jid(t, juliet))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.Subscribers, a.Subscriptions, len(a.Requests)); got != "[0@b.test 2@b.test 6@b.test] [0@b.test 1@b.test 5@b.test] 2" {
		t.Errorf("got %s", got)
	}
	for n, want := range []bool{true, false, true, false, false, false, true, false} {
		watcher := jid(t, fmt.Sprintf("%d@b.test", n))
		if got, err := s.Sees(t.Context(), watcher, jid(t, juliet)); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", watcher, got, err, want)
		}
	}
}

// Rosters of more than one page are complete.
func TestPages(t *testing.T) {
	for _, n := range []int{pageSize - 1, pageSize, pageSize + 1, 2 * pageSize} {
		s, f := newService(nil)
		f.login(t, balcony, false)
		for i := range n {
			if _, err := s.store.Set(t.Context(), jid(t, juliet), Item{Contact: jid(t, fmt.Sprintf("%d@b.test", i)), Listed: true, Subscription: From}, 0); err != nil {
				t.Fatal(err)
			}
		}
		a, err := s.Presence(t.Context(), jid(t, juliet))
		if err != nil || len(a.Subscribers) != n {
			t.Errorf("got %d subscribers, %v, want %d", len(a.Subscribers), err, n)
		}
		inner, _ := get(t, s, f, "")
		if got := len(itemsOf(t, inner)); got != n {
			t.Errorf("got %d items, want %d", got, n)
		}
	}
}

func TestOff(t *testing.T) {
	s, f := newService(nil)
	in(t, s, stanza.TypeSubscribe)
	s.Configure(stanza.PerHost[*Options]{Hosts: map[string]*Options{"b.test": {}}})
	if s.Offered("a.test") || !s.Offered("b.test") {
		t.Errorf("got %v, %v, want false, true", s.Offered("a.test"), s.Offered("b.test"))
	}
	if c := out(t, s, stanza.TypeSubscribe); c != (Change{Pass: true}) {
		t.Errorf("outbound: got %+v, want it to pass", c)
	}
	if c := in(t, s, stanza.TypeSubscribed); c != (Change{Pass: true}) {
		t.Errorf("inbound: got %+v, want it to pass", c)
	}
	if a, err := s.Presence(t.Context(), jid(t, juliet)); err != nil || len(a.Requests) > 0 {
		t.Errorf("got %+v, %v, want nothing", a, err)
	}
	if ok, err := s.Sees(t.Context(), jid(t, romeo), jid(t, juliet)); err != nil || ok {
		t.Errorf("got %v, %v, want false", ok, err)
	}
	if got := set(t, s, "<item jid='romeo@b.test'/>"); got != "service-unavailable" {
		t.Errorf("got %q, want service-unavailable", got)
	}
	if err := s.Remove(t.Context(), jid(t, juliet)); err != nil {
		t.Errorf("remove: got %v", err)
	}
	wantStrings(t, "denied", f.takeRouted(), "unsubscribed juliet@a.test>romeo@b.test")
}

// access: who may not change the roster may not subscribe either.
func TestAccess(t *testing.T) {
	s, f := newService(func(o *Options) { o.Access = deny(juliet) })
	f.login(t, balcony, false)
	for _, typ := range []string{stanza.TypeSubscribe, stanza.TypeSubscribed, stanza.TypeUnsubscribe, stanza.TypeUnsubscribed} {
		if c, err := s.Outbound(t.Context(), presence(t, typ, juliet, romeo)); !errors.Is(err, &stanza.Error{Condition: stanza.Forbidden}) || c != (Change{}) {
			t.Errorf("%s: got %+v, %v, want forbidden", typ, c, err)
		}
	}
	if _, err := s.Outbound(t.Context(), presence(t, "subscribe", "nurse@a.test", romeo)); err != nil {
		t.Errorf("somebody else: got %v", err)
	}
	if got := set(t, s, "<item jid='romeo@b.test'/>"); got != "forbidden" {
		t.Errorf("got %q, want forbidden", got)
	}
	get(t, s, f, "")
}

// stubborn is a store whose items change all the time.
type stubborn struct {
	Memory
	err   error
	tries int
}

func (s *stubborn) Set(context.Context, stanza.JID, Item, int) (uint64, error) {
	s.tries++
	return 0, s.err
}

func TestStoreErrors(t *testing.T) {
	broken := errors.New("disk is on fire")
	for _, tt := range []struct {
		err   error
		tries int
		want  error
	}{
		{ErrChanged, maxTries, &stanza.Error{Condition: stanza.ResourceConstraint}},
		{ErrNoItem, maxTries, &stanza.Error{Condition: stanza.ResourceConstraint}},
		{broken, 1, broken},
	} {
		store, f := &stubborn{err: tt.err}, newFake()
		f.login(t, balcony, true)
		s := New(Config{Store: store, Router: f})
		o := Defaults()
		s.Configure(stanza.PerHost[*Options]{Value: &o})
		c, err := s.Outbound(t.Context(), presence(t, "subscribe", juliet, romeo))
		if !errors.Is(err, tt.want) || c != (Change{}) || store.tries != tt.tries {
			t.Errorf("outbound: got %+v, %v after %d tries, want %v after %d", c, err, store.tries, tt.want, tt.tries)
		}
		if c, err := inbound(t, s, presence(t, "subscribe", romeo, juliet)); !errors.Is(err, tt.want) || c != (Change{}) {
			t.Errorf("inbound: got %+v, %v, want %v", c, err, tt.want)
		}
		wantStrings(t, "pushes", f.takePushes(t, balcony))
	}
}
