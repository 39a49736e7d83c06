package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Tokens tests a store of grants; open returns an empty one.
func Tokens(t *testing.T, open func(t *testing.T) host.TokenStore) {
	t.Run("add, get, delete", func(t *testing.T) { addGetDelete(t, open(t)) })
	t.Run("compare and set", func(t *testing.T) { grantCompareAndSet(t, open(t)) })
	t.Run("limit", func(t *testing.T) { grantLimit(t, open(t)) })
	t.Run("forget", func(t *testing.T) { forgetGrants(t, open(t)) })
	t.Run("list", func(t *testing.T) { listGrants(t, open(t)) })
	t.Run("expire", func(t *testing.T) { expireGrants(t, open(t)) })
	t.Run("one of many exchanges wins", func(t *testing.T) { oneExchangeWins(t, open(t)) })
	t.Run("the limit holds against many", func(t *testing.T) { grantLimitHolds(t, open(t)) })
}

// at is a time of tests, in seconds.
func at(seconds int) time.Time { return time.Unix(int64(1_700_000_000+seconds), 123e6).UTC() }

// grant returns a grant of a user, issued at a time in seconds and good for a minute,
// with every field in use.
func grant(user stanza.JID, n, issued int) host.Grant {
	g := host.Grant{
		User: user, Client: "dinghy", Scopes: "sasl_auth ejabberd:user", Issued: at(issued), Expires: at(issued + 60),
		Code:     host.Secret{Hash: [32]byte{1, byte(n)}, Expires: at(issued + 5)},
		Redirect: "https://app.test/come?x=1", Challenge: "challenge", Redeemed: true,
		Access: []host.Secret{
			{Hash: [32]byte{2, byte(n)}, Scopes: "sasl_auth", Expires: at(issued + 10)},
			{Hash: [32]byte{3, byte(n)}, Scopes: "ejabberd:user", Expires: at(issued + 20)},
		},
		Refresh: host.Secret{Hash: [32]byte{4, byte(n)}, Expires: at(issued + 60)},
	}
	g.ID[3], g.ID[14], g.ID[15] = 7, byte(n>>8), byte(n)
	return g
}

// wantGrant compares what is stored with want, but for the revision, which it returns.
func wantGrant(t *testing.T, s host.TokenStore, want host.Grant) uint64 {
	t.Helper()
	got, err := s.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatalf("Get(%x): %v", want.ID, err)
	}
	want.Revision = got.Revision
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Get(%x) = %+v, want %+v", want.ID, got, want)
	}
	return got.Revision
}

func wantNoGrant(t *testing.T, s host.TokenStore, ids ...host.GrantID) {
	t.Helper()
	for _, id := range ids {
		_, err := s.Get(t.Context(), id)
		wantErr(t, fmt.Sprintf("Get(%x)", id), err, host.ErrNoGrant)
	}
}

func addGetDelete(t *testing.T, s host.TokenStore) {
	ctx := t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	a, b := grant(user, 1, 0), grant(other, 2, 0)
	bare := host.Grant{ID: host.GrantID{9}, User: jid(t, "größe@a.test"), Issued: at(0), Expires: at(1)}
	wantNoGrant(t, s, a.ID)
	wantErr(t, "Delete of no grant", s.Delete(ctx, a.ID), nil)
	for _, g := range []host.Grant{a, b, bare} {
		wantErr(t, "Add", s.Add(ctx, g, 10, at(0)), nil)
	}
	for _, g := range []host.Grant{a, b, bare} {
		wantGrant(t, s, g)
	}
	wantErr(t, "Delete", s.Delete(ctx, a.ID), nil)
	wantNoGrant(t, s, a.ID)
	wantGrant(t, s, b)
	wantGrant(t, s, bare)
}

func grantCompareAndSet(t *testing.T, s host.TokenStore) {
	ctx := t.Context()
	g := grant(jid(t, "romeo@a.test"), 1, 0)
	wantErr(t, "CompareAndSet of no grant", s.CompareAndSet(ctx, g), host.ErrNoGrant)
	wantErr(t, "Add", s.Add(ctx, g, 10, at(0)), nil)
	first := wantGrant(t, s, g)
	next := g
	next.Revision, next.Redeemed, next.Access, next.Expires = first+1000, false, nil, at(500)
	wantErr(t, "CompareAndSet with a wrong revision", s.CompareAndSet(ctx, next), host.ErrRevision)
	wantGrant(t, s, g)
	next.Revision = first
	wantErr(t, "CompareAndSet", s.CompareAndSet(ctx, next), nil)
	if second := wantGrant(t, s, next); second == first {
		t.Errorf("revision %d did not change", second)
	}
	wantErr(t, "CompareAndSet with an old revision", s.CompareAndSet(ctx, next), host.ErrRevision)
	wantErr(t, "Delete", s.Delete(ctx, g.ID), nil)
	wantErr(t, "CompareAndSet after Delete", s.CompareAndSet(ctx, next), host.ErrNoGrant)
	wantNoGrant(t, s, g.ID)
}

// grantLimit: those that have expired make room first, then the oldest.
func grantLimit(t *testing.T, s host.TokenStore) {
	ctx := t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	foreign := grant(other, 100, 0)
	wantErr(t, "Add", s.Add(ctx, foreign, 3, at(0)), nil)
	// The IDs are not in the order of the times.
	old, middle, long := grant(user, 3, 0), grant(user, 2, 100), grant(user, 1, 50)
	long.Expires = at(1000)
	for _, g := range []host.Grant{old, middle, long} {
		wantErr(t, "Add", s.Add(ctx, g, 3, at(0)), nil)
	}
	fourth := grant(user, 4, 110)
	wantErr(t, "Add of the fourth", s.Add(ctx, fourth, 3, at(55)), nil) // none has expired
	wantNoGrant(t, s, old.ID)
	fifth := grant(user, 5, 170)
	wantErr(t, "Add of the fifth", s.Add(ctx, fifth, 3, at(165)), nil) // the one from 100 has, and there is an older one
	wantNoGrant(t, s, middle.ID)
	for _, g := range []host.Grant{long, fourth, fifth, foreign} {
		wantGrant(t, s, g)
	}
	sixth := grant(user, 6, 170)
	wantErr(t, "Add with a smaller limit", s.Add(ctx, sixth, 1, at(165)), nil)
	wantNoGrant(t, s, long.ID, fourth.ID, fifth.ID)
	wantGrant(t, s, sixth)
}

func forgetGrants(t *testing.T, s host.TokenStore) {
	ctx := t.Context()
	user, other := jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	wantErr(t, "Forget of nothing", s.Forget(ctx, user), nil)
	keep := grant(other, 999, 0)
	wantErr(t, "Add", s.Add(ctx, keep, 10, at(0)), nil)
	var ids []host.GrantID
	for n := range 20 {
		g := grant(user, n, n)
		ids = append(ids, g.ID)
		wantErr(t, "Add", s.Add(ctx, g, 20, at(0)), nil)
	}
	wantErr(t, "Forget", s.Forget(ctx, user), nil)
	wantNoGrant(t, s, ids...)
	wantGrant(t, s, keep)
	again := grant(user, 3, 0)
	wantErr(t, "Add after Forget", s.Add(ctx, again, 1, at(0)), nil)
	wantGrant(t, s, again)
}

func listGrants(t *testing.T, s host.TokenStore) {
	ctx := t.Context()
	var all []host.GrantID
	for n := range 25 {
		g := grant(jid(t, fmt.Sprintf("user%d@a.test", n%3)), 25-n, n)
		all = append(all, g.ID)
		wantErr(t, "Add", s.Add(ctx, g, 100, at(0)), nil)
	}
	slices.SortFunc(all, func(a, b host.GrantID) int { return bytes.Compare(a[:], b[:]) })
	between := all[9]
	between[15]--
	for _, tt := range []struct {
		what  string
		after host.GrantID
		limit int
		want  []host.GrantID
	}{
		{"all", host.GrantID{}, 100, all},
		{"just all", host.GrantID{}, 25, all},
		{"some", host.GrantID{}, 10, all[:10]},
		{"behind one", all[9], 10, all[10:20]},
		{"behind one that there is not", between, 2, all[9:11]},
		{"the last", all[19], 10, all[20:]},
		{"behind the last", all[24], 10, nil},
		{"behind everything", host.GrantID(bytes.Repeat([]byte{255}, 16)), 10, nil},
		{"none", host.GrantID{}, 0, nil},
	} {
		list, err := s.List(ctx, tt.after, tt.limit)
		var got []host.GrantID
		for _, g := range list {
			got = append(got, g.ID)
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: List = %x, %v; want %x", tt.what, got, err, tt.want)
		}
	}
}

// expireGrants: calls with a small limit get to all.
func expireGrants(t *testing.T, s host.TokenStore) {
	ctx := t.Context()
	wantErr(t, "Expire of nothing", s.Expire(ctx, at(0), 10), nil)
	var gone []host.GrantID
	var kept []host.Grant
	for n := range 40 {
		g := grant(jid(t, fmt.Sprintf("user%d@a.test", n%7)), n, n)
		if n%3 == 0 {
			g.Expires = at(5000)
		}
		if g.Expires.After(at(80)) {
			kept = append(kept, g)
		} else {
			gone = append(gone, g.ID)
		}
		wantErr(t, "Add", s.Add(ctx, g, 100, at(0)), nil)
	}
	wantErr(t, "Expire", s.Expire(ctx, at(80), 6), nil)
	if list, err := s.List(ctx, host.GrantID{}, 100); err != nil || len(list) < 40-6 {
		t.Errorf("one call has looked at more than six: %d are left, %v", len(list), err)
	}
	for range 40/6 + 1 + len(gone)/6 + 1 {
		wantErr(t, "Expire", s.Expire(ctx, at(80), 6), nil)
	}
	wantNoGrant(t, s, gone...)
	for _, g := range kept {
		wantGrant(t, s, g)
	}
	// A user whose grants have expired may have as many as before.
	fresh := grant(jid(t, "user1@a.test"), 1000, 0)
	wantErr(t, "Add", s.Add(ctx, fresh, 100, at(0)), nil)
	wantGrant(t, s, fresh)
}

func oneExchangeWins(t *testing.T, s host.TokenStore) {
	g := grant(jid(t, "romeo@a.test"), 1, 0)
	wantErr(t, "Add", s.Add(t.Context(), g, 10, at(0)), nil)
	g.Revision = wantGrant(t, s, g)
	var wins atomic.Int32
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			mine := g
			mine.Refresh.Hash[0] = byte(n)
			switch err := s.CompareAndSet(t.Context(), mine); {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, host.ErrRevision):
				t.Errorf("CompareAndSet: got %v, want ErrRevision", err)
			}
		})
	}
	wg.Wait()
	if n := wins.Load(); n != 1 {
		t.Errorf("%d of 8 have won, want 1", n)
	}
}

func grantLimitHolds(t *testing.T, s host.TokenStore) {
	user := jid(t, "romeo@a.test")
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() { wantErr(t, "Add", s.Add(t.Context(), grant(user, n, n), 5, at(0)), nil) })
	}
	wg.Wait()
	if list, err := s.List(t.Context(), host.GrantID{}, 100); err != nil || len(list) != 5 {
		t.Errorf("%d grants, %v; want 5", len(list), err)
	}
}

// Clients tests a store of OAuth clients; open returns an empty one.
func Clients(t *testing.T, open func(t *testing.T) host.ClientStore) {
	s, ctx := open(t), t.Context()
	want := func(t *testing.T, c host.Client) {
		t.Helper()
		if got, err := s.Get(ctx, c.ID); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("Get(%q) = %+v, %v; want %+v", c.ID, got, err, c)
		}
	}
	app := host.Client{OAuthClient: stanza.OAuthClient{
		ID: "dinghy", Name: "Größe <Dinghy>", Kind: stanza.OAuthCodeClient, Redirects: []string{"https://app.test/come", "app.test.dinghy:/come"},
	}}
	secret := host.Client{
		OAuthClient: stanza.OAuthClient{ID: "dinghy2", Kind: stanza.OAuthPasswordClient, Confidential: true},
		Salt:        []byte{1, 0, 255}, Key: []byte{2, 3}, Rounds: 10_000,
	}
	_, err := s.Get(ctx, app.ID)
	wantErr(t, "Get of no client", err, host.ErrNoClient)
	wantErr(t, "Delete of no client", s.Delete(ctx, app.ID), host.ErrNoClient)
	for _, c := range []host.Client{app, secret} {
		wantErr(t, "Set", s.Set(ctx, c), nil)
	}
	want(t, app)
	want(t, secret)
	app.Redirects, app.Kind = app.Redirects[:1:1], stanza.OAuthImplicitClient
	wantErr(t, "Set", s.Set(ctx, app), nil)
	want(t, app)
	wantErr(t, "Delete", s.Delete(ctx, app.ID), nil)
	_, err = s.Get(ctx, app.ID)
	wantErr(t, "Get after Delete", err, host.ErrNoClient)
	want(t, secret)
}
