package roster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// asks has somebody ask Juliet for a subscription; it reports whether she hears
// of it.
func asks(t *testing.T, s *Service, who string) bool {
	t.Helper()
	c, err := inbound(t, s, presence(t, "subscribe", who, juliet))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Pass && c.Reply != stanza.TypeUnsubscribed {
		t.Errorf("%s: got %+v, want that it passes or is denied", who, c)
	}
	return c.Pass
}

// waiting returns who waits for an answer, sorted.
func waiting(t *testing.T, s *Service) (all []string) {
	t.Helper()
	err := s.each(t.Context(), jid(t, juliet), func(i *Item) {
		if i.Request != "" {
			all = append(all, i.Contact.String())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Each step is an address that asks, or one behind "+" that Juliet adds; "!" says
// that there is no place. max_items is 6.
func TestStrangersMakePlace(t *testing.T) {
	for _, tt := range []struct{ name, steps, want string }{
		{"below their share", "a@x b@x c@y", "a@x b@x c@y"},
		{"the oldest goes", "a@x b@x c@x d@x", "b@x c@x d@x"},
		{"of the domain with most", "a@y b@x c@x d@z", "a@y c@x d@z"},
		{"also for one of that domain", "a@y b@x c@x d@x", "a@y c@x d@x"},
		{"of all where they are equal", "b@y a@x c@z d@z", "a@x c@z d@z"},
		{"a flood displaces itself", "a@y b@x c@x d@x e@x f@x g@x", "a@y f@x g@x"},
		{"a friend gets in after a flood", "b@x c@x d@x e@x f@x friend@y", "e@x f@x friend@y"},
		{"who was displaced can ask again", "a@x b@x c@x d@x a@x", "a@x c@x d@x"},
		{"asking again is nothing", "a@x b@x c@x a@x a@x", "a@x b@x c@x"},
		{"contacts leave them their share", "+1 +2 +3 a@x b@x c@x d@x", "b@x c@x d@x"},
		{"many contacts leave them the rest", "+1 +2 +3 +4 a@x b@x c@x", "b@x c@x"},
		{"contacts displace them", "a@x b@y c@y +1 +2 +3 +4 +5", "c@y"},
		{"contacts fill the roster", "a@x +1 +2 +3 +4 +5 +6 !+7 !b@x", ""},
		{"who is listed is no stranger", "a@x +a@x b@x c@x d@x e@x", "a@x c@x d@x e@x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(func(o *Options) { o.MaxItems = 6 })
			for _, step := range strings.Fields(tt.steps) {
				who, full := strings.CutPrefix(step, "!")
				who, adds := strings.CutPrefix(who, "+")
				if !adds {
					again := slices.Contains(waiting(t, s), who+".test")
					if got := again || asks(t, s, who+".test"); got == full {
						t.Errorf("%s gets in: %t", who, got)
					}
					continue
				}
				if !strings.Contains(who, "@") {
					who += "@contacts"
				}
				want := map[bool]string{true: "resource-constraint"}[full]
				if got := set(t, s, "<item jid='"+who+".test'/>"); got != want {
					t.Errorf("adding %s: got %q, want %q", who, got, want)
				}
			}
			want := strings.Fields(tt.want)
			for n := range want {
				want[n] += ".test"
			}
			slices.Sort(want)
			wantStrings(t, "requests", waiting(t, s), want...)
		})
	}
}

// Subscribing to somebody, and approving somebody, needs a place as adding does.
func TestSubscribingMakesPlace(t *testing.T) {
	for _, typ := range []string{stanza.TypeSubscribe, stanza.TypeSubscribed} {
		s, _ := newService(func(o *Options) { o.MaxItems = 2 })
		asks(t, s, "a@x.test")
		for n := range 3 {
			_, err := s.Outbound(t.Context(), presence(t, typ, juliet, fmt.Sprintf("%d@c.test", n)))
			if full := errors.Is(err, &stanza.Error{Condition: stanza.ResourceConstraint}); full != (n == 2) || err != nil && !full {
				t.Errorf("%s %d: got %v", typ, n, err)
			}
		}
		if _, err := s.Outbound(t.Context(), presence(t, typ, juliet, "1@c.test")); err != nil {
			t.Errorf("%s to a contact that is there: got %v", typ, err)
		}
		wantStrings(t, "requests", waiting(t, s))
	}
}

// max_items: 0 is no limit, and 1 leaves place for one request.
func TestExtremesOfMaxItems(t *testing.T) {
	for limit, want := range map[int]int{0: 20, 1: 1, 3: 1} {
		s, _ := newService(func(o *Options) { o.MaxItems = limit })
		for n := range 20 {
			if !asks(t, s, fmt.Sprintf("%d@b.test", n)) {
				t.Errorf("max_items %d: request %d was denied", limit, n)
			}
		}
		if got := len(waiting(t, s)); got != want {
			t.Errorf("max_items %d: got %d requests, want %d", limit, got, want)
		}
	}
}

// A resource that comes hears of 100 requests, oldest first, and of a flood it is
// the requests of the others that it hears of in any case.
func TestRequestsAtLogin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flood int
		first string // of the flood that is told
	}{
		{"few", 99, "0@flood.test"},
		{"many", 150, "51@flood.test"},
		{"more than there is place for", 700, "601@flood.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(func(o *Options) { o.MaxItems = 1000 })
			asks(t, s, "friend@b.test")
			for n := range tt.flood {
				if !asks(t, s, fmt.Sprintf("%d@flood.test", n)) {
					t.Fatalf("request %d was denied", n)
				}
			}
			if n := len(waiting(t, s)); n != min(tt.flood+1, 500) {
				t.Errorf("got %d requests, want %d", n, min(tt.flood+1, 500))
			}
			a, err := s.Presence(t.Context(), jid(t, juliet))
			if err != nil || len(a.Requests) != maxRequests {
				t.Fatalf("got %d requests, %v, want %d", len(a.Requests), err, maxRequests)
			}
			var got []string
			for _, r := range a.Requests {
				got = append(got, r.From.String())
			}
			last := fmt.Sprintf("%d@flood.test", tt.flood-1)
			if got[0] != "friend@b.test" || got[1] != tt.first || got[maxRequests-1] != last {
				t.Errorf("got %s, %s, ... %s; want friend@b.test, %s, ... %s", got[0], got[1], got[maxRequests-1], tt.first, last)
			}
		})
	}
}
