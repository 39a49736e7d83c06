package auth

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun"
	"github.com/pion/turn/v2"

	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// RFC 8489, section 9.2.4.
func TestRequest(t *testing.T) {
	r := newRig(nil)
	nonce := r.challenge(t, client)
	long := strings.Repeat("x", 763)
	good := request{user: user, realm: realm, nonce: nonce, password: password}
	change := func(f func(q *request)) request {
		q := good
		f(&q)
		return q
	}
	type result struct {
		code      int
		challenge bool
		sha256    bool
		algorithm string
		lookups   int
	}
	ok := func(algorithm string, sha256 bool) result {
		return result{algorithm: algorithm, sha256: sha256, lookups: 1}
	}
	tests := []struct {
		name    string
		request request
		want    result
	}{
		{"RFC 5389", good, ok(MD5, false)},
		{"RFC 8489, SHA-256", change(func(q *request) {
			q.list, q.choice, q.hash, q.strong = algorithms, sha256Algorithm, SHA256, true
		}), ok(SHA256, true)},
		{"RFC 8489, MD5", change(func(q *request) { q.list, q.choice, q.strong = algorithms, md5Algorithm, true }), ok(MD5, true)},
		{"algorithm, but the old integrity", change(func(q *request) {
			q.list, q.choice, q.hash = algorithms, sha256Algorithm, SHA256
		}), ok(SHA256, true)},
		{"no algorithm, but the new integrity", change(func(q *request) { q.strong = true }), ok(MD5, false)},
		{"both integrities", change(func(q *request) {
			q.list, q.choice, q.hash, q.strong, q.weak = algorithms, sha256Algorithm, SHA256, true, true
		}), ok(SHA256, true)},
		{"USERNAME and USERHASH", change(func(q *request) { q.userhash = true }), ok(MD5, false)},

		{"no integrity", change(func(q *request) { q.unsigned = true }), result{code: 401, challenge: true}},
		{"nothing", request{user: "-", realm: "-", nonce: "-", unsigned: true}, result{code: 401, challenge: true}},
		{"no USERNAME", change(func(q *request) { q.user = "-" }), result{code: 400}},
		{"no REALM", change(func(q *request) { q.realm = "-" }), result{code: 400}},
		{"no NONCE", change(func(q *request) { q.nonce = "-" }), result{code: 400}},
		{"long USERNAME", change(func(q *request) { q.user = long }), result{code: 401, challenge: true, lookups: 1}},
		{"too long USERNAME", change(func(q *request) { q.user = long + "x" }), result{code: 400}},
		{"too long REALM", change(func(q *request) { q.realm = long + "x" }), result{code: 400}},
		{"too long NONCE", change(func(q *request) { q.nonce = long + "x" }), result{code: 400}},

		{"list without choice", change(func(q *request) { q.list = algorithms }), result{code: 400}},
		{"choice without list", change(func(q *request) { q.choice = md5Algorithm }), result{code: 400}},
		{"list that was cut", change(func(q *request) { q.list, q.choice = md5Algorithm, md5Algorithm }), result{code: 400}},
		{"list in another order", change(func(q *request) {
			q.list, q.choice = md5Algorithm+sha256Algorithm, md5Algorithm
		}), result{code: 400}},
		{"algorithm that is not ours", change(func(q *request) { q.list, q.choice = algorithms, "\x00\x03\x00\x00" }), result{code: 400}},
		{"algorithm with parameters", change(func(q *request) {
			q.list, q.choice = algorithms, "\x00\x02\x00\x01x"
		}), result{code: 400}},

		{"nonce of somebody else", change(func(q *request) { q.nonce = "f//499k954d6OL34oL9FSTvy64sA" }), result{code: 438, challenge: true}},
		{"nonce without its features", change(func(q *request) {
			q.nonce = strings.Replace(nonce, "gAAB", "AAAA", 1)
		}), result{code: 438, challenge: true}},
		{"empty nonce", change(func(q *request) { q.nonce = "" }), result{code: 438, challenge: true}},
		{"stale nonce before unknown user", change(func(q *request) { q.user, q.nonce = "nobody", "" }), result{code: 438, challenge: true}},

		{"USERHASH alone", change(func(q *request) { q.user, q.userhash = "-", true }), result{code: 401, challenge: true}},
		{"another realm", change(func(q *request) { q.realm = "example.com" }), result{code: 401, challenge: true}},
		{"invalid UTF-8", change(func(q *request) { q.user = "\xff" }), result{code: 401, challenge: true}},
		{"unknown user", change(func(q *request) { q.user = "nobody" }), result{code: 401, challenge: true, lookups: 1}},
		{"wrong password", change(func(q *request) { q.password = "wrong" }), result{code: 401, challenge: true, lookups: 1}},
		{"key of the other hash", change(func(q *request) { q.hash = SHA256 }), result{code: 401, challenge: true, lookups: 1}},
		{"broken accounts", change(func(q *request) { q.user = "broken" }), result{code: 500, lookups: 1}},
		{"empty key", change(func(q *request) { q.user = "empty" }), result{code: 500, lookups: 1}},
		{"short key", change(func(q *request) { q.user = "short" }), result{code: 500, lookups: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.accounts.asked = 0
			id, refusal := r.try(t, tt.request, client)
			got := result{lookups: r.accounts.asked}
			if refusal != nil {
				got.code, got.challenge = refusal.Code, refusal.Challenge
				if (refusal.Err != nil) != (refusal.Code == 500) || refusal.Reason == "" {
					t.Errorf("got refusal %+v", refusal)
				}
			} else {
				got.algorithm, got.sha256 = id.Algorithm, id.SHA256
				if id.User != user || !bytes.Equal(id.Key, ha1(user, password, id.Algorithm)) {
					t.Errorf("got %q with key %x", id.User, id.Key)
				}
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// What a 401 has, and that it gives no amplification worth having.
func TestChallenge(t *testing.T) {
	r := newRig(nil)
	m := r.response(t, client)
	if got, _ := m.Get(stun.AttrRealm); string(got) != realm {
		t.Errorf("got realm %q, want %q", got, realm)
	}
	// SHA-256 (2) first, MD5 (1), both without parameters.
	if got, _ := m.Get(stun.AttrPasswordAlgorithms); !bytes.Equal(got, []byte{0, 2, 0, 0, 0, 1, 0, 0}) {
		t.Errorf("got algorithms %x, want 0002000000010000", got)
	}
	// Password algorithms is bit 0, the most significant; username anonymity, bit 1, is not set.
	if nonce, _ := m.Get(stun.AttrNonce); !bytes.HasPrefix(nonce, []byte("obMatJos2gAAB")) || len(nonce) >= 128 {
		t.Errorf("got nonce %q", nonce)
	}
	if got := len(m.Raw()); got >= 200 {
		t.Errorf("got %d bytes, want fewer than 200", got)
	}
}

// A client that we did not write understands the challenge.
func TestPionSigns(t *testing.T) {
	r := newRig(nil)
	q, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest),
		stun.NewUsername(user), stun.NewRealm(realm), stun.NewNonce(r.challenge(t, client)),
		stun.NewLongTermIntegrity(user, realm, password), stun.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	m := parse(t, q.Raw)
	c, refusal := r.Begin(m, client)
	if refusal != nil {
		t.Fatalf("got %+v", refusal)
	}
	id, refusal := r.Keys(t.Context(), c)
	if refusal != nil {
		t.Fatalf("got %+v", refusal)
	}
	if refusal := c.Verify(m, id); refusal != nil {
		t.Errorf("got %+v, want none", refusal)
	}
}

func TestWithoutAccounts(t *testing.T) {
	r := newRig(func(c *Config) { c.Accounts, c.Secret = nil, nil })
	for _, name := range []string{user, "1760000001:x"} {
		_, refusal := r.try(t, request{user: name, realm: realm, nonce: r.challenge(t, client)}, client)
		if refusal == nil || refusal.Code != 401 {
			t.Errorf("%q: got %+v, want 401", name, refusal)
		}
	}
}

// Without Config.NoAccount no error is taken for an unknown user.
func TestNoAccountUnset(t *testing.T) {
	r := newRig(func(c *Config) { c.NoAccount = nil })
	_, refusal := r.Keys(t.Context(), Claim{User: "nobody", Algorithm: MD5})
	if refusal == nil || refusal.Code != 500 || !errors.Is(refusal.Err, errNoAccount) {
		t.Errorf("got %+v, want 500 with %v", refusal, errNoAccount)
	}
}

func TestKeysCancelled(t *testing.T) {
	r := newRig(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, refusal := r.Keys(ctx, Claim{User: "waits", Algorithm: MD5})
	if refusal == nil || refusal.Code != 500 || !errors.Is(refusal.Err, context.Canceled) {
		t.Errorf("got %+v, want 500 with %v", refusal, context.Canceled)
	}
}

// An identity without a key lets nobody in who signs with none.
func TestVerifyWithoutKey(t *testing.T) {
	var b wire.Builder
	b.Start(nil, stun.ClassRequest, stun.MethodRefresh, wire.NewTransaction([12]byte{}))
	b.Integrity(nil, false)
	if refusal := (Claim{Algorithm: MD5}).Verify(parse(t, b.Bytes()), Identity{}); refusal == nil || refusal.Code != 401 {
		t.Errorf("got %+v, want 401", refusal)
	}
}

func TestReuse(t *testing.T) {
	id := Identity{User: user, Key: []byte("k"), Algorithm: MD5, SHA256: true}
	tests := []struct {
		name  string
		claim Claim
		want  bool
	}{
		{"same", Claim{User: user, Algorithm: MD5}, true},
		{"another user", Claim{User: "romeo", Algorithm: MD5}, false},
		{"another algorithm", Claim{User: user, Algorithm: SHA256}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := tt.claim.Reuse(id)
			if ok != tt.want || ok && (got.User != user || string(got.Key) != "k" || got.SHA256) {
				t.Errorf("got %+v %v, want %v", got, ok, tt.want)
			}
		})
	}
}

func TestKnows(t *testing.T) {
	for a, want := range map[stun.AttrType]bool{
		stun.AttrUsername: true, stun.AttrUserhash: true, stun.AttrRealm: true, stun.AttrNonce: true,
		stun.AttrPasswordAlgorithm: true, stun.AttrLifetime: false, 0: false,
	} {
		if got := Knows(a); got != want {
			t.Errorf("%v: got %v, want %v", a, got, want)
		}
	}
}

// Credentials as others make them.
func TestTimeLimitedByPion(t *testing.T) {
	name, password, err := turn.GenerateLongTermCredentials(secret, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(nil)
	r.now = time.Now()
	q := request{user: name, realm: realm, nonce: r.challenge(t, client), password: password}
	if id, refusal := r.try(t, q, client); refusal != nil || id.User != name || r.accounts.asked != 0 {
		t.Errorf("got %+v, %+v, %d lookups", id, refusal, r.accounts.asked)
	}
}
