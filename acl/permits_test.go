package acl

import (
	"slices"
	"strings"
	"testing"
)

// call is a caller that wants to run a command.
type call struct {
	caller Subject
	cmd    string
}

func TestWho(t *testing.T) {
	ana, near := one(t, User, "ana@one.test"), one(t, IP, "127.0.0.1")
	staff := Named("staff")
	token := func(s Subject, scopes string) Subject {
		s.Token, s.Scopes = true, scopes
		return s
	}
	anaNear, anaFar := jid("ana@one.test").from("127.0.0.1"), jid("ana@one.test").from("192.0.2.1")
	boNear, near1 := jid("bo@one.test").from("127.0.0.1"), Subject{}.from("::ffff:127.0.0.1")
	tests := []struct {
		name  string
		who   Callers
		oauth []OAuth
		yes   []Subject
		no    []Subject
	}{
		{"missing", Callers{}, nil, nil, []Subject{anaNear, {}}},
		{"all", Callers{Conditions: []Condition{Named("all")}}, nil, []Subject{{}, anaFar}, []Subject{token(anaNear, "x")}},
		{"none", Callers{Conditions: []Condition{Named("none")}}, nil, nil, []Subject{{}, anaNear}},
		{"map: alternatives", Callers{Conditions: []Condition{near, ana}}, nil,
			[]Subject{anaNear, anaFar, boNear, near1}, []Subject{jid("bo@one.test"), {}, token(anaNear, "x")}},
		{"list: both kinds", Callers{EachKind: true, Conditions: []Condition{near, ana}}, nil,
			[]Subject{anaNear}, []Subject{anaFar, boNear, near1, jid("ana@one.test")}},
		{"list: one kind are alternatives", Callers{EachKind: true, Conditions: []Condition{ana, one(t, User, "bo@one.test")}}, nil,
			[]Subject{anaFar, boNear}, []Subject{near1}},
		{"list: two addresses", Callers{EachKind: true, Conditions: []Condition{near, one(t, IP, "192.0.2.0/24"), ana}}, nil,
			[]Subject{anaNear, anaFar}, []Subject{boNear, jid("ana@one.test").from("198.51.100.1")}},
		{"list: acl of addresses is an address", Callers{EachKind: true, Conditions: []Condition{Named("loopback"), ana}}, nil,
			[]Subject{anaNear}, []Subject{anaFar, boNear, near1}},
		{"list: acl of others is an identity", Callers{EachKind: true, Conditions: []Condition{staff, near}}, nil,
			[]Subject{anaNear}, []Subject{anaFar, boNear}},
		{"list: mixed acl is an identity", Callers{EachKind: true, Conditions: []Condition{Named("mixed"), near}}, nil,
			[]Subject{anaNear, boNear}, []Subject{anaFar, jid("ana@one.test").from("10.0.0.1")}},
		{"list: undefined acl is an identity that never matches", Callers{EachKind: true, Conditions: []Condition{Named("ghosts"), near}}, nil,
			nil, []Subject{anaNear, near1}},
		{"list: empty", Callers{EachKind: true}, nil, nil, []Subject{anaNear, {}}},
		{"list: all is an identity", Callers{EachKind: true, Conditions: []Condition{Named("all"), near}}, nil,
			[]Subject{near1}, []Subject{anaFar}},
		{"access stands alone", Callers{EachKind: true, Conditions: []Condition{near, ana}, Access: []RuleRef{{Name: "bo"}}}, nil,
			[]Subject{anaNear, boNear, jid("bo@one.test")}, []Subject{anaFar, near1}},
		{"access: inline", Callers{Access: []RuleRef{{Inline: Rules{Allow(staff, near)}}}}, nil,
			[]Subject{anaNear}, []Subject{anaFar, boNear}},
		{"access: undefined", Callers{Access: []RuleRef{{Name: "ghosts"}}}, nil, nil, []Subject{anaNear}},
		{"access: all", Callers{Access: []RuleRef{{Name: "all"}}}, nil, []Subject{{}}, []Subject{token(anaNear, "x")}},
		{"oauth", Callers{}, []OAuth{{[]string{"s1", "s2"}, Callers{Conditions: []Condition{staff}}}},
			[]Subject{token(anaFar, "s1"), token(anaFar, "x  s2 y"), token(anaFar, "y s1")},
			[]Subject{anaFar, token(anaFar, "s"), token(anaFar, "s11"), token(anaFar, ""), token(boNear, "s1")}},
		{"oauth without rules", Callers{}, []OAuth{{Scopes: []string{"s1"}}}, nil, []Subject{token(anaFar, "s1")}},
		{"oauth: access", Callers{}, []OAuth{{[]string{"s1"}, Callers{Access: []RuleRef{{Name: "bo"}}}}},
			[]Subject{token(boNear, "s1")}, []Subject{token(anaNear, "s1"), boNear}},
		{"oauth beside others", Callers{Conditions: []Condition{near}}, []OAuth{{[]string{"s1"}, Callers{Conditions: []Condition{ana}}}},
			[]Subject{near1, boNear, token(anaFar, "s1")}, []Subject{token(boNear, "s1"), anaFar, token(near1, "s1")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := newRef(t, Config{
				Hosts: []string{"one.test"},
				Global: Tables{
					ACLs: map[string][]Condition{
						"staff":    {ana},
						"loopback": {near, one(t, IP, "::1")},
						"mixed":    {near, ana},
					},
					Rules: map[string]Rules{"bo": {Allow(one(t, User, "bo"))}},
				},
				Permissions: []Group{{Name: "g", Who: tt.who, OAuth: tt.oauth, What: commands(t, "*")}},
			})
			for _, s := range tt.yes {
				if !ref.Permits(s, Command{Name: "status"}) {
					t.Errorf("%+v: got no, want yes", s)
				}
			}
			for _, s := range tt.no {
				if ref.Permits(s, Command{Name: "status"}) {
					t.Errorf("%+v: got yes, want no", s)
				}
			}
		})
	}
}

func TestFrom(t *testing.T) {
	modules, tags := []string{"mod_http_api", "ejabberd_xmlrpc"}, []string{"internal", "ops"}
	tests := []struct {
		name       string
		from, tags []string
		callers    map[Subject]bool
	}{
		{"missing", nil, nil, map[Subject]bool{{}: true, {From: "mod_cron"}: true, {Tag: "x"}: true}},
		{"modules", modules, nil, map[Subject]bool{
			{}: false, {From: "mod_cron"}: false, {From: "mod_http_api"}: true, {From: "ejabberd_xmlrpc", Tag: "x"}: true, {Tag: "internal"}: false}},
		{"tags", nil, tags, map[Subject]bool{
			{}: false, {Tag: "internal"}: true, {From: "mod_cron", Tag: "ops"}: true, {From: "mod_http_api"}: false}},
		{"both", modules, tags, map[Subject]bool{
			{From: "mod_http_api", Tag: "internal"}: true, {From: "mod_http_api"}: false, {Tag: "ops"}: false, {From: "mod_cron", Tag: "ops"}: false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := newRef(t, Config{Permissions: []Group{{
				Name: "g", From: tt.from, FromTags: tt.tags, Who: Callers{Conditions: []Condition{Named("all")}}, What: commands(t, "*"),
			}}})
			for s, want := range tt.callers {
				if got := ref.Permits(s, Command{Name: "status"}); got != want {
					t.Errorf("from %q tag %q: got %v, want %v", s.From, s.Tag, got, want)
				}
			}
		})
	}
}

func TestWhat(t *testing.T) {
	accounts := []string{"accounts", "v2"}
	tests := []struct {
		what []string
		yes  []Command
		no   []Command
	}{
		{nil, nil, []Command{{Name: "status"}}},
		{[]string{"status"}, []Command{{Name: "status"}}, []Command{{Name: "stop"}, {Name: "status2"}, {}}},
		{[]string{"*"}, []Command{{Name: "status"}, {Name: "register", Tags: accounts}}, nil},
		{[]string{"*", "!stop", "!start"}, []Command{{Name: "status"}}, []Command{{Name: "stop"}, {Name: "start"}}},
		{[]string{"!stop", "*"}, []Command{{Name: "status"}}, []Command{{Name: "stop"}}},
		{[]string{"[tag:accounts]"}, []Command{{Name: "register", Tags: accounts}}, []Command{{Name: "accounts"}, {Name: "status"}}},
		{[]string{"*", "![tag:accounts]"}, []Command{{Name: "status"}}, []Command{{Name: "register", Tags: accounts}}},
		{[]string{"[tag:accounts]", "!register", "status"},
			[]Command{{Name: "unregister", Tags: accounts}, {Name: "status"}}, []Command{{Name: "register", Tags: accounts}}},
		{[]string{"!stop"}, nil, []Command{{Name: "status"}, {Name: "stop"}}},
		{[]string{"*", "!*"}, nil, []Command{{Name: "status"}}},
		{[]string{"!*", "status"}, nil, []Command{{Name: "status"}}},
		{[]string{"no_such_command"}, nil, []Command{{Name: "status"}}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.what, ","), func(t *testing.T) {
			ref := newRef(t, Config{Permissions: []Group{{
				Name: "g", Who: Callers{Conditions: []Condition{Named("all")}}, What: commands(t, tt.what...),
			}}})
			for _, c := range tt.yes {
				if !ref.Permits(Subject{}, c) {
					t.Errorf("%+v: got no, want yes", c)
				}
			}
			for _, c := range tt.no {
				if ref.Permits(Subject{}, c) {
					t.Errorf("%+v: got yes, want no", c)
				}
			}
		})
	}
}

func TestParseCommandPattern(t *testing.T) {
	for _, s := range []string{"status", "oauth-issue_token2", "*", "[tag:accounts]", "!status", "!*", "![tag:a]"} {
		if p, err := ParseCommandPattern(s); err != nil || p.String() != s {
			t.Errorf("%q: got %q, %v, want it back", s, p, err)
		}
	}
	bad := map[string]string{
		"":          "invalid command",
		"!":         "invalid command",
		"Status":    "invalid command",
		"a b":       "invalid command",
		"a*":        "invalid command",
		"!!status":  "double negation",
		"!!*":       "double negation",
		"[accounts": "invalid tag",
		"[a]":       "invalid tag",
		"[tag:]":    "invalid tag",
		"[tag:A]":   "invalid tag",
		"[tag:a":    "invalid tag",
	}
	for s, want := range bad {
		if p, err := ParseCommandPattern(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error that says %q", s, p, err, want)
		}
	}
}

// TestDefaultPermissions is about a server without api_permissions.
func TestDefaultPermissions(t *testing.T) {
	admin := jid("admin@one.test")
	withToken := func(s Subject, scopes string) Subject {
		s.Token, s.Scopes = true, scopes
		return s
	}
	console := Subject{From: "ejabberd_ctl"}
	tests := []struct {
		name  string
		calls []call
		want  bool
	}{
		{"admin", []call{{admin, "status"}, {withToken(admin, "ejabberd:admin"), "status"}}, true},
		{"stop and start", []call{{admin, "stop"}, {admin, "start"}, {withToken(admin, "ejabberd:admin"), "stop"}}, false},
		{"others", []call{{jid("bo@one.test"), "status"}, {Subject{}.from("127.0.0.1"), "status"}, {Subject{}, "status"}}, false},
		{"wrong token", []call{{withToken(admin, "sasl_auth"), "status"}, {withToken(jid("bo@one.test"), "ejabberd:admin"), "status"}}, false},
		{"console", []call{{console, "status"}, {console, "stop"}}, true},
		{"console with a token", []call{{withToken(console, "x"), "status"}}, false},
	}
	ref := newRef(t, Config{
		Hosts:  []string{"one.test"},
		Global: Tables{ACLs: map[string][]Condition{"admin": {one(t, User, "admin@one.test")}}},
	})
	for _, tt := range tests {
		for _, c := range tt.calls {
			if got := ref.Permits(c.caller, Command{Name: c.cmd}); got != tt.want {
				t.Errorf("%s: %s by %+v: got %v, want %v", tt.name, c.cmd, c.caller, got, tt.want)
			}
		}
	}
}

func TestPermissionsReplaceDefaults(t *testing.T) {
	admin, console := jid("admin@one.test"), Subject{From: "ejabberd_ctl"}
	acls := Tables{ACLs: map[string][]Condition{"admin": {one(t, User, "admin@one.test")}}}
	tests := []struct {
		name                  string
		groups                []Group
		adminMay, consoleMayS bool
	}{
		{"absent", nil, true, true},
		{"empty", []Group{}, false, true},
		{"another", []Group{{Name: "x"}}, false, true},
		{"console commands", []Group{{Name: "console commands"}}, false, false},
		{"defaults", DefaultPermissions(), true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := newRef(t, Config{Hosts: []string{"one.test"}, Global: acls, Permissions: tt.groups})
			if got := ref.Permits(admin, Command{Name: "status"}); got != tt.adminMay {
				t.Errorf("admin: got %v, want %v", got, tt.adminMay)
			}
			if got := ref.Permits(console, Command{Name: "stop"}); got != tt.consoleMayS {
				t.Errorf("console: got %v, want %v", got, tt.consoleMayS)
			}
		})
	}
}

// TestConfigure is about commands with an argument host.
func TestConfigure(t *testing.T) {
	ref := newRef(t, Config{
		Hosts: []string{"one.test", "two.test", "three.test"},
		Global: Tables{
			ACLs:  map[string][]Condition{"ops": {one(t, User, "ana@one.test")}},
			Rules: map[string]Rules{"configure": {Allow(Named("ops"))}},
		},
		PerHost: map[string]Tables{
			"two.test":   {ACLs: map[string][]Condition{"ops": {one(t, User, "bo@two.test")}}},
			"three.test": {Rules: map[string]Rules{"configure": {Deny()}}},
		},
		Permissions: []Group{{
			Name: "g",
			Who:  Callers{Conditions: []Condition{Named("ops"), one(t, IP, "127.0.0.1")}},
			What: commands(t, "*"),
		}},
	})
	tests := []struct {
		name   string
		caller Subject
		host   string
		want   bool
	}{
		{"own host needs no configure", jid("bo@two.test"), "two.test", true},
		{"own host, not in the acl", jid("cy@two.test"), "two.test", false},
		{"other host, configure of that host refuses", jid("bo@two.test"), "one.test", false},
		{"other host, which has another acl", jid("ana@one.test"), "two.test", false},
		{"other host denies", jid("ana@one.test"), "three.test", false},
		{"other host that has no tables", jid("ana@one.test"), "four.test", true},
		{"no argument host: global tables", jid("ana@one.test"), "", true},
		{"no argument host: not those of the caller", jid("bo@two.test"), "", false},
		{"not a user: no configure", Subject{}.from("127.0.0.1"), "three.test", true},
		{"not a user, elsewhere", Subject{}.from("192.0.2.1"), "one.test", false},
		{"by address and as another's user", jid("cy@one.test").from("127.0.0.1"), "two.test", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, ignored := range []string{"", "one.test", "two.test"} {
				s := tt.caller
				s.Host = ignored
				if got := ref.Permits(s, Command{Name: "registered_users", Host: tt.host}); got != tt.want {
					t.Errorf("Subject.Host %q: got %v, want %v", ignored, got, tt.want)
				}
			}
		})
	}
}

// TestXMLRPCExamples are the two examples of the documentation of
// ejabberd_xmlrpc.
func TestXMLRPCExamples(t *testing.T) {
	count, users := Command{Name: "connected_users_number"}, Command{Name: "registered_users", Host: "localhost"}
	user1 := jid("user1@localhost")
	rpc := func(s Subject) Subject {
		s.From = "ejabberd_xmlrpc"
		return s
	}
	t.Run("public commands", func(t *testing.T) {
		ref := newRef(t, Config{Hosts: []string{"localhost"}, Permissions: []Group{{
			Name: "public commands",
			Who:  Callers{Conditions: []Condition{one(t, IP, "127.0.0.1/8")}},
			What: commands(t, "connected_users_number"),
		}}})
		checkPermits(t, ref, []Subject{rpc(Subject{}.from("127.0.0.1")), rpc(user1.from("::ffff:127.9.9.9"))}, []Command{count}, true)
		checkPermits(t, ref, []Subject{rpc(Subject{}.from("192.0.2.1")), rpc(Subject{}), rpc(Subject{}.from("::1"))}, []Command{count}, false)
		checkPermits(t, ref, []Subject{rpc(Subject{}.from("127.0.0.1"))}, []Command{users}, false)
	})
	t.Run("some XMLRPC commands", func(t *testing.T) {
		ref := newRef(t, Config{Hosts: []string{"localhost"}, Permissions: []Group{{
			Name: "some XMLRPC commands",
			From: []string{"ejabberd_xmlrpc"},
			Who:  Callers{EachKind: true, Conditions: []Condition{one(t, IP, "127.0.0.1"), one(t, User, "user1@localhost")}},
			What: commands(t, "registered_users", "connected_users_number"),
		}}})
		both := []Command{users, count}
		checkPermits(t, ref, []Subject{rpc(user1.from("127.0.0.1")), rpc(user1.from("::ffff:127.0.0.1"))}, both, true)
		checkPermits(t, ref, []Subject{
			rpc(user1.from("127.0.0.2")), rpc(user1), rpc(Subject{}.from("127.0.0.1")),
			rpc(jid("user2@localhost").from("127.0.0.1")), user1.from("127.0.0.1"),
		}, both, false)
		checkPermits(t, ref, []Subject{rpc(user1.from("127.0.0.1"))}, []Command{{Name: "stop"}, {Name: "unregister", Host: "localhost"}}, false)
	})
}

func checkPermits(t *testing.T, ref *Ref, callers []Subject, cmds []Command, want bool) {
	t.Helper()
	for _, s := range callers {
		for _, c := range cmds {
			if got := ref.Permits(s, c); got != want {
				t.Errorf("%s by %+v: got %v, want %v", c.Name, s, got, want)
			}
		}
	}
}

// TestListenExample is the second configuration of the documentation of listen
// options, without what is not about access.
func TestListenExample(t *testing.T) {
	ref := newRef(t, Config{
		Hosts: []string{"example.org"},
		Global: Tables{
			ACLs: map[string][]Condition{
				"blocked":         {one(t, User, "bad")},
				"trusted_servers": {one(t, Server, "example.com"), one(t, Server, "jabber.example.org")},
				"xmlrpc_bot":      {one(t, User, "xmlrpc-robot@example.org")},
			},
			Rules: map[string]Rules{
				"c2s":           {Deny(Named("blocked")), Allow()},
				"xmlrpc_access": {Allow(Named("xmlrpc_bot"))},
				"s2s":           {Allow(Named("trusted_servers"))},
			},
		},
	})
	if got := ref.Load().Undefined(); !slices.Equal(got, nil) {
		t.Errorf("undefined: got %+v, want none", got)
	}
	tests := []struct {
		rule string
		who  Subject
		want bool
	}{
		{"c2s", jid("bad@example.org"), false},
		{"c2s", jid("good@example.org"), true},
		{"xmlrpc_access", jid("xmlrpc-robot@example.org"), true},
		{"xmlrpc_access", jid("good@example.org"), false},
		{"s2s", Subject{Server: "example.com", Host: "example.org"}, true},
		{"s2s", Subject{Server: "jabber.example.org", Host: "example.org"}, true},
		{"s2s", Subject{Server: "example.net", Host: "example.org"}, false},
	}
	for _, tt := range tests {
		if got := ref.Rule(tt.rule).Allow(tt.who); got != tt.want {
			t.Errorf("%s of %+v: got %v, want %v", tt.rule, tt.who, got, tt.want)
		}
	}
}
