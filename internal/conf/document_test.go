package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// errorsOf returns the errors of a configuration, a line each.
func errorsOf(t *testing.T, file, src string) string {
	t.Helper()
	errs, _ := Parse(file, []byte(src), NewTables()).Finish()
	var b strings.Builder
	for _, e := range errs {
		b.WriteString(e.Error() + "\n")
	}
	return b.String()
}

func TestBounds(t *testing.T) {
	var doubling, nested strings.Builder
	doubling.WriteString("hosts: [a.example]\ndefine_macro:\n  M0: xxxxxxxxxxxxxxxx\n")
	nested.WriteString("hosts: [a.example]\ndefine_macro:\n  M0: [x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&doubling, "  M%d: \"@M%d@@M%d@\"\n", i, i-1, i-1)
		fmt.Fprintf(&nested, "  M%d: [M%d, M%d, M%d]\n", i, i-1, i-1, i-1)
	}
	cases := []struct{ name, src, want string }{
		{"large file", strings.Repeat("#", maxFileSize+1), "f.yml: larger than 16 MiB\n"},
		{"macros in texts", doubling.String(), ": macros make the configuration too large\n"},
		{"macros in lists", nested.String(), ": macros make the configuration too large\n"},
		{"depth", "hosts: [a.example]\nacl: " + strings.Repeat("{a: ", 65) + "b" + strings.Repeat("}", 65) + "\n", "nested deeper than 64\n"},
		{"flow depth of the YAML library", strings.Repeat("[", 20_000), "exceeded max depth of 10000\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := errorsOf(t, "f.yml", c.src)
			if !strings.HasSuffix(got, c.want) || strings.Count(got, "\n") > 2 {
				t.Errorf("got %.300q, want %q", got, c.want)
			}
		})
	}
}

// TestBoundOfIncludes has files that include two others each.
func TestBoundOfIncludes(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		src := fmt.Sprintf("include_config_file: [%d.yml, %d.yml]\n", i+1, i+1)
		if i == 19 {
			src = ""
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)+".yml"), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := errorsOf(t, filepath.Join(dir, "main.yml"), "hosts: [a.example]\ninclude_config_file: 0.yml\n")
	if want := "more than 256 files are included\n"; !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want one error %q", got, want)
	}
}

func TestReadFileIsBounded(t *testing.T) {
	if _, err := ReadFile("/dev/zero"); !errors.Is(err, errTooLarge) {
		t.Errorf("got %v, want %v", err, errTooLarge)
	}
}

// TestSyntaxErrorOfLargeFile is one that is too large to look for the line.
func TestSyntaxErrorOfLargeFile(t *testing.T) {
	src := strings.Repeat("# comment\n", 200_000) + "a: b: c\n"
	got := errorsOf(t, "f.yml", src)
	if want := "f.yml:200001:1: YAML: mapping values are not allowed in this context\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("cause")
	for _, c := range []struct {
		e    Error
		want string
	}{
		{Error{File: "f", Msg: "m"}, "f: m"},
		{Error{File: "f", Line: 2, Msg: "m"}, "f:2: m"},
		{Error{File: "f", Line: 2, Column: 3, Path: "a.b", Msg: "m", Hint: "h", Err: cause}, "f:2:3: a.b: m (did you mean h?)"},
	} {
		if got := c.e.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if err := (&Error{Err: cause}); !errors.Is(err, cause) {
		t.Error("an Error does not unwrap to its cause")
	}
}

func TestSecretsStayOut(t *testing.T) {
	d := Parse("f.yml", []byte("hosts: [a.example]\nauth_password: 4711\n"), NewTables())
	if _, ok := d.String(d.Top("auth_password")); ok {
		t.Fatal("a number was taken for a string")
	}
	errs, _ := d.Finish()
	if len(errs) != 1 || strings.Contains(errs[0].Error(), "4711") {
		t.Errorf("got %v, want an error without the password", errs)
	}
}

func TestKnownNames(t *testing.T) {
	for _, name := range []string{"hosts", "loglevel", "auth_method", "sql_type"} {
		if _, known := knownOption(name); !known {
			t.Errorf("the option %s: got unknown", name)
		}
	}
	if global, _ := knownOption("negotiation_timeout"); !global {
		t.Error("negotiation_timeout: got an option of virtual hosts")
	}
	if global, _ := knownOption("auth_method"); global {
		t.Error("auth_method: got an option of the whole server")
	}
	if !KnownListener("ejabberd_c2s") || !KnownHandler("mod_bosh") || !KnownModule("mod_roster") || KnownModule("c2s") {
		t.Error("the tables of names are wrong")
	}
}
