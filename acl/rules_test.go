package acl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	ana, bo := one(t, User, "ana"), one(t, User, "bo")
	near := one(t, IP, "198.51.100.0/24")
	tests := []struct {
		name  string
		rules Rules
		allow []Subject
		deny  []Subject
	}{
		{"nothing matches", Rules{}, nil, []Subject{{}, jid("ana@one.test")}},
		{"bare allow", Rules{Allow()}, []Subject{{}, jid("ana@one.test")}, nil},
		{"bare deny", Rules{Deny(), Allow()}, nil, []Subject{{}, jid("ana@one.test")}},
		{"first match wins: deny", Rules{Deny(ana), Allow()},
			[]Subject{{}, jid("bo@one.test"), jid("ana@far.test")}, []Subject{jid("ana@one.test")}},
		{"first match wins: allow", Rules{Allow(ana), Deny(ana), Deny()},
			[]Subject{jid("ana@one.test")}, []Subject{jid("bo@one.test")}},
		{"all conditions of an entry", Rules{Allow(Named("staff"), near)},
			[]Subject{jid("ana@one.test").from("198.51.100.7")},
			[]Subject{jid("ana@one.test"), jid("ana@one.test").from("198.51.101.7"), jid("cy@one.test").from("198.51.100.7")}},
		{"two values of one key exclude each other", Rules{Allow(ana, bo)},
			nil, []Subject{jid("ana@one.test"), jid("bo@one.test")}},
		{"alternatives are entries", Rules{Allow(ana), Allow(bo)},
			[]Subject{jid("ana@one.test"), jid("bo@one.test")}, []Subject{jid("cy@one.test")}},
		{"acl names", Rules{Deny(Named("none")), Allow(Named("all"))}, []Subject{{}}, nil},
		{"undefined acl in deny", Rules{Deny(Named("ghosts")), Allow()}, []Subject{jid("ana@one.test")}, nil},
		{"undefined acl in allow", Rules{Allow(Named("ghosts"))}, nil, []Subject{jid("ana@one.test")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := newRef(t, Config{
				Hosts: []string{"one.test"},
				Global: Tables{
					ACLs:  map[string][]Condition{"staff": {ana, bo}},
					Rules: map[string]Rules{"rule": tt.rules},
				},
			})
			for _, access := range []Access{ref.Rule("rule"), ref.Inline(tt.rules)} {
				for _, s := range tt.allow {
					if !access.Allow(s) {
						t.Errorf("%v of %+v: got no, want yes", access, s)
					}
				}
				for _, s := range tt.deny {
					if access.Allow(s) {
						t.Errorf("%v of %+v: got yes, want no", access, s)
					}
				}
			}
		})
	}
}

// TestVirtualHosts wants that a table of a virtual host replaces the global one
// there, as a whole, and nowhere else. A host without a table has the global
// one.
func TestVirtualHosts(t *testing.T) {
	ref := newRef(t, Config{
		Hosts: []string{"one.test", "two.test", "three.test", "four.test"},
		Global: Tables{
			ACLs:  map[string][]Condition{"staff": {one(t, User, "ana")}},
			Rules: map[string]Rules{"c2s": {Allow(Named("staff"))}, "muc": {Allow()}},
		},
		PerHost: map[string]Tables{"two.test": {
			ACLs:  map[string][]Condition{"staff": {one(t, User, "bo")}, "local": {one(t, User, "cy")}},
			Rules: map[string]Rules{"muc": {Deny()}, "local": {Allow(Named("local"))}, "own": {Allow(Named("staff"))}},
		}, "three.test": {
			ACLs: map[string][]Condition{"staff": {one(t, User, "di")}},
		}, "four.test": {
			Rules: map[string]Rules{},
		}},
	})
	tests := []struct {
		rule, user, host string
		want             bool
	}{
		{"c2s", "ana@one.test", "one.test", true},
		{"c2s", "bo@one.test", "one.test", false},
		{"c2s", "ana@two.test", "two.test", false},
		{"c2s", "bo@two.test", "two.test", false},
		{"own", "bo@two.test", "two.test", true},
		{"own", "ana@two.test", "two.test", false},
		{"c2s", "di@three.test", "three.test", true},
		{"c2s", "ana@three.test", "three.test", false},
		{"muc", "ana@four.test", "four.test", false},
		{"c2s", "ana@two.test", "", true},
		{"c2s", "bo@two.test", "", false},
		{"muc", "ana@one.test", "one.test", true},
		{"muc", "ana@one.test", "", true},
		{"muc", "ana@two.test", "two.test", false},
		{"muc", "ana@two.test", "far.test", true},
		{"local", "cy@two.test", "two.test", true},
		{"local", "cy@two.test", "", false},
		{"local", "cy@one.test", "one.test", false},
		{"undefined", "ana@one.test", "one.test", false},
		{"all", "ana@one.test", "one.test", true},
		{"none", "ana@one.test", "one.test", false},
	}
	for _, tt := range tests {
		s := jid(tt.user)
		s.Host = tt.host
		if got := ref.Rule(tt.rule).Allow(s); got != tt.want {
			t.Errorf("rule %s of %s on %q: got %v, want %v", tt.rule, tt.user, tt.host, got, tt.want)
		}
	}
}

func TestRef(t *testing.T) {
	var ref Ref
	c2s := ref.Rule("c2s")
	inline := ref.Inline(Rules{Allow()})
	s := jid("ana@one.test")
	check := func(when string, a Access, want bool) {
		t.Helper()
		if got := a.Allow(s); got != want {
			t.Errorf("%s: %v: got %v, want %v", when, a, got, want)
		}
	}
	check("empty", c2s, false)
	check("empty", inline, false)
	check("empty", ref.Rule("all"), true)
	if ref.Match(nil, s) {
		t.Error("empty: Match: got true, want false")
	}
	if ref.Permits(Subject{From: "ejabberd_ctl"}, Command{Name: "status"}) {
		t.Error("empty: Permits: got true, want false")
	}
	set, err := New(Config{Global: Tables{Rules: map[string]Rules{"c2s": {Allow()}}}})
	if err != nil {
		t.Fatal(err)
	}
	ref.Store(set)
	check("stored", c2s, true)
	check("stored", inline, true)
	ref.Store(nil)
	check("removed", c2s, false)
	check("removed", inline, false)
}

// TestCompareAndPrint wants that options that hold rules can be compared and
// printed.
func TestCompareAndPrint(t *testing.T) {
	var ref, other Ref
	inline := ref.Inline(Rules{Deny(Named("blocked")), Allow(one(t, IP, "127.0.0.0/8"), one(t, User, "ana")), Allow()})
	if ref.Rule("c2s") != ref.Rule("c2s") {
		t.Error("the same rule of the same Ref: got different, want equal")
	}
	if ref.Rule("c2s") == other.Rule("c2s") || ref.Rule("c2s") == ref.Rule("s2s") || ref.Rule("c2s") == inline {
		t.Error("different rules: got equal, want different")
	}
	if ref.Rule("all") != Access(All) || ref.Rule("none") != Access(None) {
		t.Error("built-in rules: got different, want All and None")
	}
	type options struct{ Named, Inline, All, None Access }
	got := fmt.Sprintf("%+v", options{ref.Rule("c2s"), inline, All, None})
	want := "{Named:c2s Inline:[deny: {acl: blocked}, allow: {ip: 127.0.0.0/8, user: ana}, allow: all] All:all None:none}"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNewErrors(t *testing.T) {
	_, err := New(Config{
		Global: Tables{
			ACLs:  map[string][]Condition{"all": {one(t, User, "ana")}, "nested": {Named("staff")}},
			Rules: map[string]Rules{"none": {Allow()}},
		},
		PerHost:     map[string]Tables{"one.test": {ACLs: map[string][]Condition{"none": nil}}},
		Permissions: []Group{{Name: "ops", OAuth: []OAuth{{}}}},
	})
	var got []string
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got error %v, want several", err)
	}
	for _, e := range joined.Unwrap() {
		var d *DefinitionError
		if !errors.As(e, &d) || d.Err == nil || !errors.Is(e, d.Err) {
			t.Fatalf("got error %v, want a *DefinitionError", e)
		}
		got = append(got, strings.Join([]string{d.Host, string(d.Option), d.Name}, " "))
	}
	want := []string{" acl all", " acl nested", " access_rules none", "one.test acl none", " api_permissions ops"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if text := "one.test: acl: none: the name is built in"; !strings.Contains(err.Error(), text) {
		t.Errorf("got error %q, want it to say %q", err, text)
	}
}

// TestNewCopies wants a Set that later changes to the maps do not reach.
func TestNewCopies(t *testing.T) {
	c := Config{
		Global:      Tables{ACLs: map[string][]Condition{"a": nil}, Rules: map[string]Rules{"r": {Allow()}}},
		Permissions: make([]Group, 0, 4),
	}
	ref := newRef(t, c)
	delete(c.Global.ACLs, "a")
	delete(c.Global.Rules, "r")
	if s := ref.Load(); !s.HasACL("", "a") || !s.HasRule("", "r") {
		t.Error("a deleted definition: got it gone from the Set, want it there")
	}
	if got := c.Permissions[:1][0].Name; got != "" {
		t.Errorf("spare element of the caller's groups: got %q, want it untouched", got)
	}
}

func TestUndefined(t *testing.T) {
	set, err := New(Config{
		Hosts: []string{"one.test"},
		Global: Tables{
			ACLs: map[string][]Condition{"staff": nil},
			Rules: map[string]Rules{
				"c2s": {Deny(Named("blocked")), Allow(Named("staff"), Named("bots")), Allow(Named("local")), Allow(Named("all"))},
			},
		},
		PerHost: map[string]Tables{"one.test": {
			ACLs:  map[string][]Condition{"local": nil},
			Rules: map[string]Rules{"muc": {Allow(Named("staff")), Allow(Named("local")), Deny(Named("x"))}},
		}},
		Permissions: []Group{{
			Name: "ops",
			Who:  Callers{Conditions: []Condition{Named("admin"), Named("staff")}, Access: []RuleRef{{Name: "ops"}, {Name: "muc"}, {Name: "c2s"}}},
			OAuth: []OAuth{{Scopes: []string{"s"}, Callers: Callers{
				Access: []RuleRef{{Inline: Rules{Allow(), Allow(Named("y"))}}},
			}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Reference{
		{"", OptionAccessRules, "c2s", 0, OptionACL, "blocked"},
		{"", OptionAccessRules, "c2s", 1, OptionACL, "bots"},
		{"one.test", OptionAccessRules, "muc", 0, OptionACL, "staff"},
		{"one.test", OptionAccessRules, "muc", 2, OptionACL, "x"},
		{"", OptionAPIPermissions, "ops", -1, OptionACL, "admin"},
		{"", OptionAPIPermissions, "ops", -1, OptionAccessRules, "ops"},
		{"", OptionAPIPermissions, "ops", -1, OptionACL, "y"},
	}
	if got := set.Undefined(); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !set.HasACL("one.test", "local") || set.HasACL("", "local") || set.HasACL("two.test", "local") || set.HasACL("one.test", "staff") || !set.HasACL("two.test", "staff") || !set.HasACL("", "all") {
		t.Error("HasACL: got a wrong answer")
	}
	if !set.HasRule("one.test", "muc") || set.HasRule("", "muc") || !set.HasRule("two.test", "c2s") || !set.HasRule("", "none") {
		t.Error("HasRule: got a wrong answer")
	}
}

func TestUndefinedOfDefaults(t *testing.T) {
	set, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Undefined(); len(got) != 0 {
		t.Errorf("nothing is configured: got %+v, want none", got)
	}
}
