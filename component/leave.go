package component

import (
	"context"
	"log/slog"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// join gives the stream its seats for domains, all of them or none: then the
// error says of which the router, or another component, had something against it.
func (s *stream) join(ctx context.Context, domains []string) error {
	ctx, cancel := s.neg.context(ctx)
	defer cancel()
	var seats []*seat
	joined := false
	defer func() { // after a panic, too
		for _, m := range seats {
			if !joined {
				m.g.finish(m, nil)
			}
		}
	}()
	// Of those who want the same domains at once one gets them all: by turns with
	// CloseOld, by the order of the domains with CloseNew.
	turn := s.l.srv.turns.Add(1)
	slices.Sort(domains)
	for _, d := range domains {
		m, err := s.l.srv.reserve(ctx, d, s, turn)
		if err != nil {
			return &joinError{d, err}
		}
		seats = append(seats, m)
	}
	joined = true
	s.mu.Lock()
	s.seats = append(s.seats, seats...)
	s.mu.Unlock()
	for _, m := range seats {
		m.g.join(m)
	}
	return nil
}

// joinError says that a domain could not be registered.
type joinError struct {
	domain string
	err    error
}

func (e *joinError) Error() string { return "domain " + e.domain + ": " + e.err.Error() }

func (e *joinError) Unwrap() error { return e.err }

// leave gives up all seats. What the component has not got goes to others, and
// what nobody takes back to its senders.
func (s *stream) leave(reason *stanza.StreamError) {
	s.mu.Lock()
	seats := slices.Clone(s.seats) // unbound changes the list in place
	s.mu.Unlock()
	for _, m := range seats {
		m.g.depart(m)
	}
	s.out.Evict(reason)
	s.out.Drain(reason)
	left := make(map[*seat]struct{})
	after := func() {
		s.out.Abandon()
		for m := range left {
			m.g.settle(m, true)
		}
	}
	defer func() { after() }()
	sorted := s.sort(s.out.Undelivered(), seats)

	// The domains are free, or with others, before anything that may take long.
	s.mu.Lock()
	s.seats = nil
	s.mu.Unlock()
	s.l.srv.roll.remove(s)
	var confirm []func()
	for _, m := range seats {
		t, first := m.g.vacate(m, sorted.unwritten[m])
		sorted.back = append(sorted.back, t.back...)
		if t.last {
			s.guard(m.g.unregister)
		}
		if first {
			left[m] = struct{}{}
			confirm = append(confirm, t.confirm...)
		}
	}
	s.farewells(seats, left, sorted.back)
	after = func() {
		s.out.Settle()
		for m := range left {
			m.g.settle(m, false)
		}
		for _, f := range confirm {
			f()
		}
	}
}

// farewells tells the host what has ended, and returns what nobody takes: also after
// a panic of Events.
func (s *stream) farewells(seats []*seat, left map[*seat]struct{}, back []undelivered) {
	defer s.giveBack(back)
	all(seats, func(m *seat) {
		if _, first := left[m]; first && s.neg == nil {
			s.tell(Events.Disconnected, m.g.domain)
		}
	})
}

// all calls f with each of list, also those after one that makes it panic.
func all[T any](list []T, f func(T)) {
	defer func() {
		if len(list) > 0 {
			all(list, f)
		}
	}()
	for len(list) > 0 {
		next := list[0]
		list = list[1:]
		f(next)
	}
}

// leftovers are what a component has not got, the oldest first.
type leftovers struct {
	unwritten map[*seat][]*stanza.Stanza
	back      []undelivered // what it may have got all the same, and what is for none of its seats
}

func (s *stream) sort(list []stanza.Queued, seats []*seat) leftovers {
	all := leftovers{unwritten: make(map[*seat][]*stanza.Stanza)}
	for _, q := range list {
		var at *seat
		for _, m := range seats {
			if m.g.domain == q.Stanza.To.Domain() {
				at = m
			}
		}
		if q.Sent || at == nil {
			all.back = append(all.back, undelivered{q.Stanza, &stanza.Error{Condition: stanza.RecipientUnavailable}})
		} else {
			all.unwritten[at] = append(all.unwritten[at], q.Stanza)
		}
	}
	return all
}

// giveBack returns stanzas to their senders. An answer is not answered; of
// presence only what somebody waits for an answer to is: who enters a room wants to
// know that it is not there.
// See RFC 6120, section 8.3.1.
func (s *stream) giveBack(list []undelivered) {
	ctx := context.WithoutCancel(s.ctx)
	all(list, func(u undelivered) {
		waits := u.st.Kind == stanza.Presence && (u.st.Type == "" || u.st.Type == stanza.TypeSubscribe)
		if !waits && !u.st.MayBounce() || u.st.From.IsZero() {
			return
		}
		if err := s.l.srv.h.Router.Route(ctx, u.st.ErrorReply(u.cause)); err != nil {
			s.l.trouble.Log(ctx, slog.LevelWarn, "returning a stanza failed", "domain", u.st.To.Domain(), netserve.KeyErr, err)
		}
	})
}

// tell calls Host.Events: one call after the other.
func (s *stream) tell(f func(e Events, ctx context.Context, domain string, s stanza.Sink), domain string) {
	s.events.Lock()
	defer s.events.Unlock()
	s.tellLocked(f, domain)
}

// tellLocked is tell for whoever holds events.
func (s *stream) tellLocked(f func(e Events, ctx context.Context, domain string, s stanza.Sink), domain string) {
	if e := s.l.srv.h.Events; e != nil {
		f(e, context.WithoutCancel(s.ctx), domain, s)
	}
}
