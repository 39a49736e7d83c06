package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
)

// oldMessages makes a file as version 1 of the schema had it: the headers of the
// messages say 0 bytes. It returns the headers as they should be.
func oldMessages(t *testing.T, path string) map[string]total {
	t.Helper()
	filledBy(t, path, nil)
	want := make(map[string]total)
	tamper(t, path, func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(offlineTable.name())
		for user, sizes := range map[string][]int{"a@a.test": {10}, "aa@a.test": {0, 70_000}, "a@a.test2": {5, 5, 5}} {
			h := total{count: uint64(len(sizes))}
			for _, n := range sizes {
				number, err := bucket.NextSequence()
				if err != nil {
					return err
				}
				if err := bucket.Put(messageKey(jid(t, user), number), encodeText(strings.Repeat("x", n))); err != nil {
					return err
				}
				h.bytes += uint64(n)
			}
			want[user] = h
			if err := bucket.Put(prefix(jid(t, user)), h.encode()); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaTable.name())
		count, err := decodeCount(meta.Get(countKey(offlineTable)))
		if err != nil {
			return err
		}
		return meta.Put(countKey(offlineTable), binary.BigEndian.AppendUint64(nil, count+6))
	})
	tamper(t, path, func(tx *bbolt.Tx) error { return clearBytes(tx, want) })
	return want
}

// clearBytes removes the bytes from all headers and notes those that it finds.
func clearBytes(tx *bbolt.Tx, found map[string]total) error {
	bucket := tx.Bucket(offlineTable.name())
	c := bucket.Cursor()
	for key, value := c.First(); key != nil; key, value = c.Next() {
		user, sub, _ := bytes.Cut(key, []byte{separator})
		if len(sub) > 0 {
			continue
		}
		h, err := decodeTotal(value)
		if err != nil {
			return err
		}
		found[string(user)] = h
		if err := bucket.Put(bytes.Clone(key), total{count: h.count}.encode()); err != nil {
			return err
		}
	}
	return nil
}

func TestCountBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	want := oldMessages(t, path)
	// By the program that made it, and by this one, the old file is sound.
	if r, err := check(t.Context(), path, 1); err != nil || !r.OK() {
		t.Errorf("version 1: %v, %v; want nothing wrong", r.Problems, err)
	}
	if r := wantSound(t, path); r.Schema != 1 {
		t.Errorf("schema %d, want 1", r.Schema)
	}
	damaged := prefix(jid(t, "damaged@a.test"))
	tamper(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(offlineTable.name()).Put(damaged, []byte{9}) })

	s, err := Open(path, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 5 {
		t.Errorf("%d accounts have messages, want 5", len(want))
	}
	for user, h := range want {
		wantTotal(t, s, jid(t, user), h)
	}
	full := make(chan error, 1)
	s.Offline().Add(t.Context(), jid(t, "aa@a.test"), "x", offline.Limits{Bytes: 70_000}, func(_ uint64, err error) { full <- err })
	if err := <-full; !errors.Is(err, offline.ErrFull) {
		t.Errorf("Add beyond the bytes: got %v, want %v", err, offline.ErrFull)
	}
	if err := s.Offline().Forget(t.Context(), jid(t, "a@a.test2")); err != nil {
		t.Errorf("Forget: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	tamper(t, path, func(tx *bbolt.Tx) error {
		if got := tx.Bucket(offlineTable.name()).Get(damaged); !bytes.Equal(got, []byte{9}) {
			t.Errorf("a damaged header has become %v, want it as it was", got)
		}
		return tx.Bucket(offlineTable.name()).Delete(damaged)
	})
	if r := wantSound(t, path); r.Schema != 3 {
		t.Errorf("schema %d, want 3", r.Schema)
	}
}

// However few headers are counted at a time, each is counted once.
func TestRecountInChunks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	want := oldMessages(t, path)
	tamper(t, path, func(tx *bbolt.Tx) error {
		for limit := 1; limit < 7; limit++ {
			got := make(map[string]total)
			for from, more := []byte(nil), true; more; {
				var headers []countedHeader
				headers, from, more = recount(tx.Bucket(offlineTable.name()), from, limit)
				if len(headers) > limit {
					t.Errorf("%d headers at a time, want at most %d", len(headers), limit)
				}
				for _, h := range headers {
					user := string(bytes.TrimSuffix(h.key, []byte{separator}))
					if _, twice := got[user]; twice {
						t.Errorf("%s comes twice", user)
					}
					got[user] = h.total
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%d at a time: got %v, want %v", limit, got, want)
			}
		}
		return nil
	})
}
