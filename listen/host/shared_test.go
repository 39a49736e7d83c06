package host

import (
	"runtime"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What is remembered of messages that several sessions have got is bounded, and
// what no queue has any more is forgotten first.
func TestSharedIsBounded(t *testing.T) {
	to := []*session{new(session), new(session)}
	other := new(struct{ stanza.Sink })
	var h shared
	var live []*stanza.Stanza
	for range 10 * maxShared {
		s := &stanza.Stanza{Kind: stanza.Message, ID: "x"}
		live = append(live, s)
		h.add(s, to)
		if len(h.list) > maxShared {
			t.Fatalf("%d messages are remembered, want at most %d", len(h.list), maxShared)
		}
	}
	newest := live[len(live)-1]
	if !h.returned(newest, other) {
		t.Error("the newest message is forgotten")
	}
	if h.returned(live[0], other) {
		t.Error("the oldest message is remembered")
	}
	live = nil
	runtime.GC()
	for range 10 * maxShared {
		h.add(new(stanza.Stanza), to)
		if len(h.list)%100 == 0 {
			runtime.GC()
		}
	}
	if !h.returned(newest, other) {
		t.Error("a message that is in use was forgotten in favour of others that are not")
	}
	runtime.KeepAlive(newest)
}

// What is counted so that nobody pays for what nobody uses comes to nothing.
func TestCountsOfTable(t *testing.T) {
	l, err := NewLocal(Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	user, err := stanza.ParseJID("romeo@localhost")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		full, err := l.Bind(t.Context(), stanza.Binding{JID: user})
		if err != nil {
			t.Fatal(err)
		}
		for _, on := range []bool{true, true, false, false, true} {
			l.Mark(full, stanza.WantsCarbons, on)
		}
		l.SetBlocked(user, func(stanza.JID) bool { return true })
		if c, b := l.sessions.carbons.Load(), l.sessions.blocking.Load(); c != 1 || b != 1 {
			t.Errorf("%d sessions want carbons and %d accounts block, want 1 and 1", c, b)
		}
		l.Release(t.Context(), full, nil)
	}
	if c, b := l.sessions.carbons.Load(), l.sessions.blocking.Load(); c != 0 || b != 0 {
		t.Errorf("%d sessions want carbons and %d accounts block, want 0 and 0", c, b)
	}
}
