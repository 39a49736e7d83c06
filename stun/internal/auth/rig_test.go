package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

var (
	errNoAccount = errors.New("no such account")
	errBroken    = errors.New("disk on fire")
	client       = netip.MustParseAddrPort("198.51.100.7:40000")
	epoch        = time.Unix(1_760_000_000, 0)
)

const (
	realm    = "example.org"
	user     = "juliet"
	password = "pass"
	secret   = "shared secret"
)

// accounts knows one user. A name of errors is that error; of keys, that key.
type accounts struct{ asked int }

func (a *accounts) HA1(ctx context.Context, name, realm, hash string) ([]byte, error) {
	a.asked++
	switch name {
	case user:
		return ha1(name, password, hash), nil
	case "broken":
		return nil, errBroken
	case "empty":
		return nil, nil
	case "short":
		return []byte("15 bytes of key"), nil
	case "waits":
		return nil, ctx.Err()
	}
	return nil, errNoAccount
}

func ha1(name, password, hash string) []byte {
	if hash == SHA256 {
		key := sha256.Sum256([]byte(name + ":" + realm + ":" + password))
		return key[:]
	}
	return stun.NewLongTermIntegrity(name, realm, password)
}

// rig is an Authenticator with a clock that can be set.
type rig struct {
	*Authenticator
	accounts accounts
	now      time.Time
}

func newRig(change func(c *Config)) *rig {
	r := &rig{now: epoch}
	c := Config{
		Realm: realm, Accounts: &r.accounts, NoAccount: errNoAccount, Secret: []byte(secret),
		Now: func() time.Time { return r.now },
	}
	if change != nil {
		change(&c)
	}
	r.Authenticator = New(c)
	return r
}

// challenge returns the nonce of a 401 for an address.
func (r *rig) challenge(t testing.TB, from netip.AddrPort) string {
	t.Helper()
	m := r.response(t, from)
	nonce, ok := m.Get(stun.AttrNonce)
	if !ok {
		t.Fatal("got no nonce")
	}
	return string(nonce)
}

// response returns a 401 for an address.
func (r *rig) response(t testing.TB, from netip.AddrPort) *wire.Message {
	t.Helper()
	var b wire.Builder
	b.Start(nil, stun.ClassErrorResponse, stun.MethodAllocate, wire.NewTransaction([12]byte{1}))
	b.AddError(401, "Unauthenticated")
	r.Challenge(&b, from)
	b.AddString(stun.AttrSoftware, "Tidewaiter")
	return parse(t, b.Bytes())
}

func parse(t testing.TB, raw []byte) *wire.Message {
	t.Helper()
	m := new(wire.Message)
	if err := m.Parse(raw); err != nil {
		t.Fatal(err)
	}
	return m
}

// request is what a client sends. Fields that are "-" are left out.
type request struct {
	user, realm, nonce string
	hash               string // of the key; "": MD5
	list, choice       string // "": left out
	userhash           bool
	unsigned           bool
	strong, weak       bool // MESSAGE-INTEGRITY-SHA256, and the other one; neither: the other one
	password           string
}

func (q request) message(t testing.TB) *wire.Message {
	t.Helper()
	var b wire.Builder
	b.Start(nil, stun.ClassRequest, stun.MethodAllocate, wire.NewTransaction([12]byte{2}))
	add := func(a stun.AttrType, v, absent string) {
		if v != absent {
			b.AddString(a, v)
		}
	}
	add(stun.AttrUsername, q.user, "-")
	if q.userhash {
		hash := sha256.Sum256([]byte(user + ":" + realm))
		b.Add(stun.AttrUserhash, hash[:])
	}
	add(stun.AttrRealm, q.realm, "-")
	add(stun.AttrNonce, q.nonce, "-")
	add(stun.AttrPasswordAlgorithms, q.list, "")
	add(stun.AttrPasswordAlgorithm, q.choice, "")
	key := ha1(q.user, q.password, q.hash)
	if q.weak || !q.strong && !q.unsigned {
		b.Integrity(key, false)
	}
	if q.strong {
		b.Integrity(key, true)
	}
	return parse(t, b.Bytes())
}

// try does all of the checks.
func (r *rig) try(t testing.TB, q request, from netip.AddrPort) (Identity, *Refusal) {
	t.Helper()
	m := q.message(t)
	c, refusal := r.Begin(m, from)
	if refusal != nil {
		return Identity{}, refusal
	}
	id, refusal := r.Keys(t.Context(), c)
	if refusal != nil {
		return Identity{}, refusal
	}
	return id, c.Verify(m, id)
}
