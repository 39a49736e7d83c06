package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Roster tests a store of rosters; open returns an empty one.
func Roster(t *testing.T, open func(t *testing.T) roster.Store) {
	t.Run("every field is kept", func(t *testing.T) { rosterFields(t, open(t)) })
	t.Run("compare and set", func(t *testing.T) { rosterCompareAndSet(t, open(t)) })
	t.Run("compare and delete", func(t *testing.T) { rosterDelete(t, open(t)) })
	t.Run("limit", func(t *testing.T) { rosterLimit(t, open(t)) })
	t.Run("list", func(t *testing.T) { rosterList(t, open(t)) })
	t.Run("versions", func(t *testing.T) { rosterVersions(t, open(t)) })
	t.Run("forget", func(t *testing.T) { rosterForget(t, open(t)) })
	t.Run("one of many wins", func(t *testing.T) { rosterOneWins(t, open(t)) })
	t.Run("a limit holds against many", func(t *testing.T) { rosterLimitHolds(t, open(t)) })
}

// setItem stores an item and returns it with its new version.
func setItem(t *testing.T, s roster.Store, user stanza.JID, i roster.Item) roster.Item {
	t.Helper()
	v, err := s.Set(t.Context(), user, i, 0)
	wantErr(t, fmt.Sprintf("Set(%s, %s)", user, i.Contact), err, nil)
	if v <= i.Version {
		t.Errorf("Set(%s, %s): version %d after %d, want a greater one", user, i.Contact, v, i.Version)
	}
	i.Version = v
	return i
}

func sameItem(a, b roster.Item) bool {
	groups := slices.Equal(a.Groups, b.Groups)
	return groups && a.Contact == b.Contact && a.Name == b.Name && a.Subscription == b.Subscription && a.Ask == b.Ask &&
		a.Approved == b.Approved && a.Listed == b.Listed && a.Request == b.Request && a.Version == b.Version
}

func wantItem(t *testing.T, s roster.Store, user stanza.JID, want roster.Item) {
	t.Helper()
	got, err := s.Get(t.Context(), user, want.Contact)
	if err != nil || !sameItem(got, want) {
		t.Errorf("Get(%s, %s) = %+v, %v; want %+v", user, want.Contact, got, err, want)
	}
}

func wantItems(t *testing.T, s roster.Store, user stanza.JID, want ...roster.Item) {
	t.Helper()
	got, err := s.List(t.Context(), user, stanza.JID{}, 1000)
	if err != nil || !slices.EqualFunc(got, want, sameItem) {
		t.Errorf("List(%s) = %+v, %v; want %+v", user, got, err, want)
	}
}

func wantVersion(t *testing.T, s roster.Store, user stanza.JID, want roster.Version) {
	t.Helper()
	if got, err := s.Version(t.Context(), user); err != nil || got != want {
		t.Errorf("Version(%s) = %+v, %v; want %+v", user, got, err, want)
	}
}

func rosterFields(t *testing.T, s roster.Store) {
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.tes")
	items := []roster.Item{
		{Contact: jid(t, "b.test"), Listed: true},
		{Contact: jid(t, "benvolio@b.test"), Subscription: roster.To, Ask: true, Listed: true, Groups: []string{"Friends", "", "größer"}},
		{Contact: jid(t, "juliet@b.test"), Name: "Juliet <3", Subscription: roster.Both, Approved: true, Listed: true, Groups: []string{"Friends"}},
		{Contact: jid(t, "juliet@b.test/balcony"), Subscription: roster.From, Listed: true},
		{Contact: jid(t, "tybalt@b.test"), Request: "<presence type='subscribe'/>"},
	}
	_, err := s.Get(t.Context(), user, items[0].Contact)
	wantErr(t, "Get of no item", err, roster.ErrNoItem)
	for n := range items {
		items[n] = setItem(t, s, user, items[n])
		wantItem(t, s, user, items[n])
	}
	wantItems(t, s, user, items...)
	wantItems(t, s, other)
	changed := roster.Item{Contact: items[2].Contact, Listed: true, Version: items[2].Version}
	items[2] = setItem(t, s, user, changed)
	wantItems(t, s, user, items...)
}

func rosterCompareAndSet(t *testing.T, s roster.Store) {
	ctx := t.Context()
	user := jid(t, "romeo@a.test")
	fresh := roster.Item{Contact: jid(t, "juliet@b.test"), Listed: true}
	early := fresh
	early.Version = 7
	_, err := s.Set(ctx, user, early, 0)
	wantErr(t, "Set of no item with a version", err, roster.ErrChanged)
	wantVersion(t, s, user, roster.Version{})

	first := setItem(t, s, user, fresh)
	_, err = s.Set(ctx, user, fresh, 0)
	wantErr(t, "Set of an item as a new one", err, roster.ErrChanged)
	second := first
	second.Name = "Juliet"
	second = setItem(t, s, user, second)
	_, err = s.Set(ctx, user, first, 0)
	wantErr(t, "Set with an old version", err, roster.ErrChanged)
	wantItem(t, s, user, second)
	wantVersion(t, s, user, roster.Version{Current: second.Version})
}

func rosterDelete(t *testing.T, s roster.Store) {
	ctx := t.Context()
	user := jid(t, "romeo@a.test")
	_, err := s.Delete(ctx, user, jid(t, "juliet@b.test"), 0)
	wantErr(t, "Delete of no item", err, roster.ErrNoItem)
	i := setItem(t, s, user, roster.Item{Contact: jid(t, "juliet@b.test"), Listed: true})
	keep := setItem(t, s, user, roster.Item{Contact: jid(t, "nurse@b.test"), Listed: true})
	_, err = s.Delete(ctx, user, i.Contact, i.Version+1000)
	wantErr(t, "Delete with another version", err, roster.ErrChanged)
	wantItems(t, s, user, i, keep)
	v, err := s.Delete(ctx, user, i.Contact, i.Version)
	if err != nil || v <= keep.Version {
		t.Errorf("Delete = %d, %v; want a version after %d", v, err, keep.Version)
	}
	wantItems(t, s, user, keep)
	wantVersion(t, s, user, roster.Version{Current: v, Deleted: v})
	_, err = s.Get(ctx, user, i.Contact)
	wantErr(t, "Get after Delete", err, roster.ErrNoItem)
	_, err = s.Set(ctx, user, i, 0)
	wantErr(t, "Set with the version of a deleted item", err, roster.ErrChanged)
	i.Version = 0
	if again := setItem(t, s, user, i); again.Version <= v {
		t.Errorf("version %d after %d", again.Version, v)
	}
}

func rosterLimit(t *testing.T, s roster.Store) {
	ctx := t.Context()
	user := jid(t, "romeo@a.test")
	var items []roster.Item
	for n := range 3 {
		v, err := s.Set(ctx, user, roster.Item{Contact: jid(t, fmt.Sprintf("u%d@b.test", n))}, 3)
		wantErr(t, "Set within the limit", err, nil)
		items = append(items, roster.Item{Contact: jid(t, fmt.Sprintf("u%d@b.test", n)), Version: v})
	}
	_, err := s.Set(ctx, user, roster.Item{Contact: jid(t, "u3@b.test")}, 3)
	wantErr(t, "Set beyond the limit", err, roster.ErrFull)
	wantItems(t, s, user, items...)
	_, err = s.Set(ctx, jid(t, "other@a.test"), roster.Item{Contact: jid(t, "u3@b.test")}, 3)
	wantErr(t, "Set for another user", err, nil)
	items[0].Name = "changed"
	v, err := s.Set(ctx, user, items[0], 2)
	wantErr(t, "Set of an item that exists", err, nil)
	_, err = s.Delete(ctx, user, items[0].Contact, v)
	wantErr(t, "Delete", err, nil)
	_, err = s.Set(ctx, user, roster.Item{Contact: jid(t, "u3@b.test")}, 3)
	wantErr(t, "Set after Delete", err, nil)
}

func rosterList(t *testing.T, s roster.Store) {
	user := jid(t, "romeo@a.test")
	var all []roster.Item
	for _, c := range []string{"a-b@c.test", "a@b.test", "a@b.test/x", "a@b.testing", "b.test", "z@b.test", "ß@b.test"} {
		all = append(all, setItem(t, s, user, roster.Item{Contact: jid(t, c)}))
	}
	for _, other := range []string{"rome@a.test", "romeo@a.test2", "romep@a.test"} {
		setItem(t, s, jid(t, other), roster.Item{Contact: jid(t, "other@b.test")})
	}
	for _, tt := range []struct {
		after string
		limit int
		want  []roster.Item
	}{
		{"", 100, all},
		{"", len(all), all},
		{"", 2, all[:2]},
		{"", 0, nil},
		{"a@b.test", 2, all[2:4]},
		{"a@b.test/w", 2, all[2:4]},
		{"b.test", 100, all[5:]},
		{"ß@b.test", 100, nil},
	} {
		var after stanza.JID
		if tt.after != "" {
			after = jid(t, tt.after)
		}
		got, err := s.List(t.Context(), user, after, tt.limit)
		if err != nil || !slices.EqualFunc(got, tt.want, sameItem) {
			t.Errorf("List(%q, %d) = %v, %v; want %v", tt.after, tt.limit, got, err, tt.want)
		}
	}
}

func rosterVersions(t *testing.T, s roster.Store) {
	user := jid(t, "romeo@a.test")
	wantVersion(t, s, user, roster.Version{})
	i := setItem(t, s, user, roster.Item{Contact: jid(t, "juliet@b.test"), Listed: true})
	wantVersion(t, s, user, roster.Version{Current: i.Version})
	unlisted := setItem(t, s, user, roster.Item{Contact: jid(t, "tybalt@b.test"), Request: "<presence/>"})
	wantVersion(t, s, user, roster.Version{Current: unlisted.Version})

	i.Listed, i.Request = false, "<presence/>"
	i = setItem(t, s, user, i)
	gone := i.Version
	wantVersion(t, s, user, roster.Version{Current: gone, Deleted: gone}) // taken from the list
	i.Listed = true
	i = setItem(t, s, user, i)
	wantVersion(t, s, user, roster.Version{Current: i.Version, Deleted: gone})
	setItem(t, s, jid(t, "other@a.test"), roster.Item{Contact: i.Contact})
	wantVersion(t, s, user, roster.Version{Current: i.Version, Deleted: gone})
}

func rosterForget(t *testing.T, s roster.Store) {
	ctx := t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.testing")
	wantErr(t, "Forget of no roster", s.Forget(ctx, user), nil)
	wantVersion(t, s, user, roster.Version{})
	kept := setItem(t, s, other, roster.Item{Contact: jid(t, "juliet@b.test")})
	var last roster.Item
	for n := range 20 {
		last = setItem(t, s, user, roster.Item{Contact: jid(t, fmt.Sprintf("u%d@b.test", n)), Listed: true})
	}
	wantErr(t, "Forget", s.Forget(ctx, user), nil)
	wantItems(t, s, user)
	wantItems(t, s, other, kept)
	_, err := s.Set(ctx, user, last, 0)
	wantErr(t, "Set with the version of a forgotten item", err, roster.ErrChanged)

	// A client that knows the old roster must not believe that a few items were
	// added to it.
	again := setItem(t, s, user, roster.Item{Contact: last.Contact, Listed: true})
	v, err := s.Version(ctx, user)
	if err != nil || v.Current != again.Version || v.Current <= last.Version || v.Deleted <= last.Version {
		t.Errorf("after Forget and Set: version %+v, item %d, %v; want both after %d", v, again.Version, err, last.Version)
	}
	wantItems(t, s, user, again)
}

func rosterOneWins(t *testing.T, s roster.Store) {
	var wins atomic.Int32
	var wg sync.WaitGroup
	user, contact := jid(t, "romeo@a.test"), jid(t, "juliet@b.test")
	for range 8 {
		wg.Go(func() {
			_, err := s.Set(t.Context(), user, roster.Item{Contact: contact}, 0)
			if err == nil {
				wins.Add(1)
				return
			}
			wantErr(t, "Set", err, roster.ErrChanged)
		})
	}
	wg.Wait()
	if n := wins.Load(); n != 1 {
		t.Errorf("%d calls of Set succeeded, want 1", n)
	}
}

func rosterLimitHolds(t *testing.T, s roster.Store) {
	var wg sync.WaitGroup
	user := jid(t, "romeo@a.test")
	for n := range 12 {
		contact := jid(t, fmt.Sprintf("u%d@b.test", n))
		wg.Go(func() {
			if _, err := s.Set(t.Context(), user, roster.Item{Contact: contact}, 5); err != nil {
				wantErr(t, "Set", err, roster.ErrFull)
			}
		})
	}
	wg.Wait()
	if got, err := s.List(t.Context(), user, stanza.JID{}, 100); err != nil || len(got) != 5 {
		t.Errorf("%d items, %v; want 5", len(got), err)
	}
}
