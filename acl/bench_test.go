package acl

import (
	"sync"
	"testing"
)

// busyRef has every kind of condition before the one that matches.
func busyRef(t testing.TB) *Ref {
	ref := newRef(t, Config{
		Hosts: []string{"one.test"},
		Global: Tables{
			ACLs: map[string][]Condition{
				"blocked": {
					one(t, User, "bad"), one(t, User, "evil@one.test"), one(t, Server, "bad.test"), one(t, Resource, "bad"),
					one(t, UserRegexp, "^bad[0-9]+$"), one(t, ServerRegexp, "bad"), one(t, ResourceRegexp, "^b"), pair(t, NodeRegexp, "a$", "x"),
					one(t, UserGlob, "bad-*"), one(t, ServerGlob, "*.bad"), one(t, ResourceGlob, "[!a-z]*"), pair(t, NodeGlob, "?*", "b?"),
					one(t, IP, "10.0.0.0/8"), one(t, SharedGroup, "bad"),
				},
				"staff": {one(t, User, "ana@one.test")},
			},
			Rules: map[string]Rules{
				"c2s":       {Deny(Named("blocked")), Deny(Named("ghosts")), Allow(Named("staff"))},
				"configure": {Allow(Named("staff"))},
			},
		},
		Permissions: []Group{{
			Name:  "ops",
			From:  []string{"mod_http_api"},
			Who:   Callers{EachKind: true, Conditions: []Condition{one(t, IP, "192.0.2.0/24"), Named("staff")}, Access: []RuleRef{{Inline: Rules{Allow(Named("blocked"))}}}},
			OAuth: []OAuth{{[]string{"ops"}, Callers{Access: []RuleRef{{Name: "c2s"}}}}},
			What:  commands(t, "[tag:admin]", "!stop"),
		}},
	})
	ref.SetMembers(func(_, _, _, _ string) bool { return false })
	return ref
}

func busySubject() Subject {
	s := jid("ana@one.test/desk").from("::ffff:192.0.2.7")
	s.From, s.Scopes = "mod_http_api", "read write ops"
	return s
}

func TestAllocs(t *testing.T) {
	ref := busyRef(t)
	s := busySubject()
	withToken := s
	withToken.Token = true
	named, inline := ref.Rule("c2s"), ref.Inline(Rules{Deny(Named("blocked")), Allow()})
	cmd := Command{Name: "register", Tags: []string{"accounts", "admin"}, Host: "two.test"}
	tests := []struct {
		name string
		ask  func() bool
	}{
		{"named rule", func() bool { return named.Allow(s) }},
		{"inline rule", func() bool { return inline.Allow(s) }},
		{"Match", func() bool { return ref.Match([]Condition{Named("staff")}, s) }},
		{"Permits", func() bool { return ref.Permits(s, cmd) }},
		{"Permits with a token", func() bool { return ref.Permits(withToken, cmd) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.ask() {
				t.Fatal("got no, want yes")
			}
			if raceDetector {
				t.Skip("regexp allocates at random under the race detector")
			}
			if got := testing.AllocsPerRun(100, func() { tt.ask() }); got != 0 {
				t.Errorf("got %v allocations, want 0", got)
			}
		})
	}
}

// TestReload asks while the tables change, for the race detector.
func TestReload(t *testing.T) {
	ref := busyRef(t)
	set := ref.Load()
	rule := ref.Rule("c2s")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if !rule.Allow(busySubject()) {
					t.Error("got no, want yes")
				}
			}
		})
	}
	for range 200 {
		ref.Store(set)
		ref.SetMembers(func(_, _, _, _ string) bool { return false })
	}
	wg.Wait()
}

func BenchmarkRule(b *testing.B) {
	rule, s := busyRef(b).Rule("c2s"), busySubject()
	b.ReportAllocs()
	for b.Loop() {
		rule.Allow(s)
	}
}

func BenchmarkRuleByAddress(b *testing.B) {
	ref, s := busyRef(b), busySubject()
	rule := ref.Inline(Rules{Allow(one(b, IP, "192.0.2.0/24"))})
	b.ReportAllocs()
	for b.Loop() {
		rule.Allow(s)
	}
}

func BenchmarkPermits(b *testing.B) {
	ref, s := busyRef(b), busySubject()
	cmd := Command{Name: "register", Tags: []string{"accounts", "admin"}}
	b.ReportAllocs()
	for b.Loop() {
		ref.Permits(s, cmd)
	}
}

func BenchmarkGlob(b *testing.B) {
	g, err := compileGlob("*bot-[0-9]*.test")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		g.match("a-rather-long-robot-name-bot-77.one.test")
	}
}
