package boltstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// partJob makes the file in which a backup grows and waits until it is killed.
// Argument: its name.
func partJob(args []string) error {
	f, err := createPart(args[0])
	if err != nil {
		return err
	}
	if _, err := f.WriteString("half of a copy"); err != nil {
		return err
	}
	fmt.Println("made")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, f.Close())
}

// What a killed process leaves is replaced, and what one that lives works at is
// not.
func TestBackupLeftover(t *testing.T) {
	if !movesOpen {
		t.Skip("the system tells such files by itself")
	}
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "store.db"), Defaults())
	target := filepath.Join(dir, "copy.db")
	for range 2 {
		cmd := child(t, "part", filepath.Join(dir, ".copy.db.part"))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if err := s.BackupFile(t.Context(), target); !errors.Is(err, ErrBackingUp) {
			t.Errorf("while another process makes one: got %v, want %v", err, ErrBackingUp)
		}
		if err := s.BackupFile(t.Context(), filepath.Join(dir, "other.db")); err != nil {
			t.Errorf("to another file: %v", err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		wantFiles(t, dir, ".copy.db.part", "other.db", "store.db")
		if err := s.BackupFile(t.Context(), target); err != nil {
			t.Errorf("when it has been killed: %v", err)
		}
		wantFiles(t, dir, "copy.db", "other.db", "store.db")
		wantSound(t, target)
		if err := os.Remove(target); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever stands where the copy is to grow, nothing but the copy is written.
func TestBackupBesideOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links are for administrators")
	}
	for _, tt := range []struct {
		name string
		make func(victim, part string) error
		want string // of the error; "" for none
	}{
		{"leftover that others may read", func(_, part string) error { return os.WriteFile(part, []byte("old"), 0o666) }, ""},
		{"link to a file", os.Symlink, ""},
		{"link to nothing", func(victim, part string) error { return os.Symlink(victim+"2", part) }, ""},
		{"second name of a file", os.Link, ""},
		{"folder", func(_, part string) error { return os.Mkdir(part, 0o700) }, "there is a folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openAt(t, filepath.Join(dir, "store.db"), Defaults())
			victim, target, part := filepath.Join(dir, "victim"), filepath.Join(dir, "copy.db"), filepath.Join(dir, ".copy.db.part")
			if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := tt.make(victim, part); err != nil {
				t.Fatal(err)
			}
			err := s.BackupFile(t.Context(), target)
			if b, readErr := os.ReadFile(victim); readErr != nil || string(b) != "precious" {
				t.Errorf("the other file has become %.20q, %v", b, readErr)
			}
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want %q and the name", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantFiles(t, dir, "copy.db", "store.db", "victim")
			if info, err := os.Lstat(target); err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
			}
			wantSound(t, target)
		})
	}
}

// Of two backups to one file at a time the second fails, and leaves the first
// alone.
func TestBackupTwice(t *testing.T) {
	dir := t.TempDir()
	s, other := openAt(t, filepath.Join(dir, "store.db"), Defaults()), openAt(t, filepath.Join(dir, "other.db"), Defaults())
	target := filepath.Join(dir, "copy.db")
	s.freeBytes = func(string) (int64, bool) {
		s.freeBytes = freeBytes
		stores := []*Store{s}
		if movesOpen {
			stores = append(stores, other)
		}
		for _, second := range stores {
			if err := second.BackupFile(t.Context(), target); !errors.Is(err, ErrBackingUp) {
				t.Errorf("second backup: got %v, want %v", err, ErrBackingUp)
			}
		}
		if err := s.BackupFile(t.Context(), filepath.Join(dir, "copy2.db")); err != nil {
			t.Errorf("to another file: %v", err)
		}
		return 0, false
	}
	if err := s.BackupFile(t.Context(), target); err != nil {
		t.Errorf("first backup: %v", err)
	}
	if err := s.BackupFile(t.Context(), target); err != nil {
		t.Errorf("third backup: %v", err)
	}
	wantFiles(t, dir, "copy.db", "copy2.db", "other.db", "store.db")
	wantSound(t, target)
}

// Many back up to one file, as fast as they can: what stands there is always a
// whole copy, and nothing is left beside it.
func TestBackupMany(t *testing.T) {
	if !movesOpen {
		t.Skip("the stores do not know of one another")
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "copy.db")
	names := []string{"copy.db"}
	var made atomic.Int64
	var all sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprintf("store%d.db", i)
		names = append(names, name)
		s := openAt(t, filepath.Join(dir, name), Defaults())
		all.Go(func() {
			for range 30 {
				switch err := s.BackupFile(t.Context(), target); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, ErrBackingUp):
					t.Error(err)
				}
				if r, err := Check(t.Context(), target); err != nil && !errors.Is(err, fs.ErrNotExist) || !r.OK() { // there is none at first
					t.Errorf("a copy is not whole: %v, %v", r.Problems, err)
				}
			}
		})
	}
	all.Wait()
	if made.Load() == 0 {
		t.Error("no backup was made")
	}
	wantFiles(t, dir, names...)
}

// A backup that would fill the disk is not begun.
func TestBackupNeedsRoom(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, "store.db"), filepath.Join(dir, "copy.db")
	filled(t, path)
	s := openAt(t, path, Defaults())
	if err := s.BackupFile(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("an old copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		free  int64
		known bool
		want  error
	}{
		{"none", 0, true, ErrNoRoom},
		{"one byte too little", info.Size() + backupReserve - 1, true, ErrNoRoom},
		{"enough", info.Size() + backupReserve, true, nil},
		{"not known", 0, false, nil},
	} {
		s.freeBytes = func(asked string) (int64, bool) {
			if asked != dir {
				t.Errorf("asked for the room in %q, want %q", asked, dir)
			}
			return tt.free, tt.known
		}
		err := s.BackupFile(t.Context(), target)
		if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), "leaves 64 MiB") {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if b, readErr := os.ReadFile(target); readErr != nil || err != nil && string(b) != "an old copy" {
			t.Errorf("%s: a backup that was not made has changed the old one: %.20q, %v", tt.name, b, readErr)
		}
		wantFiles(t, dir, "copy.db", "store.db")
	}
	wantSound(t, target)
}

func TestFreeBytes(t *testing.T) {
	n, known := freeBytes(t.TempDir())
	if known && n <= 0 {
		t.Errorf("got %d bytes, want some", n)
	}
	if n, known := freeBytes(filepath.Join(t.TempDir(), "none")); known {
		t.Errorf("in no folder: got %d bytes, want that it is not known", n)
	}
}
