package roster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMemory(t *testing.T) {
	m, ctx := new(Memory), t.Context()
	user, a, b := jid(t, juliet), jid(t, "a@b.test"), jid(t, "b@b.test")
	version := func(want Version) {
		t.Helper()
		if got, err := m.Version(ctx, user); err != nil || got != want {
			t.Errorf("got version %+v, %v, want %+v", got, err, want)
		}
	}
	version(Version{})
	if _, err := m.Get(ctx, user, a); !errors.Is(err, ErrNoItem) {
		t.Errorf("got %v, want %v", err, ErrNoItem)
	}
	if _, err := m.Set(ctx, user, Item{Contact: a, Version: 1}, 0); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want %v", err, ErrChanged)
	}
	one, err := m.Set(ctx, user, Item{Contact: b, Listed: true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	version(Version{Current: one})
	if _, err := m.Set(ctx, user, Item{Contact: a}, 1); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want %v", err, ErrFull)
	}
	if _, err := m.Set(ctx, user, Item{Contact: b, Version: one - 1}, 0); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want %v", err, ErrChanged)
	}
	two, err := m.Set(ctx, user, Item{Contact: b, Name: "B", Version: one}, 1)
	if err != nil || two <= one {
		t.Fatalf("got %d, %v, want more than %d", two, err, one)
	}
	version(Version{Current: two, Deleted: two}) // it was taken from the list
	if got, err := m.Get(ctx, user, b); err != nil || got.Name != "B" || got.Version != two {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := m.Delete(ctx, user, b, one); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want %v", err, ErrChanged)
	}
	three, err := m.Delete(ctx, user, b, two)
	if err != nil || three <= two {
		t.Fatalf("got %d, %v, want more than %d", three, err, two)
	}
	version(Version{Current: three, Deleted: three})
	if _, err := m.Delete(ctx, user, b, two); !errors.Is(err, ErrNoItem) {
		t.Errorf("got %v, want %v", err, ErrNoItem)
	}
	if err := m.Forget(ctx, user); err != nil {
		t.Fatal(err)
	}
	four, err := m.Set(ctx, user, Item{Contact: a}, 0)
	if err != nil || four <= three {
		t.Errorf("got %d, %v, want more than %d", four, err, three)
	}
	if v, _ := m.Version(ctx, user); v.Deleted <= three {
		t.Errorf("got %+v, want what was before to count as deleted", v)
	}
	if v, err := m.Version(ctx, jid(t, "nurse@a.test")); err != nil || v.Current != v.Deleted {
		t.Errorf("got %+v, %v, want a roster without a past", v, err)
	}
}

// 100,000 items in any order, and pages of them.
func TestMemoryOfManyItems(t *testing.T) {
	n := 100_000
	if raceEnabled {
		n = 10_000 // moving them is slow there
	}
	m, ctx, user := new(Memory), t.Context(), jid(t, juliet)
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		if _, err := m.Set(ctx, user, Item{Contact: jid(t, fmt.Sprintf("%d@b.test", i))}, n); err != nil {
			t.Fatal(err)
		}
	}
	var after stanza.JID
	var all []string
	for {
		page, err := m.List(ctx, user, after, 777)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page {
			all = append(all, i.Contact.String())
		}
		if len(page) < 777 {
			break
		}
		after = page[len(page)-1].Contact
	}
	if len(all) != n || !slices.IsSortedFunc(all, strings.Compare) || len(slices.Compact(all)) != n {
		t.Errorf("got %d contacts, sorted %v, want each of %d once", len(all), slices.IsSorted(all), n)
	}
	if page, err := m.List(ctx, user, jid(t, "5@b.test"), 1); err != nil || len(page) != 1 || page[0].Contact.String() <= "5@b.test" {
		t.Errorf("got %v, %v, want the next one", page, err)
	}
	if page, err := m.List(ctx, user, stanza.JID{}, 0); err != nil || len(page) != 0 {
		t.Errorf("got %v, %v, want nothing", page, err)
	}
}
