package host_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Everything at once, on all processors and without pauses: every message that
// was sent arrives or stays in the store.
func TestStorm(t *testing.T) {
	names := []string{"romeo@a.test", "juliet@a.test", "nurse@a.test"}
	w := newWorld(t, hosts("a.test"), names...)
	o := &offline{slow: randomly(1, 50*time.Microsecond)}
	c := new(contacts)
	w.Offline, w.Local.Contacts, w.Carbons = o, c, everywhere{}
	for _, a := range names {
		for _, b := range names {
			if a != b {
				c.subscribe(t, a, b)
			}
		}
	}
	a := &arrivals{ids: make(map[string]bool)}
	var all sync.WaitGroup
	for i, name := range names {
		for r := range 3 {
			all.Go(func() { w.lives(a, fmt.Sprintf("%s/%d", name, r), rand.New(rand.NewPCG(uint64(i), uint64(r)))) })
		}
	}
	const sent = 200
	for i := range 3 {
		all.Go(func() {
			from := jid(t, fmt.Sprintf("sender%d@a.test/x", i))
			for n := range sent {
				s := &stanza.Stanza{
					Kind: stanza.Message, Type: stanza.TypeChat, ID: fmt.Sprintf("%d:%d", i, n),
					From: from, To: jid(t, names[n%len(names)]), Inner: "<body/>",
				}
				if err := w.Route(t.Context(), s); err != nil {
					t.Errorf("Route: %v", err)
				}
			}
		})
	}
	all.Wait()
	o.work.Wait()
	for _, s := range o.kept {
		a.got(s)
	}
	if len(a.ids) != 3*sent {
		t.Errorf("%d messages have arrived or are stored, want %d", len(a.ids), 3*sent)
	}
	if s := w.Stats(); s.Sessions != 0 || s.Carbons != 0 || s.Held != 0 {
		t.Errorf("at the end there are %+v", s)
	}
}

// arrivals are the ids of the messages that have arrived somewhere.
type arrivals struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (a *arrivals) got(s *stanza.Stanza) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Kind == stanza.Message && s.Child.Local == "" {
		a.ids[s.ID] = true
	}
}

// lives has sessions come and go, one after the other.
func (w *world) lives(a *arrivals, name string, r *rand.Rand) {
	for life := range 10 {
		full := fmt.Sprintf("%s-%d", name, life)
		s := newClient(w, full)
		s.got = a.got
		if _, err := w.Bind(w.Context(), stanza.Binding{JID: s.info.JID, Sink: s}); err != nil {
			w.Errorf("Bind: %v", err)
			return
		}
		w.Mark(s.info.JID, stanza.WantsCarbons, r.IntN(2) == 0)
		for range 10 {
			w.live(s, r)
		}
		s.end(w)
	}
}

// live has a session do something.
func (w *world) live(s *client, r *rand.Rand) {
	p := &stanza.Stanza{Kind: stanza.Presence, From: s.info.JID}
	switch r.IntN(6) {
	case 0:
		p.Type = stanza.TypeUnavailable
	case 1:
		p.Inner = "<priority>-1</priority>"
	case 2:
		s.detach(w)
		s.resume(w)
		return
	case 3:
		s.acknowledge(r.IntN(5))
		return
	case 4:
		w.SetBlocked(s.info.JID, func(peer stanza.JID) bool { return peer.Local() == "tybalt" })
		return
	}
	if err := w.Route(w.Context(), p); err != nil {
		w.Errorf("presence: %v", err)
	}
}
