package host_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// kicks records who was kicked.
type kicks []string

func (k *kicks) Kick(j, keep stanza.JID, r *stanza.StreamError) int {
	*k = append(*k, fmt.Sprintf("%s but %s: %s", j, keep, r.Condition))
	return 0
}

func newAccounts(t *testing.T, o host.Options) (*host.Accounts, *host.MemoryAccounts, *kicks) {
	t.Helper()
	store, k := new(host.MemoryAccounts), new(kicks)
	a, err := host.NewAccounts(o, store, k)
	if err != nil {
		t.Fatal(err)
	}
	return a, store, k
}

func create(t *testing.T, a *host.Accounts, user, password string) stanza.JID {
	t.Helper()
	j := jid(t, user)
	if err := a.Create(t.Context(), j, password); err != nil {
		t.Fatalf("Create(%s): %v", user, err)
	}
	return j
}

func TestCreateStoresVerifiers(t *testing.T) {
	const password = "Grüße 1½"
	for _, format := range []string{"plain", "scram"} {
		t.Run(format, func(t *testing.T) {
			o := hosts("a.test")
			o.AuthPasswordFormat.Value = format
			a, store, _ := newAccounts(t, o)
			j := create(t, a, "romeo@a.test", password)
			acc, err := store.Get(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range []string{"SHA-1", "SHA-256", "SHA-512"} {
				k := acc.SCRAM[h]
				want, err := sasl.DeriveKeys(h, password, k.Salt, k.Iterations)
				if err != nil || !reflect.DeepEqual(k, want) {
					t.Errorf("%s: got %+v, want %+v (%v)", h, k, want, err)
				}
				if k.Iterations < 4096 || len(k.Salt) < 16 {
					t.Errorf("%s: %d iterations, %d bytes of salt", h, k.Iterations, len(k.Salt))
				}
				got, err := a.SCRAMKeys(t.Context(), h, j)
				if err != nil || !reflect.DeepEqual(got, k) {
					t.Errorf("SCRAMKeys(%s) = %+v, %v; want %+v", h, got, err, k)
				}
			}
			if b, err := json.Marshal(acc); err != nil || bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString([]byte(password)))) || bytes.Contains(b, []byte(password)) {
				t.Errorf("the password is stored, or %v", err)
			}
			md, sha := md5.Sum([]byte("romeo:a.test:"+password)), sha256.Sum256([]byte("romeo:a.test:"+password))
			for h, want := range map[string][]byte{"MD5": md[:], "SHA-256": sha[:]} {
				key, err := a.HA1(t.Context(), j, h)
				if format == "scram" {
					if !errors.Is(err, stanza.ErrNotSupported) {
						t.Errorf("HA1(%s): got %v, want ErrNotSupported", h, err)
					}
				} else if err != nil || hex.EncodeToString(key) != hex.EncodeToString(want) {
					t.Errorf("HA1(%s) = %x, %v; want %x", h, key, err, want)
				}
			}
			if _, err := a.HA1(t.Context(), j, "SHA-3"); !errors.Is(err, stanza.ErrNotSupported) {
				t.Errorf("HA1(SHA-3): got %v, want ErrNotSupported", err)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	o := hosts("a.test", "b.test")
	o.AuthMethod.Hosts = map[string][]string{"b.test": {"anonymous"}}
	a, _, _ := newAccounts(t, o)
	create(t, a, "taken@a.test", "secret")
	notAcceptable, notAllowed := &stanza.Error{Condition: stanza.NotAcceptable}, &stanza.Error{Condition: stanza.NotAllowed}
	for _, tt := range []struct {
		name, user, password string
		want                 error
	}{
		{"empty password", "romeo@a.test", "", notAcceptable},
		{"long password", "romeo@a.test", strings.Repeat("x", 1025), notAcceptable},
		{"control character", "romeo@a.test", "a\x07b", notAcceptable},
		{"taken", "taken@a.test", "secret", host.ErrExists},
		{"taken, as a client hears of it", "taken@a.test", "secret", &stanza.Error{Condition: stanza.Conflict}},
		{"other domain", "romeo@far.test", "secret", notAllowed},
		{"anonymous domain", "romeo@b.test", "secret", notAllowed},
		{"no user", "a.test", "secret", notAllowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := a.Create(t.Context(), jid(t, tt.user), tt.password); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	create(t, a, "romeo@a.test", strings.Repeat("x", 1024))
}

func TestVerifyPassword(t *testing.T) {
	a, store, _ := newAccounts(t, hosts("a.test", "b.test"))
	create(t, a, "romeo@a.test", "secret")
	off := create(t, a, "off@a.test", "secret")
	if err := a.SetDisabled(t.Context(), off, true); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), host.Account{JID: jid(t, "keyless@a.test")}); err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{"sha", "sha256", "sha512"} {
		o := hosts("a.test", "b.test")
		o.AuthSCRAMHash.Value = hash
		if err := a.Configure(o); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			user, password string
			want           error
		}{
			{"romeo@a.test", "secret", nil},
			{"romeo@a.test/x", "secret", nil},
			{"romeo@a.test", "Secret", stanza.ErrNotAuthorized},
			{"romeo@a.test", "", stanza.ErrNotAuthorized},
			{"juliet@a.test", "secret", stanza.ErrNoAccount},
			{"romeo@b.test", "secret", stanza.ErrNoAccount},
			{"romeo@far.test", "secret", stanza.ErrNoAccount},
			{"off@a.test", "secret", stanza.ErrAccountDisabled},
			{"off@a.test", "wrong", stanza.ErrNotAuthorized},
			{"keyless@a.test", "secret", stanza.ErrNotAuthorized},
		} {
			if err := a.VerifyPassword(t.Context(), jid(t, tt.user), tt.password); !errors.Is(err, tt.want) {
				t.Errorf("%s: VerifyPassword(%s, %q): got %v, want %v", hash, tt.user, tt.password, err, tt.want)
			}
		}
	}
}

func TestSCRAMKeysErrors(t *testing.T) {
	a, store, _ := newAccounts(t, hosts("a.test"))
	off := create(t, a, "off@a.test", "secret")
	if err := a.SetDisabled(t.Context(), off, true); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), host.Account{JID: jid(t, "keyless@a.test")}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user string
		want error
	}{
		{"none@a.test", stanza.ErrNoAccount},
		{"keyless@a.test", stanza.ErrNotSupported},
		{"off@a.test", stanza.ErrAccountDisabled},
	} {
		k, err := a.SCRAMKeys(t.Context(), "SHA-256", jid(t, tt.user))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.user, err, tt.want)
		}
		if k.Iterations != sasl.DefaultIterations {
			t.Errorf("%s: got %d iterations, want those of a new account", tt.user, k.Iterations)
		}
		if withKeys := len(k.StoredKey) > 0; withKeys != (tt.want == stanza.ErrAccountDisabled) {
			t.Errorf("%s: got keys: %t", tt.user, withKeys)
		}
	}
	if err := a.VerifyCertificate(t.Context(), off, nil); !errors.Is(err, stanza.ErrAccountDisabled) {
		t.Errorf("VerifyCertificate: got %v, want ErrAccountDisabled", err)
	}
	if _, err := a.HA1(t.Context(), off, "MD5"); !errors.Is(err, stanza.ErrAccountDisabled) {
		t.Errorf("HA1: got %v, want ErrAccountDisabled", err)
	}
}

func TestSetPassword(t *testing.T) {
	a, store, kicked := newAccounts(t, hosts("a.test"))
	j := create(t, a, "romeo@a.test", "old")
	before, _ := store.Get(t.Context(), j)
	keep := jid(t, "romeo@a.test/x")
	if err := a.SetPassword(t.Context(), j, "new", keep); err != nil {
		t.Fatal(err)
	}
	after, _ := store.Get(t.Context(), j)
	for h, k := range after.SCRAM {
		if reflect.DeepEqual(k.Salt, before.SCRAM[h].Salt) || reflect.DeepEqual(k.StoredKey, before.SCRAM[h].StoredKey) {
			t.Errorf("%s keys stayed", h)
		}
	}
	if reflect.DeepEqual(after.HA1MD5, before.HA1MD5) || reflect.DeepEqual(after.HA1SHA256, before.HA1SHA256) {
		t.Error("HA1 keys stayed")
	}
	if got := fmt.Sprint(*kicked); got != "[romeo@a.test but romeo@a.test/x: reset]" {
		t.Errorf("kicked %s", got)
	}
	for password, want := range map[string]error{"old": stanza.ErrNotAuthorized, "new": nil} {
		if err := a.VerifyPassword(t.Context(), j, password); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", password, err, want)
		}
	}

	// Switching to scram drops HA1 with the next password.
	o := hosts("a.test")
	o.AuthPasswordFormat.Value = "scram"
	if err := a.Configure(o); err != nil {
		t.Fatal(err)
	}
	if err := a.SetPassword(t.Context(), j, "newer", keep); err != nil {
		t.Fatal(err)
	}
	if acc, _ := store.Get(t.Context(), j); acc.HA1MD5 != nil || acc.HA1SHA256 != nil {
		t.Error("HA1 keys of an old password stayed")
	}

	*kicked = nil
	if err := a.SetPassword(t.Context(), j, "", keep); !errors.Is(err, &stanza.Error{Condition: stanza.NotAcceptable}) {
		t.Errorf("empty password: got %v, want not-acceptable", err)
	}
	if err := a.SetPassword(t.Context(), jid(t, "none@a.test"), "x", keep); !errors.Is(err, stanza.ErrNoAccount) {
		t.Errorf("no account: got %v, want ErrNoAccount", err)
	}
	if err := a.VerifyPassword(t.Context(), j, "newer"); err != nil || *kicked != nil {
		t.Errorf("a refused change did something: %v, kicked %v", err, *kicked)
	}
}

func TestRemove(t *testing.T) {
	a, _, kicked := newAccounts(t, hosts("a.test"))
	j := create(t, a, "romeo@a.test", "secret")
	if err := a.Remove(t.Context(), j, stanza.JID{}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(*kicked); got != "[romeo@a.test but : not-authorized]" {
		t.Errorf("kicked %s", got)
	}
	if err := a.Remove(t.Context(), j, stanza.JID{}); !errors.Is(err, stanza.ErrNoAccount) {
		t.Errorf("again: got %v, want ErrNoAccount", err)
	}
	if ok, err := a.Exists(t.Context(), j); ok || err != nil {
		t.Errorf("Exists = %t, %v; want false", ok, err)
	}
}

// Whoever changes an account while somebody else does loses nothing.
func TestConcurrentChanges(t *testing.T) {
	a, store, _ := newAccounts(t, hosts("a.test"))
	j := create(t, a, "romeo@a.test", "secret")
	a2, err := host.NewAccounts(hosts("a.test"), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.SetPassword(t.Context(), j, "new", stanza.JID{}); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := a2.SetDisabled(t.Context(), j, true); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if err := a.VerifyPassword(t.Context(), j, "new"); !errors.Is(err, stanza.ErrAccountDisabled) {
		t.Errorf("got %v, want the new password and ErrAccountDisabled", err)
	}
}

func TestAnonymous(t *testing.T) {
	o := hosts("a.test", "b.test", "c.test")
	o.AuthMethod.Hosts = map[string][]string{"b.test": {"anonymous"}, "c.test": {"internal", "anonymous"}, "far.test": {"anonymous"}}
	a, _, _ := newAccounts(t, o)
	for domain, want := range map[string]bool{"a.test": false, "b.test": true, "c.test": true, "far.test": false} {
		j, err := a.Anonymous(t.Context(), domain)
		if a.OffersAnonymous(domain) != want || (err == nil) != want {
			t.Errorf("%s: offered %t, got %v; want %t", domain, a.OffersAnonymous(domain), err, want)
		}
		if !want && !errors.Is(err, stanza.ErrNotSupported) {
			t.Errorf("%s: got %v, want ErrNotSupported", domain, err)
		}
		if want && (j.Domain() != domain || len(j.Local()) < 22 || j.IsFull()) {
			t.Errorf("%s: got %s", domain, j)
		}
	}
	j, _ := a.Anonymous(t.Context(), "b.test")
	if k, _ := a.Anonymous(t.Context(), "b.test"); j == k {
		t.Errorf("got %s twice", j)
	}
	if ok, err := a.Exists(t.Context(), j); ok || err != nil {
		t.Errorf("Exists(%s) = %t, %v; want false: nothing is stored", j, ok, err)
	}
}

// brokenStore fails.
type brokenStore struct{ host.AccountStore }

var errBroken = errors.New("store is down")

func (brokenStore) Get(context.Context, stanza.JID) (host.Account, error) {
	return host.Account{}, errBroken
}

func TestStoreFailureIsNoVerdict(t *testing.T) {
	a, err := host.NewAccounts(hosts("a.test"), brokenStore{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := jid(t, "romeo@a.test")
	_, scram := a.SCRAMKeys(t.Context(), "SHA-1", j)
	_, exists := a.Exists(t.Context(), j)
	for what, err := range map[string]error{
		"VerifyPassword": a.VerifyPassword(t.Context(), j, "x"),
		"SCRAMKeys":      scram,
		"Exists":         exists,
		"Create":         a.Create(t.Context(), j, "x"),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: got %v, want the store's error", what, err)
		}
	}
}
