package roster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// cache is the roster as a client knows it.
type cache struct {
	ver   string
	items map[string]string // XML by address
}

// apply takes over what a query says.
func (c *cache) apply(t testing.TB, inner string) {
	t.Helper()
	if ver := verOf(t, inner); ver != "" {
		c.ver = ver
	}
	for _, xml := range itemsOf(t, inner) {
		e := element(t, xml)
		if e.Attr("subscription") == "remove" {
			delete(c.items, e.Attr("jid"))
		} else {
			c.items[e.Attr("jid")] = xml
		}
	}
}

// sync asks for the roster as RFC 6121, section 2.6, wants it.
func (c *cache) sync(t testing.TB, s *Service, f *fake) (whole bool) {
	t.Helper()
	inner, pushed := get(t, s, f, " ver='"+c.ver+"'")
	if inner != "" {
		c.items = map[string]string{}
		c.apply(t, inner)
	}
	c.applyPushes(t, pushed)
	return inner != ""
}

func (c *cache) applyPushes(t testing.TB, pushes []*stanza.Stanza) {
	t.Helper()
	for _, p := range pushes {
		if ver := verOf(t, p.Inner); ver == "" || ver == c.ver {
			t.Errorf("got version %q after %q, want a new one", ver, c.ver)
		}
		c.apply(t, p.Inner)
	}
}

func (c *cache) compare(t testing.TB, s *Service) {
	t.Helper()
	want := listed(t, s)
	var got []string
	for _, j := range slices.Sorted(maps.Keys(c.items)) {
		got = append(got, c.items[j])
	}
	if !slices.Equal(got, want) {
		t.Fatalf("client at %s has\n%s\nserver\n%s", c.ver, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestVersions(t *testing.T) {
	s, f := newService(versioned)
	f.login(t, balcony, false)
	c := &cache{}
	step := func(what string, wantWhole bool) {
		t.Helper()
		before := c.ver
		if whole := c.sync(t, s, f); whole != wantWhole {
			t.Errorf("%s: got the whole roster: %v, want %v", what, whole, wantWhole)
		}
		if !wantWhole && what == "no change" && c.ver != before {
			t.Errorf("%s: got version %s after %s", what, c.ver, before)
		}
		c.compare(t, s)
	}
	step("no cache", true)
	step("no change", false)
	set(t, s, "<item jid='romeo@b.test' name='Romeo'/>")
	step("a contact more", false)
	step("no change", false)
	set(t, s, "<item jid='romeo@b.test' name='My Romeo'/>")
	set(t, s, "<item jid='paris@b.test'/>")
	out(t, s, stanza.TypeSubscribe)
	step("changes", false)
	in(t, s, stanza.TypeSubscribe)
	step("a request, which is not seen", false)
	set(t, s, "<item jid='paris@b.test' subscription='remove'/>")
	step("a contact less", true)
	for n := range maxChanges {
		set(t, s, fmt.Sprintf("<item jid='%03d@b.test'/>", n))
	}
	step("as many changes as can be pushed", false)
	for n := range maxChanges + 1 {
		set(t, s, fmt.Sprintf("<item jid='%03d@b.test' name='n'/>", n))
	}
	step("too many changes", true)
	for _, ver := range []string{"x", "12", s.epoch, s.epoch + "99999999", s.epoch + "-1", "OTHER-1"} {
		c.ver = ver
		step("unknown version "+ver, true)
	}
	if err := s.Remove(t.Context(), jid(t, juliet)); err != nil {
		t.Fatal(err)
	}
	step("a new account of that name", true)
	if s.epoch == "" || New(Config{Store: new(Memory)}).epoch == s.epoch {
		t.Errorf("got epoch %q twice, want another one for another memory", s.epoch)
	}
}

// A client that was not there for the end of one account and the beginning of
// another one of that name does not keep contacts of the old one.
func TestVersionsAfterForget(t *testing.T) {
	s, f := newService(versioned)
	f.login(t, balcony, false)
	c := &cache{}
	set(t, s, "<item jid='romeo@b.test'/>")
	c.sync(t, s, f)
	if err := s.Remove(t.Context(), jid(t, juliet)); err != nil {
		t.Fatal(err)
	}
	set(t, s, "<item jid='paris@b.test'/>")
	c.sync(t, s, f)
	c.compare(t, s)
}

// RFC 6121, section 2.6.3: in the order of the changes, each item once, after
// the answer.
func TestInterimPushes(t *testing.T) {
	s, f := newService(versioned)
	f.login(t, balcony, false)
	c := &cache{}
	c.sync(t, s, f)
	for _, name := range []string{"c", "a", "b", "c", "d"} {
		set(t, s, "<item jid='"+name+"@b.test'/>")
	}
	inner, pushed := get(t, s, f, " ver='"+c.ver+"'")
	if inner != "" {
		t.Errorf("got %s, want an empty result", inner)
	}
	var got []string
	for _, p := range pushed {
		got = append(got, itemsOf(t, p.Inner)...)
	}
	want := []string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		want = append(want, "<item jid='"+name+"@b.test' subscription='none'/>")
	}
	wantStrings(t, "pushes", got, want...)
}

// Whatever happens, a client that follows the pushes and one that synchronises
// now and then have the roster of the server.
func TestCachesConverge(t *testing.T) {
	types := []string{stanza.TypeSubscribe, stanza.TypeSubscribed, stanza.TypeUnsubscribe, stanza.TypeUnsubscribed}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		s, f := newService(versioned)
		f.login(t, balcony, false)
		f.login(t, chamber, true)
		online := &cache{items: map[string]string{}}
		offline := &cache{}
		for range 150 {
			contact := fmt.Sprintf("%d@b.test", r.IntN(6))
			switch typ := types[r.IntN(4)]; r.IntN(8) {
			case 0, 1:
				set(t, s, fmt.Sprintf("<item jid='%s' name='%d'><group>%d</group></item>", contact, r.IntN(9), r.IntN(3)))
			case 2:
				set(t, s, fmt.Sprintf("<item jid='%s' subscription='remove'/>", contact))
			case 3, 4:
				if _, err := s.Outbound(t.Context(), presence(t, typ, juliet, contact)); err != nil {
					t.Fatal(err)
				}
			case 5, 6:
				if _, err := inbound(t, s, presence(t, typ, contact, juliet)); err != nil {
					t.Fatal(err)
				}
			case 7:
				offline.sync(t, s, f)
				offline.compare(t, s)
				f.Mark(jid(t, balcony), stanza.WantsRoster, r.IntN(2) == 0) // it may stay for a while
			}
			online.applyPushes(t, f.take(t, chamber))
			online.compare(t, s)
			offline.applyPushes(t, f.take(t, balcony))
		}
	}
}
