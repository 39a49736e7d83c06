package stanza

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestJID(t *testing.T) {
	tests := []struct{ in, text, local, domain, resource, bare string }{
		{"example.com", "example.com", "", "example.com", "", "example.com"},
		{"a@example.com", "a@example.com", "a", "example.com", "", "a@example.com"},
		{"a@example.com/r", "a@example.com/r", "a", "example.com", "r", "a@example.com"},
		{"example.com/r", "example.com/r", "", "example.com", "r", "example.com"},
		{"example.com/a@b/c", "example.com/a@b/c", "", "example.com", "a@b/c", "example.com"},
		{"A@Example.com./R", "a@example.com/R", "a", "example.com", "R", "a@example.com"},
		{"é@bücher.example/ü", "é@bücher.example/ü", "é", "bücher.example", "ü", "é@bücher.example"},
		{"a@[::1]/ ", "a@[::1]/ ", "a", "[::1]", " ", "a@[::1]"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			j := mustJID(t, tt.in)
			if j.String() != tt.text || j.Local() != tt.local || j.Domain() != tt.domain || j.Resource() != tt.resource || j.Bare().String() != tt.bare {
				t.Errorf("got %q = %q @ %q / %q, bare %q", j, j.Local(), j.Domain(), j.Resource(), j.Bare())
			}
			if j != mustJID(t, tt.text) {
				t.Errorf("%q is not equal to its canonical form", tt.in)
			}
			made, err := NewJID(tt.local, tt.domain, tt.resource)
			if err != nil || made != j {
				t.Errorf("made of parts: got %q, %v, want %q", made, err, j)
			}
			if got := j.Bare(); got != mustJID(t, tt.bare) || !got.IsBare() || got.IsFull() {
				t.Errorf("got bare %q, want %q", got, tt.bare)
			}
			if got := j.DomainOnly(); got != mustJID(t, tt.domain) {
				t.Errorf("got domain %q, want %q", got, tt.domain)
			}
			if j.IsFull() != (tt.resource != "") || j.IsBare() == j.IsFull() || j.IsZero() {
				t.Errorf("got full %v, bare %v, zero %v", j.IsFull(), j.IsBare(), j.IsZero())
			}
			if with, err := j.Bare().WithResource(tt.resource); err != nil || with != j {
				t.Errorf("with resource: got %q, %v, want %q", with, err, j)
			}
		})
	}
}

func TestZeroJID(t *testing.T) {
	var j JID
	if !j.IsZero() || j.String() != "" || j.Local() != "" || j.Domain() != "" || j.Resource() != "" || j.Bare() != j || j.DomainOnly() != j {
		t.Errorf("got %q with parts, want none", j)
	}
}

func TestBadJIDs(t *testing.T) {
	for _, s := range []string{"", "@", "a@", "@b", "b/", "a b@c", "a@b@c", "a@b..c", "u@xn--example-.com", "a@b/\x00", "\xff", strings.Repeat("a", 1024) + "@b", "a@b/" + strings.Repeat("r", 1024)} {
		if j, err := ParseJID(s); !errors.Is(err, ErrBadJID) || !j.IsZero() {
			t.Errorf("%.20q: got %q, %v, want %v", s, j, err, ErrBadJID)
		} else if len(err.Error()) > 300 {
			t.Errorf("%.20q: got an error text of %d bytes", s, len(err.Error()))
		}
	}
	for _, parts := range [][3]string{{"", "", ""}, {"a", "", "r"}, {"a@b", "c", ""}, {"a", "b/c", ""}, {"a", "b", "\x7f"}} {
		if j, err := NewJID(parts[0], parts[1], parts[2]); !errors.Is(err, ErrBadJID) {
			t.Errorf("%q: got %q, %v, want %v", parts, j, err, ErrBadJID)
		}
	}
	if j, err := mustJID(t, "a@b").WithResource("\x01"); !errors.Is(err, ErrBadJID) {
		t.Errorf("got %q, %v, want %v", j, err, ErrBadJID)
	}
}

func TestLongestJID(t *testing.T) {
	part := strings.Repeat("a", 1023)
	j := mustJID(t, part+"@"+part+"/"+part)
	if j.Local() != part || j.Domain() != part || j.Resource() != part {
		t.Errorf("got parts of %d, %d and %d bytes, want 1023 each", len(j.Local()), len(j.Domain()), len(j.Resource()))
	}
}

func TestJIDText(t *testing.T) {
	type holder struct{ A, B JID }
	want := holder{A: mustJID(t, "a@b/c")}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != `{"A":"a@b/c","B":""}` {
		t.Errorf("got %s", data)
	}
	var got holder
	if err := json.Unmarshal(data, &got); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"A":"@"}`), &got); !errors.Is(err, ErrBadJID) {
		t.Errorf("got %v, want %v", err, ErrBadJID)
	}
}

func TestParseJIDAllocations(t *testing.T) {
	if got := testing.AllocsPerRun(100, func() { ParseJID("juliet@capulet.example/balcony") }); got > 0 {
		t.Errorf("got %v allocations for a prepared address, want none", got)
	}
}

func TestJIDCache(t *testing.T) {
	var c JIDCache
	b := []byte("Juliet@capulet.example")
	j, err := c.Parse(b)
	if err != nil || j.String() != "juliet@capulet.example" {
		t.Fatalf("got %q, %v", j, err)
	}
	if got := testing.AllocsPerRun(100, func() { c.Parse(b) }); got > 0 {
		t.Errorf("got %v allocations for a known address, want none", got)
	}
	clear(b)
	if again, err := c.Parse([]byte("Juliet@capulet.example")); err != nil || again != j {
		t.Errorf("got %q, %v, want %q", again, err, j)
	}
	if j, err := c.Parse([]byte("@")); !errors.Is(err, ErrBadJID) {
		t.Errorf("got %q, %v, want %v", j, err, ErrBadJID)
	}
}

func TestJIDCacheBound(t *testing.T) {
	var c JIDCache
	for i := range 1000 {
		for _, s := range []string{fmt.Sprintf("user%d@example.com", i), fmt.Sprintf("%d@example.com/%s", i, strings.Repeat("r", 300)), fmt.Sprintf("%d@@", i)} {
			c.Parse([]byte(s))
		}
	}
	if len(c.jids) > maxCachedJIDs {
		t.Errorf("got %d addresses, want at most %d", len(c.jids), maxCachedJIDs)
	}
	for text, j := range c.jids {
		if len(text) > maxCachedJID || j.String() != text {
			t.Errorf("got %q for %q", j, text)
		}
	}
	if j, err := (*JIDCache)(nil).Parse([]byte("a@b")); err != nil || j.String() != "a@b" {
		t.Errorf("nil cache: got %q, %v, want a@b", j, err)
	}
}
