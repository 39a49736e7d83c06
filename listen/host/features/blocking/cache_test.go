package blocking

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// counting is a store that counts reads. During each it calls while, with what
// it has read and not returned.
type counting struct {
	Memory
	reads atomic.Int64
	while func(user stanza.JID)
}

func (c *counting) Get(ctx context.Context, user stanza.JID) (List, error) {
	c.reads.Add(1)
	l, err := c.Memory.Get(ctx, user)
	if c.while != nil {
		c.while(user)
	}
	return l, err
}

// newCounting returns a service for all domains on a store that counts.
func newCounting(t testing.TB) (*Service, *counting) {
	store := new(counting)
	s := New(Config{Store: store, Sessions: &fake{}})
	o := Defaults()
	s.Configure(stanza.PerHost[*Options]{Value: &o})
	return s, store
}

// wantBlocks asks whether an account blocks a peer.
func wantBlocks(t *testing.T, s *Service, what, user, peer string, want bool) {
	t.Helper()
	blocks, err := s.Blocked(t.Context(), jid(t, user))
	if err != nil {
		t.Fatal(err)
	}
	if got := blocks != nil && blocks(jid(t, peer)); got != want {
		t.Errorf("%s: %s blocks %s: %t, want %t", what, user, peer, got, want)
	}
}

// A list is read once, also one that is empty, until it changes.
func TestReadOnce(t *testing.T) {
	s, store := newCounting(t)
	reads := int64(0)
	steps := []struct {
		name string
		do   func()
		want bool
		read int64 // how often the list is read then
	}{
		{"at first", func() {}, false, 1},
		{"again", func() {}, false, 0},
		{"blocked", func() { ask(t, s, "set", blocking("romeo@b.test")) }, true, 1},
		{"again", func() {}, true, 0},
		{"blocked again, which changes nothing", func() { ask(t, s, "set", blocking("romeo@b.test")) }, true, 0},
		{"unblocked what is not blocked", func() { ask(t, s, "set", unblocking("x.test")) }, true, 0},
		{"unblocked", func() { ask(t, s, "set", unblocking("")) }, false, 1},
		{"blocked once more", func() { ask(t, s, "set", blocking("b.test")) }, true, 1},
		{"list retrieved", func() { ask(t, s, "get", get) }, true, 0},
		{"another account", func() { wantBlocks(t, s, "another", "nurse@a.test", "romeo@b.test", false) }, true, 0},
		{"switched off and on", func() {
			s.Configure(stanza.PerHost[*Options]{})
			wantBlocks(t, s, "off", "juliet@a.test", "romeo@b.test", false)
			o := Defaults()
			s.Configure(stanza.PerHost[*Options]{Value: &o})
		}, true, 0},
		{"account removed", func() {
			if err := s.Remove(t.Context(), jid(t, "juliet@a.test")); err != nil {
				t.Error(err)
			}
		}, false, 1},
	}
	for _, tt := range steps {
		tt.do()
		reads = store.reads.Load()
		wantBlocks(t, s, tt.name, "juliet@a.test", "romeo@b.test/x", tt.want)
		if got := store.reads.Load() - reads; got != tt.read {
			t.Errorf("%s: the list was read %d times, want %d", tt.name, got, tt.read)
		}
	}
}

// A failure is not remembered.
func TestReadFails(t *testing.T) {
	s, f := newService(t, "b.test")
	f.getErr = errors.New("disk is on fire")
	if _, err := s.Blocked(t.Context(), jid(t, "juliet@a.test")); !errors.Is(err, f.getErr) {
		t.Errorf("got %v, want %v", err, f.getErr)
	}
	f.getErr = nil
	wantBlocks(t, s, "when the store is well again", "juliet@a.test", "romeo@b.test", true)
	if len(s.cache.reads) > 0 {
		t.Errorf("%d reads are under way, want none", len(s.cache.reads))
	}
}

// What was read before a change and comes back after it is not remembered,
// whatever else has been read meanwhile.
func TestChangeWhileRead(t *testing.T) {
	change := func(t *testing.T, s *Service) { ask(t, s, "set", blocking("romeo@b.test")) }
	for name, change := range map[string]func(*testing.T, *Service){
		"blocked": change,
		"blocked and asked": func(t *testing.T, s *Service) {
			change(t, s)
			wantBlocks(t, s, "meanwhile", "juliet@a.test", "romeo@b.test", true)
		},
		"blocked in between": func(t *testing.T, s *Service) {
			change(t, s)
			ask(t, s, "set", unblocking("c.test"))
		},
		"removed": func(t *testing.T, s *Service) {
			if err := s.Remove(t.Context(), jid(t, "juliet@a.test")); err != nil {
				t.Error(err)
			}
			change(t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, store := newCounting(t)
			ask(t, s, "set", blocking("c.test"))
			store.while = func(stanza.JID) {
				store.while = nil
				change(t, s)
			}
			if _, err := s.Blocked(t.Context(), jid(t, "juliet@a.test")); err != nil {
				t.Fatal(err)
			}
			wantBlocks(t, s, "afterwards", "juliet@a.test", "romeo@b.test", true)
			if len(s.cache.reads) > 0 {
				t.Errorf("%d reads are under way, want none", len(s.cache.reads))
			}
		})
	}
}

// Whoever asks after a change has returned hears of it, however slow the store
// answers others who ask.
func TestFreshAmongReaders(t *testing.T) {
	s, store := newCounting(t)
	store.while = func(stanza.JID) {
		for range rand.IntN(20) {
			runtime.Gosched()
		}
	}
	s.cache.maxLists = 2 // so that lists come and go
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				for _, user := range []string{"juliet@a.test", "romeo@a.test", "nurse@a.test"} {
					if _, err := s.Blocked(context.Background(), jid(t, user)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	var writers sync.WaitGroup
	for _, user := range []string{"juliet@a.test", "romeo@a.test"} {
		writers.Go(func() {
			for n := range 300 {
				payload, want := blocking("b.test"), true
				switch n % 5 {
				case 1, 3:
					payload, want = unblocking(""), false
				case 4:
					if err := s.Remove(t.Context(), jid(t, user)); err != nil {
						t.Error(err)
					}
					wantBlocks(t, s, "removed", user, "x@b.test", false)
				}
				if _, err := try(t, s, user+"/x", "", "set", payload); err != nil {
					t.Error(err)
				}
				wantBlocks(t, s, fmt.Sprint("change ", n), user, "x@b.test", want)
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	if len(s.cache.reads) > 0 || s.cache.used.Len() > 2 {
		t.Errorf("%d reads are under way and %d lists remembered, want none and at most 2", len(s.cache.reads), s.cache.used.Len())
	}
}

func TestCacheIsBounded(t *testing.T) {
	list := func(user string, bytes int) *cached { return &cached{user: user, bytes: bytes} }
	for _, tt := range []struct {
		name            string
		lists, maxBytes int
		puts            []*cached // "+" before a user: it is asked for
		want            string    // the last used first
	}{
		{"by number", 3, 1000, []*cached{list("a", 1), list("b", 1), list("c", 1), list("d", 1)}, "d c b"},
		{"the one used last stays", 3, 1000, []*cached{list("a", 1), list("b", 1), list("c", 1), list("+a", 0), list("d", 1)}, "d a c"},
		{"by bytes", 9, 100, []*cached{list("a", 30), list("b", 30), list("c", 30), list("d", 50)}, "d c"},
		{"all bytes", 9, 100, []*cached{list("a", 50), list("b", 50)}, "b a"},
		{"one that takes all", 9, 100, []*cached{list("a", 50), list("b", 50), list("c", 100)}, "c"},
		{"one that is too large", 9, 100, []*cached{list("a", 50), list("b", 101)}, "a"},
		{"twice", 9, 100, []*cached{list("a", 50), list("a", 50), list("b", 50)}, "b a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(tt.lists, tt.maxBytes)
			for _, p := range tt.puts {
				_, known, r := c.find(strings.TrimPrefix(p.user, "+"))
				if !known {
					c.end(r, p)
				}
			}
			var got []string
			bytes := 0
			for e := c.used.Front(); e != nil; e = e.Next() {
				p := e.Value.(*cached)
				got = append(got, p.user)
				bytes += p.bytes
				if c.lists[p.user] != e {
					t.Errorf("%s is not found", p.user)
				}
			}
			if strings.Join(got, " ") != tt.want || len(c.lists) != len(got) || c.bytes != bytes || len(c.reads) > 0 {
				t.Errorf("got %v (%d lists, %d bytes, %d reads), want %s", got, len(c.lists), c.bytes, len(c.reads), tt.want)
			}
			c.forget("b")
			c.forget("nobody")
			for e := c.used.Front(); e != nil; e = c.used.Front() {
				c.forget(e.Value.(*cached).user)
			}
			if c.bytes != 0 || len(c.lists) > 0 {
				t.Errorf("all forgotten: %d bytes of %d lists, want none", c.bytes, len(c.lists))
			}
		})
	}
}

// What a Service remembers is bounded however many accounts there are, and
// however long their lists.
func TestMemoryIsBounded(t *testing.T) {
	s, store := newCounting(t)
	s.cache.maxLists, s.cache.maxBytes = 50, 1<<20
	var long []stanza.JID
	for i := range 900 {
		long = append(long, jid(t, fmt.Sprintf("%d%s@b.test", i, strings.Repeat("x", 100))))
	}
	for i := range 200 {
		user := jid(t, fmt.Sprintf("u%d@a.test", i))
		if i%2 == 0 {
			if _, err := store.CompareAndSet(t.Context(), user, List{Blocked: sorted(long)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Blocked(t.Context(), user); err != nil {
			t.Fatal(err)
		}
		if len(s.cache.lists) > 50 || s.cache.bytes > 1<<20 {
			t.Fatalf("after %d accounts %d lists of %d bytes are remembered, want at most 50 of 1 MiB", i+1, len(s.cache.lists), s.cache.bytes)
		}
	}
	if n := len(s.cache.lists); n < 4 {
		t.Errorf("%d lists are remembered, want some", n)
	}
}

func TestKnownAllocations(t *testing.T) {
	s, _ := newCounting(t)
	ask(t, s, "set", blocking("b.test"))
	juliet := jid(t, "juliet@a.test")
	ask := func() {
		if _, err := s.Blocked(t.Context(), juliet); err != nil {
			t.Error(err)
		}
	}
	ask()
	if n := testing.AllocsPerRun(100, ask); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkBlocked(b *testing.B) {
	for _, bb := range []struct {
		name  string
		known bool
	}{{"read each time", false}, {"known", true}} {
		b.Run(bb.name, func(b *testing.B) {
			s, store := newCounting(b)
			var list []stanza.JID
			for i := range 1000 {
				list = append(list, jid(b, fmt.Sprintf("u%04d@b.test", i)))
			}
			juliet := jid(b, "juliet@a.test")
			if _, err := store.CompareAndSet(b.Context(), juliet, List{Blocked: list}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !bb.known {
					s.cache.forget(juliet.String())
				}
				if _, err := s.Blocked(b.Context(), juliet); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
