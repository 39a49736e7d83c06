package offline

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMemory(t *testing.T) {
	m := new(Memory)
	ctx := t.Context()
	user, other := jid(t, juliet), jid(t, "nurse@a.test")
	add := func(j stanza.JID, xml string, limit int) (key uint64, err error) {
		m.Add(ctx, j, xml, Limits{Messages: limit}, func(k uint64, e error) { key, err = k, e })
		return key, err
	}
	list := func(after uint64, limit int) string {
		l, _, err := m.List(ctx, user, after, Limits{Messages: limit})
		if err != nil {
			t.Error(err)
		}
		return fmt.Sprint(l)
	}
	var keys []uint64
	for i := range 4 {
		key, err := add(user, fmt.Sprint("m", i), 4)
		if err != nil || i > 0 && key <= keys[i-1] {
			t.Fatalf("message %d: got key %d, %v after %v", i, key, err, keys)
		}
		keys = append(keys, key)
	}
	if _, err := add(user, "m4", 4); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want %v", err, ErrFull)
	}
	if _, err := add(other, "x", 0); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		after uint64
		limit int
		want  []int
	}{{0, 10, []int{0, 1, 2, 3}}, {0, 2, []int{0, 1}}, {keys[1], 10, []int{2, 3}}, {keys[3], 10, nil}, {0, 0, []int{0, 1, 2, 3}}, {1 << 63, 1, nil}} {
		want := []Message{}
		for _, i := range tt.want {
			want = append(want, Message{keys[i], fmt.Sprint("m", i)})
		}
		if got := list(tt.after, tt.limit); got != fmt.Sprint(want) {
			t.Errorf("after %d, at most %d: got %s, want %v", tt.after, tt.limit, got, want)
		}
	}
	page, _, _ := m.List(ctx, user, 0, Limits{})
	m.Delete(ctx, user, []uint64{keys[2], keys[0], 1 << 60, keys[0]}, nil)
	if got, want := list(0, 10), fmt.Sprint([]Message{{keys[1], "m1"}, {keys[3], "m3"}}); got != want {
		t.Errorf("after Delete: got %s, want %s", got, want)
	}
	if len(page) != 4 || page[0].XML != "m0" || page[3].XML != "m3" {
		t.Errorf("a page that was read has become %v", page)
	}
	if err := m.Forget(ctx, user); err != nil || list(0, 10) != "[]" {
		t.Errorf("after Forget: got %s, %v, want nothing", list(0, 10), err)
	}
	wantCount(t, m, "nurse@a.test", 1)
	if key, err := add(user, "m5", 4); err != nil || key <= keys[3] {
		t.Errorf("got key %d, %v, want one greater than %d", key, err, keys[3])
	}

	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := m.List(ended, user, 0, Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("List: got %v, want %v", err, context.Canceled)
	}
	if _, err := m.Count(ended, user); !errors.Is(err, context.Canceled) {
		t.Errorf("Count: got %v, want %v", err, context.Canceled)
	}
}
