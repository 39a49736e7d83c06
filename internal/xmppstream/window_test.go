package xmppstream

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// filled returns a window of n stanzas, after others were acknowledged up to
// number acked.
func filled(acked uint32, n int) *window {
	w := &window{sent: acked, top: acked}
	for i := range n {
		w.push(msg(fmt.Sprint(i), 1))
	}
	return w
}

func TestWindowNewly(t *testing.T) {
	const top = math.MaxUint32
	tests := []struct {
		name  string
		acked uint32
		n     int
		h     uint32
		want  int
		err   string // "", "behind", or the attributes of the error
	}{
		{"nothing sent", 0, 0, 0, 0, ""},
		{"nothing new", 0, 8, 0, 0, ""},
		{"some", 0, 8, 5, 5, ""},
		{"all", 0, 8, 8, 8, ""},
		{"more than sent", 0, 8, 10, 0, "h='10' send-count='8'"},
		{"much more than sent", 0, 8, math.MaxInt32, 0, "h='2147483647' send-count='8'"},
		{"lower than before", 100, 8, 99, 0, "behind"},
		{"much lower than before", 1000, 8, 0, 0, "behind"},
		{"up to the last number", top - 8, 8, top, 8, ""},
		{"over the last number", top - 2, 8, 1, 4, ""},
		{"all over the last number", top, 8, 7, 8, ""},
		{"more than sent over the last number", top - 2, 8, 6, 0, "h='6' send-count='5'"},
		{"lower than before over the last number", 1, 8, top, 0, "behind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := filled(tt.acked, tt.n)
			n, err := w.newly(tt.h, w.sent)
			if n != tt.want {
				t.Errorf("got %d stanzas, want %d", n, tt.want)
			}
			var e *stanza.StreamError
			switch {
			case tt.err == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.err == "behind" && !errors.As(err, new(behind)):
				t.Errorf("got %v, want that it is behind", err)
			case tt.err != "" && tt.err != "behind" && (!errors.As(err, &e) || e.Condition != stanza.StreamUndefinedCondition ||
				e.App != "<handled-count-too-high xmlns='urn:xmpp:sm:3' "+tt.err+"/>"):
				t.Errorf("got %#v, want handled-count-too-high with %s", err, tt.err)
			}
		})
	}
}

// A window gives out what went in, whatever it does with its memory, and keeps
// none of that when it is empty.
func TestWindowMemory(t *testing.T) {
	w := &window{}
	next, out := 0, 0
	for _, step := range []struct{ in, out int }{{3, 1}, {1000, 900}, {5000, 5102}, {1, 1}, {20, 1}, {20, 39}, {1, 1}} {
		for range step.in {
			w.push(msg(fmt.Sprint(next), 0))
			next++
		}
		for range step.out {
			if s := w.pop(); s.ID != fmt.Sprint(out) {
				t.Fatalf("got stanza %s, want %d", s.ID, out)
			}
			out++
		}
		if w.len() != next-out || w.sent != uint32(next) || w.acked() != uint32(out) {
			t.Fatalf("got %d stanzas up to %d, want %d up to %d", w.len(), w.sent, next-out, next)
		}
		if w.len() == 0 && (cap(w.list) > idleWindow || w.bytes != 0) {
			t.Errorf("an empty window keeps room for %d stanzas and counts %d bytes", cap(w.list), w.bytes)
		}
	}
	for _, s := range w.list[:cap(w.list)] {
		if s != nil {
			t.Error("an empty window keeps a stanza")
		}
	}
}

// In steady use the list does not grow, and is not copied for each stanza.
func TestWindowAllocs(t *testing.T) {
	w := filled(0, 100)
	s := msg("x", 1)
	got := testing.AllocsPerRun(10000, func() {
		w.push(s)
		w.pop()
	})
	if got > 0 || cap(w.list) > 512 {
		t.Errorf("got %v allocations a stanza, room for %d; want none, at most 512", got, cap(w.list))
	}
	if n := w.take(); len(n) != 100 || w.sent != w.acked() || !strings.HasPrefix(n[0].Inner, "<body>") {
		t.Errorf("got %d stanzas taken, want 100", len(n))
	}
}
