package xmppstream

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// fill wants an outbox to take n stanzas, and no more.
func fill(t *testing.T, b *Outbox, n int) {
	t.Helper()
	for i := range n {
		if err := b.Deliver(msg("x", 1)); err != nil {
			t.Fatalf("stanza %d of %d: %v", i, n, err)
		}
	}
	if err := b.Deliver(msg("x", 1)); !errors.Is(err, stanza.ErrQueueFull) {
		t.Errorf("stanza %d: got %v, want %v", n, err, stanza.ErrQueueFull)
	}
}

// What Deliver says to what Room promises: as many stanzas as that, and not one
// more.
func TestRoom(t *testing.T) {
	const none = math.MaxInt
	size := msg("x", 1).Size()
	tests := []struct {
		name           string
		o              OutboxOptions
		a              *AckOptions // nil: not managed
		before         int         // stanzas
		stanzas, bytes int
	}{
		{"no bounds", OutboxOptions{}, nil, 3, none, none},
		{"stanzas, empty", OutboxOptions{Stanzas: 10}, nil, 0, 10, none},
		{"stanzas", OutboxOptions{Stanzas: 10}, nil, 3, 7, none},
		{"stanzas, full", OutboxOptions{Stanzas: 10}, nil, 10, 0, none},
		{"bytes, empty", OutboxOptions{Bytes: 10 * size}, nil, 0, none, 10 * size},
		{"bytes", OutboxOptions{Bytes: 10 * size}, nil, 3, none, 7 * size},
		{"bytes, full", OutboxOptions{Bytes: 10 * size}, nil, 10, 0, 0},
		{"bytes, one of any size", OutboxOptions{Bytes: size / 2}, nil, 1, 0, 0},
		{"managed", OutboxOptions{Stanzas: 5, Bytes: 20 * size}, &AckOptions{Stanzas: 10}, 4, 5, 16 * size},
		{"managed, not acknowledged", OutboxOptions{Stanzas: 5, Bytes: 20 * size}, &AckOptions{Stanzas: 10}, 8, 2, 12 * size},
		{"managed, full", OutboxOptions{Stanzas: 5, Bytes: 20 * size}, &AckOptions{Stanzas: 10}, 10, 0, 10 * size},
		{"managed, no bound of its own", OutboxOptions{Stanzas: 5}, &AckOptions{}, 100, 5, none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				b := attached(f, tt.o)
				if tt.a != nil {
					b.Manage(testEnabled, *tt.a)
					synctest.Wait()
				} else {
					f.gate = make(chan struct{}) // nothing is written
				}
				for range tt.before {
					deliver(t, b, "x")
					synctest.Wait()
				}
				stanzas, bytes := b.Room()
				if stanzas != tt.stanzas || bytes != tt.bytes {
					t.Errorf("got room for %d stanzas, %d bytes, want %d, %d", stanzas, bytes, tt.stanzas, tt.bytes)
				}
				if tt.a != nil {
					f.gate = make(chan struct{})
				}
				if n := min(stanzas, bytes/size); n < 1000 {
					fill(t, b, n)
				}
				close(f.gate)
				b.Close(nil)
				if stanzas, bytes := b.Room(); stanzas != 0 || bytes != 0 {
					t.Errorf("after the end: got room for %d stanzas, %d bytes, want none", stanzas, bytes)
				}
			})
		})
	}
}

// There is room again when something was acknowledged, and for what waits
// without a transport there is no other.
func TestRoomDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		size := msg("x", 1).Size()
		b, _ := managedOn(t, &fake{}, OutboxOptions{Stanzas: 20, Bytes: 10 * size}, AckOptions{Stanzas: 8, Resumable: true})
		deliver(t, b, "1", "2", "3")
		b.writing.Wait()
		b.Acked(2)
		b.Detach()
		deliver(t, b, "4")
		if stanzas, bytes := b.Room(); stanzas != 6 || bytes != 8*size {
			t.Errorf("got room for %d stanzas, %d bytes, want 6, %d", stanzas, bytes, 8*size)
		}
		b.Close(nil)
	})
}
