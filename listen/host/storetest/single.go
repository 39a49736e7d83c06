package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Last tests a store of last activities; open returns an empty one.
func Last(t *testing.T, open func(t *testing.T) last.Store) {
	s, ctx := open(t), t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	want := func(t *testing.T, user stanza.JID, a last.Activity, ok bool) {
		t.Helper()
		got, gotOK, err := s.Get(ctx, user)
		if err != nil || gotOK != ok || !got.At.Equal(a.At) || got.Status != a.Status {
			t.Errorf("Get(%s) = %v, %t, %v; want %v, %t", user, got, gotOK, err, a, ok)
		}
		if ok && got.At.Location() != time.UTC {
			t.Errorf("Get(%s): time zone %s, want UTC", user, got.At.Location())
		}
	}
	want(t, user, last.Activity{}, false)
	wantErr(t, "Forget of nothing", s.Forget(ctx, user), nil)
	for _, a := range []last.Activity{
		{At: time.Unix(1_700_000_000, 0).UTC(), Status: "gone <sleeping> ä"},
		{At: time.Unix(0, 0).UTC()},
		{At: time.Unix(-1, 0).UTC(), Status: strings.Repeat("x", 10_000)},
		{At: time.Time{}},
	} {
		wantErr(t, "Set", s.Set(ctx, user, a), nil)
		want(t, user, a, true)
		want(t, other, last.Activity{}, false)
	}
	wantErr(t, "Set", s.Set(ctx, other, last.Activity{At: time.Unix(5, 0).UTC()}), nil)
	wantErr(t, "Forget", s.Forget(ctx, user), nil)
	want(t, user, last.Activity{}, false)
	want(t, other, last.Activity{At: time.Unix(5, 0).UTC()}, true)
}

// VCard tests a store of vCards; open returns an empty one.
func VCard(t *testing.T, open func(t *testing.T) vcard.Store) {
	s, ctx := open(t), t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	want := func(t *testing.T, user stanza.JID, xml string) {
		t.Helper()
		if got, err := s.Get(ctx, user); err != nil || got != xml {
			t.Errorf("Get(%s) = %.100q, %v; want %.100q", user, got, err, xml)
		}
	}
	want(t, user, "")
	wantErr(t, "Forget of nothing", s.Forget(ctx, user), nil)
	wantErr(t, "Set of nothing", s.Set(ctx, user, ""), nil)
	wantErr(t, "Set", s.Set(ctx, other, "<vCard/>"), nil)
	for _, xml := range []string{"<vCard>1</vCard>", "<vCard>" + strings.Repeat("é", 100_000) + "</vCard>", "<vCard/>"} {
		wantErr(t, "Set", s.Set(ctx, user, xml), nil)
		want(t, user, xml)
	}
	wantErr(t, "Set of nothing", s.Set(ctx, user, ""), nil)
	want(t, user, "")
	wantErr(t, "Set", s.Set(ctx, user, "<vCard>2</vCard>"), nil)
	wantErr(t, "Forget", s.Forget(ctx, user), nil)
	want(t, user, "")
	want(t, other, "<vCard/>")
}

// Private tests a store of private XML; open returns an empty one.
func Private(t *testing.T, open func(t *testing.T) private.Store) {
	t.Run("set, get, remove", func(t *testing.T) { privateSet(t, open(t)) })
	t.Run("limits", func(t *testing.T) { privateLimits(t, open(t)) })
	t.Run("a limit holds against many", func(t *testing.T) { privateLimitHolds(t, open(t)) })
}

func wantElement(t *testing.T, s private.Store, user stanza.JID, n stanza.Name, want string) {
	t.Helper()
	if got, err := s.Get(t.Context(), user, n); err != nil || got != want {
		t.Errorf("Get(%s, %.100q) = %.100q, %v; want %.100q", user, n, got, err, want)
	}
}

func privateSet(t *testing.T, s private.Store) {
	ctx := t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	long := strings.Repeat("urn:", 10_000)
	names := []stanza.Name{
		{Space: "storage:bookmarks", Local: "storage"},
		{Space: "storage:bookmark", Local: "sstorage"},
		{Space: "storage:bookmarks", Local: "storag"},
		{Space: "", Local: "x"},
		{Space: "x", Local: ""},
		{Space: long, Local: "x"},
		{Space: long + "x", Local: ""},
		{Space: strings.Repeat("y", 255), Local: "x"},
	}
	text := func(n int) string { return fmt.Sprintf("<x>%d</x>", n) }
	for i, n := range names {
		wantElement(t, s, user, n, "")
		wantErr(t, "Set", s.Set(ctx, user, n, text(i), private.Limits{}), nil)
	}
	wantErr(t, "Set", s.Set(ctx, other, names[0], "<other/>", private.Limits{}), nil)
	for i, n := range names {
		wantElement(t, s, user, n, text(i))
		wantErr(t, "Set", s.Set(ctx, user, n, text(i+100), private.Limits{}), nil)
		wantElement(t, s, user, n, text(i+100))
	}
	wantErr(t, "Set of nothing", s.Set(ctx, user, names[1], "", private.Limits{}), nil)
	wantElement(t, s, user, names[1], "")
	wantElement(t, s, user, names[0], text(100))
	wantErr(t, "Forget", s.Forget(ctx, user), nil)
	for _, n := range names {
		wantElement(t, s, user, n, "")
	}
	wantElement(t, s, other, names[0], "<other/>")
	wantErr(t, "Forget of nothing", s.Forget(ctx, user), nil)
}

func privateLimits(t *testing.T, s private.Store) {
	ctx := t.Context()
	user := jid(t, "romeo@a.test")
	name := func(n int) stanza.Name { return stanza.Name{Space: "urn:x", Local: fmt.Sprint("x", n)} }
	limits := private.Limits{Elements: 3, Bytes: 100}
	for _, tt := range []struct {
		what string
		name stanza.Name
		size int
		want error
	}{
		{"too large", name(0), 101, private.ErrFull},
		{"all bytes", name(0), 100, nil},
		{"one byte more", name(1), 1, private.ErrFull},
		{"replaced by less", name(0), 40, nil},
		{"second", name(1), 40, nil},
		{"third", name(2), 19, nil},
		{"fourth", name(3), 1, private.ErrFull},
		{"one byte within", name(2), 20, nil},
		{"one byte beyond", name(2), 21, private.ErrFull},
		{"removed", name(1), 0, nil},
		{"another", name(3), 40, nil},
	} {
		wantErr(t, tt.what, s.Set(ctx, user, tt.name, strings.Repeat("x", tt.size), limits), tt.want)
	}
	wantElement(t, s, user, name(2), strings.Repeat("x", 20))
	wantElement(t, s, user, name(1), "")
	wantErr(t, "Set for another user", s.Set(ctx, jid(t, "other@a.test"), name(1), "x", limits), nil)
	wantErr(t, "Forget", s.Forget(ctx, user), nil)
	wantErr(t, "Set after Forget", s.Set(ctx, user, name(0), strings.Repeat("x", 100), limits), nil)
}

func privateLimitHolds(t *testing.T, s private.Store) {
	user := jid(t, "romeo@a.test")
	var wg sync.WaitGroup
	var kept atomic.Int32
	for n := range 12 {
		wg.Go(func() {
			err := s.Set(t.Context(), user, stanza.Name{Local: fmt.Sprint("x", n)}, "<x/>", private.Limits{Elements: 5})
			if err == nil {
				kept.Add(1)
				return
			}
			wantErr(t, "Set", err, private.ErrFull)
		})
	}
	wg.Wait()
	if n := kept.Load(); n != 5 {
		t.Errorf("%d elements were taken, want 5", n)
	}
}

// Blocking tests a store of block lists; open returns an empty one.
func Blocking(t *testing.T, open func(t *testing.T) blocking.Store) {
	t.Run("compare and set", func(t *testing.T) { blockingSet(t, open(t)) })
	t.Run("forget", func(t *testing.T) { blockingForget(t, open(t)) })
	t.Run("no update is lost", func(t *testing.T) { blockingNoneLost(t, open(t)) })
}

func wantBlocked(t *testing.T, s blocking.Store, user stanza.JID, want ...stanza.JID) blocking.List {
	t.Helper()
	l, err := s.Get(t.Context(), user)
	if err != nil || !slices.Equal(l.Blocked, want) {
		t.Errorf("Get(%s) = %v, %v; want %v", user, l, err, want)
	}
	return l
}

// setBlocked replaces a list and returns it as it is stored.
func setBlocked(t *testing.T, s blocking.Store, user stanza.JID, l blocking.List, blocked ...stanza.JID) blocking.List {
	t.Helper()
	revision, err := s.CompareAndSet(t.Context(), user, blocking.List{Blocked: blocked, Revision: l.Revision})
	wantErr(t, "CompareAndSet", err, nil)
	if revision == 0 || revision == l.Revision {
		t.Errorf("CompareAndSet: revision %d after %d", revision, l.Revision)
	}
	if got := wantBlocked(t, s, user, blocked...); got.Revision != revision {
		t.Errorf("Get: revision %d, want %d", got.Revision, revision)
	}
	return blocking.List{Blocked: blocked, Revision: revision}
}

func blockingSet(t *testing.T, s blocking.Store) {
	ctx := t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	a, b, c := jid(t, "b.test"), jid(t, "tybalt@b.test"), jid(t, "tybalt@b.test/größe")
	if l := wantBlocked(t, s, user); l.Revision != 0 {
		t.Errorf("revision %d for an account that never blocked anybody, want 0", l.Revision)
	}
	_, err := s.CompareAndSet(ctx, user, blocking.List{Blocked: []stanza.JID{a}, Revision: 1})
	wantErr(t, "CompareAndSet of no list with a revision", err, blocking.ErrChanged)
	first := setBlocked(t, s, user, blocking.List{}, a)
	_, err = s.CompareAndSet(ctx, user, blocking.List{Blocked: []stanza.JID{b}})
	wantErr(t, "CompareAndSet of a list as a new one", err, blocking.ErrChanged)
	second := setBlocked(t, s, user, first, a, b, c)
	_, err = s.CompareAndSet(ctx, user, first)
	wantErr(t, "CompareAndSet with an old revision", err, blocking.ErrChanged)
	wantBlocked(t, s, user, a, b, c)
	wantBlocked(t, s, other)
	empty := setBlocked(t, s, user, second)
	_, err = s.CompareAndSet(ctx, user, blocking.List{Blocked: []stanza.JID{b}})
	wantErr(t, "CompareAndSet of an empty list as a new one", err, blocking.ErrChanged)
	setBlocked(t, s, user, empty, c)
}

func blockingForget(t *testing.T, s blocking.Store) {
	ctx := t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	a := jid(t, "tybalt@b.test")
	wantErr(t, "Forget of nothing", s.Forget(ctx, user), nil)
	old := setBlocked(t, s, user, blocking.List{}, a)
	setBlocked(t, s, other, blocking.List{}, a)
	wantErr(t, "Forget", s.Forget(ctx, user), nil)
	fresh := wantBlocked(t, s, user)
	wantBlocked(t, s, other, a)
	_, err := s.CompareAndSet(ctx, user, old)
	wantErr(t, "CompareAndSet with the revision of a forgotten list", err, blocking.ErrChanged)
	setBlocked(t, s, user, fresh, a)
	_, err = s.CompareAndSet(ctx, user, old)
	wantErr(t, "CompareAndSet with the revision of a list before", err, blocking.ErrChanged)
}

func blockingNoneLost(t *testing.T, s blocking.Store) {
	user := jid(t, "romeo@a.test")
	const writers, writes = 4, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range writes {
				if !block(t, s, user, jid(t, fmt.Sprintf("u%d-%d@b.test", w, n))) {
					return
				}
			}
		})
	}
	wg.Wait()
	if l, err := s.Get(t.Context(), user); err != nil || len(l.Blocked) != writers*writes {
		t.Errorf("%d are blocked, %v; want %d", len(l.Blocked), err, writers*writes)
	}
}

// block adds one to a list.
func block(t *testing.T, s blocking.Store, user, peer stanza.JID) bool {
	for {
		l, err := s.Get(t.Context(), user)
		if err != nil {
			t.Errorf("Get: %v", err)
			return false
		}
		l.Blocked = append(slices.Clone(l.Blocked), peer)
		slices.SortFunc(l.Blocked, func(a, b stanza.JID) int { return strings.Compare(a.String(), b.String()) })
		if _, err = s.CompareAndSet(t.Context(), user, l); err == nil {
			return true
		}
		wantErr(t, "CompareAndSet", err, blocking.ErrChanged)
	}
}
