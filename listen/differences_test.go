package listen

import (
	"slices"
	"testing"
)

const diffBase = `
hosts: [example.org, example.net]
certfiles: [good.pem]
language: en
acl: {admin: {user: ana@example.org}, bots: {user: [bot1, bot2]}}
access_rules: {c2s: [{deny: bots}, allow]}
shaper: {slow: 1000, fast: {rate: 5000, burst_size: 9000}}
shaper_rules: {c2s_shaper: [{none: admin}, slow]}
api_permissions: {console: {who: {acl: admin}, what: "*"}}
modules: {mod_roster: {max: 7, name: general, password: swordfish}}
host_config: {example.net: {acl: {bots: {user: bot3}}}}
listen: [{port: 5222, module: ejabberd_c2s, starttls: true}]
`

// TestDifferences names what two configurations have otherwise, besides their
// listeners.
func TestDifferences(t *testing.T) {
	type top struct {
		Language perHost[string] `conf:"language"`
	}
	type module struct {
		Max      int    `conf:"max,min=1"`
		Name     string `conf:"name"`
		Password string `conf:"password"`
	}
	cases := []struct {
		name, old, new string // what is replaced
		want           []string
	}{
		{"nothing", "", "", nil},
		{"notation", "bots: {user: [bot1, bot2]}", "bots: [{user: bot2}, {user: bot1}]", nil},
		{"acl", "user: ana@example.org", "user: bo@example.org", []string{"acl.admin: [user: ana@example.org] → [user: bo@example.org]"}},
		{"acl of a virtual host", "user: bot3", "user: bot4", []string{"acl.bots@example.net: [user: bot3] → [user: bot4]"}},
		{
			"table of a virtual host", "host_config: {example.net: {acl: {bots: {user: bot3}}}}", "",
			[]string{"acl.bots@example.net: [user: bot3] → unset", "acl@example.net: own table → unset"},
		},
		{
			"order of a rule", "[{deny: bots}, allow]", "[allow, {deny: bots}]",
			[]string{"access_rules.c2s: [deny: {acl: bots}, allow: all] → [allow: all, deny: {acl: bots}]"},
		},
		{"shaper", "slow: 1000", "slow: 2000", []string{"shaper.slow: {rate: 1000, burst_size: 0} → {rate: 2000, burst_size: 0}"}},
		{"shaper rule", "[{none: admin}, slow]", "[fast]", []string{"shaper_rules.c2s_shaper: [none: {acl: admin}, slow] → [fast]"}},
		{
			"permissions", `what: "*"`, `what: status`,
			[]string{`api_permissions.console: {who: {acl: "admin"}, what: "*"} → {who: {acl: "admin"}, what: "status"}`},
		},
		{"top level", "language: en", "language: de", []string{`language: "en" → "de"`}},
		{"option of a module", "max: 7", "max: 8", []string{"modules.mod_roster.max: 7 → 8"}},
		{"secret", "swordfish", "marlin", []string{"modules.mod_roster.password: (hidden) → (hidden)"}},
		{"secret removed", ", password: swordfish", "", []string{"modules.mod_roster.password: (hidden) → unset"}},
		{"module", "modules: {mod_roster: {max: 7, name: general, password: swordfish}}", "", []string{
			"modules.mod_roster: listed → unset", "modules.mod_roster.max: 7 → unset",
			`modules.mod_roster.name: "general" → unset`, "modules.mod_roster.password: (hidden) → unset",
		}},
		{"module of a virtual host", "{acl: {bots: {user: bot3}}}", "{acl: {bots: {user: bot3}}, modules: {}}", []string{
			"modules.mod_roster@example.net: unset → not listed",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := workspace(t)
			reg := testRegistry(
				TopSection(func() top { return top{Language: perHost[string]{Value: "xx"}} }, func(top) {}),
				ModuleSection("mod_roster", func() module { return module{Max: 3} }, func(ModuleConfig[module]) {}),
			)
			before := parse(t, dir, diffBase, reg)
			after := parse(t, dir, replace(diffBase, c.old, c.new), reg)
			steps, rest, err := after.Compare(before)
			if err != nil || len(steps) != 1 || steps[0].Change != Kept {
				t.Errorf("listeners: got %+v, %v, want one that is kept", steps, err)
			}
			var got []string
			for _, d := range rest {
				got = append(got, d.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestDifferencesOfEntries names the options behind an updated listener,
// wherever they are written.
func TestDifferencesOfEntries(t *testing.T) {
	cases := []struct {
		name, old, new string
		want           []string
	}{
		{"option", "starttls: true", "starttls: false", []string{"starttls: true → unset"}},
		{"top level", "language: en", "max_fsm_queue: 50", []string{"max_fsm_queue: unset → 50"}},
		{"virtual host", "{acl: {bots: {user: bot3}}}", "{acl: {bots: {user: bot3}}, resource_conflict: closenew}", []string{`resource_conflict@example.net: unset → "closenew"`}},
		{"TLS", "language: en", "c2s_ciphers: HIGH", []string{"ciphers: unset → HIGH"}},
		{"direct TLS", "starttls: true", "tls: true", []string{"starttls: true → unset", "tls: unset → true"}},
		{
			"TLS of a virtual host", "{acl: {bots: {user: bot3}}}", "{acl: {bots: {user: bot3}}, c2s_ciphers: HIGH}",
			[]string{"ciphers@example.net: unset → HIGH", "tls@example.net: unset → options of its own"},
		},
		{"no certificate", "certfiles: [good.pem]", "", []string{"certificate: unset → none"}},
		{"inline rule", "starttls: true", "starttls: true, access: [{allow: admin}]", []string{"access: unset → [allow: {acl: admin}]"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, reg := workspace(t), testRegistry()
			before := parse(t, dir, diffBase, reg)
			steps, _, err := parse(t, dir, replace(diffBase, c.old, c.new), reg).Compare(before)
			if err != nil || len(steps) != 1 || steps[0].Change != Updated {
				t.Fatalf("got %+v, %v, want one listener that is updated", steps, err)
			}
			var got []string
			for _, d := range steps[0].Differences {
				got = append(got, d.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
