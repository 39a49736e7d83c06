package boltstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var (
	errTest    = errors.New("test error")
	errRefused = errors.New("refused")
)

// idle is a store whose writer does not run: the test is the writer.
func idle(t *testing.T, o Options) *Store {
	t.Helper()
	s := newStore(filepath.Join(t.TempDir(), "store.db"), o)
	if err := s.open(migrations()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// setter is an operation that stores a vCard and then ends with err.
func setter(t *testing.T, user string, err error) *op {
	key := singleKey(jid(t, user))
	return &op{apply: func(b *batch) error {
		if errors.Is(err, errRefused) {
			return refuse(err)
		}
		if err := b.record(vcardTable, key, b.get(vcardTable, key), encodeText("<vCard/>")); err != nil {
			return err
		}
		if err != nil && err.Error() == "panic" {
			panic(err)
		}
		return err
	}}
}

// An operation that fails leaves nothing, and does not hurt those around it.
func TestBatchIsolation(t *testing.T) {
	s := idle(t, Options{})
	outcomes := []error{nil, errTest, errRefused, nil, errors.New("panic"), fmt.Errorf("wrapped: %w", errTest), nil}
	var ops []*op
	for i, err := range outcomes {
		ops = append(ops, setter(t, fmt.Sprintf("u%d@a.test", i), err))
	}
	s.commit(ops)
	for i, want := range outcomes {
		if want != nil && want.Error() == "panic" {
			want = ErrDamaged
		}
		if !errors.Is(ops[i].err, want) {
			t.Errorf("operation %d: got %v, want %v", i, ops[i].err, want)
		}
		xml, err := s.VCard().Get(t.Context(), jid(t, fmt.Sprintf("u%d@a.test", i)))
		if err != nil || (xml != "") != (want == nil) {
			t.Errorf("operation %d: stored %q, %v; failed with %v", i, xml, err, want)
		}
	}
	st := s.Stats()
	if st.Commits != 1 || st.Records["vcard"] != 3 || st.Operations != 4 {
		t.Errorf("%d commits of %d operations, %d records; want 1 of 4 with 3", st.Commits, st.Operations, st.Records["vcard"])
	}
	if fresh := setter(t, "fresh@a.test", nil); s.broken != nil {
		t.Errorf("the store is broken: %v", s.broken)
	} else if s.commit([]*op{fresh}); fresh.err != nil {
		t.Errorf("the next commit: %v", fresh.err)
	}
}

// When something breaks in the middle of a commit, what the disk has is unknown:
// nothing more is written.
func TestBrokenCommit(t *testing.T) {
	s := idle(t, Options{})
	o := setter(t, "u@a.test", nil)
	apply := o.apply
	o.apply = func(b *batch) error {
		b.tx.OnCommit(func() { panic("broken") })
		return apply(b)
	}
	for _, o := range []*op{o, setter(t, "v@a.test", nil)} {
		if s.commit([]*op{o}); !errors.Is(o.err, ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", o.err)
		}
	}
	if xml, err := s.VCard().Get(t.Context(), jid(t, "v@a.test")); xml != "" || err != nil {
		t.Errorf("got %q, %v; want nothing", xml, err)
	}
}

// A message that cannot be put fails alone, though all are put at the end.
func TestBatchIsolationOfMessages(t *testing.T) {
	s := idle(t, Options{})
	var ops []*op
	for i := range 5 {
		user := fmt.Sprintf("u%d@a.test", i)
		key, value := messageKey(jid(t, user), 0), encodeText("<message/>")
		if i == 2 {
			key = append([]byte(strings.Repeat("x", 40_000)), key...) // longer than bbolt takes
		}
		ops = append(ops, &op{apply: func(b *batch) error {
			_, err := b.messages.add(b, user, key, value, offline.Limits{})
			return err
		}})
	}
	s.commit(ops)
	for i, o := range ops {
		if (o.err != nil) != (i == 2) {
			t.Errorf("message %d: %v", i, o.err)
		}
		n, err := s.Offline().Count(t.Context(), jid(t, fmt.Sprintf("u%d@a.test", i)))
		if err != nil || (n == 1) != (i != 2) {
			t.Errorf("message %d: %d are there, %v", i, n, err)
		}
	}
}

// What is refused costs no commit.
func TestNothingToCommit(t *testing.T) {
	s := idle(t, Options{})
	o := setter(t, "u@a.test", errRefused)
	if s.commit([]*op{o}); !errors.Is(o.err, errRefused) || s.Stats().Commits != 0 {
		t.Errorf("got %v and %d commits, want a refusal without one", o.err, s.Stats().Commits)
	}
}

// wantTotal wants the header of an account's messages.
func wantTotal(t *testing.T, s *Store, user stanza.JID, want total) {
	t.Helper()
	err := s.view(t.Context(), func(tx *bbolt.Tx) error {
		got, err := readTotal(tx.Bucket(offlineTable.name()).Get(prefix(user)))
		if got != want {
			t.Errorf("the header says %+v, want %+v", got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// All that one batch does to the messages of an account: the limit counts what
// came before in the same batch, and Forget sees it.
func TestMessagesInOneBatch(t *testing.T) {
	s := idle(t, Options{})
	user := jid(t, "romeo@a.test")
	add := func(xml string, messages, bytes int) *op {
		return &op{apply: func(b *batch) error {
			_, err := b.messages.add(b, user.String(), messageKey(user, 0), encodeText(xml), offline.Limits{Messages: messages, Bytes: bytes})
			return err
		}}
	}
	forget := func() *op {
		return &op{apply: func(b *batch) error {
			_, _, err := b.messages.forget(b, user, 0, b.bucket(offlineTable).Sequence())
			return err
		}}
	}
	remove := func(keys ...uint64) *op {
		return &op{apply: func(b *batch) error { return b.messages.delete(b, user, keys) }}
	}
	ops := []*op{
		add("1", 2, 0), add("2", 2, 0), add("3", 2, 0), add("3", 0, 2), forget(), remove(1, 2),
		add("4", 1, 0), add("5", 1, 0), remove(3, 4), add("67", 0, 2), add("8", 0, 2),
	}
	s.commit(ops)
	for i, want := range []error{nil, nil, offline.ErrFull, offline.ErrFull, nil, nil, nil, offline.ErrFull, nil, offline.ErrFull, nil} {
		if !errors.Is(ops[i].err, want) {
			t.Errorf("operation %d: got %v, want %v", i, ops[i].err, want)
		}
	}
	list, _, err := s.Offline().List(t.Context(), user, 0, offline.Limits{})
	if err != nil || len(list) != 2 || list[0].XML != "4" || list[1].XML != "8" {
		t.Errorf("List = %v, %v; want the messages 4 and 8", list, err)
	}
	wantTotal(t, s, user, total{2, 2})
}

func TestQueueBounds(t *testing.T) {
	for _, tt := range []struct {
		name            string
		operations, max int // bounds
		sizes           []int
		taken           int
	}{
		{"operations", 3, 0, []int{1, 1, 1, 1, 1}, 3},
		{"bytes", 0, 3 * opSize, []int{0, 0, 0, 0}, 3},
		{"one that is too large", 0, 10, []int{1000, 0}, 1},
		{"none", 0, 0, []int{1, 2, 3, 4, 5, 6}, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := newQueue(tt.operations, tt.max)
			taken := 0
			for _, size := range tt.sizes {
				room, err := q.offer(&op{size: opSize + size})
				if err != nil {
					t.Fatal(err)
				}
				if room == nil {
					taken++
				}
			}
			if n, _ := q.load(); taken != tt.taken || n != tt.taken {
				t.Errorf("%d were taken, %d count; want %d", taken, n, tt.taken)
			}
		})
	}
}

func TestBatchBounds(t *testing.T) {
	q := newQueue(0, 0)
	var all []*op
	for i := range 10 {
		o := &op{size: 100 + i}
		all = append(all, o)
		if _, err := q.offer(o); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		ops, bytes int
		want       []*op
	}{
		{3, 0, all[:3]},
		{0, 220, all[3:5]},
		{0, 1, all[5:6]},
		{0, 0, all[6:]},
	} {
		if got := q.take(nil, tt.ops, tt.bytes); !slices.Equal(got, tt.want) {
			t.Errorf("take(%d, %d): %d operations, want %d", tt.ops, tt.bytes, len(got), len(tt.want))
		}
	}
}

// Callers of a full queue wait: for room, their context, or ten seconds.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := idle(t, Options{QueueOperations: 1})
		user := jid(t, "romeo@a.test")
		s.Offline().Delete(t.Context(), user, []uint64{1}, nil) // takes the only place
		began := time.Now()
		if err := s.VCard().Set(t.Context(), user, "<vCard/>"); !errors.Is(err, ErrBusy) || time.Since(began) != patience {
			t.Errorf("got %v after %s, want ErrBusy after %s", err, time.Since(began), patience)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.VCard().Set(ctx, user, "<vCard/>"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the error of the context", err)
		}
		done := make(chan error, 1)
		go func() { done <- s.VCard().Set(t.Context(), user, "<vCard/>") }()
		synctest.Wait()
		step := func() {
			ops := s.queue.take(nil, 0, 0)
			s.commit(ops)
			s.finish(ops)
		}
		step()
		synctest.Wait() // the place is free and taken again
		if n, _ := s.queue.load(); n != 1 {
			t.Errorf("%d operations are queued, want 1", n)
		}
		step()
		if err := <-done; err != nil {
			t.Errorf("Set after the queue had room: %v", err)
		}
		if st := s.Stats(); st.QueueOperations != 0 || st.QueueBytes != 0 {
			t.Errorf("%d operations and %d bytes are left", st.QueueOperations, st.QueueBytes)
		}
	})
}

// An operation counts until its callback has returned: one that is slow cannot
// make the store hold ever more.
func TestCallbacksCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, filepath.Join(t.TempDir(), "store.db"), Options{QueueOperations: 3})
		user := jid(t, "romeo@a.test")
		release := make(chan struct{})
		var calls []int
		var taken, failed int
		for n := range 5 {
			s.Offline().Add(t.Context(), user, "<message/>", offline.Limits{}, func(_ uint64, err error) {
				if errors.Is(err, ErrBusy) { // within the call
					failed++
					return
				}
				<-release
				calls = append(calls, n)
			})
		}
		synctest.Wait()
		if n, err := s.Offline().Count(t.Context(), user); n != 3 || err != nil || failed != 2 {
			t.Errorf("%d are stored, %v, %d were not taken; want 3 and 2", n, err, failed)
		}
		close(release)
		synctest.Wait()
		if taken = len(calls); taken != 3 || !slices.IsSorted(calls) {
			t.Errorf("callbacks of %v, want 3 in order", calls)
		}
	})
}

// Close commits what is queued.
func TestCloseCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := Open(path, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	user := jid(t, "romeo@a.test")
	var called sync.WaitGroup
	const n = 1000
	called.Add(n)
	for range n {
		s.Offline().Add(t.Context(), user, "<message/>", offline.Limits{}, func(_ uint64, err error) {
			if err != nil {
				t.Error(err)
			}
			called.Done()
		})
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	called.Wait()
	if r := wantSound(t, path); r.Records["offline"] != n {
		t.Errorf("%d messages, want %d", r.Records["offline"], n)
	}
	wantClosed(t, s)
}

// wantClosed wants everything of a closed store to fail.
func wantClosed(t *testing.T, s *Store) {
	t.Helper()
	user := jid(t, "romeo@a.test")
	_, get := s.VCard().Get(t.Context(), user)
	_, secret := s.Secret(t.Context())
	_, backup := s.Backup(t.Context(), new(strings.Builder))
	var add, remove error
	s.Offline().Add(t.Context(), user, "<message/>", offline.Limits{}, func(_ uint64, err error) { add = err })
	s.Offline().Delete(t.Context(), user, []uint64{1}, func(err error) { remove = err })
	for what, err := range map[string]error{
		"Get": get, "Secret": secret, "Backup": backup, "Add": add, "Delete": remove,
		"Set": s.VCard().Set(t.Context(), user, "<vCard/>"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: got %v, want ErrClosed", what, err)
		}
	}
	if st := s.Stats(); st.Records != nil {
		t.Errorf("Stats after Close: records %v, want none", st.Records)
	}
}

// A callback that does not return does not keep Close.
func TestCloseWithBlockedCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		s, err := Open(path, Defaults())
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		user := jid(t, "romeo@a.test")
		s.Offline().Add(t.Context(), user, "<message/>", offline.Limits{}, func(uint64, error) { <-release })
		synctest.Wait()
		if err := s.VCard().Set(t.Context(), user, "<vCard/>"); err != nil {
			t.Errorf("Set while a callback is blocked: %v", err)
		}
		if err := s.Close(); err == nil || !strings.Contains(err.Error(), "callback") {
			t.Errorf("Close: got %v, want that a callback does not return", err)
		}
		wantSound(t, path)
		close(release)
		<-s.callbacks.ended
	})
}

// A callback may use the store, and may close it.
func TestCallbackUsesStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(filepath.Join(t.TempDir(), "store.db"), Defaults())
		if err != nil {
			t.Fatal(err)
		}
		user := jid(t, "romeo@a.test")
		closed := make(chan error)
		s.Offline().Add(t.Context(), user, "<message/>", offline.Limits{}, func(key uint64, _ error) {
			if err := s.VCard().Set(t.Context(), user, "<vCard/>"); err != nil {
				t.Errorf("Set: %v", err)
			}
			s.Offline().Delete(t.Context(), user, []uint64{key}, nil)
			closed <- s.Close()
		})
		if err := <-closed; err == nil || !strings.Contains(err.Error(), "callback") {
			t.Errorf("Close: got %v, want that a callback does not return", err)
		}
		<-s.callbacks.ended
		wantClosed(t, s)
	})
}
