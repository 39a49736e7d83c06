package all_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/internal/conf"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
)

func registry(t *testing.T) *listen.Registry {
	t.Helper()
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return all.Registry(h, nil)
}

// load parses full.yml in a directory where its certificate is.
func load(t *testing.T) *listen.Config {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "full.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, err := certs.SelfSigned([]string{"harbour.test", "quay.test"})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"harbour.pem": slices.Concat(key, cert), "dh-parameters": cert} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := listen.Parse(filepath.Join(dir, "full.yml"), text, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFullConfiguration(t *testing.T) {
	c := load(t)
	var got []string
	for _, w := range c.Warnings {
		text := regexp.MustCompile(`^.*?full.yml:\d+:\d+: `).ReplaceAllString(w.Error(), "")
		got = append(got, regexp.MustCompile(`"/[^"]*/`).ReplaceAllString(text, `"`))
	}
	want := []string{
		"s2s_dhfile: \"dh-parameters\": has no effect: crypto/tls has no finite-field Diffie-Hellman",
		"host_config[\"quay.test\"].s2s_use_starttls: deprecated: means required, and that dialback is off; ejabberd wants required, and mod_s2s_dialback left out of modules",
		"modules.mod_version: always on, its options have no effect here",
		"listen[1].dhfile: \"dh-parameters\": has no effect: crypto/tls has no finite-field Diffie-Hellman",
		"listen[1].certfile: deprecated: use certfiles at the top level",
		"listen[5].shaper_rule: deprecated: use shaper",
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(c.Entries) != 10 {
		t.Fatalf("got %d entries, want 10", len(c.Entries))
	}
}

// Each option has a comment, a decoder (or else the registry panics) and a line
// in full.yml.
func TestEveryOption(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "full.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range registry(t).Schemas() {
		t.Run(s.Type().String(), func(t *testing.T) {
			comments := fieldComments(t, s.Type())
			for _, f := range s.Fields() {
				if f.Type == reflect.TypeFor[c2s.Options]() {
					continue // those of a listener, which is looked at itself
				}
				if comments[f.Go] == "" {
					t.Errorf("%s has no comment", f.Go)
				}
				for _, key := range append(f.Keys, f.Name) {
					if !regexp.MustCompile(`(?m)^\s*(- )?` + regexp.QuoteMeta(key) + `:`).Match(text) {
						t.Errorf("full.yml does not set %s", key)
					}
				}
				nested(t, f, text)
			}
		})
	}
}

func nested(t *testing.T, f *conf.Field, text []byte) {
	s, ok := f.Nested()
	if !ok {
		return
	}
	for _, inner := range s.Fields() {
		if !bytes.Contains(text, []byte(inner.Name+":")) {
			t.Errorf("full.yml does not set %s of %s", inner.Name, f.Name)
		}
	}
}

// fieldComments returns the comments of the fields of a struct type, from its
// source. A comment counts for the fields that follow it without one.
func fieldComments(t *testing.T, typ reflect.Type) map[string]string {
	t.Helper()
	dir := filepath.Join("..", "..", strings.TrimPrefix(typ.PkgPath(), "github.com/tidewaiter/tidewaiter/"))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	comments := make(map[string]string)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != typ.Name() {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				last := ""
				for _, f := range st.Fields.List {
					if text := f.Doc.Text(); text != "" {
						last = text
					}
					for _, n := range f.Names {
						comments[n.Name] = last
					}
				}
			}
			return false
		})
	}
	return comments
}

// Files that were written for ejabberd say where modules keep things.
func TestStorageOptions(t *testing.T) {
	const file = `
modules:
  mod_roster: {db_type: sql, use_cache: true, cache_size: 10000}
  mod_offline: {use_mam_for_storage: false}
  mod_stream_mgmt: {queue_type: file}
`
	c, err := listen.Parse("ejabberd.yml", []byte(file), registry(t))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, w := range c.Warnings {
		if strings.Contains(w.Error(), "has no effect here: where things are kept") {
			n++
		}
	}
	if n != 5 {
		t.Errorf("got %v, want 5 warnings", c.Warnings)
	}
	if _, err := listen.Parse("ejabberd.yml", []byte("modules:\n  mod_roster: {db_typo: sql}\n"), registry(t)); err == nil {
		t.Error("an unknown option was taken")
	}
}
