package listen

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzParse sees that a configuration either has positioned errors or is read
// in the same way twice.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"full.yml", "rules.yml"} {
		src, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte(equalBase))
	f.Add([]byte(bomb()))
	f.Add([]byte("define_macro: {A: [A, B], B: '@A@'}\nlisten: [A, '@B@']\nhosts: &a [*a]\n"))
	f.Add([]byte("hosts: [a]\nlisten:\n - {port: 1, module: ejabberd_c2s, tls: true, <<: {a: b}}\n? [x]\n: y\n"))
	f.Add([]byte("hosts: [a]\nhost_config: {a: {acl: {b: {user: c}}}, b: 1}\nappend_host_config: {a: {acl: [x]}, a: {}}\nmodules: [mod_mqtt]\n"))
	dir := workspace(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		file := filepath.Join(dir, "main.yml")
		first, err := Parse(file, src, testRegistry())
		second, again := Parse(file, src, testRegistry())
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("two readings differ: got\n%v\nand\n%v", err, again)
		}
		if err != nil {
			checkErrors(t, err)
			return
		}
		if !slices.Equal(specs(first), specs(second)) {
			t.Fatalf("two readings differ: got\n%q\nand\n%q", specs(first), specs(second))
		}
		steps, rest, err := second.Compare(first)
		if err != nil || len(rest) > 0 || slices.ContainsFunc(steps, func(s Step) bool { return s.Change != Kept }) {
			t.Fatalf("two readings compared: got %v, %v, %v", steps, rest, err)
		}
		for _, w := range first.Warnings {
			checkPosition(t, w)
		}
	})
}

func checkErrors(t *testing.T, err error) {
	var p *ParseError
	if !errors.As(err, &p) || len(p.Errors) == 0 {
		t.Fatalf("got %T %v, want a *ParseError with errors", err, err)
	}
	for _, e := range slices.Concat(p.Errors, p.Warnings) {
		checkPosition(t, e)
	}
}

func checkPosition(t *testing.T, e *Error) {
	switch {
	case e.File == "" || e.Msg == "":
		t.Fatalf("got an error without file or text: %+v", e)
	case e.Line == 0 && e.Path != "":
		t.Fatalf("got an error of an option without its line: %v", e)
	case e.Line > 0 && e.Column == 0:
		t.Fatalf("got an error without its column: %v", e)
	}
}
