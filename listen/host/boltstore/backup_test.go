package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Copies that are made while the store is written are sound, and none is older
// than what was acknowledged before.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "store.db"), Defaults())
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				runScripts(s, n, 2, 50, io.Discard)
			}
		}
	})
	user := jid(t, "romeo@a.test")
	for n := range 10 {
		want := fmt.Sprintf("<vCard>%d</vCard>", n)
		if err := s.VCard().Set(t.Context(), user, want); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprintf("copy%d.db", n%2))
		if n%3 == 0 {
			var b bytes.Buffer
			size, err := s.Backup(t.Context(), &b)
			if err != nil || size != int64(b.Len()) {
				t.Fatalf("Backup = %d, %v; want %d bytes", size, err, b.Len())
			}
			if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := s.BackupFile(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		wantSound(t, path)
		c, err := Open(path, Defaults())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.VCard().Get(t.Context(), user); got != want || err != nil {
			t.Errorf("copy %d: got %q, %v; want %q", n, got, err, want)
		}
		if err := errors.Join(c.VCard().Set(t.Context(), user, ""), c.Close()); err != nil {
			t.Errorf("copy %d cannot be used: %v", n, err)
		}
	}
	close(stop)
	writing.Wait()
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	files, err := os.ReadDir(dir)
	for _, f := range files {
		got = append(got, f.Name())
	}
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("files %v, %v; want %v", got, err, want)
	}
}

func TestBackupFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	s := openAt(t, path, Defaults())
	target := filepath.Join(dir, "copy.db")
	if err := os.WriteFile(target, []byte("an old copy"), 0o644); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.BackupFile(ended, target); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), target) {
		t.Errorf("with an ended context: got %v, want its error and the path", err)
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "an old copy" {
		t.Errorf("a copy that failed has changed the old one: %.20q, %v", b, err)
	}
	for _, own := range []string{path, dir + "/./store.db"} {
		if err := s.BackupFile(t.Context(), own); err == nil || !strings.Contains(err.Error(), "the store itself") {
			t.Errorf("to the store's own file: got %v", err)
		}
	}
	if err := s.BackupFile(t.Context(), filepath.Join(dir, "none", "copy.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("to no folder: got %v, want ErrNotExist", err)
	}
	if err := s.BackupFile(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "copy.db", "store.db")
	wantSound(t, target)
	if info, err := os.Stat(target); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

// funcWriter is a writer.
type funcWriter func([]byte) (int, error)

func (f funcWriter) Write(b []byte) (int, error) { return f(b) }

func TestBackupStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	filled(t, path)
	s, err := Open(path, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), funcWriter(func([]byte) (int, error) { return 0, errTest })); !errors.Is(err, errTest) {
		t.Errorf("a writer that fails: got %v, want its error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Backup(ctx, funcWriter(func(b []byte) (int, error) { cancel(); return len(b), nil })); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ends: got %v, want its error", err)
	}
	closed := make(chan error, 1)
	begun := make(chan struct{})
	var once sync.Once
	_, err = s.Backup(t.Context(), funcWriter(func(b []byte) (int, error) {
		once.Do(func() {
			go func() { close(begun); closed <- s.Close() }()
			<-begun
			<-s.closing
		})
		return len(b), nil
	}))
	if !errors.Is(err, ErrClosed) {
		t.Errorf("a store that is closed: got %v, want ErrClosed", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}
