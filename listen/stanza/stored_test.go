package stanza

import (
	"errors"
	"strings"
	"testing"
)

func TestStoredJID(t *testing.T) {
	part, wide := strings.Repeat("a", 1023), strings.Repeat("ж", 511)
	for _, s := range []string{
		"example.com", "a@example.com", "a@example.com/r", "example.com/r", "example.com/a@b/c", "a@example.com/@", "a@example.com//",
		"é@bücher.example/ü", "a@[::1]/ ", part + "@" + part + "/" + part, wide + "@b.test/" + wide,
	} {
		j := mustJID(t, s)
		if got, err := StoredJID(j.String()); err != nil || got != j {
			t.Errorf("%.40q: got %q with domain %q, %v; want what ParseJID gives", s, got, got.Domain(), err)
		}
		bare := j.Bare()
		if got, err := StoredJID(bare.String()); err != nil || got != bare {
			t.Errorf("%.40q: got bare %q, %v; want %q", s, got, err, bare)
		}
	}
}

func TestStoredJIDRefuses(t *testing.T) {
	long := strings.Repeat("a", 1024)
	for _, s := range []string{"", "@", "a@", "@b", "b/", "/", "a@b/", "a@b@c", long, long + "@b", "a@" + long, "a@b/" + long} {
		j, err := StoredJID(s)
		if !errors.Is(err, ErrBadJID) || !j.IsZero() {
			t.Errorf("%.20q: got %q, %v, want %v", s, j, err, ErrBadJID)
		} else if len(err.Error()) > 300 {
			t.Errorf("%.20q: got an error text of %d bytes", s, len(err.Error()))
		}
	}
}

func TestStoredJIDAllocations(t *testing.T) {
	s := strings.Repeat("ж", 500) + "@b.test/я"
	if got := testing.AllocsPerRun(100, func() { StoredJID(s) }); got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

// What ParseJID has made comes back as it was; whatever else is taken keeps its
// text and has parts that make it up.
func FuzzStoredJID(f *testing.F) {
	for _, s := range []string{"a@b/c", "A@Example.com./R", "é@bücher.example/ü", "a@[::1]/ ", "a@b@c", "ｘ＠ｙ.example", "a@b/\xff", "/", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if j, err := ParseJID(s); err == nil {
			if got, err := StoredJID(j.String()); err != nil || got != j {
				t.Errorf("%q: got %q, %v; want %q", s, got, err, j)
			}
		}
		j, err := StoredJID(s)
		if err != nil {
			if !j.IsZero() {
				t.Errorf("%q: got %q with an error", s, j)
			}
			return
		}
		if j.String() != s || join(j.Local(), j.Domain(), j.Resource()) != j || j.Domain() == "" {
			t.Errorf("%q: got %q of %q, %q and %q", s, j, j.Local(), j.Domain(), j.Resource())
		}
	})
}

func BenchmarkStoredJID(b *testing.B) {
	for _, bb := range []struct {
		name, text string
	}{{"ascii", "juliet@capulet.example/balcony"}, {"long", strings.Repeat("ж", 500) + "@b.test"}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := StoredJID(bb.text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bb.name+" by ParseJID", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseJID(bb.text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
