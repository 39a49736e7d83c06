package acl

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// names stands for the preparation of XMPP addresses: letters become small and
// a blank is refused.
func names() Normaliser {
	lower := func(s string) (string, error) {
		if strings.Contains(s, " ") {
			return "", errors.New("blank")
		}
		return strings.ToLower(s), nil
	}
	keep := func(s string) (string, error) { return s, nil }
	return Normaliser{User: lower, Server: lower, Resource: keep}
}

// one makes a condition of a single word.
func one(t testing.TB, key Key, value string) Condition {
	t.Helper()
	c, err := Parser{names()}.Condition(key, value)
	if err != nil {
		t.Fatalf("Condition(%s, %q): %v", key, value, err)
	}
	return c
}

// pair makes a condition of a map of one pair.
func pair(t testing.TB, key Key, left, right string) Condition {
	t.Helper()
	c, err := Parser{names()}.Pair(key, left, right)
	if err != nil {
		t.Fatalf("Pair(%s, %q, %q): %v", key, left, right, err)
	}
	return c
}

func commands(t testing.TB, patterns ...string) []CommandPattern {
	t.Helper()
	var ps []CommandPattern
	for _, s := range patterns {
		p, err := ParseCommandPattern(s)
		if err != nil {
			t.Fatalf("ParseCommandPattern(%q): %v", s, err)
		}
		ps = append(ps, p)
	}
	return ps
}

// newRef makes a Ref to a Set of c.
func newRef(t testing.TB, c Config) *Ref {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	r := new(Ref)
	r.Store(s)
	return r
}

// jid is a subject on its own virtual host.
func jid(s string) Subject {
	s, resource, _ := strings.Cut(s, "/")
	user, server, _ := strings.Cut(s, "@")
	return Subject{User: user, Server: server, Resource: resource, Host: server}
}

// from gives a subject an address.
func (s Subject) from(ip string) Subject {
	s.IP = netip.MustParseAddr(ip)
	return s
}
