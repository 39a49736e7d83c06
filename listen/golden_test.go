package listen

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/conf"
)

var update = flag.Bool("update", false, "write the golden files of the parser")

// golden parses a file of testdata in a directory with certificates and
// returns what comes of it.
func golden(t *testing.T, name string) (*Config, string) {
	t.Helper()
	dir := workspace(t)
	for _, junk := range []string{"other.pem", "mixed.pem", "text.pem"} {
		if err := os.Remove(filepath.Join(dir, junk)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	reg := testRegistry()
	reg.StateDir = "/state"
	c, err := Load(filepath.Join(dir, name), reg)
	if err != nil {
		t.Fatalf("got error:\n%v", err)
	}
	var b strings.Builder
	b.WriteString("hosts " + strings.Join(c.Hosts, " ") + "\n")
	for _, w := range c.Warnings {
		b.WriteString("warning " + w.Error() + "\n")
	}
	for _, e := range c.Entries {
		b.WriteString("\n" + e.spec + "\n")
	}
	return c, strings.ReplaceAll(b.String(), dir, "DIR")
}

func TestGolden(t *testing.T) {
	c, got := golden(t, "full.yml")
	path := filepath.Join("testdata", "full.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	c2s := c.Entries[0].Options.(c2sOptions)
	if c.Entries[0].TLS != nil || c2s.TLS == nil || c2s.NegotiationTimeout != time.Minute {
		t.Errorf("STARTTLS listener: got %v, %+v", c.Entries[0].TLS, c2s)
	}
	direct := c.Entries[1]
	if o := direct.Options.(c2sOptions); direct.TLS == nil || o.TLS != direct.TLS || o.NegotiationTimeout != 5*time.Second {
		t.Errorf("TLS listener: got %v, %+v", direct.TLS, o)
	}
	if got := direct.TLS.NextProtos; !slices.Equal(got, []string{"xmpp-client"}) {
		t.Errorf("ALPN: got %v, want xmpp-client", got)
	}
	if o := c.Entries[10].Options.(echoOptions); o.Bits != 1<<53+1 || o.Greeting != "hello from @DOMAIN@" {
		t.Errorf("got %+v", o)
	}
}

// TestGoldenIsComplete sees that the golden configuration sets every option.
func TestGoldenIsComplete(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "full.yml"))
	if err != nil {
		t.Fatal(err)
	}
	written := func(name string) bool {
		return strings.Contains(string(text), " "+name+":") || strings.Contains(string(text), "\n"+name+":") ||
			strings.Contains(string(text), "{"+name+":")
	}
	names := conf.SocketOptions()
	for _, s := range testRegistry().Schemas() {
		names = append(names, optionNames(s)...)
	}
	for _, name := range names {
		if !written(name) {
			t.Errorf("full.yml does not set %s", name)
		}
	}
}

func optionNames(s conf.Schema) []string {
	var names []string
	for _, f := range s.Fields() {
		if f.Name != "max_user_sessions" { // a rule, which is no option
			names = append(names, f.Name)
		}
		names = append(names, f.Keys...)
		if n, ok := f.Nested(); ok {
			names = append(names, optionNames(n)...)
		}
	}
	return names
}
