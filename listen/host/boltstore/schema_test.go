package boltstore

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

var errCut = errors.New("cut short")

// stepsTaken are two steps that note that they were taken; the second fails while
// cut is set.
type stepsTaken struct {
	t     *testing.T
	taken []string
	cut   bool
}

func (s *stepsTaken) steps() []migration { return []migration{s.first, s.second} }

func (s *stepsTaken) first(tx *bbolt.Tx) error {
	s.taken = append(s.taken, "1 to 2")
	return tx.Bucket(metaTable.name()).Put([]byte("first step"), []byte("done"))
}

func (s *stepsTaken) second(tx *bbolt.Tx) error {
	s.taken = append(s.taken, "2 to 3")
	meta := tx.Bucket(metaTable.name())
	if string(meta.Get([]byte("first step"))) != "done" || meta.Get([]byte("second step")) != nil {
		s.t.Error("the second step does not find what the first one left")
	}
	if err := meta.Put([]byte("second step"), []byte("done")); err != nil {
		return err
	}
	if s.cut {
		return errCut
	}
	return nil
}

// openClose opens a file that takes these steps and closes it.
func (s *stepsTaken) openClose(path string) {
	s.t.Helper()
	store, err := open(path, Defaults(), s.steps())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		s.t.Fatal(err)
	}
	if r, err := check(s.t.Context(), path, 3); err != nil || !r.OK() || r.Schema != 3 {
		s.t.Errorf("check: %+v, %v; want schema 3", r, err)
	}
}

// A file goes through the steps that it lacks, each once, also when one of them
// is cut short.
func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	filledBy(t, path, nil)
	s := &stepsTaken{t: t, cut: true}
	for range 2 {
		if _, err := open(path, Defaults(), s.steps()); !errors.Is(err, errCut) || !strings.Contains(err.Error(), "from version 2") {
			t.Fatalf("got %v, want that the second step was cut short", err)
		}
		if _, err := open(path, Defaults(), nil); !errors.Is(err, ErrNewer) {
			t.Fatalf("got %v, want ErrNewer: the first step was taken", err)
		}
	}
	if _, err := open(path, Options{ReadOnly: true}, s.steps()); err == nil || !strings.Contains(err.Error(), "open it for writing once") {
		t.Fatalf("for reading: got %v, want the remedy", err)
	}
	s.cut = false
	s.openClose(path)
	s.openClose(path)
	s.openClose(filepath.Join(t.TempDir(), "new.db"))
	if got := strings.Join(s.taken, ", "); got != "1 to 2, 2 to 3, 2 to 3, 2 to 3" {
		t.Errorf("steps taken: %s", got)
	}
}
