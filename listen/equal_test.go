package listen

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
)

// parse parses a configuration without mistakes.
func parse(t testing.TB, dir, src string, reg *Registry) *Config {
	t.Helper()
	c, err := Parse(filepath.Join(dir, "main.yml"), []byte(src), reg)
	if err != nil {
		t.Fatalf("got error:\n%v", err)
	}
	return c
}

func specs(c *Config) []string {
	var list []string
	for _, e := range c.Entries {
		list = append(list, e.spec)
	}
	return list
}

const equalBase = `
hosts: [example.org, example.net]
certfiles: [good.pem]
max_fsm_queue: 100
listen:
  - port: 5222
    module: ejabberd_c2s
    access: c2s
    shaper: [{100: bots}, 2000]
    starttls: true
  - {port: 5280, module: ejabberd_http, request_handlers: {/a: mod_bosh, /b: ejabberd_http_ws}}
`

// TestSpecs sees that two readings of a configuration are taken for the same if
// and only if a listener would behave differently.
func TestSpecs(t *testing.T) {
	cases := []struct {
		name, src string
		same      bool
	}{
		{"comments, order and notation", `
# a comment
listen:
  - shaper:
      - 100: bots
      - 2000
    access: "c2s"
    starttls: yes
    module: 'ejabberd_c2s'
    port: 5222
    zlib: off
  - module: ejabberd_http
    port: 5280
    ip: "::ffff:0.0.0.0"
    request_handlers: {/b: ejabberd_http_ws, /a: mod_bosh}
max_fsm_queue: 100
certfiles: good.pem
hosts: [example.org, example.net]
`, true},
		{"other tables", equalBase + "access_rules: {c2s: [allow]}\nacl: {bots: {user: x}}\n", true},
		{"option", replace(equalBase, "starttls: true", "starttls: false"), false},
		{"inline rule", replace(equalBase, "2000", "3000"), false},
		{"access", replace(equalBase, "access: c2s", "access: all"), false},
		{"global option", replace(equalBase, "max_fsm_queue: 100", "max_fsm_queue: 101"), false},
		{"top-level option", equalBase + "negotiation_timeout: 5\n", false},
		{"virtual host", equalBase + "host_config: {example.net: {resource_conflict: closenew}}\n", false},
		{"TLS", equalBase + "c2s_ciphers: HIGH\n", false},
		{"TLS of a virtual host", equalBase + "host_config: {example.net: {c2s_ciphers: HIGH}}\n", false},
		{"socket", replace(equalBase, "port: 5222", "port: 5222\n    backlog: 5"), false},
		{"no certificate", replace(equalBase, "certfiles: [good.pem]", ""), false},
	}
	dir := workspace(t)
	base := parse(t, dir, equalBase, testRegistry())
	want := specs(base)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config := parse(t, dir, c.src, testRegistry())
			got := specs(config)
			if same := slices.Equal(got, want); same != c.same {
				t.Errorf("got equal specs %t, want %t\n%q\n%q", same, c.same, got, want)
			}
			steps, _, err := config.Compare(base)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				if (s.Change == Kept) != (len(s.Differences) == 0) {
					t.Errorf("%s %s: got differences %v", s.Entry.Address, s.Change, s.Differences)
				}
			}
		})
	}
}

func replace(s, old, with string) string { return strings.Replace(s, old, with, 1) }

func TestFromTree(t *testing.T) {
	tree := map[string]any{
		"hosts":        []string{"example.org"},
		"access_rules": map[string]any{"c2s": []any{map[string]any{"deny": "all"}, "allow"}},
		"listen": []map[string]any{
			{"port": 5222, "module": "ejabberd_c2s", "access": "c2s", "max_stanza_size": 65536.0, "send_timeout": "5 s"},
			{"port": uint16(5223), "module": "ejabberd_c2s", "starttls": false},
		},
	}
	c, err := FromTree("settings", tree, testRegistry())
	if err != nil {
		t.Fatal(err)
	}
	o := c.Entries[0].Options.(c2sOptions)
	if o.MaxStanzaSize != 65536 || o.SendTimeout != 5*time.Second || c.Entries[1].Address != "0.0.0.0:5223" {
		t.Errorf("got %+v at %s", o, c.Entries[1].Address)
	}
}

func TestMistakesOfTrees(t *testing.T) {
	self := map[string]any{}
	self["hosts"] = []any{self}
	cases := []struct {
		name string
		tree map[string]any
		want string
	}{
		{"several", map[string]any{
			"hosts":        []any{"example.org", 5},
			"access_rules": map[string]any{"c2s": map[string]any{"allow": "all", "deny": "x"}},
			"listen":       []any{map[string]any{"port": "5222", "module": "ejabberd_c2s", "tls": 1.5, "x": struct{}{}}},
		}, `
			settings: access_rules.c2s: the order of entries counts; write a list of maps with one entry each
			settings: hosts[1]: want a string, got the number 5; put it in quotes
			settings: listen[0].port: want an integer from 0 to 65535, got the string "5222"; remove the quotes
			settings: listen[0].tls: want true or false, got the number 1.5
			settings: listen[0].x: a struct {} cannot be the value of an option
			settings: listen[0].x: unknown option of ejabberd_c2s
		`},
		{"overlap", map[string]any{
			"hosts": []any{"example.org"},
			"listen": []any{
				map[string]any{"port": 1, "module": "echo"},
				map[string]any{"port": 1, "module": "echo"},
			},
		}, `
			settings: listen[1].port: tcp 0.0.0.0:1 is taken by listen[0]
		`},
		{"keys", map[string]any{
			"hosts":  []any{"example.org"},
			"acl":    map[any]any{nil: 1, 2.5: 1, "a": map[any]any{"user": "x"}},
			"listen": map[any]any{1: nil, "1": nil},
		}, `
			settings: acl: a key must be a word
			settings: listen: the key 1 is there twice, as a word and as a number
			settings: listen: want a list of listeners, got a map
		`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := FromTree("settings", c.tree, testRegistry())
			if err == nil {
				t.Fatal("got no error")
			}
			if got, want := err.Error()+"\n", dedent(c.want); got != want {
				t.Errorf("problems\ngot:\n%s\nwant:\n%s", got, want)
			}
		})
	}
	if _, err := FromTree("settings", self, testRegistry()); err == nil {
		t.Error("a tree that contains itself: got no error")
	}
}

func TestSections(t *testing.T) {
	type top struct {
		Language perHost[string]     `conf:"language"`
		Access   perHost[acl.Access] `conf:"oauth_access"`
	}
	type module struct {
		Max  int    `conf:"max,min=1"`
		Name string `conf:"name"`
	}
	var gotTop top
	var gotModule ModuleConfig[module]
	reg := testRegistry(
		TopSection(func() top { return top{Language: perHost[string]{Value: "de"}} }, func(o top) { gotTop = o }),
		ModuleSection("mod_roster", func() module { return module{Max: 3} }, func(m ModuleConfig[module]) { gotModule = m }),
	)
	c := parse(t, workspace(t), `
hosts: [example.org, example.net, example.com, example.edu]
language: en
oauth_access: all
modules:
  mod_roster: {max: 7, name: global}
host_config:
  example.net:
    language: fr
    modules:
      mod_roster: {name: own}
  example.edu:
    modules: {mod_mqtt: {}}
append_host_config:
  example.com:
    modules:
      mod_roster: {name: added}
`, reg)
	c.use()
	if gotTop.Language.Value != "en" || gotTop.Language.Hosts["example.net"] != "fr" || gotTop.Access.Value != acl.All {
		t.Errorf("top-level options: got %+v", gotTop)
	}
	want := map[string]module{"example.net": {3, "own"}, "example.com": {7, "added"}}
	if !gotModule.Listed || gotModule.Value != (module{7, "global"}) ||
		gotModule.Hosts["example.net"] != want["example.net"] || gotModule.Hosts["example.com"] != want["example.com"] || len(gotModule.Hosts) != 2 {
		t.Errorf("got %+v, want hosts %+v", gotModule, want)
	}
	if !slices.Equal(gotModule.Off, []string{"example.edu"}) {
		t.Errorf("modules of a virtual host replace the global ones: got %v off, want example.edu", gotModule.Off)
	}
	parse(t, workspace(t), "hosts: [example.org]", reg).use()
	if gotModule.Listed || gotModule.Value.Max != 3 {
		t.Errorf("a module that is not listed: got %+v, want its defaults", gotModule)
	}
}

// TestSwap sees that decoded rules follow the tables.
func TestSwap(t *testing.T) {
	dir, reg := workspace(t), testRegistry()
	base := "hosts: [example.org]\nlisten: [{port: 1, module: ejabberd_c2s, access: c2s, shaper: c2s_shaper}]\n"
	first := parse(t, dir, base+"access_rules: {c2s: [allow]}\nshaper_rules: {c2s_shaper: 1000}\n", reg)
	o := first.Entries[0].Options.(c2sOptions)
	ana := acl.Subject{User: "ana", Server: "example.org", IP: netip.MustParseAddr("192.0.2.1")}
	if o.Access.Allow(ana) {
		t.Error("before the tables are swapped: got access, want none")
	}
	first.swap()
	if !o.Access.Allow(ana) || o.Shaper.Rate(ana).BytesPerSecond != 1000 {
		t.Errorf("got %t and %v, want access and 1000 B/s", o.Access.Allow(ana), o.Shaper.Rate(ana))
	}
	parse(t, dir, base+"acl: {bad: {user: ana}}\naccess_rules: {c2s: [{deny: bad}, allow]}\nshaper_rules: {c2s_shaper: 5}\n", reg).swap()
	if o.Access.Allow(ana) || o.Shaper.Rate(ana).BytesPerSecond != 5 {
		t.Errorf("got %t and %v, want no access and 5 B/s", o.Access.Allow(ana), o.Shaper.Rate(ana))
	}
}

func TestParseError(t *testing.T) {
	_, err := Parse("main.yml", []byte("hosts: [example.org]\nx: 1\nloglevel: 3\nlisten: [{port: 1}]\n"), testRegistry())
	var all *ParseError
	var one *Error
	if !errors.As(err, &all) || len(all.Errors) != 2 || len(all.Warnings) != 1 {
		t.Fatalf("got %#v, want two errors and a warning", err)
	}
	if !errors.As(err, &one) || one.File != "main.yml" || one.Line != 2 || one.Column != 1 || one.Path != "x" {
		t.Errorf("got %+v, want the error in line 2", one)
	}
}

func TestLoad(t *testing.T) {
	dir := workspace(t)
	if _, err := Load(filepath.Join(dir, "nowhere.yml"), testRegistry()); err == nil {
		t.Error("a file that does not exist: got no error")
	}
	c, err := Load(filepath.Join(dir, "acl.yml"), testRegistry())
	if err != nil || len(c.Entries) != 1 || c.Entries[0].File != filepath.Join(dir, "acl.yml") || c.Entries[0].Line != 4 {
		t.Errorf("got %+v, %v", c, err)
	}
}
