package blocking

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	get     = "<blocklist xmlns='urn:xmpp:blocking'/>"
	block   = "<block xmlns='urn:xmpp:blocking'>%s</block>"
	unblock = "<unblock xmlns='urn:xmpp:blocking'>%s</unblock>"
)

// items returns the item elements for a list of addresses.
func items(list string) (out string) {
	for j := range strings.FieldsSeq(list) {
		out += "<item jid='" + j + "'/>"
	}
	return out
}

func blocking(list string) string   { return fmt.Sprintf(block, items(list)) }
func unblocking(list string) string { return fmt.Sprintf(unblock, items(list)) }

// XEP-0191, section 3.2.
func TestRetrieve(t *testing.T) {
	for _, tt := range []struct{ name, list, want string }{
		{"empty", "", "<blocklist xmlns='urn:xmpp:blocking'></blocklist>"},
		{"two", "romeo@montague.test iago@shakespeare.test", "<blocklist xmlns='urn:xmpp:blocking'><item jid='iago@shakespeare.test'/><item jid='romeo@montague.test'/></blocklist>"},
		{"markup", "x.test/&<'\"", "<blocklist xmlns='urn:xmpp:blocking'><item jid='x.test/&amp;&lt;&apos;&quot;'/></blocklist>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, f := newService(t, tt.list)
			if got := ask(t, s, "get", get); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got, want := strings.Join(f.events, "; "), "mark juliet@a.test/balcony"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// changeTest is a request of juliet to change her list.
type changeTest struct {
	name, list, payload string
	want                string // result or error
	stored              string
	push                string // the payload; "" for none
	presence            string
}

func (tt changeTest) run(t *testing.T) {
	s, f := newService(t, tt.list)
	f.marked = jids(t, "juliet@a.test/chamber juliet@a.test/balcony")
	f.people = jids(t, "romeo@b.test romeo@b.test/x benvolio@b.test nurse@a.test juliet@a.test juliet@a.test/balcony a.test")
	before := stored(t, f)
	if got := ask(t, s, "set", tt.payload); got != tt.want {
		t.Errorf("got %q, want %q", got, tt.want)
	}
	if got := stored(t, f); got != tt.stored {
		t.Errorf("stored: got %q, want %q", got, tt.stored)
	}
	var want []string
	if before != tt.stored {
		want = append(want, "stored", "set", tt.presence)
	}
	if tt.push != "" {
		want = append(want, "push to juliet@a.test/chamber: "+tt.push, "push to juliet@a.test/balcony: "+tt.push)
	}
	if got := strings.Join(f.events, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// XEP-0191, sections 3.3, 3.4 and 3.5. What changes nothing is pushed and nothing
// else.
func TestChange(t *testing.T) {
	tests := []changeTest{
		{"block", "", blocking("romeo@b.test"), "", "romeo@b.test", blocking("romeo@b.test"), "hide from romeo@b.test romeo@b.test/x"},
		{"block several", "c.test", blocking("romeo@b.test d.test"), "", "c.test d.test romeo@b.test", blocking("d.test romeo@b.test"), "hide from romeo@b.test romeo@b.test/x"},
		{"block twice in one", "", blocking("romeo@b.test Romeo@B.test"), "", "romeo@b.test", blocking("romeo@b.test"), "hide from romeo@b.test romeo@b.test/x"},
		{"block again", "romeo@b.test", blocking("romeo@b.test"), "", "romeo@b.test", blocking("romeo@b.test"), ""},
		{"block one again and one anew", "romeo@b.test", blocking("benvolio@b.test romeo@b.test"), "", "benvolio@b.test romeo@b.test", blocking("benvolio@b.test romeo@b.test"), "hide from benvolio@b.test"},
		{"block again although the list is too long", "1.test 2.test 3.test 4.test 5.test", blocking("1.test"), "", "1.test 2.test 3.test 4.test 5.test", blocking("1.test"), ""},
		{"block a resource", "", blocking("romeo@b.test/x"), "", "romeo@b.test/x", blocking("romeo@b.test/x"), "hide from romeo@b.test/x"},
		{"block a domain", "", blocking("b.test"), "", "b.test", blocking("b.test"), "hide from romeo@b.test romeo@b.test/x benvolio@b.test"},
		{"block the own domain", "", blocking("a.test"), "", "a.test", blocking("a.test"), "hide from nurse@a.test"},
		{"block with a report (XEP-0377)", "", "<block xmlns='urn:xmpp:blocking'><item jid='romeo@b.test'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/></item></block>",
			"", "romeo@b.test", blocking("romeo@b.test"), "hide from romeo@b.test romeo@b.test/x"},
		{"block nobody", "c.test", blocking(""), "bad-request", "c.test", "", ""},
		{"block other elements", "c.test", "<block xmlns='urn:xmpp:blocking'><item xmlns='urn:x' jid='romeo@b.test'/></block>", "bad-request", "c.test", "", ""},
		{"block without jid", "", "<block xmlns='urn:xmpp:blocking'><item/></block>", "jid-malformed", "", "", ""},
		{"block a bad jid", "", blocking("romeo@b.test @"), "jid-malformed", "", "", ""},
		{"block oneself", "", blocking("romeo@b.test juliet@a.test"), "not-allowed", "", "", ""},
		{"block an own resource", "", blocking("juliet@a.test/chamber"), "not-allowed", "", "", ""},
		{"block as many as allowed", "1.test 2.test", blocking("3.test 4.test"), "", "1.test 2.test 3.test 4.test", blocking("3.test 4.test"), "hide from"},
		{"block more than allowed", "1.test 2.test 3.test", blocking("4.test 5.test"), "resource-constraint", "1.test 2.test 3.test", "", ""},
		{"unblock", "romeo@b.test c.test", unblocking("romeo@b.test"), "", "c.test", unblocking("romeo@b.test"), "show to romeo@b.test romeo@b.test/x"},
		{"unblock what stays blocked by its domain", "romeo@b.test b.test", unblocking("romeo@b.test"), "", "b.test", unblocking("romeo@b.test"), "show to"},
		{"unblock a domain but for one", "romeo@b.test b.test", unblocking("b.test"), "", "romeo@b.test", unblocking("b.test"), "show to benvolio@b.test"},
		{"unblock what is not blocked", "c.test", unblocking("benvolio@b.test"), "", "c.test", unblocking("benvolio@b.test"), ""},
		{"unblock one that is blocked and one that is not", "romeo@b.test", unblocking("benvolio@b.test romeo@b.test"), "", "", unblocking("benvolio@b.test romeo@b.test"), "show to romeo@b.test romeo@b.test/x"},
		{"unblock all", "romeo@b.test c.test", unblocking(""), "", "", unblocking(""), "show to romeo@b.test romeo@b.test/x"},
		{"unblock all of nothing", "", unblocking(""), "", "", unblocking(""), ""},
		{"unblock other elements", "c.test", "<unblock xmlns='urn:xmpp:blocking'><item xmlns='urn:x' jid='c.test'/></unblock>", "bad-request", "c.test", "", ""},
		{"unblock a bad jid", "c.test", unblocking("@"), "jid-malformed", "c.test", "", ""},
		{"unblock although the list is too long", "1.test 2.test 3.test 4.test 5.test 6.test", unblocking("1.test"), "", "2.test 3.test 4.test 5.test 6.test", unblocking("1.test"), "show to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

// A push is a request in the name of the account.
func TestPush(t *testing.T) {
	s, f := newService(t, "")
	f.marked = jids(t, "juliet@a.test/chamber juliet@a.test/balcony")
	ask(t, s, "set", blocking("romeo@b.test"))
	for _, p := range f.pushes {
		again, err := stanza.Parse(p.String())
		if err != nil {
			t.Fatal(err)
		}
		if *again != *p || p.Type != stanza.TypeSet || p.From.String() != "juliet@a.test" {
			t.Errorf("got %s (%v)", p, p.Child)
		}
	}
	if f.pushes[0].ID == f.pushes[1].ID {
		t.Errorf("two pushes have the id %s", f.pushes[0].ID)
	}
}

// XEP-0191, section 6.
func TestMatching(t *testing.T) {
	const people = "romeo@b.test/x romeo@b.test/y romeo@b.test b.test/x b.test/y b.test romeo@c.b.test c.b.test nurse@a.test nurse@a.test/x a.test a.test/x juliet@a.test juliet@a.test/x"
	tests := []struct{ name, list, want string }{
		{"full JID", "romeo@b.test/x", "romeo@b.test/x"},
		{"bare JID", "romeo@b.test", "romeo@b.test/x romeo@b.test/y romeo@b.test"},
		{"domain with resource", "b.test/x", "b.test/x"},
		{"domain", "b.test", "romeo@b.test/x romeo@b.test/y romeo@b.test b.test/x b.test/y b.test"},
		{"own domain", "a.test", "nurse@a.test nurse@a.test/x a.test/x"},
		{"oneself", "juliet@a.test juliet@a.test/x", ""},
		{"several", "c.b.test b.test/y romeo@b.test/y", "romeo@b.test/y b.test/y romeo@c.b.test c.b.test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(t, tt.list)
			blocks, err := s.Blocked(t.Context(), jid(t, "juliet@a.test/x"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, j := range jids(t, people) {
				if blocks(j) {
					got = append(got, j.String())
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
			if blocks(stanza.JID{}) {
				t.Errorf("no address is blocked")
			}
		})
	}
}

func TestBlockedNobody(t *testing.T) {
	s, f := newService(t, "")
	if blocks, err := s.Blocked(t.Context(), jid(t, "juliet@a.test")); blocks != nil || err != nil {
		t.Errorf("of an empty list: got %v, %v; want nil", blocks != nil, err)
	}
	f.getErr = errors.New("disk is on fire")
	if _, err := s.Blocked(t.Context(), jid(t, "nurse@a.test")); !errors.Is(err, f.getErr) {
		t.Errorf("got %v, want %v", err, f.getErr)
	}
	if blocks, err := s.Blocked(t.Context(), jid(t, "juliet@off.test")); blocks != nil || err != nil {
		t.Errorf("where it is off: got %v, %v; want nil", blocks != nil, err)
	}
}

func TestRefused(t *testing.T) {
	s, f := newService(t, "c.test")
	for _, tt := range []struct{ name, from, to, typ, payload, want string }{
		{"off for the domain", "juliet@off.test/x", "", "get", get, "service-unavailable"},
		{"list of somebody else", "juliet@a.test/x", "nurse@a.test", "get", get, "service-unavailable"},
		{"list of nobody", "juliet@a.test/x", "nobody@a.test", "get", get, "service-unavailable"},
		{"change for somebody else", "nurse@a.test/x", "juliet@a.test", "set", unblocking(""), "service-unavailable"},
		{"set blocklist", "juliet@a.test/x", "", "set", get, "bad-request"},
		{"get block", "juliet@a.test/x", "", "get", blocking("b.test"), "bad-request"},
		{"get unblock", "juliet@a.test/x", "", "get", unblocking("c.test"), "bad-request"},
		{"another element", "juliet@a.test/x", "", "set", "<item xmlns='urn:xmpp:blocking'/>", "bad-request"},
		{"another namespace", "juliet@a.test/x", "", "set", "<unblock xmlns='urn:x'/>", "bad-request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := try(t, s, tt.from, tt.to, tt.typ, tt.payload)
			if got != tt.want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	if got := stored(t, f); got != "c.test" || len(f.events) > 0 {
		t.Errorf("stored: %q, %v; want nothing to have happened", got, f.events)
	}
}

// To the own bare JID is the same as to nobody.
func TestToOwn(t *testing.T) {
	s, _ := newService(t, "")
	got, err := try(t, s, "juliet@a.test/x", "juliet@a.test", "get", get)
	if want := "<blocklist xmlns='urn:xmpp:blocking'></blocklist>"; got != want || err != nil {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestStoreFails(t *testing.T) {
	broken := errors.New("disk is on fire")
	for _, tt := range []struct {
		name, typ, payload string
		get, set           error
	}{
		{"list", "get", get, broken, nil},
		{"block, reading", "set", blocking("b.test"), broken, nil},
		{"block, writing", "set", blocking("b.test"), nil, broken},
		{"unblock, reading", "set", unblocking("c.test"), broken, nil},
		{"unblock, writing", "set", unblocking("c.test"), nil, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, f := newService(t, "c.test")
			f.getErr, f.setErr = tt.get, tt.set
			if _, err := try(t, s, "juliet@a.test/x", "", tt.typ, tt.payload); !errors.Is(err, broken) {
				t.Errorf("got %v, want %v", err, broken)
			}
			f.events = slicesWithout(f.events, "mark juliet@a.test/x")
			if len(f.events) > 0 {
				t.Errorf("got %v although nothing was stored", f.events)
			}
		})
	}
}

// A store may fail after it has stored a change. The client hears of the failure;
// the router and the contacts hear of the change, since nothing would tell them
// when the client tries again.
func TestStoredThoughFailed(t *testing.T) {
	for _, tt := range []struct{ name, list, payload, stored, want string }{
		{"block", "c.test", blocking("b.test"), "b.test c.test", "stored; set; hide from romeo@b.test"},
		{"unblock", "b.test c.test", unblocking("b.test"), "c.test", "stored; set; show to romeo@b.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, f := newService(t, tt.list)
			f.people, f.lateErr = jids(t, "romeo@b.test"), errors.New("disk is on fire")
			juliet := jid(t, "juliet@a.test")
			if _, err := s.Blocked(t.Context(), juliet); err != nil {
				t.Fatal(err)
			}
			if _, err := try(t, s, "juliet@a.test/x", "", "set", tt.payload); !errors.Is(err, f.lateErr) {
				t.Errorf("got %v, want %v", err, f.lateErr)
			}
			if got := strings.Join(f.events, "; "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := stored(t, f); got != tt.stored {
				t.Errorf("stored: got %q, want %q", got, tt.stored)
			}
			blocks, err := s.Blocked(t.Context(), juliet)
			if want := tt.name == "block"; err != nil || blocks(jid(t, "romeo@b.test")) != want || f.blocks(jid(t, "romeo@b.test")) != want {
				t.Errorf("romeo is not told as he is stored, %v", err)
			}
		})
	}
}

// A list is bounded by its bytes as well. One that is longer can get shorter.
func TestMaxBytes(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, tt := range []struct {
		name, list string
		o          Options
		payload    string
		want       string
	}{
		{"within", "c.test", Options{MaxItems: 10, MaxBytes: 12}, blocking("d.test"), ""},
		{"one byte beyond", "c.test", Options{MaxItems: 10, MaxBytes: 12}, blocking("dd.test"), "resource-constraint"},
		{"again, beyond", "c.test d.test", Options{MaxItems: 10, MaxBytes: 6}, blocking("d.test"), ""},
		{"unblocked, beyond", "c.test d.test e.test", Options{MaxItems: 10, MaxBytes: 6}, unblocking("d.test"), ""},
		{"default", "", Options{MaxItems: 10}, blocking(long + "@b.test"), ""},
		{"no bound of the items", "", Options{MaxBytes: 100}, blocking("1.test 2.test 3.test"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(t, tt.list)
			s.Configure(stanza.PerHost[*Options]{Value: &tt.o})
			if got := ask(t, s, "set", tt.payload); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	s, f := newService(t, "")
	s.Configure(stanza.PerHost[*Options]{Value: &Options{MaxItems: 10_000}})
	var got string
	for i := 0; got == "" && i < 1000; i++ {
		got = ask(t, s, "set", blocking(fmt.Sprintf("%d%s@b.test", i, long)))
	}
	if n := len(strings.ReplaceAll(stored(t, f), " ", "")); got != "resource-constraint" || n > DefaultMaxBytes || n < DefaultMaxBytes-2000 {
		t.Errorf("got %q with %d bytes stored, want resource-constraint before %d", got, n, DefaultMaxBytes)
	}
}

func slicesWithout(list []string, s string) (out []string) {
	for _, e := range list {
		if e != s {
			out = append(out, e)
		}
	}
	return out
}

// Lost presence and pushes do not undo what is stored, nor does a client that
// goes meanwhile.
func TestStoredIsStored(t *testing.T) {
	s, f := newService(t, "")
	f.marked = jids(t, "juliet@a.test/x")
	f.people = jids(t, "b.test")
	f.err = stanza.ErrQueueFull
	ctx, cancel := context.WithCancel(t.Context())
	f.cancel = cancel
	iq, err := stanza.Parse("<iq type='set' id='1' from='juliet@a.test/x'>" + blocking("b.test") + "</iq>")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.HandleIQ(ctx, iq, stanza.Peer{}); err != nil {
		t.Errorf("got %v, want a result", err)
	}
	want := "stored; set; hide from b.test; push to juliet@a.test/x: " + blocking("b.test")
	if got := strings.Join(f.events, "; "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOthersGetAhead(t *testing.T) {
	s, f := newService(t, "c.test other3@x.test")
	s.Configure(stanza.PerHost[*Options]{Value: &Options{MaxItems: 100}})
	f.lose = 3
	if got := ask(t, s, "set", blocking("b.test")); got != "" {
		t.Errorf("got %q, want a result", got)
	}
	if got, want := stored(t, f), "b.test c.test other0@x.test other1@x.test other2@x.test other3@x.test"; got != want {
		t.Errorf("stored: got %q, want %q", got, want)
	}
	f.lose = 1000
	if _, err := try(t, s, "juliet@a.test/x", "", "set", blocking("d.test")); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want %v", err, ErrChanged)
	}
	if tries := 1000 - f.lose; tries != maxTries {
		t.Errorf("it tried %d times, want %d", tries, maxTries)
	}
}

// Many clients of one account change its list at once: nothing is lost, and what
// the router was told last is what is stored.
func TestConcurrent(t *testing.T) {
	s, f := newService(t, "")
	s.Configure(stanza.PerHost[*Options]{Value: &Options{MaxItems: 100}})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := try(t, s, "juliet@a.test/x", "", "set", blocking(fmt.Sprintf("u%02d@b.test", i)))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l, _ := f.Memory.Get(t.Context(), jid(t, "juliet@a.test"))
	if len(l.Blocked) != 20 {
		t.Errorf("got %d items, want 20", len(l.Blocked))
	}
	for _, j := range l.Blocked {
		if !f.blocks(j) {
			t.Errorf("the router does not know of %s", j)
		}
	}
	if len(s.turns.accounts) != 0 {
		t.Errorf("%d accounts are remembered, want none", len(s.turns.accounts))
	}
}

// Whoever waits for the turn gives up when its context ends.
func TestTurnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		juliet := jid(t, "juliet@a.test")
		leave, err := turns.enter(t.Context(), juliet)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := turns.enter(t.Context(), jid(t, "nurse@a.test")); err != nil {
			t.Errorf("another account: %v", err)
		} else {
			other()
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := turns.enter(ctx, juliet)
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		leave()
		if len(turns.accounts) != 0 {
			t.Errorf("%d accounts are remembered, want none", len(turns.accounts))
		}
	})
}

func TestRemove(t *testing.T) {
	s, f := newService(t, "c.test")
	f.blocks = func(stanza.JID) bool { return true }
	if err := s.Remove(t.Context(), jid(t, "juliet@a.test")); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, f); got != "" || f.blocks != nil {
		t.Errorf("stored: %q, router told %v; want nobody blocked", got, f.blocks != nil)
	}
}

// A revision is never used again, even when the account comes anew.
func TestMemoryRevisions(t *testing.T) {
	var m Memory
	ctx, juliet := t.Context(), jid(t, "juliet@a.test")
	first, err := m.CompareAndSet(ctx, juliet, List{Blocked: jids(t, "b.test")})
	if err != nil || first == 0 {
		t.Fatalf("got %d, %v", first, err)
	}
	if err := m.Forget(ctx, juliet); err != nil {
		t.Fatal(err)
	}
	if l, err := m.Get(ctx, juliet); l.Revision != 0 || l.Blocked != nil || err != nil {
		t.Errorf("after Forget: got %v, %v; want nothing", l, err)
	}
	if _, err := m.CompareAndSet(ctx, juliet, List{Revision: first}); !errors.Is(err, ErrChanged) {
		t.Errorf("with an old revision: got %v, want %v", err, ErrChanged)
	}
	if second, err := m.CompareAndSet(ctx, juliet, List{}); second == first || err != nil {
		t.Errorf("got %d, %v; want another than %d", second, err, first)
	}
}

func TestRefusal(t *testing.T) {
	want := "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error>"
	if got := string(Refusal().AppendXML(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMatchAllocations(t *testing.T) {
	blocks := compile(jid(t, "juliet@a.test"), jids(t, "c.test romeo@d.test"))
	peer := jid(t, "romeo@b.test/x")
	if n := testing.AllocsPerRun(100, func() { blocks(peer) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	var list []stanza.JID
	for i := range 1000 {
		list = append(list, jid(b, fmt.Sprintf("u%d@b.test", i)))
	}
	blocks, peer := compile(jid(b, "juliet@a.test"), list), jid(b, "romeo@b.test/x")
	b.ReportAllocs()
	for b.Loop() {
		blocks(peer)
	}
}
