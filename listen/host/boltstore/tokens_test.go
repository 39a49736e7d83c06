package boltstore

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// grantSamples have every field in use, and none.
func grantSamples(user stanza.JID) []any {
	id, now := host.GrantID{9}, time.UnixMilli(1_700_000_000_123).UTC()
	return []any{
		host.Grant{ID: id, User: user},
		host.Grant{
			ID: id, User: user, Client: "dinghy", Scopes: "sasl_auth", Issued: now, Expires: now.Add(time.Hour),
			Code: host.Secret{Hash: [32]byte{1}, Expires: now}, Redirect: "https://app.test/", Challenge: "x", Redeemed: true,
			Access:  []host.Secret{{Hash: [32]byte{2}, Scopes: "a b", Expires: now}, {}, {Expires: now}},
			Refresh: host.Secret{Hash: [32]byte{3}, Expires: now}, Revision: 1 << 63,
		},
	}
}

func sampleGrant(user stanza.JID) host.Grant {
	g := grantSamples(user)[1].(host.Grant)
	g.Revision = 0
	return g
}

// A file of version 2 has no tables of grants and clients; it gets them.
func TestGrantsOfOldFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	user := jid(t, "romeo@a.test")
	s, err := Open(path, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Accounts().Create(t.Context(), host.Account{JID: user}), s.Close()); err != nil {
		t.Fatal(err)
	}
	tamper(t, path, func(tx *bbolt.Tx) error {
		var errs []error
		for _, name := range []string{"grants", "own grants", "clients"} {
			errs = append(errs, tx.DeleteBucket([]byte(name)))
		}
		return errors.Join(append(errs, tx.Bucket(metaTable.name()).Put([]byte(schemaKey), binary.BigEndian.AppendUint32(nil, 2)))...)
	})
	if r := wantSound(t, path); r.Schema != 2 || r.Records["accounts"] != 1 {
		t.Errorf("before: %+v, want schema 2 and an account", r)
	}
	s, err = Open(path, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	g := sampleGrant(user)
	err = errors.Join(s.Tokens().Add(t.Context(), g, 10, g.Issued), s.Clients().Set(t.Context(), host.Client{OAuthClient: stanza.OAuthClient{ID: "x"}}), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	r := wantSound(t, path)
	if r.Schema != 3 || r.Records["grants"] != 1 || r.Records["own grants"] != 1 || r.Records["clients"] != 1 || r.Records["accounts"] != 1 {
		t.Errorf("after: %+v, want schema 3 and one record of each kind", r)
	}
}

// What is wrong with grants and clients is found.
func TestCheckFindsGrants(t *testing.T) {
	user, other := jid(t, "romeo@a.test"), jid(t, "juliet@a.test")
	g := sampleGrant(user)
	set := func(tb table, key, value []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(tb.name()).Put(key, value) }
	}
	future := g
	future.Revision = 1 << 60
	foreign := g
	foreign.User = other
	for _, tt := range []struct {
		name string
		do   func(*bbolt.Tx) error
		want string
	}{
		{"nothing", func(*bbolt.Tx) error { return nil }, ""},
		{"cut grant", set(grantTable, g.ID[:], []byte{1}), "the value is too short"},
		{"short ID", set(grantTable, []byte("x"), encodeGrant(g)), `grants: "x": `},
		{"grant of the future", set(grantTable, g.ID[:], encodeGrant(future)), "its revision is 1152921504606846976"},
		{"grant of another user", set(grantTable, g.ID[:], encodeGrant(foreign)), "it is not in the list of juliet@a.test"},
		{"grant in another user's list", set(ownGrantTable, ownGrantKey(other, g.ID), []byte{1}), "the grant is that of romeo@a.test"},
		{"no grant in a list", set(ownGrantTable, ownGrantKey(user, host.GrantID{1}), []byte{1}), "there is no such grant"},
		{"short ID in a list", set(ownGrantTable, prefix(user), []byte{1}), "own grants: "},
		{"list of nobody", set(ownGrantTable, []byte("x"), []byte{1}), "the key has no user"},
		{"cut client", set(clientTable, []byte("dinghy"), []byte{1}), `clients: "dinghy": the value is too short`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantFound(t, func(tx *bbolt.Tx) error {
				return errors.Join(
					tx.Bucket(grantTable.name()).SetSequence(10),
					set(grantTable, g.ID[:], encodeGrant(g))(tx), set(ownGrantTable, ownGrantKey(user, g.ID), []byte{1})(tx),
					addCount(tx, grantTable), addCount(tx, ownGrantTable), tt.do(tx))
			}, tt.want)
		})
	}
}

// addCount counts one record more.
func addCount(tx *bbolt.Tx, tb table) error {
	meta := tx.Bucket(metaTable.name())
	n, err := decodeCount(meta.Get(countKey(tb)))
	return errors.Join(err, meta.Put(countKey(tb), binary.BigEndian.AppendUint64(nil, n+1)))
}

// A look-up by ID, which each call of the API costs, reads one record.
func BenchmarkGrant(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "store.db"), Defaults())
	g := sampleGrant(jid(b, "romeo@a.test"))
	if err := s.Tokens().Add(b.Context(), g, 10, g.Issued); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Tokens().Get(b.Context(), g.ID); err != nil {
			b.Fatal(err)
		}
	}
}
