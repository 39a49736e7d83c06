package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Offline tests a store of offline messages; open returns an empty one.
func Offline(t *testing.T, open func(t *testing.T) offline.Store) {
	t.Run("add, list, delete", func(t *testing.T) { offlineAdd(t, open(t)) })
	t.Run("list in pages", func(t *testing.T) { offlinePages(t, open(t)) })
	t.Run("limit", func(t *testing.T) { offlineLimit(t, open(t)) })
	t.Run("a limit holds against many", func(t *testing.T) { offlineLimitHolds(t, open(t)) })
	t.Run("keys are never used again", func(t *testing.T) { offlineKeys(t, open(t)) })
	t.Run("forget", func(t *testing.T) { offlineForget(t, open(t)) })
	t.Run("forget very many", func(t *testing.T) { offlineForgetMany(t, open(t)) })
	t.Run("order", func(t *testing.T) { offlineOrder(t, open(t)) })
	t.Run("ended context", func(t *testing.T) { offlineContext(t, open(t)) })
	t.Run("any text", func(t *testing.T) { offlineText(t, open(t)) })
}

// added is the outcome of Add.
type added struct {
	key uint64
	err error
}

// addMessage waits for the outcome.
func addMessage(t *testing.T, s offline.Store, user stanza.JID, xml string, limit int) (uint64, error) {
	t.Helper()
	done := make(chan added, 2)
	s.Add(t.Context(), user, xml, limit, func(key uint64, err error) { done <- added{key, err} })
	a := <-done
	return a.key, a.err
}

// mustAdd stores messages and returns them.
func mustAdd(t *testing.T, s offline.Store, user stanza.JID, xml ...string) []offline.Message {
	t.Helper()
	var list []offline.Message
	for _, x := range xml {
		key, err := addMessage(t, s, user, x, 0)
		wantErr(t, "Add", err, nil)
		list = append(list, offline.Message{Key: key, XML: x})
	}
	return list
}

// deleteMessages waits for the outcome.
func deleteMessages(t *testing.T, s offline.Store, user stanza.JID, keys ...uint64) {
	t.Helper()
	done := make(chan error, 2)
	s.Delete(t.Context(), user, keys, func(err error) { done <- err })
	wantErr(t, "Delete", <-done, nil)
}

func wantMessages(t *testing.T, s offline.Store, user stanza.JID, want []offline.Message) {
	t.Helper()
	got, err := s.List(t.Context(), user, 0, 1<<20)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List(%s) = %v, %v; want %v", user, got, err, want)
	}
	if n, err := s.Count(t.Context(), user); err != nil || n != len(want) {
		t.Errorf("Count(%s) = %d, %v; want %d", user, n, err, len(want))
	}
}

func offlineAdd(t *testing.T, s offline.Store) {
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	wantMessages(t, s, user, nil)
	m := mustAdd(t, s, user, "<message>1</message>", "<message>2</message>", "<message>3</message>")
	if m[0].Key == 0 {
		t.Error("the key is 0, which means that a message is not kept")
	}
	o := mustAdd(t, s, other, "<message>other</message>")
	wantMessages(t, s, user, m)
	deleteMessages(t, s, user)
	deleteMessages(t, s, user, m[1].Key, m[2].Key+1000, m[1].Key)
	wantMessages(t, s, user, []offline.Message{m[0], m[2]})
	deleteMessages(t, s, user, m[1].Key)
	deleteMessages(t, s, jid(t, "nobody@a.test"), m[0].Key)
	s.Delete(t.Context(), user, []uint64{m[0].Key}, nil)
	deleteMessages(t, s, user, m[2].Key)
	wantMessages(t, s, user, nil)
	wantMessages(t, s, other, o)
}

func offlinePages(t *testing.T, s offline.Store) {
	user := jid(t, "romeo@a.test")
	var texts []string
	for n := range 300 {
		texts = append(texts, fmt.Sprintf("<message>%d</message>", n))
	}
	all := mustAdd(t, s, user, texts...)
	for _, tt := range []struct {
		name  string
		after uint64
		limit int
		want  []offline.Message
	}{
		{"all", 0, 1000, all},
		{"just all", 0, 300, all},
		{"none", 0, 0, nil},
		{"first page", 0, 100, all[:100]},
		{"second page", all[99].Key, 100, all[100:200]},
		{"last page", all[249].Key, 100, all[250:]},
		{"behind the end", all[299].Key, 100, nil},
		{"far behind the end", 1<<64 - 1, 100, nil},
	} {
		got, err := s.List(t.Context(), user, tt.after, tt.limit)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func offlineLimit(t *testing.T, s offline.Store) {
	user := jid(t, "romeo@a.test")
	for range 3 {
		_, err := addMessage(t, s, user, "<message/>", 3)
		wantErr(t, "Add within the limit", err, nil)
	}
	_, err := addMessage(t, s, user, "<message/>", 3)
	wantErr(t, "Add beyond the limit", err, offline.ErrFull)
	_, err = addMessage(t, s, user, "<message/>", 2)
	wantErr(t, "Add far beyond the limit", err, offline.ErrFull)
	_, err = addMessage(t, s, jid(t, "other@a.test"), "<message/>", 3)
	wantErr(t, "Add for another user", err, nil)
	_, err = addMessage(t, s, user, "<message/>", 0)
	wantErr(t, "Add without limit", err, nil)
	list, err := s.List(t.Context(), user, 0, 10)
	if err != nil || len(list) != 4 {
		t.Fatalf("List = %v, %v; want 4", list, err)
	}
	deleteMessages(t, s, user, list[0].Key, list[3].Key)
	_, err = addMessage(t, s, user, "<message/>", 3)
	wantErr(t, "Add after Delete", err, nil)
}

func offlineLimitHolds(t *testing.T, s offline.Store) {
	user := jid(t, "romeo@a.test")
	var wg sync.WaitGroup
	var kept atomic.Int32
	for range 40 {
		wg.Add(1)
		s.Add(t.Context(), user, "<message/>", 7, func(_ uint64, err error) {
			defer wg.Done()
			if err == nil {
				kept.Add(1)
			} else if !errors.Is(err, offline.ErrFull) {
				t.Errorf("Add: got %v, want ErrFull", err)
			}
		})
	}
	wg.Wait()
	if n, err := s.Count(t.Context(), user); err != nil || n != 7 || kept.Load() != 7 {
		t.Errorf("%d messages were taken, %d are there, %v; want 7", kept.Load(), n, err)
	}
}

func offlineKeys(t *testing.T, s offline.Store) {
	user := jid(t, "romeo@a.test")
	last := uint64(0)
	for n := range 4 {
		m := mustAdd(t, s, user, "<message/>", "<message/>")
		if m[0].Key <= last || m[1].Key <= m[0].Key {
			t.Errorf("keys %d and %d after %d", m[0].Key, m[1].Key, last)
		}
		last = m[1].Key
		if n%2 == 0 {
			deleteMessages(t, s, user, m[0].Key, m[1].Key)
		} else {
			wantErr(t, "Forget", s.Forget(t.Context(), user), nil)
		}
		wantMessages(t, s, user, nil)
	}
}

func offlineForget(t *testing.T, s offline.Store) {
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	wantErr(t, "Forget of nothing", s.Forget(t.Context(), user), nil)
	mustAdd(t, s, user, "<message>1</message>", "<message>2</message>")
	o := mustAdd(t, s, other, "<message>other</message>")
	// What was taken before is forgotten too.
	done := make(chan added, 2)
	s.Add(t.Context(), user, "<message>3</message>", 0, func(key uint64, err error) { done <- added{key, err} })
	wantErr(t, "Forget", s.Forget(t.Context(), user), nil)
	wantErr(t, "Add", (<-done).err, nil)
	wantMessages(t, s, user, nil)
	wantMessages(t, s, other, o)
}

func offlineForgetMany(t *testing.T, s offline.Store) {
	user, other := jid(t, "romeo@a.test"), jid(t, "romep@a.test")
	o := mustAdd(t, s, other, "<message>other</message>")
	const many = 25_000
	var wg sync.WaitGroup
	for range many {
		wg.Add(1)
		s.Add(t.Context(), user, "<message/>", 0, func(_ uint64, err error) {
			if err != nil {
				t.Errorf("Add: %v", err)
			}
			wg.Done()
		})
	}
	wg.Wait()
	if n, err := s.Count(t.Context(), user); err != nil || n != many {
		t.Errorf("Count = %d, %v; want %d", n, err, many)
	}
	wantErr(t, "Forget", s.Forget(t.Context(), user), nil)
	wantMessages(t, s, user, nil)
	wantMessages(t, s, other, o)
}

// Messages of one caller for one account keep their order, and so do the calls
// of done.
func offlineOrder(t *testing.T, s offline.Store) {
	const callers, each = 4, 200
	user := jid(t, "romeo@a.test")
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			var all sync.WaitGroup
			var last uint64
			for n := range each {
				all.Add(1)
				s.Add(t.Context(), user, fmt.Sprintf("<message>%d %d</message>", c, n), 0, func(key uint64, err error) {
					if err != nil || key <= last {
						t.Errorf("message %d of caller %d: key %d after %d, %v", n, c, key, last, err)
					}
					last = key
					all.Done()
				})
			}
			all.Wait()
		})
	}
	wg.Wait()
	list, err := s.List(t.Context(), user, 0, 1<<20)
	if err != nil || len(list) != callers*each {
		t.Fatalf("%d messages, %v; want %d", len(list), err, callers*each)
	}
	next := make([]int, callers)
	for _, m := range list {
		var c, n int
		if _, err := fmt.Sscanf(m.XML, "<message>%d %d</message>", &c, &n); err != nil || n != next[c] {
			t.Fatalf("got %q, want message %d of its caller", m.XML, next[c])
		}
		next[c]++
	}
}

func offlineContext(t *testing.T, s offline.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	user := jid(t, "romeo@a.test")
	done := make(chan added, 2)
	s.Add(ctx, user, "<message/>", 0, func(key uint64, err error) { done <- added{key, err} })
	wantErr(t, "Add with a context that has ended", (<-done).err, context.Canceled)
	wantMessages(t, s, user, nil)
}

func offlineText(t *testing.T, s offline.Store) {
	var texts []string
	for _, n := range []int{1, 100, 4000, 5000, 70_000, 1 << 20} {
		texts = append(texts, "<message>"+strings.Repeat("ä\x00<", n/4)+"</message>")
	}
	user := jid(t, "ßüé@a.test")
	wantMessages(t, s, user, mustAdd(t, s, user, texts...))
}
