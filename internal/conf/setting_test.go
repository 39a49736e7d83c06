package conf

import (
	"slices"
	"strings"
	"testing"
)

// Secrets are never shown, wherever they stand, and what only speaks of them is.
func TestDifferencesHideSecrets(t *testing.T) {
	type password struct {
		Password string `conf:"password"`
	}
	type options struct {
		Password string              `conf:"sql_password"`
		Key      string              `conf:"jwt_key"`
		URL      string              `conf:"ext_api_url"`
		Tokens   []string            `conf:"tokens"`
		Hosts    map[string]password `conf:"hosts"`
		Format   string              `conf:"auth_password_format"`
		Types    []string            `conf:"auth_stored_password_types"`
		Strength int                 `conf:"password_strength"`
	}
	reg := SchemaOf(func() options { return options{} })
	read := func(secret, open string) []Setting {
		d := Parse("a.yml", []byte(strings.NewReplacer("SECRET", secret, "OPEN", open).Replace(`
hosts: [one.test]
modules:
  mod_x:
    sql_password: SECRET
    jwt_key: SECRET
    ext_api_url: "http://ana:SECRET@one.test/OPEN"
    tokens: [SECRET, OPEN]
    hosts: {one.test: {password: SECRET}}
    auth_password_format: OPEN
    auth_stored_password_types: [OPEN]
    password_strength: 12
`)), NewTables())
		d.Module("mod_x", reg)
		if errors, _ := d.Finish(); len(errors) > 0 {
			t.Fatal(errors)
		}
		return d.Settings()
	}
	var got []string
	for _, d := range Differences(read("swordfish", "plain"), read("marlin", "scram")) {
		got = append(got, d.String())
		if strings.Contains(d.String(), "swordfish") || strings.Contains(d.String(), "marlin") {
			t.Errorf("%s shows a secret", d)
		}
	}
	want := []string{
		`modules.mod_x.auth_password_format: "plain" → "scram"`,
		`modules.mod_x.auth_stored_password_types: ["plain",] → ["scram",]`,
		"modules.mod_x.ext_api_url: (hidden) → (hidden)",
		"modules.mod_x.hosts: (hidden) → (hidden)",
		"modules.mod_x.jwt_key: (hidden) → (hidden)",
		"modules.mod_x.sql_password: (hidden) → (hidden)",
		"modules.mod_x.tokens: (hidden) → (hidden)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A value is shown in one line, in the notation of a file.
func TestFlow(t *testing.T) {
	d := Parse("a.yml", []byte("a: {b: [1, true, x, null], 'c d': {}}\n"), NewTables())
	if got, want := d.top.Get("a").flow(), `{b: [1, true, "x", ], c d: {}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Maps with a closed set of keys, and texts that may be numbers.
func TestKeysAndNumbers(t *testing.T) {
	type options struct {
		Level  word            `conf:"level,top,number"`
		Levels map[string]word `conf:"levels,top,number,keys=one|two"`
		Strict word            `conf:"strict,top"`
	}
	s := SchemaOf(func() options { return options{} })
	d := Parse("a.yml", []byte("hosts: [a.test]\nlevel: 5\nlevels: {one: 3, two: x}\n"), NewTables())
	o, ok := d.Section(s).(options)
	if errors, _ := d.Finish(); !ok || len(errors) > 0 || o.Level != "5" || o.Levels["one"] != "3" || o.Levels["two"] != "x" {
		t.Errorf("got %+v, %v", o, errors)
	}
	d = Parse("a.yml", []byte("hosts: [a.test]\nlevel: 5.5\nlevels: {twoo: 3}\nstrict: 5\n"), NewTables())
	d.Section(s)
	var got []string
	errors, _ := d.Finish()
	for _, e := range errors {
		got = append(got, e.Error())
	}
	want := []string{
		"a.yml:2:8: level: want a string, got the number 5.5; put it in quotes",
		`a.yml:3:10: levels.twoo: want one or two, got "twoo" (did you mean two?)`,
		"a.yml:4:9: strict: want a string, got the number 5; put it in quotes",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// word reads itself.
type word string

func (w *word) UnmarshalText(text []byte) error {
	*w = word(text)
	return nil
}
