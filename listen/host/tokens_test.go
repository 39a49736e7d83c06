package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var (
	_ c2s.TokenVerifier = (*host.Tokens)(nil)
	_ httpd.Tokens      = (*host.Tokens)(nil)
)

// accessFor is an access token for an hour.
func accessFor(user stanza.JID, scopes string) stanza.OAuthToken {
	now := time.Now()
	return stanza.OAuthToken{Kind: stanza.OAuthAccess, User: user, Scopes: scopes, Issued: now, Expires: now.Add(time.Hour)}
}

// codeFor is a code for a minute.
func codeFor(user stanza.JID) stanza.OAuthToken {
	o := accessFor(user, "sasl_auth ejabberd:user")
	o.Kind, o.Client, o.Expires, o.Redirect, o.Challenge = stanza.OAuthCode, "dinghy", o.Issued.Add(time.Minute), "https://app.test/", "x"
	return o
}

func issue(t *testing.T, h *host.Host, o stanza.OAuthToken) string {
	t.Helper()
	token, err := h.Tokens.Issue(t.Context(), o)
	if err != nil {
		t.Fatalf("Issue: %v", err)
	}
	return token
}

// wantToken wants that a token is of a user and for these scopes; "" for none.
func wantToken(t *testing.T, h *host.Host, token, user, scopes string) {
	t.Helper()
	got, gotScopes, err := h.Tokens.Token(t.Context(), token)
	if user == "" {
		if !errors.Is(err, stanza.ErrNotAuthorized) {
			t.Errorf("got %s, %q, %v; want ErrNotAuthorized", got, gotScopes, err)
		}
		return
	}
	if err != nil || got.String() != user || gotScopes != scopes {
		t.Errorf("got %s, %q, %v; want %s, %q", got, gotScopes, err, user, scopes)
	}
}

func exchange(t *testing.T, h *host.Host, token string) (access, refresh string) {
	t.Helper()
	access, refresh, err := h.Tokens.Exchange(t.Context(), token, "", time.Hour, 24*time.Hour)
	if err != nil {
		t.Fatalf("Exchange: %v", err)
	}
	return access, refresh
}

func wantNoExchange(t *testing.T, h *host.Host, token string) {
	t.Helper()
	access, refresh, err := h.Tokens.Exchange(t.Context(), token, "", time.Hour, 24*time.Hour)
	if !errors.Is(err, stanza.ErrNotAuthorized) || access != "" || refresh != "" {
		t.Errorf("Exchange = %q, %q, %v; want ErrNotAuthorized", access, refresh, err)
	}
}

func TestTokens(t *testing.T) {
	h := newHost(t, register.Off())
	romeo := jid(t, "romeo@a.test")
	token := issue(t, h, accessFor(romeo, "sasl_auth ejabberd:user"))
	wantToken(t, h, token, "romeo@a.test", "sasl_auth ejabberd:user")
	if other := issue(t, h, accessFor(romeo, "x")); other == token || len(other) != 65 {
		t.Errorf("tokens are %q and %q", token, other)
	}
	changed := []byte(token)
	changed[40] ^= 1
	last := token[len(token)-1]
	for _, wrong := range []string{
		"", "a", token[:len(token)-1], token + "x", "r" + token[1:], "c" + token[1:], "x" + token[1:], string(changed),
		token[1:] + "a", strings.Repeat("a", 65), strings.Repeat("é", 33)[:65], token[:64] + string(last^1), " " + token[1:], token[:64] + "\n",
	} {
		wantToken(t, h, wrong, "", "")
	}
	if err := h.Configure(hosts("b.test")); err != nil {
		t.Fatal(err)
	}
	wantToken(t, h, token, "", "") // its domain is not served any more
}

func TestVerifyToken(t *testing.T) {
	h := newHost(t, register.Off())
	create(t, h.Accounts, "juliet@a.test", "secret")
	login := issue(t, h, accessFor(jid(t, "romeo@a.test"), "ejabberd:user sasl_auth"))
	other := issue(t, h, accessFor(jid(t, "romeo@a.test"), "sasl_authx ejabberd:user"))
	for _, tt := range []struct {
		name, user, token string
		want              error
	}{
		{"own", "romeo@a.test", login, nil},
		{"own, by a full address", "romeo@a.test/x", login, nil},
		{"not for this", "romeo@a.test", other, stanza.ErrNotAuthorized},
		{"another's", "juliet@a.test", login, stanza.ErrNotAuthorized},
		{"none", "romeo@a.test", "x", stanza.ErrNotAuthorized},
	} {
		if err := h.Tokens.VerifyToken(t.Context(), jid(t, tt.user), tt.token); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestOffersTokens(t *testing.T) {
	h := newHost(t, register.Off())
	for _, tt := range []struct {
		name   string
		access stanza.PerHost[acl.Access]
		want   [2]bool // in a.test, in b.test
	}{
		{"not configured", stanza.PerHost[acl.Access]{}, [2]bool{}},
		{"nobody", stanza.PerHost[acl.Access]{Value: acl.None}, [2]bool{}},
		{"all", stanza.PerHost[acl.Access]{Value: acl.All}, [2]bool{true, true}},
		{"of one host", stanza.PerHost[acl.Access]{Value: acl.None, Hosts: map[string]acl.Access{"b.test": acl.All}}, [2]bool{false, true}},
	} {
		o := hosts("a.test", "b.test")
		o.OAuthAccess = tt.access
		if err := h.Configure(o); err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{h.Tokens.OffersTokens("a.test"), h.Tokens.OffersTokens("b.test")}; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestIssueRefused(t *testing.T) {
	h := newHost(t, register.Off())
	create(t, h.Accounts, "gone@a.test", "secret")
	if err := h.Accounts.SetDisabled(t.Context(), jid(t, "gone@a.test"), true); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]error{
		"nobody@a.test": stanza.ErrNoAccount, "a.test": stanza.ErrNoAccount, "romeo@x.test": stanza.ErrNoAccount, "gone@a.test": stanza.ErrAccountDisabled,
	} {
		if token, err := h.Tokens.Issue(t.Context(), accessFor(jid(t, user), "x")); !errors.Is(err, want) || token != "" {
			t.Errorf("%s: got %q, %v; want %v", user, token, err, want)
		}
	}
	refresh := accessFor(jid(t, "romeo@a.test"), "x")
	refresh.Kind = stanza.OAuthRefresh
	if _, err := h.Tokens.Issue(t.Context(), refresh); err == nil {
		t.Error("a refresh token is issued for nothing")
	}
}

func TestTokenExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, register.Off())
		romeo := jid(t, "romeo@a.test")
		token, code := issue(t, h, accessFor(romeo, "x")), issue(t, h, codeFor(romeo))
		time.Sleep(time.Minute)
		wantNoExchange(t, h, code) // a minute is over
		_, refresh := exchange(t, h, issue(t, h, codeFor(romeo)))
		time.Sleep(59*time.Minute - time.Millisecond)
		wantToken(t, h, token, "romeo@a.test", "x")
		time.Sleep(time.Millisecond)
		wantToken(t, h, token, "", "")
		time.Sleep(23 * time.Hour)
		_, refresh = exchange(t, h, refresh)
		time.Sleep(24 * time.Hour)
		wantNoExchange(t, h, refresh)
	})
}

// A code is good once, and so is each refresh token. The second time everything of the
// login ends.
func TestExchange(t *testing.T) {
	h := newHost(t, register.Off())
	romeo := jid(t, "romeo@a.test")
	t.Run("code and refresh", func(t *testing.T) {
		code := issue(t, h, codeFor(romeo))
		wantToken(t, h, code, "", "")
		access, refresh := exchange(t, h, code)
		wantToken(t, h, access, "romeo@a.test", "sasl_auth ejabberd:user")
		wantToken(t, h, refresh, "", "")
		wantNoExchange(t, h, access)
		narrow, refresh2, err := h.Tokens.Exchange(t.Context(), refresh, "sasl_auth", time.Hour, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		wantToken(t, h, narrow, "romeo@a.test", "sasl_auth")
		wantToken(t, h, access, "romeo@a.test", "sasl_auth ejabberd:user") // requests with it may be under way
		wide, _ := exchange(t, h, refresh2)
		wantToken(t, h, wide, "romeo@a.test", "sasl_auth ejabberd:user")
		wantToken(t, h, access, "", "") // the one before the last
	})
	t.Run("code twice", func(t *testing.T) {
		other := issue(t, h, accessFor(romeo, "x"))
		code := issue(t, h, codeFor(romeo))
		access, refresh := exchange(t, h, code)
		wantNoExchange(t, h, code)
		wantToken(t, h, access, "", "")
		wantNoExchange(t, h, refresh)
		wantToken(t, h, other, "romeo@a.test", "x")
	})
	t.Run("refresh token twice", func(t *testing.T) {
		_, first := exchange(t, h, issue(t, h, codeFor(romeo)))
		_, second := exchange(t, h, first)
		access, third := exchange(t, h, second)
		wantNoExchange(t, h, first) // not the one before the last alone
		wantToken(t, h, access, "", "")
		wantNoExchange(t, h, third)
	})
	t.Run("many at a time", func(t *testing.T) {
		_, refresh := exchange(t, h, issue(t, h, codeFor(romeo)))
		var all sync.WaitGroup
		got := make(chan string, 8)
		for range 8 {
			all.Go(func() {
				access, _, err := h.Tokens.Exchange(context.Background(), refresh, "", time.Hour, time.Hour)
				if err == nil {
					got <- access
				} else if !errors.Is(err, stanza.ErrNotAuthorized) {
					t.Errorf("Exchange: %v", err)
				}
			})
		}
		all.Wait()
		if len(got) != 1 {
			t.Fatalf("%d of 8 have got tokens, want 1", len(got))
		}
		wantToken(t, h, <-got, "", "") // the others have shown that somebody else has it
	})
}

func TestFindToken(t *testing.T) {
	h := newHost(t, register.Off())
	o := codeFor(jid(t, "romeo@a.test"))
	code := issue(t, h, o)
	find := func(token string) stanza.OAuthToken {
		t.Helper()
		got, err := h.Tokens.Find(t.Context(), token)
		if err != nil {
			t.Fatalf("Find: %v", err)
		}
		return got
	}
	got := find(code)
	if !got.Issued.Equal(o.Issued.Truncate(time.Millisecond)) || !got.Expires.Equal(o.Expires.Truncate(time.Millisecond)) {
		t.Errorf("got %+v, want the times of %+v", got, o)
	}
	got.Issued, got.Expires = o.Issued, o.Expires
	if got != o {
		t.Errorf("got %+v, want %+v", got, o)
	}
	_, refresh := exchange(t, h, code)
	if got := find(code); !got.Spent || got.Kind != stanza.OAuthCode {
		t.Errorf("got %+v, want a code that is spent", got)
	}
	if got := find(refresh); got.Spent || got.Kind != stanza.OAuthRefresh || got.Client != "dinghy" {
		t.Errorf("got %+v, want a refresh token", got)
	}
	access, _ := exchange(t, h, refresh)
	if got := find(refresh); !got.Spent {
		t.Errorf("got %+v, want a refresh token that is spent", got)
	}
	if got := find(access); got.Spent || got.Kind != stanza.OAuthAccess || got.Scopes != o.Scopes {
		t.Errorf("got %+v, want an access token", got)
	}
	if err := h.Tokens.Revoke(t.Context(), refresh); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	for _, token := range []string{code, refresh, access, "x"} {
		if got, err := h.Tokens.Find(t.Context(), token); !errors.Is(err, stanza.ErrNotAuthorized) {
			t.Errorf("got %+v, %v; want ErrNotAuthorized", got, err)
		}
		if err := h.Tokens.Revoke(t.Context(), token); err != nil {
			t.Errorf("Revoke of nothing: %v", err)
		}
	}
}

// What ends an account's sessions ends its tokens, and nobody else's.
func TestTokensEnd(t *testing.T) {
	ban := host.Ban{At: time.Unix(0, 0)}
	for _, tt := range []struct {
		name string
		end  func(ctx context.Context, h *host.Host, user stanza.JID) error
	}{
		{"password", func(ctx context.Context, h *host.Host, user stanza.JID) error {
			return h.Accounts.SetPassword(ctx, user, "new", stanza.JID{})
		}},
		{"disabled", func(ctx context.Context, h *host.Host, user stanza.JID) error {
			return errors.Join(h.Accounts.SetDisabled(ctx, user, true), h.Accounts.SetDisabled(ctx, user, false))
		}},
		{"banned", func(ctx context.Context, h *host.Host, user stanza.JID) error {
			return errors.Join(h.Accounts.Ban(ctx, user, ban), h.Accounts.Unban(ctx, user))
		}},
		{"removed", func(ctx context.Context, h *host.Host, user stanza.JID) error {
			return errors.Join(h.Accounts.Remove(ctx, user, stanza.JID{}), h.Accounts.Create(ctx, user, "secret"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, register.Off())
				romeo, juliet := jid(t, "romeo@a.test"), jid(t, "juliet@a.test")
				create(t, h.Accounts, "juliet@a.test", "secret")
				others := issue(t, h, accessFor(juliet, "x"))
				code, token := issue(t, h, codeFor(romeo)), issue(t, h, accessFor(romeo, "x"))
				_, refresh := exchange(t, h, issue(t, h, codeFor(romeo)))
				late := accessFor(romeo, "x") // a login that has begun before
				time.Sleep(time.Millisecond)
				if err := tt.end(t.Context(), h, romeo); err != nil {
					t.Fatal(err)
				}
				wantToken(t, h, token, "", "")
				wantNoExchange(t, h, code)
				wantNoExchange(t, h, refresh)
				wantToken(t, h, others, "juliet@a.test", "x")
				if late, err := h.Tokens.Issue(t.Context(), late); !errors.Is(err, stanza.ErrNotAuthorized) {
					t.Errorf("a login from before: got %q, %v; want ErrNotAuthorized", late, err)
				} else {
					wantToken(t, h, late, "", "")
				}
				wantToken(t, h, issue(t, h, accessFor(romeo, "x")), "romeo@a.test", "x")
			})
		})
	}
}

// An account has so many logins by OAuth, of which the oldest end.
func TestMaxGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, register.Off())
		var tokens []string
		for range host.MaxGrants + 2 {
			tokens = append(tokens, issue(t, h, accessFor(jid(t, "romeo@a.test"), "x")))
			time.Sleep(time.Millisecond)
		}
		wantToken(t, h, tokens[0], "", "")
		wantToken(t, h, tokens[1], "", "")
		for _, token := range tokens[2:] {
			wantToken(t, h, token, "romeo@a.test", "x")
		}
	})
}

// What has expired does not stay: new grants of anybody remove it.
func TestExpiredGrantsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(host.MemoryTokens)
		h, err := host.New(host.Config{Options: hosts("a.test"), Stores: host.Stores{Tokens: store}})
		if err != nil {
			t.Fatal(err)
		}
		create(t, h.Accounts, "juliet@a.test", "secret")
		for n := range 30 {
			name := fmt.Sprintf("u%d@a.test", n)
			create(t, h.Accounts, name, "secret")
			issue(t, h, codeFor(jid(t, name)))
		}
		time.Sleep(time.Hour)
		for range 3 {
			issue(t, h, accessFor(jid(t, "juliet@a.test"), "x"))
		}
		if list, err := store.List(t.Context(), host.GrantID{}, 100); err != nil || len(list) != 3 {
			t.Errorf("%d grants, %v; want 3", len(list), err)
		}
	})
}

// counted counts reads.
type counted struct {
	host.TokenStore
	reads int
}

func (c *counted) Get(ctx context.Context, id host.GrantID) (host.Grant, error) {
	c.reads++
	return c.TokenStore.Get(ctx, id)
}

// Each call of the API costs one read of the store, and no allocation of ours.
func TestTokenCost(t *testing.T) {
	store := &counted{TokenStore: new(host.MemoryTokens)}
	h, err := host.New(host.Config{Options: hosts("a.test"), Stores: host.Stores{Tokens: store}})
	if err != nil {
		t.Fatal(err)
	}
	create(t, h.Accounts, "romeo@a.test", "secret")
	token := issue(t, h, accessFor(jid(t, "romeo@a.test"), "x"))
	const runs = 10
	n := testing.AllocsPerRun(runs, func() { wantToken(t, h, token, "romeo@a.test", "x") })
	if store.reads != runs+1 {
		t.Errorf("%d tokens took %d reads", runs+1, store.reads)
	}
	if n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
	store.reads = 0
	wantToken(t, h, "nonsense", "", "")
	if store.reads > 0 {
		t.Error("what is no token is looked up")
	}
}

func BenchmarkToken(b *testing.B) {
	h, err := host.New(host.Config{Options: hosts("a.test")})
	if err != nil {
		b.Fatal(err)
	}
	user, _ := stanza.ParseJID("romeo@a.test")
	if err := h.Accounts.Create(b.Context(), user, "secret"); err != nil {
		b.Fatal(err)
	}
	token, err := h.Tokens.Issue(b.Context(), accessFor(user, "sasl_auth"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := h.Tokens.Token(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// stuck is a store whose tokens do not go while it is full.
type stuck struct {
	host.TokenStore
	full bool
}

var errFull = errors.New("the disk is full")

func (s *stuck) Forget(ctx context.Context, user stanza.JID) error {
	if s.full {
		return errFull
	}
	return s.TokenStore.Forget(ctx, user)
}

// Tokens that could not be ended with their account are good for nothing, and can be
// ended later.
func TestTokensThatStay(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, h *host.Host, user stanza.JID) error{
		"disabled": func(ctx context.Context, h *host.Host, user stanza.JID) error {
			return h.Accounts.SetDisabled(ctx, user, true)
		},
		"banned": func(ctx context.Context, h *host.Host, user stanza.JID) error {
			return h.Accounts.Ban(ctx, user, host.Ban{})
		},
		"removed": func(ctx context.Context, h *host.Host, user stanza.JID) error {
			return h.Accounts.Remove(ctx, user, stanza.JID{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &stuck{TokenStore: new(host.MemoryTokens)}
			h, err := host.New(host.Config{Options: hosts("a.test"), Stores: host.Stores{Tokens: store}})
			if err != nil {
				t.Fatal(err)
			}
			romeo := jid(t, "romeo@a.test")
			create(t, h.Accounts, "romeo@a.test", "secret")
			token := issue(t, h, accessFor(romeo, host.ScopeSASL))
			store.full = true
			if err := end(t.Context(), h, romeo); !errors.Is(err, errFull) {
				t.Fatalf("got %v, want %v", err, errFull)
			}
			wantToken(t, h, token, "", "")
			if err := h.Tokens.VerifyToken(t.Context(), romeo, token); err == nil {
				t.Error("the token lets somebody log in")
			}
			store.full = false
			_ = end(t.Context(), h, romeo)
			if list, err := store.List(t.Context(), host.GrantID{}, 10); err != nil || len(list) > 0 {
				t.Errorf("got %d grants, %v; want none", len(list), err)
			}
		})
	}
}

// onChange is a store that calls stored after each change of an account.
type onChange struct {
	host.AccountStore
	stored func()
}

func (s *onChange) CompareAndSet(ctx context.Context, a host.Account) error {
	err := s.AccountStore.CompareAndSet(ctx, a)
	if s.stored != nil {
		s.stored()
	}
	return err
}

// When it is stored that a password has changed, or that an account is disabled, no token
// from before is: the program may end at that moment.
func TestNoTokenOutlivesAChange(t *testing.T) {
	for name, change := range map[string]func(ctx context.Context, a *host.Accounts, user stanza.JID) error{
		"password": func(ctx context.Context, a *host.Accounts, user stanza.JID) error {
			return a.SetPassword(ctx, user, "new", stanza.JID{})
		},
		"disabled": func(ctx context.Context, a *host.Accounts, user stanza.JID) error {
			return errors.Join(a.SetDisabled(ctx, user, true), a.SetDisabled(ctx, user, false))
		},
		"banned": func(ctx context.Context, a *host.Accounts, user stanza.JID) error {
			return errors.Join(a.Ban(ctx, user, host.Ban{}), a.Unban(ctx, user))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				grants, accounts := new(host.MemoryTokens), &onChange{AccountStore: new(host.MemoryAccounts)}
				h, err := host.New(host.Config{Options: hosts("a.test"), Stores: host.Stores{Tokens: grants, Accounts: accounts}})
				if err != nil {
					t.Fatal(err)
				}
				romeo := jid(t, "romeo@a.test")
				create(t, h.Accounts, "romeo@a.test", "secret")
				token := issue(t, h, accessFor(romeo, "x"))
				late := make(chan error, 1)
				accounts.stored = func() {
					accounts.stored = nil
					go func() {
						_, err := h.Tokens.Issue(t.Context(), accessFor(romeo, "x"))
						late <- err
					}()
					synctest.Wait()
					list, err := grants.List(t.Context(), host.GrantID{}, 10)
					if err != nil || len(list) > 0 || len(late) > 0 {
						t.Errorf("there are %d grants, %v, and another login has ended: %v; want none", len(list), err, len(late) > 0)
					}
					time.Sleep(time.Millisecond)
				}
				if err := change(t.Context(), h.Accounts, romeo); err != nil {
					t.Fatal(err)
				}
				if err := <-late; !errors.Is(err, stanza.ErrNotAuthorized) && !errors.Is(err, stanza.ErrAccountDisabled) {
					t.Errorf("a login of before: got %v, want ErrNotAuthorized", err)
				}
				wantToken(t, h, token, "", "")
				wantToken(t, h, issue(t, h, accessFor(romeo, "x")), "romeo@a.test", "x")
			})
		})
	}
}
