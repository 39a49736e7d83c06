package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
)

// limitJob stores messages until the system allows no larger file, deletes some,
// may write more again, and says what happened. Argument: path.
func limitJob(args []string) error {
	signal.Ignore(syscall.SIGXFSZ) // leaves the error
	s, err := Open(args[0], Defaults())
	if err != nil {
		return err
	}
	st := s.Stats()
	if err := limitFiles(uint64(st.FileBytes) + 1<<20); err != nil {
		return err
	}
	kept, full := fillUp(s)
	fmt.Printf("kept %d\n", kept)
	fmt.Printf("full: %v\n", full)
	ctx, user := context.Background(), newScript(0, 0).user
	list, _, err := s.Offline().List(ctx, user, 0, offline.Limits{})
	if err != nil || len(list) != kept {
		return fmt.Errorf("%d messages can be read, %w", len(list), err)
	}
	if err := limitFiles(1 << 30); err != nil {
		return err
	}
	if err := s.VCard().Set(ctx, user, "<vCard/>"); err != nil {
		return fmt.Errorf("with room: %w", err)
	}
	// Now so little that commits fail in the middle.
	for limit := uint64(1 << 14); limit < uint64(st.FileBytes); limit *= 2 {
		if err := limitFiles(limit); err != nil {
			return err
		}
		if err := s.VCard().Set(ctx, user, fmt.Sprint("<vCard>", limit, "</vCard>")); err != nil {
			fmt.Printf("small: %v\n", err)
		}
	}
	if err := limitFiles(1 << 30); err != nil {
		return err
	}
	if err := s.VCard().Set(ctx, user, "<vCard>last</vCard>"); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	fmt.Printf("failed commits: %d\n", s.Stats().FailedCommits)
	return s.Close()
}

func limitFiles(size uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = size
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

// fillUp adds messages until one fails; it returns how many were kept and why
// the last was not.
func fillUp(s *Store) (kept int, err error) {
	user, xml := newScript(0, 0).user, "<message>"+strings.Repeat("x", 10_000)+"</message>"
	for {
		outcome := make(chan error)
		s.Offline().Add(context.Background(), user, xml, offline.Limits{}, func(_ uint64, err error) { outcome <- err })
		if err = <-outcome; err != nil {
			return kept, err
		}
		if kept++; kept == 1<<16 {
			return kept, errors.New("the limit does not hold")
		}
	}
}

// A disk that is full makes changes fail, with an error that says so; what was
// kept can be read, nothing is damaged, and with room the store writes again.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	out, err := child(t, "limit", path).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	for _, want := range []string{"full: writing to the store", "store.db", "file too large", "small: writing to the store"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want %q", text, want)
		}
	}
	var kept int64
	if _, err := fmt.Sscanf(text, "kept %d", &kept); err != nil || kept < 10 {
		t.Errorf("%d messages were kept, %v", kept, err)
	}
	if r := wantSound(t, path); r.Records["offline"] != kept {
		t.Errorf("%d messages are there, want %d", r.Records["offline"], kept)
	}
	s := openAt(t, path, Defaults())
	if xml, err := s.VCard().Get(t.Context(), newScript(0, 0).user); xml != "<vCard>last</vCard>" || err != nil {
		t.Errorf("got %q, %v; want the last one", xml, err)
	}
	t.Log(text)
}

// Somebody cuts the file of a store that is open: what cannot be read is an error,
// and not the end of the process.
func TestCutWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	filled(t, path)
	s, err := Open(path, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 2*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if err := newScript(0, 0).compare(s); !errors.Is(err, ErrDamaged) {
		t.Errorf("reading: got %v, want ErrDamaged", err)
	}
	if err := s.VCard().Set(t.Context(), newScript(0, 0).user, "<vCard/>"); !errors.Is(err, ErrDamaged) {
		t.Errorf("writing: got %v, want ErrDamaged", err)
	}
	s.Stats()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := Open(path, Defaults()); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open: got %v, want ErrDamaged", err)
	}
}
