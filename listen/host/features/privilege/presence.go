package privilege

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// watch is a component that hears of presence at a virtual host.
type watch struct {
	component stanza.JID
	contacts  bool // of contacts, too
	told      *told
}

// told remembers what presence a component has got last from some addresses, so
// that it gets that of a contact of many users once. What it does not remember any
// more comes again.
// See section 8, rule 2.
type told struct {
	seed maphash.Seed

	mu    sync.Mutex // held while a sink is called, so that the last presence comes last
	slots [256]slot
}

type slot struct{ from, content uint64 }

func newTold() *told { return &told{seed: maphash.MakeSeed()} }

// tell calls deliver with presence that has not been told last.
func (t *told) tell(p *stanza.Stanza, deliver func() error) error {
	s := t.slot(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	last := &t.slots[s.from%uint64(len(t.slots))]
	if *last == s {
		return nil
	}
	err := deliver()
	if err != nil {
		s = slot{}
	}
	*last = s
	return err
}

// knows reports whether presence has been told last.
func (t *told) knows(p *stanza.Stanza) bool {
	s := t.slot(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.slots[s.from%uint64(len(t.slots))] == s
}

func (t *told) slot(p *stanza.Stanza) slot {
	return slot{maphash.String(t.seed, p.From.String()), t.hash(p)}
}

func (t *told) hash(p *stanza.Stanza) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, part := range []string{p.Type, p.ID, p.Lang, p.Attrs, p.Inner} {
		_, _ = h.WriteString(part)
		_ = h.WriteByte(0) // XML has none
	}
	return h.Sum64()
}

// forget has everything told again.
func (t *told) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.slots[:])
}

// Watches reports whether somebody is to hear of the presence that the users of a
// domain send and get. It does not block.
func (s *Service) Watches(domain string) bool { return len(s.rights.Load().watchers[domain]) > 0 }

// Presence hears of presence, available or unavailable: of that of a resource
// here to its own account, the first and the last; and of that which somebody else
// sends to an account, or to one of its resources, all.
// See section 7.
func (s *Service) Presence(ctx context.Context, p *stanza.Stanza) {
	own := p.From.Bare() == p.To.Bare()
	asked := false
	for _, w := range s.rights.Load().watchers[p.To.Domain()] {
		if !own && !w.contacts || p.From.Domain() == w.component.Domain() {
			continue
		}
		to := p.WithTo(w.component)
		if w.told.knows(to) {
			continue
		}
		if !own && !asked {
			asked = true
			sees, err := s.config.Subscribed(ctx, p.To.Bare(), p.From.Bare())
			if err != nil {
				s.log.Error("contacts cannot be read", "user", p.To.Bare(), "err", err)
			}
			if !sees || err != nil {
				return
			}
		}
		err := w.told.tell(to, func() error { return s.config.Router.DeliverToDomain(w.component.Domain(), to) })
		if err != nil && !errors.Is(err, stanza.ErrClosed) {
			s.log.Warn("component misses presence", "component", w.component, "from", p.From, "err", err)
		}
	}
}

// WantsPushes reports whether somebody is to hear of changes of the rosters of a
// domain. It does not block.
func (s *Service) WantsPushes(domain string) bool { return len(s.rights.Load().readers[domain]) > 0 }
