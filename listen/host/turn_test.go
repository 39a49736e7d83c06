package host_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// turnHost is a host for a.test with STUN and TURN servers and the account romeo,
// whose password is secret.
func turnHost(t *testing.T, change func(*host.Config)) *host.Host {
	t.Helper()
	o := extdisco.Defaults()
	o.Services = []extdisco.External{{Host: "stun.a.test"}, {Host: "turn.a.test", Type: "turn"}}
	c := host.Config{Options: hosts("a.test"), Features: host.Features{ExtDisco: stanza.PerHost[*extdisco.Options]{Value: &o}}}
	if change != nil {
		change(&c)
	}
	h, err := host.New(c)
	if err != nil {
		t.Fatal(err)
	}
	create(t, h.Accounts, "romeo@a.test", "secret")
	return h
}

// wantKeys compares both keys with the digests of a text, or with an error.
func wantKeys(t *testing.T, h *host.Host, user, realm, text string, problem error) {
	t.Helper()
	md, sha := md5.Sum([]byte(text)), sha256.Sum256([]byte(text))
	for hash, want := range map[string][]byte{"MD5": md[:], "SHA-256": sha[:]} {
		if problem != nil {
			want = nil
		}
		got, err := h.TURN.HA1(t.Context(), user, realm, hash)
		if !bytes.Equal(got, want) || !errors.Is(err, problem) {
			t.Errorf("%s of %q at %q: got %x, %v, want %x, %v", hash, user, realm, got, err, want, problem)
		}
	}
}

// RFC 8489, section 9.2.2: the key is the digest of user:realm:password.
func TestTURNKeys(t *testing.T) {
	h := turnHost(t, nil)
	create(t, h.Accounts, "gone@a.test", "secret")
	if err := h.Accounts.SetDisabled(t.Context(), jid(t, "gone@a.test"), true); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, user, realm string
		text              string // "": there is no such user
	}{
		{"account", "romeo", "a.test", "romeo:a.test:secret"},
		{"another spelling", "Romeo", "a.test", ""},
		{"another spelling of the realm", "romeo", "A.test", ""},
		{"no account", "juliet", "a.test", ""},
		{"disabled", "gone", "a.test", ""},
		{"another realm", "romeo", "b.test", ""},
		{"no name", "", "a.test", ""},
		{"no realm", "romeo", "", ""},
		{"no address", "romeo@a.test", "a.test", ""},
		{"control characters", "ro\x00meo", "a.test", ""},
		{"credentials of somebody else", "4102444800:juliet", "a.test", "-"}, // good until 2100, with a secret that nobody knows
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			switch tt.text {
			case "":
				wantKeys(t, h, tt.user, tt.realm, "", stanza.ErrNoAccount)
			case "-":
				if key, err := h.TURN.HA1(t.Context(), tt.user, tt.realm, "MD5"); err != nil || len(key) != md5.Size {
					t.Errorf("got %x, %v, want a key", key, err)
				}
			default:
				wantKeys(t, h, tt.user, tt.realm, tt.text, nil)
			}
		})
	}
	for _, user := range []string{"romeo", "4102444800:juliet"} {
		if key, err := h.TURN.HA1(t.Context(), user, "a.test", "SHA-512-256"); key != nil || !errors.Is(err, stanza.ErrNoAccount) {
			t.Errorf("a hash that there is none of: got %x, %v, want %v", key, err, stanza.ErrNoAccount)
		}
	}
}

// Who has credentials of XEP-0215 can have a relay until they expire.
func TestTURNKeysOfOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := turnHost(t, nil)
		h.ExtDisco.SetLocal(func() []extdisco.Local {
			return []extdisco.Local{{Host: "192.0.2.1", Port: 3478, TURN: true, Realm: "a.test"}}
		})
		offers, err := h.ExtDisco.Offers("a.test", jid(t, "juliet@a.test/x"), netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		o := offers[len(offers)-1]
		if o.Host != "192.0.2.1" || !o.Restricted {
			t.Fatalf("got the offer %+v, want the relay of this program", o)
		}
		wantKeys(t, h, o.Username, "a.test", o.Username+":a.test:"+o.Password, nil)
		time.Sleep(12 * time.Hour)
		wantKeys(t, h, o.Username, "a.test", "", stanza.ErrNoAccount)
	})
}

func TestTURNWithSCRAMAlone(t *testing.T) {
	var log bytes.Buffer
	h := turnHost(t, func(c *host.Config) {
		c.Options.AuthPasswordFormat.Value = "scram"
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	log.Reset() // the options have no secret
	for range 3 {
		wantKeys(t, h, "romeo", "a.test", "", stanza.ErrNoAccount)
	}
	wantKeys(t, h, "juliet", "a.test", "", stanza.ErrNoAccount)
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "auth_password_format") || !strings.Contains(got, "host=a.test") {
		t.Errorf("got the log\n%s\nwant one line that names auth_password_format", got)
	}
	// Those whose password is set anew are let in.
	if err := h.Configure(hosts("a.test")); err != nil {
		t.Fatal(err)
	}
	if err := h.Accounts.SetPassword(t.Context(), jid(t, "romeo@a.test"), "new", stanza.JID{}); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, h, "romeo", "a.test", "romeo:a.test:new", nil)
}

// lost is a store whose disk is gone.
type lost struct {
	host.MemoryAccounts
	err error
}

func (l *lost) Get(ctx context.Context, user stanza.JID) (host.Account, error) {
	if l.err != nil {
		return host.Account{}, l.err
	}
	return l.MemoryAccounts.Get(ctx, user)
}

// A store that fails is not an account that is missing.
func TestTURNStoreFails(t *testing.T) {
	store := new(lost)
	h := turnHost(t, func(c *host.Config) { c.Stores.Accounts = store })
	store.err = errors.New("disk is gone")
	wantKeys(t, h, "romeo", "a.test", "", store.err)
	rig{t, h}.fails(command.Internal, "internal error", "get_turn_credentials", "user", "romeo", "host", "a.test")
}
