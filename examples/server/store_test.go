package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// A backup that is made while the server runs has what was there, is sound, and
// can take the place of the store.
func TestBackup(t *testing.T) {
	user, err := stanza.ParseJID("ana@localhost")
	if err != nil {
		t.Fatal(err)
	}
	f := builtIn(t)
	f.data, f.accounts = filepath.Join(t.TempDir(), "data"), []account{{user, "anchor"}}
	s := startServer(t, f)
	s.backup(t.Context())
	backup := filepath.Join(f.data, storeFile+".backup")
	var said strings.Builder
	if status := checkStore(t.Context(), backup, &said); status != statusOK || !strings.Contains(said.String(), "is sound") {
		t.Errorf("-check-store of the backup: status %d, %q", status, said.String())
	}
	copied, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	restored := builtIn(t)
	restored.data = t.TempDir()
	if err := os.WriteFile(filepath.Join(restored.data, storeFile), copied, 0o600); err != nil {
		t.Fatal(err)
	}
	if ok, err := startServer(t, restored).host.Accounts.Exists(t.Context(), user); !ok || err != nil {
		t.Errorf("after restoring the account exists: %v, %v", ok, err)
	}
}

// A backup goes on beside the rest, alone, and ends with the server.
func TestBackupInBackground(t *testing.T) {
	var log strings.Builder
	f := builtIn(t)
	s, err := start(t.Context(), f, logHandler(&log, "text"))
	if err != nil {
		t.Fatal(err)
	}
	s.backingUp.Store(true) // as while one is under way
	s.beginBackup()
	s.backingUp.Store(false)
	s.beginBackup()
	s.stop()
	if got := strings.Count(log.String(), "backup is under way already"); got != 1 {
		t.Errorf("refused %d times, want once: %s", got, log.String())
	}
	if got := strings.Count(log.String(), "backup written") + strings.Count(log.String(), "backup failed"); got != 1 {
		t.Errorf("ended %d times, want once: %s", got, log.String())
	}
}

func TestCheckStoreRefuses(t *testing.T) {
	s := startServer(t, builtIn(t))
	text := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(text, []byte("no store at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"in use", filepath.Join(s.data, storeFile), "another process"},
		{"missing", filepath.Join(t.TempDir(), "none.db"), "none.db"},
		{"text", text, "text.db"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said strings.Builder
			if status := checkStore(t.Context(), tt.path, &said); status != statusError || !strings.Contains(said.String(), tt.want) {
				t.Errorf("status %d, %q; want %d and %q", status, said.String(), statusError, tt.want)
			}
		})
	}
}
