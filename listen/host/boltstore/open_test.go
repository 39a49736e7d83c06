package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// holdJob has a store open until its standard input ends.
func holdJob(args []string) error {
	s, err := Open(args[0], Defaults())
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return s.Close()
}

func TestOpenInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	cmd := child(t, "hold", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
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
	for what, f := range map[string]func() error{
		"Open":  func() error { _, err := Open(path, Defaults()); return err },
		"Check": func() error { _, err := Check(t.Context(), path); return err },
	} {
		if err := f(); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "store.db") {
			t.Errorf("%s: got %v, want ErrInUse and the path", what, err)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	wantSound(t, path)
}

func TestOpenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		openAt(t, path, Defaults())
		for _, readOnly := range []bool{false, true} {
			began := time.Now()
			if _, err := Open(path, Options{ReadOnly: readOnly}); !errors.Is(err, ErrInUse) {
				t.Errorf("Open, for reading %t: got %v, want ErrInUse", readOnly, err)
			}
			if took := time.Since(began); took > lockTimeout {
				t.Errorf("Open, for reading %t: it took %s, want at most %s", readOnly, took, lockTimeout)
			}
		}
	})
}

func TestOpenMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes")
	}
	path := filepath.Join(t.TempDir(), "store.db")
	var log bytes.Buffer
	o := Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := s.Close(); err != nil || log.Len() > 0 {
		t.Errorf("%v, log %s; want none", err, &log)
	}
	for _, mode := range []os.FileMode{0o640, 0o604} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if s, err = Open(path, o); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "chmod 600") {
			t.Errorf("mode %v: %v, log %q; want a warning with its remedy", mode, err, &log)
		}
	}
}

// filled makes a store with something in every table, and returns its bytes.
func filled(t testing.TB, path string) []byte {
	t.Helper()
	return filledBy(t, path, migrations())
}

// filledBy does so by a version of the program that knows these steps.
func filledBy(t testing.TB, path string, steps []migration) []byte {
	t.Helper()
	s, err := open(path, Defaults(), steps)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret(context.Background()); err != nil {
		t.Fatal(err)
	}
	runScripts(s, 0, 2, 200, io.Discard)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// otherFile is what may be found at a store's path.
type otherFile struct {
	name    string
	content []byte
	want    error
	text    string // of the error
}

// otherFiles makes them of a good one.
func otherFiles(good []byte, h header) []otherFile {
	size := h.pageSize
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	return []otherFile{
		{"empty", []byte{}, nil, ""},
		{"zeros", make([]byte, 3*size), nil, ""},
		{"many zeros", make([]byte, 5*size), ErrNoStore, "name another"},
		{"text", []byte("hosts:\n  - localhost\n"), ErrNoStore, "name another"},
		{"long text", bytes.Repeat([]byte("hosts:\n  - localhost\n"), 5000), ErrNoStore, "name another"},
		{"one byte", []byte{1}, ErrNoStore, "name another"},
		{"half", good[:h.end/2*uint64(size)], ErrDamaged, "restore it from a backup"},
		{"one page", good[:size], ErrDamaged, "not all"},
		{"less than a page", good[:200], ErrDamaged, "not all"},
		{"last page missing", good[:h.end*uint64(size)-1], ErrDamaged, "not all"},
		{"no spare pages", good[:h.end*uint64(size)], nil, ""},
		{"first page lost", change(func(b []byte) { clear(b[:size]) }), nil, ""},
		{"second page lost", change(func(b []byte) { clear(b[size : 2*size]) }), nil, ""},
		{"both first pages lost", change(func(b []byte) { clear(b[:2*size]) }), ErrNoStore, ""},
		{"both first pages damaged", change(func(b []byte) { b[60]++; b[size+60]++ }), ErrDamaged, "both"},
		{"list of free pages lost", change(func(b []byte) { clear(b[int(h.freeList)*size:][:size]) }), ErrDamaged, "page"},
		{"list of free pages senseless", change(func(b []byte) { b[int(h.freeList)*size+16+4]++ }), ErrDamaged, "free pages"},
		{"root lost", change(func(b []byte) { clear(b[int(h.root)*size:][:size]) }), ErrDamaged, "page"},
		{"root damaged", change(func(b []byte) { b[int(h.root)*size+16+8+3] = 0xff }), ErrDamaged, "outside"},
	}
}

func TestOpenOthers(t *testing.T) {
	dir := t.TempDir()
	good := filled(t, filepath.Join(dir, "good.db"))
	h, err := readHeader(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range otherFiles(good, h) {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, "x.db")
			if err := os.WriteFile(path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(path, Defaults())
			if !errors.Is(err, tt.want) || err != nil && (!strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), "x.db")) {
				t.Errorf("got %v, want %v, %q and the path", err, tt.want, tt.text)
			}
			if err == nil {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, tt.content) {
				t.Errorf("the file was changed, or %v", err)
			}
			if _, err := Check(t.Context(), path); !errors.Is(err, tt.want) {
				t.Errorf("Check: got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestOpenOtherPaths(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, Defaults()); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder: got %v, want an error", err)
	}
	if _, err := Open(filepath.Join(dir, "no", "store.db"), Defaults()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no folder: got %v, want ErrNotExist", err)
	}
	for _, o := range []Options{{ReadOnly: true}} {
		if _, err := Open(filepath.Join(dir, "none.db"), o); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no file, for reading: got %v, want ErrNotExist", err)
		}
	}
	empty := filepath.Join(dir, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(empty, Options{ReadOnly: true}); !errors.Is(err, ErrNoStore) {
		t.Errorf("an empty file, for reading: got %v, want ErrNoStore", err)
	}
}

// otherBolt makes a file of bbolt.
func otherBolt(t *testing.T, path string, f func(*bbolt.Tx) error) []byte {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpenOtherSchema(t *testing.T) {
	dir := t.TempDir()
	schema := func(version uint32) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			if err := create(1)(tx); err != nil {
				return err
			}
			return tx.Bucket(metaTable.name()).Put([]byte(schemaKey), binary.BigEndian.AppendUint32(nil, version))
		}
	}
	for _, tt := range []struct {
		name string
		make func(*bbolt.Tx) error
		want error
		text string
	}{
		{"nothing", func(*bbolt.Tx) error { return nil }, nil, ""},
		{"of another program", func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err }, ErrNoStore, ""},
		{"with a table meta of another program", func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("meta")); return err }, ErrNoStore, ""},
		{"with very many tables", func(tx *bbolt.Tx) error {
			for n := range 1000 {
				if _, err := tx.CreateBucket(fmt.Appendf(nil, "table %d", n)); err != nil {
					return err
				}
			}
			return nil
		}, ErrNoStore, ""},
		{"newer", schema(7), ErrNewer, "schema is version 7, this program knows 3"},
		{"old, no messages", func(tx *bbolt.Tx) error { return errors.Join(schema(1)(tx), tx.DeleteBucket([]byte("offline"))) }, ErrDamaged, "no table offline"},
		{"no version", schema(0), ErrDamaged, "no version"},
		{"no table", func(tx *bbolt.Tx) error { return errors.Join(schema(2)(tx), tx.DeleteBucket([]byte("roster"))) }, ErrDamaged, "no table roster"},
		{"old, no table", func(tx *bbolt.Tx) error { return errors.Join(schema(1)(tx), tx.DeleteBucket([]byte("roster"))) }, ErrDamaged, "no table roster"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.name+".db")
			before := otherBolt(t, path, tt.make)
			s, err := Open(path, Defaults())
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v, want %v and %q", err, tt.want, tt.text)
			}
			if err == nil {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the file was changed, or %v", err)
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	before := filled(t, path)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.ReadOnly = true
	s, other := openAt(t, path, o), openAt(t, path, o)
	user := newScript(0, 0).user
	for _, s := range []*Store{s, other} {
		want := newScript(0, 0)
		for want.steps < 200 {
			want.next()
		}
		if err := want.compare(s); err != nil {
			t.Error(err)
		}
		if _, err := s.Secret(t.Context()); err != nil {
			t.Errorf("Secret: %v", err)
		}
	}
	if err := s.VCard().Set(t.Context(), user, "<vCard/>"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Set: got %v, want ErrReadOnly", err)
	}
	s.Offline().Add(t.Context(), user, "<message/>", offline.Limits{}, func(_ uint64, err error) {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("Add: got %v, want ErrReadOnly", err)
		}
	})
	wantSound(t, path)
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file was changed, or %v", err)
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	var secrets [][]byte
	for _, name := range []string{"a.db", "a.db", "b.db"} {
		s, err := Open(filepath.Join(dir, name), Defaults())
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Secret(t.Context())
		if err != nil || len(a) != 32 {
			t.Fatalf("Secret = %d bytes, %v; want 32", len(a), err)
		}
		if b, err := s.Secret(t.Context()); err != nil || !bytes.Equal(a, b) {
			t.Errorf("Secret changed, or %v", err)
		}
		secrets = append(secrets, a)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(secrets[0], secrets[1]) || bytes.Equal(secrets[0], secrets[2]) {
		t.Error("want one secret for each file")
	}
}

// What numbers are given goes on after a restart.
func TestNumbersGoOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	var keys []uint64
	for range 3 {
		s, err := Open(path, Defaults())
		if err != nil {
			t.Fatal(err)
		}
		user := jid(t, "romeo@a.test")
		done := make(chan uint64, 1)
		s.Offline().Add(t.Context(), user, "<message/>", offline.Limits{}, func(key uint64, err error) {
			if err != nil {
				t.Error(err)
			}
			done <- key
		})
		keys = append(keys, <-done)
		if err := errors.Join(s.Offline().Forget(t.Context(), user), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if keys[0] == 0 || keys[1] <= keys[0] || keys[2] <= keys[1] {
		t.Errorf("keys %v, want them to ascend", keys)
	}
}

// A store whose tables are small, but not very, is opened again: bbolt has such tables in
// the list of all, which then takes several pages.
func TestOpenSmallTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := Open(path, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	ctx, user, text := t.Context(), jid(t, "romeo@a.test"), strings.Repeat("x", 800)
	_, blocked := s.Blocking().CompareAndSet(ctx, user, blocking.List{Blocked: []stanza.JID{jid(t, strings.Repeat("x", 700)+"@a.test")}})
	err = errors.Join(blocked, s.VCard().Set(ctx, user, text), s.Last().Set(ctx, user, last.Activity{Status: text}),
		s.Private().Set(ctx, user, stanza.Name{Local: "x"}, text, private.Limits{}),
		s.Accounts().Create(ctx, host.Account{JID: user, HA1MD5: []byte(text)}),
		s.Clients().Set(ctx, host.Client{OAuthClient: stanza.OAuthClient{ID: "x", Name: text}}), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	wantSound(t, path)
	s = openAt(t, path, Defaults())
	if xml, err := s.VCard().Get(ctx, user); err != nil || xml != text {
		t.Errorf("got %.20q, %v; want what was stored", xml, err)
	}
}
