package shaper

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
)

func one(t testing.TB, key acl.Key, value string) acl.Condition {
	t.Helper()
	c, err := acl.Parser{}.Condition(key, value)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newRef makes a Ref to a Set of c, with two virtual hosts and an ACL staff,
// who is ana.
func newRef(t testing.TB, c Config) *Ref {
	t.Helper()
	acls, err := acl.New(acl.Config{
		Hosts:  []string{"one.test", "two.test"},
		Global: acl.Tables{ACLs: map[string][]acl.Condition{"staff": {one(t, acl.User, "ana")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	aclRef := new(acl.Ref)
	aclRef.Store(acls)
	set, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ref := NewRef(aclRef)
	ref.Store(set)
	return ref
}

func jid(user, server string) acl.Subject {
	return acl.Subject{User: user, Server: server, Host: server}
}

func TestRate(t *testing.T) {
	ana, bo := jid("ana", "one.test"), jid("bo", "one.test")
	slow, burst := Rate{2000, 2000}, Rate{3000, 20000}
	tests := []struct {
		name  string
		rules Rules
		want  map[acl.Subject]Rate
	}{
		{"nothing matches", Rules{{Named("slow"), []acl.Condition{acl.Named("staff")}}}, map[acl.Subject]Rate{ana: slow, bo: {}, {}: {}}},
		{"first match wins", Rules{
			{Named("none"), []acl.Condition{acl.Named("staff")}},
			{Named("burst"), []acl.Condition{one(t, acl.Server, "one.test")}},
			{Value: Named("slow")},
		}, map[acl.Subject]Rate{ana: {}, bo: burst, jid("bo", "two.test"): slow, {}: slow}},
		{"all conditions of an entry", Rules{{Named("slow"), []acl.Condition{acl.Named("staff"), one(t, acl.Server, "two.test")}}},
			map[acl.Subject]Rate{ana: {}, jid("ana", "two.test"): slow, jid("bo", "two.test"): {}}},
		{"infinity", Rules{{Value: Named("infinity")}, {Value: Named("slow")}}, map[acl.Subject]Rate{ana: {}}},
		{"infinite", Rules{{Value: Named("infinite")}}, map[acl.Subject]Rate{ana: {}}},
		{"unlimited", Rules{{Value: Named("unlimited")}}, map[acl.Subject]Rate{ana: {}}},
		{"number", Rules{{Value: Number(500)}}, map[acl.Subject]Rate{ana: {500, 500}}},
		{"number below 1", Rules{{Value: Number(-1)}}, map[acl.Subject]Rate{ana: {}}},
		{"unknown shaper is skipped", Rules{{Value: Named("ghost")}, {Value: Named("slow")}}, map[acl.Subject]Rate{ana: slow}},
		{"shaper without a limit", Rules{{Value: Named("open")}, {Value: Named("slow")}}, map[acl.Subject]Rate{ana: {}}},
		{"undefined acl never matches", Rules{{Named("slow"), []acl.Condition{acl.Named("ghosts")}}}, map[acl.Subject]Rate{ana: {}}},
		{"empty", nil, map[acl.Subject]Rate{ana: {}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := newRef(t, Config{
				Shapers: map[string]Rate{"slow": {BytesPerSecond: 2000}, "burst": {3000, 20000}, "open": {}},
				Rules:   map[string]Rules{"rule": tt.rules},
			})
			for _, rule := range []Rule{ref.Rule("rule"), ref.Inline(tt.rules)} {
				for s, want := range tt.want {
					if got := rule.Rate(s); got != want {
						t.Errorf("%v of %s@%s: got %v, want %v", rule, s.User, s.Server, got, want)
					}
				}
			}
		})
	}
}

func TestLimit(t *testing.T) {
	ana, bo := jid("ana", "one.test"), jid("bo", "one.test")
	staff := []acl.Condition{acl.Named("staff")}
	type answer struct {
		n  int
		ok bool
	}
	tests := []struct {
		name  string
		rules Rules
		want  map[acl.Subject]answer
	}{
		{"number", Rules{{Value: Number(10)}}, map[acl.Subject]answer{ana: {10, true}, {}: {10, true}}},
		{"by subject", Rules{{Number(5000), staff}, {Value: Number(100)}}, map[acl.Subject]answer{ana: {5000, true}, bo: {100, true}}},
		{"infinity", Rules{{Named("infinity"), staff}, {Value: Number(3)}}, map[acl.Subject]answer{ana: {}, bo: {3, true}}},
		{"nothing matches", Rules{{Number(5), staff}}, map[acl.Subject]answer{ana: {5, true}, bo: {}}},
		{"shaper is no number", Rules{{Value: Named("slow")}, {Value: Number(3)}}, map[acl.Subject]answer{ana: {}}},
		{"unknown shaper is skipped", Rules{{Value: Named("ghost")}, {Value: Number(3)}}, map[acl.Subject]answer{ana: {3, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := newRef(t, Config{
				Shapers: map[string]Rate{"slow": {BytesPerSecond: 2000}},
				Rules:   map[string]Rules{"max_user_sessions": tt.rules},
			})
			for _, rule := range []Rule{ref.Rule("max_user_sessions"), ref.Inline(tt.rules)} {
				for s, want := range tt.want {
					n, ok := rule.Limit(s)
					if got := (answer{n, ok}); got != want {
						t.Errorf("%v of %s@%s: got %v, want %v", rule, s.User, s.Server, got, want)
					}
				}
			}
		})
	}
}

func TestFixed(t *testing.T) {
	rule := Fixed(Rate{BytesPerSecond: 1000})
	if got, want := rule.Rate(acl.Subject{}), (Rate{1000, 1000}); got != want {
		t.Errorf("Rate: got %v, want %v", got, want)
	}
	if n, ok := rule.Limit(acl.Subject{}); n != 1000 || !ok {
		t.Errorf("Limit: got %d, %v, want 1000, true", n, ok)
	}
	if rule != Fixed(Rate{1000, 1000}) || rule == Fixed(Rate{1000, 2000}) {
		t.Error("rules of equal rates: got different, want equal")
	}
	none := Fixed(Rate{})
	if n, ok := none.Limit(acl.Subject{}); n != 0 || ok || none.Rate(acl.Subject{}) != (Rate{}) {
		t.Errorf("no limit: got %d, %v, %v", n, ok, none.Rate(acl.Subject{}))
	}
}

// TestVirtualHosts wants that the rules of a virtual host replace the global
// ones as a whole.
func TestVirtualHosts(t *testing.T) {
	ref := newRef(t, Config{
		Shapers: map[string]Rate{"slow": {BytesPerSecond: 100}},
		Rules:   map[string]Rules{"c2s_shaper": {{Value: Named("slow")}}, "general": {{Value: Number(9)}}},
		PerHost: map[string]map[string]Rules{"two.test": {"c2s_shaper": {{Value: Number(7)}}, "own": {{Value: Named("slow")}}}},
	})
	tests := []struct {
		rule, host string
		want       int64
	}{
		{"c2s_shaper", "", 100},
		{"c2s_shaper", "one.test", 100},
		{"c2s_shaper", "two.test", 7},
		{"own", "two.test", 100},
		{"own", "one.test", 0},
		{"general", "one.test", 9},
		{"general", "two.test", 0},
		{"undefined", "one.test", 0},
		{"none", "one.test", 0},
	}
	for _, tt := range tests {
		if got := ref.Rule(tt.rule).Rate(acl.Subject{Host: tt.host}).BytesPerSecond; got != tt.want {
			t.Errorf("%s on %q: got %d, want %d", tt.rule, tt.host, got, tt.want)
		}
	}
}

func TestRef(t *testing.T) {
	var zero Ref
	named, inline := zero.Rule("c2s_shaper"), zero.Inline(Rules{{Number(5), []acl.Condition{acl.Named("all")}}, {Value: Named("slow")}, {Value: Number(9)}})
	if got := named.Rate(acl.Subject{}); got != (Rate{}) {
		t.Errorf("empty, named: got %v, want none", got)
	}
	if _, ok := named.Limit(acl.Subject{}); ok {
		t.Error("empty, named: got a limit, want none")
	}
	if got, want := inline.Rate(acl.Subject{}), (Rate{9, 9}); got != want {
		t.Errorf("empty, inline: got %v, want that of the entry without conditions, %v", got, want)
	}
	set, err := New(Config{Shapers: map[string]Rate{"slow": {BytesPerSecond: 1}}, Rules: map[string]Rules{"c2s_shaper": {{Value: Named("slow")}}}})
	if err != nil {
		t.Fatal(err)
	}
	zero.Store(set)
	if got, want := named.Rate(acl.Subject{}), (Rate{1, 1}); got != want || zero.Load() != set {
		t.Errorf("stored, named: got %v, want %v", got, want)
	}
	if got, want := inline.Rate(acl.Subject{}), (Rate{1, 1}); got != want {
		t.Errorf("stored, inline: got %v, want %v", got, want)
	}
}

// TestCompareAndPrint wants that options that hold rules can be compared and
// printed.
func TestCompareAndPrint(t *testing.T) {
	ref, other := NewRef(nil), NewRef(nil)
	inline := ref.Inline(Rules{
		{Named("none"), []acl.Condition{acl.Named("staff"), one(t, acl.IP, "::1")}}, {Value: Named("slow")}, {Value: Number(5)},
	})
	if ref.Rule("a") != ref.Rule("a") {
		t.Error("the same rule of the same Ref: got different, want equal")
	}
	if ref.Rule("a") == other.Rule("a") || ref.Rule("a") == ref.Rule("b") || ref.Rule("a") == inline {
		t.Error("different rules: got equal, want different")
	}
	if ref.Rule("none") != other.Rule("infinity") || ref.Rule("none") != Fixed(Rate{}) {
		t.Error("no limit: got different, want equal")
	}
	type options struct{ Named, Inline, None, Slow, Burst Rule }
	got := fmt.Sprintf("%+v", options{ref.Rule("c2s"), inline, ref.Rule("none"), Fixed(Rate{BytesPerSecond: 10}), Fixed(Rate{10, 20})})
	want := "{Named:c2s Inline:[none: {acl: staff, ip: ::1/128}, slow, 5] None:none Slow:10 B/s Burst:10 B/s, burst 20 B}"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNewErrors(t *testing.T) {
	_, err := New(Config{Shapers: map[string]Rate{
		"none": {}, "infinite": {}, "unlimited": {}, "infinity": {}, "bad": {BytesPerSecond: -1}, "worse": {1, -1}, "good": {1, 1},
	}})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got error %v, want several", err)
	}
	var got []string
	for _, e := range joined.Unwrap() {
		var d *DefinitionError
		if !errors.As(e, &d) || d.Err == nil || !errors.Is(e, d.Err) {
			t.Fatalf("got error %v, want a *DefinitionError", e)
		}
		got = append(got, d.Name)
	}
	if want := []string{"bad", "infinite", "infinity", "none", "unlimited", "worse"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if text := "shaper: none: the name means no limit"; !strings.Contains(err.Error(), text) {
		t.Errorf("got error %q, want it to say %q", err, text)
	}
}

func TestUndefined(t *testing.T) {
	set, err := New(Config{
		Shapers: map[string]Rate{"slow": {BytesPerSecond: 1}},
		Rules:   map[string]Rules{"c2s": {{Value: Named("slow")}, {Value: Named("ghost")}, {Value: Named("none")}, {Value: Number(3)}}},
		PerHost: map[string]map[string]Rules{"one.test": {"s2s": {{Value: Named("fast")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Reference{{"", "c2s", 1, "ghost"}, {"one.test", "s2s", 0, "fast"}}
	if got := set.Undefined(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !set.HasShaper("slow") || set.HasShaper("ghost") || !set.HasShaper("infinity") {
		t.Error("HasShaper: got a wrong answer")
	}
	if !set.HasRule("", "c2s") || set.HasRule("", "s2s") || !set.HasRule("one.test", "s2s") || set.HasRule("one.test", "c2s") || !set.HasRule("two.test", "c2s") || !set.HasRule("", "none") {
		t.Error("HasRule: got a wrong answer")
	}
}

// TestListenExample is the shaper of the documentation of listen options: all
// but administrators, who are not defined there, have 1000 bytes per second.
func TestListenExample(t *testing.T) {
	ref := newRef(t, Config{
		Shapers: map[string]Rate{"normal": {BytesPerSecond: 1000}},
		Rules:   map[string]Rules{"c2s_shaper": {{Named("none"), []acl.Condition{acl.Named("admin")}}, {Value: Named("normal")}}},
	})
	if got, want := ref.Rule("c2s_shaper").Rate(jid("ana", "one.test")), (Rate{1000, 1000}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRuleAllocs(t *testing.T) {
	ref := newRef(t, Config{
		Shapers: map[string]Rate{"slow": {BytesPerSecond: 1}},
		Rules:   map[string]Rules{"c2s": {{Named("none"), []acl.Condition{acl.Named("staff")}}, {Value: Named("slow")}}},
	})
	s := jid("bo", "one.test")
	for _, rule := range []Rule{ref.Rule("c2s"), ref.Inline(Rules{{Value: Named("slow")}}), Fixed(Rate{1, 1})} {
		got := testing.AllocsPerRun(100, func() {
			rule.Rate(s)
			rule.Limit(s)
		})
		if got != 0 {
			t.Errorf("%v: got %v allocations, want 0", rule, got)
		}
	}
}

func BenchmarkRate(b *testing.B) {
	ref := newRef(b, Config{
		Shapers: map[string]Rate{"slow": {BytesPerSecond: 1}},
		Rules:   map[string]Rules{"c2s": {{Named("none"), []acl.Condition{acl.Named("staff")}}, {Value: Named("slow")}}},
	})
	rule, s := ref.Rule("c2s"), jid("bo", "one.test")
	b.ReportAllocs()
	for b.Loop() {
		rule.Rate(s)
	}
}
