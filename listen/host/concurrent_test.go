package host_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Sessions of one account come, talk, change and go at the same time, while the
// hosts change. What is left at the end is what was not released; nobody sees a
// ghost.
func TestConcurrentSessions(t *testing.T) {
	w := newWorld(t, hosts("a.test", "b.test"))
	watcher := w.bind("romeo@a.test/watcher", "<presence/>")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				want := jid(t, "romeo@a.test")
				if i%3 == 0 { // sometimes all fight for one resource
					want = jid(t, "romeo@a.test/shared")
				}
				s := new(listentest.Sink)
				full, err := w.Bind(t.Context(), stanza.Binding{JID: want, Sink: s})
				if err != nil {
					t.Errorf("Bind: %v", err)
					return
				}
				for _, st := range []*stanza.Stanza{
					{Kind: stanza.Presence, From: full},
					{Kind: stanza.Presence, From: full, To: jid(t, fmt.Sprintf("u%d@a.test", g))},
					{Kind: stanza.Message, From: full, To: jid(t, "romeo@a.test")},
					{Kind: stanza.Message, From: full, To: jid(t, "romeo@a.test/shared"), Type: stanza.TypeChat},
				} {
					// A session that was replaced meanwhile may fail.
					_ = w.Route(t.Context(), st)
				}
				w.Release(t.Context(), full, s)
			}
		})
	}
	wg.Go(func() {
		for i := range 50 {
			o := hosts("a.test", "b.test")
			if i%2 == 0 {
				o = hosts("a.test")
			}
			if err := w.Configure(o); err != nil {
				t.Errorf("Configure: %v", err)
			}
		}
	})
	wg.Wait()

	last := make(map[stanza.JID]string)
	for _, s := range watcher.Stanzas() {
		if s.Kind == stanza.Presence && s.From.Resource() != "watcher" {
			last[s.From] = s.Type
		}
	}
	for j, typ := range last {
		if typ != stanza.TypeUnavailable {
			t.Errorf("%s is a ghost", j)
		}
	}
	if n := w.Local.Kick(jid(t, "romeo@a.test"), stanza.JID{}, nil); n != 1 {
		t.Errorf("%d sessions are left, want the watcher's", n)
	}
}

// counter is a sink that counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Deliver(*stanza.Stanza) error { c.n.Add(1); return nil }
func (c *counter) Kick(*stanza.StreamError)     {}

// twoSessions returns a router with two users and a message from one to the
// other.
func twoSessions(tb testing.TB, to string) (*host.Local, *stanza.Stanza, *counter) {
	l, err := host.NewLocal(hosts("a.test", "b.test"), nil)
	if err != nil {
		tb.Fatal(err)
	}
	c := new(counter)
	for _, j := range []string{"romeo@a.test/x", "juliet@a.test/balcony"} {
		full, err := l.Bind(tb.Context(), stanza.Binding{JID: jid(tb, j), Sink: c})
		if err != nil {
			tb.Fatal(err)
		}
		if err := l.Route(tb.Context(), &stanza.Stanza{Kind: stanza.Presence, From: full}); err != nil {
			tb.Fatal(err)
		}
	}
	return l, &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeChat, From: jid(tb, "romeo@a.test/x"), To: jid(tb, to), Inner: "<body>hi</body>"}, c
}

func TestRouteDoesNotAllocate(t *testing.T) {
	for _, to := range []string{"juliet@a.test/balcony", "juliet@a.test", "juliet@a.test/elsewhere"} {
		l, s, c := twoSessions(t, to)
		before := c.n.Load()
		if n := testing.AllocsPerRun(100, func() {
			if err := l.Route(t.Context(), s); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("a message to %s makes %v allocations, want 0", to, n)
		}
		if c.n.Load() == before {
			t.Errorf("messages to %s did not arrive", to)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	for name, to := range map[string]string{"full": "juliet@a.test/balcony", "bare": "juliet@a.test"} {
		b.Run(name, func(b *testing.B) {
			l, s, _ := twoSessions(b, to)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Route(b.Context(), s); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// A message to two resources of one priority, and one that makes carbon copies.
func BenchmarkRouteToSeveral(b *testing.B) {
	for _, carbons := range []bool{false, true} {
		b.Run(fmt.Sprintf("carbons=%t", carbons), func(b *testing.B) {
			l, s, c := twoSessions(b, "juliet@a.test")
			l.Carbons = everywhere{}
			full, err := l.Bind(b.Context(), stanza.Binding{JID: jid(b, "juliet@a.test/chamber"), Sink: c})
			if err != nil {
				b.Fatal(err)
			}
			p := &stanza.Stanza{Kind: stanza.Presence, From: full}
			if carbons {
				l.Mark(full, stanza.WantsCarbons, true)
				p.Inner = "<priority>-1</priority>"
			}
			if err := l.Route(b.Context(), p); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				m := *s
				if err := l.Route(b.Context(), &m); err != nil {
					b.Error(err)
				}
			}
		})
	}
}

func BenchmarkBindRelease(b *testing.B) {
	l, _, _ := twoSessions(b, "juliet@a.test")
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		me, c := jid(b, fmt.Sprintf("user%d@a.test", n.Add(1))), new(counter)
		for pb.Next() {
			full, err := l.Bind(b.Context(), stanza.Binding{JID: me, Sink: c})
			if err != nil {
				b.Error(err)
			}
			l.Release(b.Context(), full, c)
		}
	})
}
