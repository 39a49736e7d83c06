package roster

import (
	"context"
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// friends returns a service in whose store Juliet has n contacts, all of them
// subscribed in both directions.
func friends(tb testing.TB, n int) (*Service, *fake) {
	s, f := newService(versioned)
	for i := range n {
		i := Item{Contact: jid(tb, fmt.Sprintf("contact%d@b.test", i)), Name: "A name", Groups: []string{"Friends"}, Subscription: Both, Listed: true}
		if _, err := s.store.Set(context.Background(), jid(tb, juliet), i, 0); err != nil {
			tb.Fatal(err)
		}
	}
	return s, f
}

// The addresses are those of the store; there is one allocation a page and one
// for each list of addresses that has to grow.
func TestPresenceAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s, _ := friends(t, 1000)
	user := jid(t, juliet)
	got := testing.AllocsPerRun(100, func() {
		if a, err := s.Presence(context.Background(), user); err != nil || len(a.Subscribers) != 1000 {
			t.Error(len(a.Subscribers), err)
		}
	})
	if got > 10 {
		t.Errorf("got %v allocations for 1000 contacts, want at most 10", got)
	}
}

func BenchmarkPresence(b *testing.B) {
	for _, n := range []int{10, 1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, _ := friends(b, n)
			user := jid(b, juliet)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Presence(b.Context(), user); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s, _ := friends(b, 1000)
	s.router = drain{}
	iq := request(b, stanza.TypeGet, "<query xmlns='jabber:iq:roster' ver=''/>")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.HandleIQ(b.Context(), iq, stanza.Peer{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	s, _ := friends(b, 1000)
	s.router = drain{jid(b, balcony), jid(b, chamber)}
	iq := request(b, stanza.TypeSet, "<query xmlns='jabber:iq:roster'><item jid='contact500@b.test' name='N'><group>Friends</group></item></query>")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.HandleIQ(b.Context(), iq, stanza.Peer{}); err != nil {
			b.Fatal(err)
		}
	}
}

// drain is a router with interested sessions that takes everything.
type drain []stanza.JID

func (drain) Route(context.Context, *stanza.Stanza) error   { return nil }
func (drain) DeliverTo(stanza.JID, *stanza.Stanza) error    { return nil }
func (drain) Mark(stanza.JID, stanza.Mark, bool) bool       { return true }
func (d drain) Marked(stanza.JID, stanza.Mark) []stanza.JID { return d }
