package acl

import (
	"net/netip"
	"strings"
	"testing"
)

// TestConditions goes through the value forms of every key.
func TestConditions(t *testing.T) {
	ip := func(s string) Subject { return Subject{IP: netip.MustParseAddr(s)} }
	tests := []struct {
		name  string
		cond  Condition
		match []Subject
		not   []Subject
	}{
		{"user: name is local on any virtual host", one(t, User, "Ana"),
			[]Subject{jid("ana@one.test"), jid("ana@two.test/desk")},
			[]Subject{jid("ana@far.test"), jid("bo@one.test"), {Server: "one.test"}, ip("::1"), {}}},
		{"user: name@server", one(t, User, "ana@far.test"),
			[]Subject{jid("ana@far.test"), jid("ana@far.test/desk")},
			[]Subject{jid("ana@one.test"), jid("bo@far.test")}},
		{"user: {name: server}", pair(t, User, "ANA", "ONE.test"),
			[]Subject{jid("ana@one.test")},
			[]Subject{jid("ana@two.test")}},
		{"server", one(t, Server, "Far.Test"),
			[]Subject{jid("ana@far.test"), {Server: "far.test"}},
			[]Subject{jid("ana@x.far.test"), {Host: "far.test"}, {}}},
		{"resource", one(t, Resource, "Desk"),
			[]Subject{jid("ana@one.test/Desk"), jid("bo@far.test/Desk")},
			[]Subject{jid("ana@one.test/desk"), jid("ana@one.test")}},
		{"user_regexp is local and unanchored", one(t, UserRegexp, "o+t"),
			[]Subject{jid("robot-1@one.test"), jid("bootes@two.test")},
			[]Subject{jid("robot@far.test"), jid("ana@one.test")}},
		{"user_regexp is case-sensitive", one(t, UserRegexp, "ANA"), nil, []Subject{jid("ana@one.test")}},
		{"user_regexp: empty is every local user", one(t, UserRegexp, ""),
			[]Subject{jid("ana@one.test")},
			[]Subject{jid("ana@far.test"), {Server: "one.test"}, {}}},
		{"user_regexp: regexp@server", one(t, UserRegexp, "^an@Far.test"),
			[]Subject{jid("ana@far.test")},
			[]Subject{jid("ana@one.test"), jid("dan@far.test"), jid("ana@farxtest")}},
		{"user_regexp: @server is everybody there", one(t, UserRegexp, "@far.test"),
			[]Subject{jid("ana@far.test")}, []Subject{jid("ana@one.test"), {Server: "far.test"}}},
		{"user_regexp: {regexp: server}", pair(t, UserRegexp, "^a", "far.test"),
			[]Subject{jid("ana@far.test")}, []Subject{jid("ana@one.test")}},
		{"user_regexp of other scripts", one(t, UserRegexp, `^\p{Cyrillic}+$`),
			[]Subject{jid("анна@one.test")}, []Subject{jid("anna@one.test")}},
		{"server_regexp", one(t, ServerRegexp, "^gw[0-9]+[.]one[.]test$"),
			[]Subject{jid("x@gw12.one.test"), {Server: "gw1.one.test"}},
			[]Subject{jid("x@gw.one.test"), jid("x@gw1.one.test.far.test"), {}}},
		{"server_regexp: empty still wants a server", one(t, ServerRegexp, ""), []Subject{jid("a@b")}, []Subject{{}}},
		{"resource_regexp", one(t, ResourceRegexp, "^d"),
			[]Subject{jid("ana@one.test/desk")}, []Subject{jid("ana@one.test/phone"), jid("ana@one.test")}},
		{"node_regexp", pair(t, NodeRegexp, "^a", "[.]test$"),
			[]Subject{jid("ana@one.test"), jid("ana@far.test")}, []Subject{jid("bo@one.test"), jid("ana@one.example"), {Server: "one.test"}}},
		{"user_glob is local and anchored", one(t, UserGlob, "bot-*"),
			[]Subject{jid("bot-@one.test"), jid("bot-7@two.test")},
			[]Subject{jid("robot-7@one.test"), jid("bot-7@far.test"), jid("bot@one.test")}},
		{"user_glob: glob@server", one(t, UserGlob, "b?t@far.test"),
			[]Subject{jid("bot@far.test")}, []Subject{jid("boot@far.test"), jid("bot@one.test")}},
		{"user_glob: {glob: server}", pair(t, UserGlob, "*", "far.test"),
			[]Subject{jid("bot@far.test")}, []Subject{jid("bot@one.test"), {Server: "far.test"}}},
		{"server_glob", one(t, ServerGlob, "*.test"),
			[]Subject{jid("a@one.test"), jid("a@x.one.test")}, []Subject{jid("a@test"), jid("a@one.test.example")}},
		{"resource_glob", one(t, ResourceGlob, "d[a-e]sk"),
			[]Subject{jid("ana@one.test/desk")}, []Subject{jid("ana@one.test/disk")}},
		{"node_glob", pair(t, NodeGlob, "[!a]*", "*.test"),
			[]Subject{jid("bo@one.test")}, []Subject{jid("ana@one.test"), jid("bo@one.example")}},
		{"ip: IPv4 address", one(t, IP, "192.0.2.1"),
			[]Subject{ip("192.0.2.1"), ip("::ffff:192.0.2.1")},
			[]Subject{ip("192.0.2.2"), ip("::1"), {}, jid("ana@one.test")}},
		{"ip: prefix with host bits", one(t, IP, "127.0.0.1/8"),
			[]Subject{ip("127.255.0.9"), ip("::ffff:127.0.0.1")}, []Subject{ip("128.0.0.1"), ip("::1")}},
		{"ip: IPv4-mapped prefix", one(t, IP, "::FFFF:10.1.2.3/104"),
			[]Subject{ip("10.9.9.9"), ip("::ffff:10.0.0.1")}, []Subject{ip("11.0.0.1"), ip("::1")}},
		{"ip: IPv6 prefix", one(t, IP, "FDCA:8AB6:A243:75EF::1/64"),
			[]Subject{ip("fdca:8ab6:a243:75ef::9")}, []Subject{ip("fdca:8ab6:a243:75ee::9"), ip("10.0.0.1")}},
		{"ip: zone of the peer", one(t, IP, "fe80::/10"), []Subject{ip("fe80::1%eth0")}, []Subject{ip("fec0::1")}},
		{"ip: all IPv4", one(t, IP, "0.0.0.0/0"), []Subject{ip("10.0.0.1"), ip("::ffff:1.2.3.4")}, []Subject{ip("::1"), {}}},
		{"ip: all IPv6", one(t, IP, "::/0"), []Subject{ip("::1")}, []Subject{ip("10.0.0.1"), ip("::ffff:1.2.3.4"), {}}},
		{"shared_group of the host that asks", one(t, SharedGroup, "Crew"),
			[]Subject{jid("ana@one.test")},
			[]Subject{jid("bo@one.test"), jid("ana@two.test"), {User: "ana", Server: "one.test"}, {Host: "one.test"}}},
		{"shared_group: {group: vhost}", pair(t, SharedGroup, "Crew", "ONE.test"),
			[]Subject{jid("ana@one.test"), {User: "ana", Server: "one.test"}, {User: "ana", Server: "one.test", Host: "two.test"}},
			[]Subject{jid("ana@two.test"), {Host: "one.test"}}},
		{"acl", Named("staff"), []Subject{jid("ana@one.test"), ip("192.0.2.77")}, []Subject{jid("bo@one.test"), {}}},
		{"acl: all", Named("all"), []Subject{{}, jid("ana@one.test")}, nil},
		{"acl: none", one(t, ACL, "none"), nil, []Subject{{}, jid("ana@one.test")}},
		{"acl that is not defined", one(t, ACL, "ghosts"), nil, []Subject{{}, jid("ana@one.test")}},
		{"the zero condition", Condition{}, nil, []Subject{{}, jid("ana@one.test"), ip("::1")}},
	}
	ref := newRef(t, Config{
		Hosts:  []string{"one.test", "two.test"},
		Global: Tables{ACLs: map[string][]Condition{"staff": {one(t, User, "ana"), one(t, IP, "192.0.2.0/24")}}},
	})
	ref.SetMembers(func(group, host, user, server string) bool {
		return group == "Crew" && host == "one.test" && user == "ana" && server == "one.test"
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, s := range tt.match {
				if !ref.Match([]Condition{tt.cond}, s) {
					t.Errorf("%v of %+v: got no match, want one", tt.cond, s)
				}
			}
			for _, s := range tt.not {
				if ref.Match([]Condition{tt.cond}, s) {
					t.Errorf("%v of %+v: got a match, want none", tt.cond, s)
				}
			}
		})
	}
}

func TestSharedGroupWithoutHost(t *testing.T) {
	group := []Condition{pair(t, SharedGroup, "crew", "one.test")}
	ref := newRef(t, Config{Hosts: []string{"one.test"}})
	if ref.Match(group, jid("ana@one.test")) {
		t.Error("nobody answers for groups: got a match, want none")
	}
	ref.SetMembers(nil)
	if ref.Match(group, jid("ana@one.test")) {
		t.Error("SetMembers(nil): got a match, want none")
	}
	ref.SetMembers(func(_, _, _, _ string) bool { return true })
	if !ref.Match(group, jid("ana@one.test")) {
		t.Error("SetMembers: got no match, want one")
	}
	ref.Store(ref.Load())
	if !ref.Match(group, jid("ana@one.test")) {
		t.Error("after Store: got no match, want one")
	}
}

// TestParserErrors wants errors that name the value and the way out.
func TestParserErrors(t *testing.T) {
	tests := []struct {
		key   Key
		value string
		want  []string
	}{
		{User, "", []string{"empty name"}},
		{User, "@one.test", []string{"empty name"}},
		{User, "ana@", []string{"empty name"}},
		{User, "a@b@c", []string{`"a@b@c"`, "more than one @", "{user: server}"}},
		{User, "a b@one.test", []string{`"a b"`, "blank"}},
		{User, "ana@one test", []string{`"one test"`, "blank"}},
		{Server, "", []string{"empty name"}},
		{Server, "one test", []string{`"one test"`, "blank"}},
		{Resource, "", []string{"empty name"}},
		{UserRegexp, "a@b@c", []string{"more than one @"}},
		{UserRegexp, "a@", []string{"empty name"}},
		{UserRegexp, "(", []string{`"("`, "missing closing )"}},
		{UserGlob, "[a", []string{`"[a"`, "no closing ]"}},
		{UserGlob, "[", []string{"no closing ]"}},
		{UserGlob, "[]", []string{"no closing ]"}},
		{UserGlob, "[z-a]", []string{"z-a", "backwards"}},
		{UserGlob, "[^a]", []string{"[!x]"}},
		{UserGlob, "\xff", []string{"UTF-8"}},
		{NodeRegexp, "a", []string{`"a"`, "{user: server}"}},
		{NodeGlob, "a", []string{"{user: server}"}},
		{IP, "localhost", []string{`"localhost"`, "no IP address", "ADDRESS/LENGTH"}},
		{IP, "127.1", []string{"no IP address"}},
		{IP, "[::1]", []string{"no IP address"}},
		{IP, "fe80::1%eth0", []string{"no IP address"}},
		{IP, "10.0.0.0/33", []string{"no IP prefix"}},
		{IP, "::/129", []string{"no IP prefix"}},
		{IP, "10.0.0.0/", []string{"no IP prefix"}},
		{IP, "::ffff:10.0.0.1/64", []string{"IPv4"}},
		{IP, "", []string{"no IP address"}},
		{SharedGroup, "", []string{"empty group"}},
		{ACL, "", []string{"empty ACL"}},
		{"usr", "x", []string{`"usr"`}},
	}
	for _, tt := range tests {
		t.Run(string(tt.key)+" "+tt.value, func(t *testing.T) {
			c, err := Parser{names()}.Condition(tt.key, tt.value)
			if err == nil {
				t.Fatalf("got %v, want an error", c)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got error %q, want it to say %q", err, w)
				}
			}
		})
	}
}

func TestPairErrors(t *testing.T) {
	tests := []struct {
		key         Key
		left, right string
		want        string
	}{
		{User, "", "one.test", "empty name"},
		{User, "ana", "", "empty name"},
		{UserRegexp, "(", "one.test", "missing closing )"},
		{NodeRegexp, "a", "(", "missing closing )"},
		{NodeGlob, "a", "[", "no closing ]"},
		{SharedGroup, "", "one.test", "empty group"},
		{SharedGroup, "crew", "one test", "blank"},
		{Server, "a", "b", "server takes no map"},
		{IP, "::1", "b", "ip takes no map"},
		{ACL, "a", "b", "acl takes no map"},
		{"usr", "a", "b", `"usr"`},
	}
	for _, tt := range tests {
		t.Run(string(tt.key)+" "+tt.left+" "+tt.right, func(t *testing.T) {
			c, err := Parser{names()}.Pair(tt.key, tt.left, tt.right)
			if err == nil {
				t.Fatalf("got %v, want an error", c)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %q, want it to say %q", err, tt.want)
			}
		})
	}
}

// TestRegexpErrors names what PCRE has and RE2 lacks.
func TestRegexpErrors(t *testing.T) {
	tests := []struct{ expr, name, remedy string }{
		{"a(?=b)", "look-ahead", "several conditions"},
		{"a(?!b)", "negative look-ahead", "deny"},
		{"(?<=a)b", "look-behind", "as part of the expression"},
		{"(?<!a)b", "negative look-behind", "deny"},
		{`(a)\1`, "back-reference", "alternatives"},
		{`(?P<n>a)\k<n>`, "back-reference", "alternatives"},
		{`(a)\g1`, "back-reference", "alternatives"},
		{"(?P<n>a)(?P=n)", "back-reference", "write the repeated text out"},
		{"(?>a)", "atomic group", "(?:"},
		{"(?|a|b)", "branch reset", "(?:"},
		{"a++", "possessive quantifier", "second +"},
		{"a*+", "possessive quantifier", "second +"},
		{"(?#x)a", "comment", "leave it out"},
		{"(?(1)a|b)", "conditional", "(?:a|b)"},
		{"a(?R)", "recursion", "nesting"},
		{"a(?1)", "recursion", "nesting"},
		{"a(?-1)", "recursion", "nesting"},
		{"a(?&n)", "recursion", "nesting"},
		{"(?'n'a)", "named group", "(?P<name>"},
		{"(?x)a b", "extended", "without blanks"},
		{`a\Z`, "end anchor", `\z`},
		{`\Ga`, "anchor", `\A`},
		{`a\Kb`, "match reset", "leave it out"},
		{`\R`, "line break", `\n`},
		{`\h`, "horizontal space", `\t`},
		{`\X`, "grapheme cluster", "write ."},
		{`\N`, "but a line break", "write ."},
		{`\e`, "escape", `\x1b`},
		{`\cA`, "control character", `\x`},
		{`\u0041`, "by its number", `\x{`},
		{"[z-a]", "invalid character class range", "z-a"},
		{`a\`, "trailing backslash", ""},
		{"a**", "invalid nested repetition", "**"},
		{"(?-y)a", "invalid or unsupported", "(?-y"},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			_, err := Parser{}.Condition(ServerRegexp, tt.expr)
			if err == nil {
				t.Fatal("got no error, want one")
			}
			for _, w := range []string{"bad regular expression", tt.name, tt.remedy} {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got error %q, want it to say %q", err, w)
				}
			}
		})
	}
}

func TestConditionString(t *testing.T) {
	tests := []struct {
		cond Condition
		want string
	}{
		{one(t, User, "ana"), "user: ana"},
		{one(t, User, "Ana@One.test"), "user: ana@one.test"},
		{pair(t, User, "ana", "one.test"), "user: ana@one.test"},
		{one(t, Server, "one.test"), "server: one.test"},
		{one(t, Resource, "my desk"), `resource: "my desk"`},
		{one(t, UserRegexp, ""), `user_regexp: ""`},
		{one(t, UserRegexp, "^a@one.test"), `user_regexp: {"^a": one.test}`},
		{pair(t, NodeRegexp, "a", "b+"), `node_regexp: {a: "b+"}`},
		{one(t, ServerRegexp, "b"), "server_regexp: b"},
		{one(t, ResourceRegexp, "b"), "resource_regexp: b"},
		{one(t, UserGlob, "bot-*"), `user_glob: "bot-*"`},
		{one(t, UserGlob, "bot@one.test"), "user_glob: {bot: one.test}"},
		{pair(t, NodeGlob, "a", "b"), "node_glob: {a: b}"},
		{one(t, ServerGlob, "a"), "server_glob: a"},
		{one(t, ResourceGlob, "a"), "resource_glob: a"},
		{one(t, IP, "127.0.0.1/8"), "ip: 127.0.0.0/8"},
		{one(t, IP, "::ffff:10.0.0.1"), "ip: 10.0.0.1/32"},
		{one(t, SharedGroup, "crew"), "shared_group: crew"},
		{pair(t, SharedGroup, "crew", "one.test"), "shared_group: {crew: one.test}"},
		{Named("staff"), "acl: staff"},
		{Condition{}, "acl: none"},
	}
	seen := make(map[Key]bool)
	for _, tt := range tests {
		if got := tt.cond.String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
		seen[tt.cond.Key()] = true
	}
	for _, k := range Keys() {
		if !seen[k] {
			t.Errorf("no condition of key %s was formatted", k)
		}
	}
}
