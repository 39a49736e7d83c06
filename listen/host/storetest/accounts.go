// Package storetest has the tests that every store of the host must pass. A
// store's own test calls them:
//
//	func TestAccounts(t *testing.T) {
//		storetest.Accounts(t, func(t *testing.T) host.AccountStore { return openEmpty(t) })
//	}
package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Accounts tests an account store; open returns an empty one.
func Accounts(t *testing.T, open func(t *testing.T) host.AccountStore) {
	t.Run("create, get, delete", func(t *testing.T) { createGetDelete(t, open(t)) })
	t.Run("compare and set", func(t *testing.T) { compareAndSet(t, open(t)) })
	t.Run("revisions are never used again", func(t *testing.T) { revisions(t, open(t)) })
	t.Run("list", func(t *testing.T) { list(t, open(t)) })
	t.Run("removing", func(t *testing.T) { removing(t, open(t)) })
	t.Run("one of many wins", func(t *testing.T) { oneWins(t, open(t)) })
	t.Run("no update is lost", func(t *testing.T) { noUpdateLost(t, open(t)) })
}

func jid(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func sample(j stanza.JID, mark byte) host.Account {
	a := host.Account{
		JID:      j,
		Disabled: mark%2 == 1,
		Removing: mark%4 == 3,
		SCRAM: map[string]stanza.SCRAMKeys{
			"SHA-1":   {Salt: []byte{mark, 0, 255}, Iterations: 4096, StoredKey: []byte{1, mark}, ServerKey: []byte{2, mark}},
			"SHA-512": {Salt: []byte{mark}, Iterations: 1 << 20, StoredKey: []byte{3, mark}, ServerKey: []byte{4, mark}},
		},
		HA1MD5:    []byte{5, mark},
		HA1SHA256: []byte{6, mark},
	}
	if a.Disabled {
		a.Ban = &host.Ban{Reason: "spam", At: time.Unix(int64(mark), 0).UTC(), Last: time.Unix(0, 0).UTC(), LastStatus: "gone"}
	}
	return a
}

// expect compares what is stored with want, but for the revision, which it
// returns.
func expect(t *testing.T, s host.AccountStore, want host.Account) uint64 {
	t.Helper()
	got, err := s.Get(t.Context(), want.JID)
	if err != nil {
		t.Fatalf("Get(%s): %v", want.JID, err)
	}
	want.Revision = got.Revision
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Get(%s) = %+v, want %+v", want.JID, got, want)
	}
	return got.Revision
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func createGetDelete(t *testing.T, s host.AccountStore) {
	ctx := t.Context()
	a := sample(jid(t, "romeo@a.test"), 1)
	b := sample(jid(t, "romeo@b.test"), 2)
	c := host.Account{JID: jid(t, "größe@a.test")}
	_, err := s.Get(ctx, a.JID)
	wantErr(t, "Get of no account", err, stanza.ErrNoAccount)
	wantErr(t, "Delete of no account", s.Delete(ctx, a.JID), stanza.ErrNoAccount)
	for _, acc := range []host.Account{a, b, c} {
		wantErr(t, "Create", s.Create(ctx, acc), nil)
	}
	wantErr(t, "Create of an account that exists", s.Create(ctx, sample(a.JID, 9)), host.ErrExists)
	for _, acc := range []host.Account{a, b, c} {
		expect(t, s, acc)
	}
	wantErr(t, "Delete", s.Delete(ctx, a.JID), nil)
	_, err = s.Get(ctx, a.JID)
	wantErr(t, "Get after Delete", err, stanza.ErrNoAccount)
	expect(t, s, b)
	wantErr(t, "Create after Delete", s.Create(ctx, sample(a.JID, 3)), nil)
	expect(t, s, sample(a.JID, 3))
}

func compareAndSet(t *testing.T, s host.AccountStore) {
	ctx := t.Context()
	a := sample(jid(t, "romeo@a.test"), 1)
	wantErr(t, "CompareAndSet of no account", s.CompareAndSet(ctx, a), stanza.ErrNoAccount)
	wantErr(t, "Create", s.Create(ctx, a), nil)
	first := expect(t, s, a)

	n := sample(a.JID, 2)
	n.Revision = first + 1000
	wantErr(t, "CompareAndSet with a wrong revision", s.CompareAndSet(ctx, n), host.ErrRevision)
	expect(t, s, a)
	n.Revision = first
	wantErr(t, "CompareAndSet", s.CompareAndSet(ctx, n), nil)
	if second := expect(t, s, n); second == first {
		t.Errorf("revision %d did not change", second)
	}
	wantErr(t, "CompareAndSet with an old revision", s.CompareAndSet(ctx, n), host.ErrRevision)
}

func revisions(t *testing.T, s host.AccountStore) {
	ctx := t.Context()
	a := sample(jid(t, "romeo@a.test"), 1)
	wantErr(t, "Create", s.Create(ctx, a), nil)
	a.Revision = expect(t, s, a)
	wantErr(t, "Delete", s.Delete(ctx, a.JID), nil)
	wantErr(t, "Create", s.Create(ctx, sample(a.JID, 2)), nil)
	wantErr(t, "CompareAndSet with the revision of a deleted account", s.CompareAndSet(ctx, a), host.ErrRevision)
	expect(t, s, sample(a.JID, 2))
}

func list(t *testing.T, s host.AccountStore) {
	ctx := t.Context()
	var all []stanza.JID
	for i := range 25 {
		all = append(all, jid(t, fmt.Sprintf("user%02d@a.test", i)))
		wantErr(t, "Create", s.Create(ctx, sample(all[i], 0)), nil)
	}
	for _, other := range []string{"zed@b.test", "user03@aa.test", "user04@a.tes"} {
		wantErr(t, "Create", s.Create(ctx, sample(jid(t, other), 0)), nil)
	}
	for _, tt := range []struct {
		domain, after string
		limit         int
		want          []stanza.JID
	}{
		{"a.test", "", 100, all},
		{"a.test", "", 25, all},
		{"a.test", "", 10, all[:10]},
		{"a.test", "user09", 10, all[10:20]},
		{"a.test", "user09x", 10, all[10:20]},
		{"a.test", "user19", 10, all[20:]},
		{"a.test", "user24", 10, nil},
		{"a.test", "", 0, nil},
		{"nowhere.test", "", 10, nil},
	} {
		got, err := s.List(ctx, tt.domain, tt.after, tt.limit)
		if err != nil || len(got) != len(tt.want) || len(got) > 0 && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("List(%q, %q, %d) = %v, %v; want %v", tt.domain, tt.after, tt.limit, got, err, tt.want)
		}
	}
}

// removing: an account that is being removed is there for those who look for it,
// and in no list.
func removing(t *testing.T, s host.AccountStore) {
	ctx := t.Context()
	wantRemoving := func(want ...stanza.JID) {
		t.Helper()
		got, err := s.Removing(ctx)
		slices.SortFunc(got, func(a, b stanza.JID) int { return strings.Compare(a.String(), b.String()) })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Removing() = %v, %v; want %v", got, err, want)
		}
	}
	wantRemoving()
	var all []stanza.JID
	for _, name := range []string{"a@a.test", "b@a.test", "b@b.test", "c@a.test", "d@a.test"} {
		all = append(all, jid(t, name))
		wantErr(t, "Create", s.Create(ctx, host.Account{JID: jid(t, name), Disabled: true}), nil)
	}
	wantRemoving()
	gone := []stanza.JID{all[1], all[2], all[4]}
	for _, j := range gone {
		a, err := s.Get(ctx, j)
		wantErr(t, "Get", err, nil)
		a.Removing = true
		wantErr(t, "CompareAndSet", s.CompareAndSet(ctx, a), nil)
		expect(t, s, a)
	}
	wantRemoving(gone...)
	wantErr(t, "Create of the name of one that is being removed", s.Create(ctx, sample(gone[0], 0)), host.ErrExists)
	for after, want := range map[string][]stanza.JID{"": {all[0]}, "a": {all[3]}, "c": nil} {
		got, err := s.List(ctx, "a.test", after, 1)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("List(a.test, %q, 1) = %v, %v; want %v", after, got, err, want)
		}
	}
	a, err := s.Get(ctx, gone[2])
	wantErr(t, "Get", err, nil)
	a.Removing = false
	wantErr(t, "CompareAndSet", s.CompareAndSet(ctx, a), nil)
	wantErr(t, "Delete", s.Delete(ctx, gone[0]), nil)
	wantRemoving(gone[1])
}

func oneWins(t *testing.T, s host.AccountStore) {
	var wins atomic.Int32
	var wg sync.WaitGroup
	j := jid(t, "romeo@a.test")
	for i := range 8 {
		wg.Go(func() {
			err := s.Create(t.Context(), sample(j, byte(i)))
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, host.ErrExists):
				t.Errorf("Create: got %v, want ErrExists", err)
			}
		})
	}
	wg.Wait()
	if n := wins.Load(); n != 1 {
		t.Errorf("%d calls of Create succeeded, want 1", n)
	}
}

func noUpdateLost(t *testing.T, s host.AccountStore) {
	j := jid(t, "romeo@a.test")
	wantErr(t, "Create", s.Create(t.Context(), host.Account{JID: j}), nil)
	const writers, writes = 4, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range writes {
				if !increment(t, s, j) {
					return
				}
			}
		})
	}
	wg.Wait()
	a, err := s.Get(t.Context(), j)
	if err != nil || len(a.HA1MD5) != writers*writes {
		t.Errorf("got %d updates and %v, want %d", len(a.HA1MD5), err, writers*writes)
	}
}

// increment makes one field a byte longer.
func increment(t *testing.T, s host.AccountStore, j stanza.JID) bool {
	for {
		a, err := s.Get(t.Context(), j)
		if err != nil {
			t.Errorf("Get: %v", err)
			return false
		}
		a.HA1MD5 = append(a.HA1MD5[:len(a.HA1MD5):len(a.HA1MD5)], 0)
		if err = s.CompareAndSet(t.Context(), a); err == nil {
			return true
		}
		if !errors.Is(err, host.ErrRevision) {
			t.Errorf("CompareAndSet: %v", err)
			return false
		}
	}
}
