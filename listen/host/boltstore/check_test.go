package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// tamper changes a file behind the store's back.
func tamper(t testing.TB, path string, f func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestCheckFinds(t *testing.T) {
	user := newScript(0, 0).user
	set := func(tb table, key, value []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(tb.name()).Put(key, value) }
	}
	remove := func(tb table, key []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(tb.name()).Delete(key) }
	}
	future := binary.BigEndian.AppendUint64(prefix(user), 1<<60)
	for _, tt := range []struct {
		name string
		do   func(*bbolt.Tx) error
		want string
	}{
		{"nothing", func(*bbolt.Tx) error { return nil }, ""},
		{"unknown table", func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err }, `there is an unknown table "x"`},
		{"table in a table", func(tx *bbolt.Tx) error {
			_, err := tx.Bucket(vcardTable.name()).CreateBucket([]byte("x@a.test"))
			return err
		}, `vcard: "x@a.test": there is a table within the table`},
		{"value of another format", set(lastTable, singleKey(user), []byte{9}), `last: "r0w0@a.test": the value has format 9`},
		{"value that is cut", set(accountTable, accountKey("a.test", "r0w0"), []byte{1, 0}), `accounts: "a.test\x00r0w0": the value is too short`},
		{"account of the future", set(accountTable, accountKey("a.test", "r0w0"), binary.AppendUvarint([]byte{1, 0}, 1<<60)), "accounts: "},
		{"key of nobody", set(offlineTable, []byte("x"), []byte{1}), `offline: "x": the key has no user`},
		{"key of a full address", set(vcardTable, []byte("a.test/x"), []byte{1}), "no bare address"},
		{"key that is not canonical", set(vcardTable, []byte("A.test"), []byte{1}), "not in its canonical form"},
		{"account that is not canonical", set(accountTable, accountKey("a.test", "Romeo"), encodeAccount(host.Account{})), `accounts: "a.test\x00Romeo": the address "Romeo@a.test" is not in its canonical form`},
		{"messages of who is not canonical", set(offlineTable, []byte("Romeo@a.test\x00"), total{}.encode()), `offline: "Romeo@a.test\x00": the address "Romeo@a.test" is not in its canonical form`},
		{"contact that is not canonical", set(rosterTable, userKey(user, "Romeo@b.test"), encodeItem(roster.Item{})), `the address "Romeo@b.test" is not in its canonical form`},
		{"contact that is no text", set(rosterTable, userKey(user, "\xff@b.test"), encodeItem(roster.Item{})), "roster: "},
		{"blocked one who is not canonical", set(blockingTable, singleKey(user), append(binary.AppendUvarint([]byte{1}, 1), "\x01\x0cRomeo@b.test"...)), `blocking: "r0w0@a.test": the address "Romeo@b.test" is not in its canonical form`},
		{"wrong bytes of messages", func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(offlineTable.name())
			h, err := readTotal(bucket.Get(prefix(user)))
			h.bytes++
			return errors.Join(err, bucket.Put(prefix(user), h.encode()))
		}, `offline: "r0w0@a.test\x00": the header says 2 records of`},
		{"message of the future", set(offlineTable, future, []byte{1}), "its number is above"},
		{"message that is not counted", set(offlineTable, messageKey(user, 1), []byte{1, 'x'}), "offline: "},
		{"message without header", remove(offlineTable, prefix(user)), `offline: "r0w0@a.test\x00": there is no header`},
		{"header of messages that counts nothing", set(offlineTable, prefix(jid(t, "x@a.test")), total{}.encode()), "the header says 0 records"},
		{"short number of a message", set(offlineTable, append(prefix(user), 1), []byte{1}), "has not 8 bytes"},
		{"item that is no address", set(rosterTable, userKey(user, "@"), encodeItem(roster.Item{})), "roster: "},
		{"item of the future", set(rosterTable, userKey(user, "c0@b.test"), encodeItem(roster.Item{Version: 1 << 60})), "the newest of version 1152921504606846976"},
		{"roster header", set(rosterTable, prefix(user), rosterHeader{}.encode()), "the header says 0 items"},
		{"element that is not counted", set(privateTable, elementKey(user, stanza.Name{Space: "new"}), encodeText("<x/>")), "private: "},
		{"block list", set(blockingTable, singleKey(user), append(binary.AppendUvarint([]byte{1}, 1), 1, 1, '@')), "blocking: "},
		{"number of records", set(metaTable, countKey(vcardTable), make([]byte, 8)), "and should have 0"},
		{"no number of records", set(metaTable, countKey(vcardTable), []byte{1}), "has not 8 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantFound(t, tt.do, tt.want) })
	}
}

// wantFound tampers with a file and wants a problem with this text, "" for none.
func wantFound(t *testing.T, do func(*bbolt.Tx) error, want string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	filled(t, path)
	tamper(t, path, do)
	r, err := Check(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range r.Problems {
		got = append(got, p.String())
	}
	text := strings.Join(got, "; ")
	if r.OK() != (want == "") || !strings.Contains(text, want) {
		t.Errorf("got %q, want %q", text, want)
	}
}

func TestCheckBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	filled(t, path)
	tamper(t, path, func(tx *bbolt.Tx) error {
		for n := range 5000 {
			if err := tx.Bucket(vcardTable.name()).Put(fmt.Appendf(nil, "u%d@a.test", n), []byte{9}); err != nil {
				return err
			}
		}
		return nil
	})
	r, err := Check(t.Context(), path)
	if err != nil || len(r.Problems) != maxProblems || r.Omitted < 4900 {
		t.Errorf("%d problems, %d omitted, %v; want %d and the rest", len(r.Problems), r.Omitted, err, maxProblems)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: got %v, want its error", err)
	}
}

// exercise uses a store whose file may say anything. It may fail, and must not
// end the process.
func exercise(t testing.TB, path string) {
	t.Helper()
	if _, err := Check(context.Background(), path); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoStore) && !errors.Is(err, ErrNewer) {
		t.Errorf("Check: got %v, want an error of the file", err)
	}
	s, err := Open(path, Defaults())
	if err != nil {
		return
	}
	runScripts(s, 0, 1, 40, io.Discard)
	for w := range 2 {
		_ = newScript(0, w).compare(s)
	}
	runScripts(s, 1, 1, 40, io.Discard)
	s.Stats()
	_, _ = s.Backup(context.Background(), io.Discard)
	_ = s.Close()
}

// Pages of a file are overwritten at random. Whatever uses it says so, or does
// not notice, and never ends the process.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	good := filled(t, filepath.Join(dir, "good.db"))
	h, err := readHeader(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	good = good[:int(h.end)*h.pageSize]
	rounds := fromEnv(t, "TIDEWAITER_DAMAGE_ROUNDS", 300)
	seed := uint64(fromEnv(t, "TIDEWAITER_SEED", int(rand.Uint32())))
	t.Logf("TIDEWAITER_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(dir, "x.db")
	for range rounds {
		b := bytes.Clone(good)
		for range 1 + r.IntN(5) {
			at := r.IntN(len(b))
			if r.IntN(2) == 0 { // the beginning of a page says most
				at = r.IntN(len(b)/h.pageSize)*h.pageSize + r.IntN(80)
			}
			switch r.IntN(4) {
			case 0:
				clear(b[at:min(len(b), at+r.IntN(2*h.pageSize))])
			case 1:
				copy(b[at:], b[r.IntN(len(b)):])
			default:
				b[at] ^= byte(1 << r.IntN(8))
			}
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		exercise(t, path)
	}
}

// What damage does to one user does not concern others.
func TestDamagedRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	filled(t, path)
	bad, good := jid(t, "bad@a.test"), jid(t, "good@a.test")
	tamper(t, path, func(tx *bbolt.Tx) error {
		return errors.Join(
			tx.Bucket(offlineTable.name()).Put(prefix(bad), []byte{9}),
			tx.Bucket(rosterTable.name()).Put(prefix(bad), []byte{9}),
			tx.Bucket(vcardTable.name()).Put(singleKey(bad), []byte{9}),
		)
	})
	s := openAt(t, path, Defaults())
	ctx := t.Context()
	outcome := make(chan error, 2)
	for _, user := range []stanza.JID{bad, good} {
		s.Offline().Add(ctx, user, "<message/>", offline.Limits{}, func(_ uint64, err error) { outcome <- err })
	}
	_, version := s.Roster().Version(ctx, bad)
	_, set := s.Roster().Set(ctx, bad, roster.Item{Contact: good}, 0)
	_, card := s.VCard().Get(ctx, bad)
	for what, err := range map[string]error{"Add": <-outcome, "Version": version, "Set": set, "Get": card} {
		if !errors.Is(err, ErrDamaged) && !strings.Contains(fmt.Sprint(err), "format 9") {
			t.Errorf("%s: got %v, want that the record is damaged", what, err)
		}
	}
	if err := <-outcome; err != nil {
		t.Errorf("Add for another user: %v", err)
	}
	if list, _, err := s.Offline().List(ctx, good, 0, offline.Limits{}); err != nil || len(list) != 1 || list[0].XML != "<message/>" {
		t.Errorf("List = %v, %v; want the message", list, err)
	}
}
