package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table says what is true of sockets that have no certificate or no port.
func TestTableOfListeners(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ejabberd.yml")
	writeFile(t, file, "listen:\n"+
		"  - {port: 'unix:c2s.sock', module: ejabberd_c2s}\n"+
		"  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, starttls: true}\n")
	var out strings.Builder
	startServer(t, flags{config: file, data: dir}).printStart(&out)
	for _, want := range []string{
		`  ` + regexp.QuoteMeta(filepath.Join(dir, "c2s.sock")) + ` +unix +none +ejabberd_c2s`,
		`  127\.0\.0\.1:\d+ +tcp +none +ejabberd_c2s`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the table lacks %s:\n%s", want, &out)
		}
	}
}
