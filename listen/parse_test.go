package listen

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// workspace returns a directory with certificates: good.pem (example.org with
// its key), other.pem (another key, no certificate), mixed.pem (certificate of
// one, key of the other), text.pem (no PEM at all).
func workspace(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	cert, key, err := certs.SelfSigned([]string{"example.org"})
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := certs.SelfSigned([]string{"example.net"})
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good.pem", string(cert)+string(key))
	write("other.pem", string(other))
	write("mixed.pem", string(cert)+string(other))
	write("text.pem", "hello\n")
	write("loop.yml", "include_config_file: main.yml\n")
	write("acl.yml", "acl:\n  admin: {user: ana@example.org}\nlisten:\n  - {port: 1, module: echo}\nloglevel: 4\n")
	write("broken.yml", "acl:\n  admin: {user: ana\n")
	return dir
}

// dedent removes the indentation that the test tables have.
func dedent(s string) string {
	lines := strings.Split(strings.TrimPrefix(s, "\n"), "\n")
	first := lines[0]
	indent := first[:len(first)-len(strings.TrimLeft(first, "\t"))]
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, indent)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\t ")
}

// problems parses src as dir/main.yml and returns a line for each error, and
// each warning after "warning: ". The directory is left out.
func problems(t testing.TB, dir, src string, reg *Registry) string {
	t.Helper()
	c, err := Parse(filepath.Join(dir, "main.yml"), []byte(src), reg)
	var list, warnings []*Error
	var parseErr *ParseError
	switch {
	case err == nil:
		warnings = c.Warnings
	case errors.As(err, &parseErr):
		list, warnings = parseErr.Errors, parseErr.Warnings
	default:
		t.Fatalf("got error %T, want a *ParseError", err)
	}
	var b strings.Builder
	for _, e := range list {
		b.WriteString(e.Error() + "\n")
	}
	for _, e := range warnings {
		b.WriteString("warning: " + e.Error() + "\n")
	}
	return strings.ReplaceAll(b.String(), dir+string(filepath.Separator), "")
}

// mistakes runs a table of configurations and of the problems that they have.
func mistakes(t *testing.T, cases []mistake) {
	dir := workspace(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			reg := testRegistry()
			reg.StateDir = "/state"
			got := problems(t, dir, dedent(c.src), reg)
			want := dedent(c.want)
			if got != want {
				t.Errorf("problems\ngot:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

type mistake struct{ name, src, want string }
