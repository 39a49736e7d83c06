package host_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// audience are rosters in which everybody is subscribed to romeo.
type audience struct {
	host.Contacts
	list []stanza.JID
}

func (a *audience) Offered(string) bool { return true }

func (a *audience) Presence(_ context.Context, user stanza.JID) (host.Audience, error) {
	if user.Local() != "romeo" {
		return host.Audience{}, nil
	}
	return host.Audience{Subscribers: a.list}, nil
}

// crowd returns a router with romeo, who is available, and n others who are
// subscribed to him and available, and presence of his.
func crowd(tb testing.TB, n int) (*host.Local, *stanza.Stanza, *counter) {
	tb.Helper()
	l, err := host.NewLocal(hosts("a.test"), nil)
	if err != nil {
		tb.Fatal(err)
	}
	a := new(audience)
	l.Contacts = a
	heard, own := new(counter), new(counter)
	for i := range n {
		full, err := l.Bind(tb.Context(), stanza.Binding{JID: jid(tb, fmt.Sprintf("u%d@a.test/x", i)), Sink: heard})
		if err != nil {
			tb.Fatal(err)
		}
		if err := l.Route(tb.Context(), &stanza.Stanza{Kind: stanza.Presence, From: full}); err != nil {
			tb.Fatal(err)
		}
		a.list = append(a.list, full.Bare())
	}
	p := &stanza.Stanza{Kind: stanza.Presence, From: jid(tb, "romeo@a.test/x"), Inner: "<show>away</show><status>at lunch</status>"}
	if _, err := l.Bind(tb.Context(), stanza.Binding{JID: p.From, Sink: own}); err != nil {
		tb.Fatal(err)
	}
	if err := l.Route(tb.Context(), p); err != nil {
		tb.Fatal(err)
	}
	heard.n.Store(0)
	return l, p, heard
}

// Presence is encoded once, if at all: each contact gets a stanza that shares
// the payload, and these come in few allocations.
func TestBroadcastAllocates(t *testing.T) {
	for _, tt := range []struct{ contacts, most int }{{0, 2}, {10, 4}, {1000, 10}, {20000, 30}} {
		l, p, heard := crowd(t, tt.contacts)
		n := testing.AllocsPerRun(10, func() {
			if err := l.Route(t.Context(), p); err != nil {
				t.Error(err)
			}
		})
		if int(n) > tt.most {
			t.Errorf("presence to %d contacts makes %v allocations, want at most %d", tt.contacts, n, tt.most)
		}
		if got, want := heard.n.Load(), int64(11*tt.contacts); got != want {
			t.Errorf("%d stanzas arrived, want %d", got, want)
		}
	}
}

func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, p, heard := crowd(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Route(b.Context(), p); err != nil {
					b.Error(err)
				}
			}
			if heard.n.Load() < int64(n) {
				b.Error("nobody heard")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/contact")
		})
	}
}

// Initial presence to and from many.
func BenchmarkLogin(b *testing.B) {
	l, p, _ := crowd(b, 1000)
	gone := *p
	gone.Type = stanza.TypeUnavailable
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range []*stanza.Stanza{&gone, p} {
			if err := l.Route(b.Context(), s); err != nil {
				b.Error(err)
			}
		}
	}
}
