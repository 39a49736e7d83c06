package offline

import (
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// BenchmarkKeep keeps messages for 1000 accounts, which get them in between.
func BenchmarkKeep(b *testing.B) {
	s := newService(new(Memory), Defaults())
	var messages []*stanza.Stanza
	for i := range 1000 {
		messages = append(messages, message(b, fmt.Sprintf("u%d@a.test", i), "Hark! how the wind blows tonight"))
	}
	b.ReportAllocs()
	keys := make([]uint64, 0, 1)
	for i := 0; b.Loop(); i++ {
		m := messages[i%1000]
		s.Keep(b.Context(), m, nil, func(kept *stanza.Stanza, err error) {
			if err != nil {
				b.Fatal(err)
			}
			keys = append(keys[:0], kept.Kept)
		})
		s.Arrived(m.To, keys)
	}
}

// BenchmarkDeliver hands out 100 messages.
func BenchmarkDeliver(b *testing.B) {
	s := newService(new(Memory), Defaults())
	for range 100 {
		s.Keep(b.Context(), message(b, juliet, "Hark! how the wind blows tonight"), nil, func(*stanza.Stanza, error) {})
	}
	to := newSession(b, juliet)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := s.Deliver(b.Context(), to.user, to, func(*stanza.Stanza) error { n++; return nil }); err != nil || n != 100 {
			b.Fatal(n, err)
		}
		s.Lost(to.user, to)
	}
}

func TestKeepAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	memory := new(Memory)
	s := newService(memory, Options{StoreEmptyBody: unlessChatState, AccessMaxUserMessages: limit(1 << 30)})
	m := message(t, juliet, "Hark!")
	done := func(*stanza.Stanza, error) {}
	// The copy, its payload and XML (with the buffers of both), the account, the
	// group of calls, the call of done; the list of the memory store grows.
	if got := testing.AllocsPerRun(1000, func() { s.Keep(t.Context(), m, nil, done) }); got > 10 {
		t.Errorf("got %v allocations a message, want at most 10", got)
	}
}
