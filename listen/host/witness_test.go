package host_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	featureoffline "github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// witness is a slow store that tells what it has, and what sessions lose.
type witness struct {
	host.Offline
	onLost func(id string)
	kept   func(user stanza.JID) (ids []string)
	wait   func() // until the store is done with everything

	mu   sync.Mutex
	held map[stanza.Sink]map[uint64]string // the ids of what sessions have been handed, by key
}

func newWitness(seed uint64, real bool) *witness {
	w := &witness{held: make(map[stanza.Sink]map[uint64]string)}
	slow := randomly(seed, 20*time.Millisecond)
	if !real {
		o := &offline{slow: slow}
		w.Offline, w.wait = o, o.work.Wait
		w.kept = func(user stanza.JID) (ids []string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			for _, s := range o.kept {
				if s.To.Bare() == user {
					ids = append(ids, s.ID)
				}
			}
			return ids
		}
		return w
	}
	store := &groups{slow: slow}
	s := featureoffline.New(featureoffline.Config{Store: store})
	o := featureoffline.Defaults()
	o.MaxUserOfflineMessages = atMost{1 << 20, nil}
	s.Configure(stanza.PerHost[*featureoffline.Options]{Value: &o})
	w.Offline, w.wait = s, store.work.Wait
	w.kept = func(user stanza.JID) (ids []string) {
		list, _, _ := store.List(context.Background(), user, 0, featureoffline.Limits{})
		for _, m := range list {
			_, id, _ := strings.Cut(m.XML, " id='")
			id, _, _ = strings.Cut(id, "'")
			ids = append(ids, id)
		}
		return ids
	}
	return w
}

func (w *witness) hand(to stanza.Sink, s *stanza.Stanza) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held[to] == nil {
		w.held[to] = make(map[uint64]string)
	}
	w.held[to][s.Kept] = s.ID
}

func (w *witness) Keep(ctx context.Context, s *stanza.Stanza, to []stanza.Sink, done func(*stanza.Stanza, error)) {
	w.Offline.Keep(ctx, s, to, func(kept *stanza.Stanza, err error) {
		for _, sink := range to {
			if kept != nil {
				w.hand(sink, kept)
			}
		}
		done(kept, err)
	})
}

func (w *witness) Deliver(ctx context.Context, user stanza.JID, to stanza.Sink, send func(*stanza.Stanza) error) error {
	return w.Offline.Deliver(ctx, user, to, func(s *stanza.Stanza) error {
		w.hand(to, s)
		return send(s)
	})
}

func (w *witness) Arrived(user stanza.JID, kept []uint64) {
	w.Offline.Arrived(user, kept)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range kept {
		for _, held := range w.held {
			delete(held, key)
		}
	}
}

func (w *witness) Lost(user stanza.JID, by stanza.Sink, keys ...uint64) {
	w.mu.Lock()
	for key, id := range w.held[by] {
		if len(keys) == 0 || slices.Contains(keys, key) {
			w.onLost(id)
			delete(w.held[by], key)
		}
	}
	w.mu.Unlock()
	w.Offline.Lost(user, by, keys...)
}

// groups is a store that commits what has come together, and tells so later.
type groups struct {
	featureoffline.Memory
	slow func() (take, tell time.Duration)
	work sync.WaitGroup

	mu      sync.Mutex
	queue   []func() (done func())
	running bool
}

func (g *groups) Add(_ context.Context, user stanza.JID, xml string, l featureoffline.Limits, done func(uint64, error)) {
	g.submit(func() (tell func()) {
		g.Memory.Add(context.Background(), user, xml, l, func(key uint64, err error) { tell = func() { done(key, err) } })
		return tell
	})
}

func (g *groups) Delete(_ context.Context, user stanza.JID, keys []uint64, done func(error)) {
	g.submit(func() (tell func()) {
		g.Memory.Delete(context.Background(), user, keys, func(err error) { tell = func() { done(err) } })
		return tell
	})
}

func (g *groups) submit(f func() (done func())) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, f)
	if !g.running {
		g.running = true
		g.work.Go(g.run)
	}
}

func (g *groups) run() {
	for {
		take, tell := g.slow()
		time.Sleep(take)
		g.mu.Lock()
		queue := g.queue
		if g.queue = nil; len(queue) == 0 {
			g.running = false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		var told []func()
		for _, f := range queue {
			told = append(told, f())
		}
		time.Sleep(tell)
		for _, f := range told {
			f()
		}
	}
}
