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
	t.Run("list in pages of bytes", func(t *testing.T) { offlineBytePages(t, open(t)) })
	t.Run("limit", func(t *testing.T) { offlineLimit(t, open(t)) })
	t.Run("limit of bytes", func(t *testing.T) { offlineByteLimit(t, open(t)) })
	t.Run("a limit holds against many", func(t *testing.T) { offlineLimitHolds(t, open(t)) })
	t.Run("a limit of bytes holds against many", func(t *testing.T) { offlineByteLimitHolds(t, open(t)) })
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
func addMessage(t *testing.T, s offline.Store, user stanza.JID, xml string, l offline.Limits) (uint64, error) {
	t.Helper()
	done := make(chan added, 2)
	s.Add(t.Context(), user, xml, l, func(key uint64, err error) { done <- added{key, err} })
	a := <-done
	return a.key, a.err
}

// mustAdd stores messages and returns them.
func mustAdd(t *testing.T, s offline.Store, user stanza.JID, xml ...string) []offline.Message {
	t.Helper()
	var list []offline.Message
	for _, x := range xml {
		key, err := addMessage(t, s, user, x, offline.Limits{})
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
	got, more, err := s.List(t.Context(), user, 0, offline.Limits{})
	if err != nil || more || !slices.Equal(got, want) {
		t.Errorf("List(%s) = %.1000v, %t, %v; want %.1000v and no more", user, got, more, err, want)
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
		more  bool
	}{
		{"all", 0, 1000, all, false},
		{"just all", 0, 300, all, false},
		{"all but one", 0, 299, all[:299], true},
		{"no bound", 0, 0, all, false},
		{"first page", 0, 100, all[:100], true},
		{"second page", all[99].Key, 100, all[100:200], true},
		{"last page", all[199].Key, 100, all[200:], false},
		{"short last page", all[249].Key, 100, all[250:], false},
		{"behind the end", all[299].Key, 100, nil, false},
		{"far behind the end", 1<<64 - 1, 100, nil, false},
	} {
		got, more, err := s.List(t.Context(), user, tt.after, offline.Limits{Messages: tt.limit})
		if err != nil || more != tt.more || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, %t, %v; want %v, %t", tt.name, got, more, err, tt.want, tt.more)
		}
	}
}

// A page has the messages that fit into it, and one that does not fit when it
// would be empty otherwise.
func offlineBytePages(t *testing.T, s offline.Store) {
	user := jid(t, "romeo@a.test")
	var texts []string
	for _, n := range []int{10, 20, 30, 100, 5, 5, 40} {
		texts = append(texts, strings.Repeat("x", n))
	}
	all := mustAdd(t, s, user, texts...)
	mustAdd(t, s, jid(t, "romeo@a.test2"), "<message>other</message>")
	for _, tt := range []struct {
		name  string
		after int // how many are left out
		l     offline.Limits
		want  int // how many come
	}{
		{"no bound", 0, offline.Limits{}, 7},
		{"all bytes", 0, offline.Limits{Bytes: 210}, 7},
		{"one byte too few for all", 0, offline.Limits{Bytes: 209}, 6},
		{"exact", 0, offline.Limits{Bytes: 60}, 3},
		{"one byte more", 0, offline.Limits{Bytes: 61}, 3},
		{"one byte less", 0, offline.Limits{Bytes: 59}, 2},
		{"one that is too large", 3, offline.Limits{Bytes: 50}, 1},
		{"behind it", 4, offline.Limits{Bytes: 50}, 3},
		{"a single byte", 0, offline.Limits{Bytes: 1}, 1},
		{"the number is less", 0, offline.Limits{Messages: 2, Bytes: 60}, 2},
		{"the bytes are less", 0, offline.Limits{Messages: 4, Bytes: 60}, 3},
		{"the end", 7, offline.Limits{Bytes: 1}, 0},
	} {
		after := uint64(0)
		if tt.after > 0 {
			after = all[tt.after-1].Key
		}
		got, more, err := s.List(t.Context(), user, after, tt.l)
		want := all[tt.after:][:tt.want]
		if wantMore := tt.after+tt.want < len(all); err != nil || more != wantMore || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %t, %v; want %v, %t", tt.name, got, more, err, want, wantMore)
		}
	}
}

func offlineLimit(t *testing.T, s offline.Store) {
	user := jid(t, "romeo@a.test")
	atMost := func(n int) offline.Limits { return offline.Limits{Messages: n} }
	for range 3 {
		_, err := addMessage(t, s, user, "<message/>", atMost(3))
		wantErr(t, "Add within the limit", err, nil)
	}
	_, err := addMessage(t, s, user, "<message/>", atMost(3))
	wantErr(t, "Add beyond the limit", err, offline.ErrFull)
	_, err = addMessage(t, s, user, "<message/>", atMost(2))
	wantErr(t, "Add far beyond the limit", err, offline.ErrFull)
	_, err = addMessage(t, s, jid(t, "other@a.test"), "<message/>", atMost(3))
	wantErr(t, "Add for another user", err, nil)
	_, err = addMessage(t, s, user, "<message/>", offline.Limits{})
	wantErr(t, "Add without limit", err, nil)
	list, _, err := s.List(t.Context(), user, 0, offline.Limits{})
	if err != nil || len(list) != 4 {
		t.Fatalf("List = %v, %v; want 4", list, err)
	}
	deleteMessages(t, s, user, list[0].Key, list[3].Key)
	_, err = addMessage(t, s, user, "<message/>", atMost(3))
	wantErr(t, "Add after Delete", err, nil)
}

func offlineByteLimit(t *testing.T, s offline.Store) {
	user := jid(t, "romeo@a.test")
	l := offline.Limits{Messages: 5, Bytes: 100}
	var keys []uint64
	for _, tt := range []struct {
		what string
		size int
		want error
	}{
		{"too large", 101, offline.ErrFull},
		{"within", 60, nil},
		{"one byte beyond", 41, offline.ErrFull},
		{"within, after one that was refused", 30, nil},
		{"all bytes", 10, nil},
		{"beyond", 1, offline.ErrFull},
	} {
		key, err := addMessage(t, s, user, strings.Repeat("x", tt.size), l)
		wantErr(t, tt.what, err, tt.want)
		if err == nil {
			keys = append(keys, key)
		}
	}
	_, err := addMessage(t, s, jid(t, "romeo@a.test2"), strings.Repeat("x", 100), l)
	wantErr(t, "Add for another user", err, nil)
	_, err = addMessage(t, s, user, "y", offline.Limits{Messages: 5})
	wantErr(t, "Add without limit of bytes", err, nil)

	deleteMessages(t, s, user, keys[1], keys[1]+1000, keys[1]) // 30 bytes go, 71 stay
	_, err = addMessage(t, s, user, strings.Repeat("x", 30), l)
	wantErr(t, "more than Delete made room for", err, offline.ErrFull)
	_, err = addMessage(t, s, user, strings.Repeat("x", 29), l)
	wantErr(t, "as much as Delete made room for", err, nil)
	_, err = addMessage(t, s, user, "", l)
	wantErr(t, "nothing, of which one is within the limit", err, nil)
	_, err = addMessage(t, s, user, "", l)
	wantErr(t, "nothing, beyond the number", err, offline.ErrFull)
	wantErr(t, "Forget", s.Forget(t.Context(), user), nil)
	_, err = addMessage(t, s, user, strings.Repeat("x", 100), l)
	wantErr(t, "Add after Forget", err, nil)
}

func offlineLimitHolds(t *testing.T, s offline.Store) {
	limitHolds(t, s, offline.Limits{Messages: 7})
}

func offlineByteLimitHolds(t *testing.T, s offline.Store) {
	limitHolds(t, s, offline.Limits{Bytes: 7*len("<message/>") + 3})
}

// limitHolds adds more than the seven messages that a limit admits.
func limitHolds(t *testing.T, s offline.Store, l offline.Limits) {
	user := jid(t, "romeo@a.test")
	var wg sync.WaitGroup
	var kept atomic.Int32
	for range 40 {
		wg.Add(1)
		s.Add(t.Context(), user, "<message/>", l, func(_ uint64, err error) {
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
	s.Add(t.Context(), user, "<message>3</message>", offline.Limits{}, func(key uint64, err error) { done <- added{key, err} })
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
		s.Add(t.Context(), user, "<message/>", offline.Limits{}, func(_ uint64, err error) {
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
				s.Add(t.Context(), user, fmt.Sprintf("<message>%d %d</message>", c, n), offline.Limits{}, func(key uint64, err error) {
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
	list, _, err := s.List(t.Context(), user, 0, offline.Limits{})
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
	s.Add(ctx, user, "<message/>", offline.Limits{}, func(key uint64, err error) { done <- added{key, err} })
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
