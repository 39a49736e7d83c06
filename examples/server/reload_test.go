package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReloadSaysWhatIsInEffect has reloads that fail as a whole and in part.
func TestReloadSaysWhatIsInEffect(t *testing.T) {
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "ejabberd.yml"), filepath.Join(dir, "c2s.sock")
	const first = "hosts: [one.test]\nlisten:\n  - {port: 'unix:c2s.sock', module: ejabberd_c2s}\n"
	writeFile(t, file, first)
	var log output
	s := startLogging(t, flags{config: file, data: dir}, &log)
	reload := func(text, want string, listeners int) {
		t.Helper()
		log.Reset()
		writeFile(t, file, text)
		s.reload(t.Context())
		if !strings.Contains(log.String(), want) {
			t.Errorf("log: got %s, want %q", log.String(), want)
		}
		if got := len(s.config.Entries); got != listeners || len(s.listen.Stats()) != listeners {
			t.Errorf("got %d entries and %d listeners, want %d", got, len(s.listen.Stats()), listeners)
		}
	}
	second := strings.Replace(first, "{port", "{unix_socket: {mode: '0600'}, port", 1) +
		"  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s}\n"
	reload(second+"  - {port: 0, module: ejabberd_c2s, ip: 192.0.2.1}\n", "the configuration is as before", 1)
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	reload(second, "in part, the rest is in effect", 2)
}
