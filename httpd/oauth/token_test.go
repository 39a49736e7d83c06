package oauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/oauth"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func basic(id, secret string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

// byPassword is a request of the old way (RFC 6749, section 4.3).
func byPassword() url.Values {
	return values("grant_type", "password", "username", "romeo@a.test", "password", "secret", "scope", "sasl_auth", "client_id", "legacy", "client_secret", "rope")
}

func TestCodeIsFor(t *testing.T) {
	r := newRig(t)
	code := r.code(asks())
	for _, tt := range []struct {
		name   string
		v      url.Values
		status int
		want   string
	}{
		{"no code", with(redeems(code), "code", "-"), 400, "invalid_grant"},
		{"wrong code", with(redeems(code), "code", code[:64]+"A"), 400, "invalid_grant"},
		{"no verifier", with(redeems(code), "code_verifier", "-"), 400, "invalid_grant"},
		{"wrong verifier", with(redeems(code), "code_verifier", strings.Repeat("x", 43)), 400, "invalid_grant"},
		{"the challenge as the verifier", with(redeems(code), "code_verifier", challenge), 400, "invalid_grant"},
		{"no address", with(redeems(code), "redirect_uri", "-"), 400, "invalid_grant"},
		{"another address", with(redeems(code), "redirect_uri", localAddress), 400, "invalid_grant"},
		{"another client", with(redeems(code), "client_id", "web", "client_secret", "rope&+%"), 400, "invalid_grant"},
		{"a client of passwords", with(redeems(code), "client_id", "legacy", "client_secret", "rope"), 400, "unauthorized_client"},
		{"no client", with(redeems(code), "client_id", "-"), 401, "invalid_client"},
		{"unknown client", with(redeems(code), "client_id", "evil"), 401, "invalid_client"},
		{"secret of a client that has none", with(redeems(code), "client_secret", "x"), 401, "invalid_client"},
		{"as a refresh token", values("grant_type", "refresh_token", "client_id", "app", "refresh_token", code), 400, "invalid_grant"},
		{"no type", with(redeems(code), "grant_type", "-"), 400, "invalid_request"},
		{"unknown type", with(redeems(code), "grant_type", "client_credentials"), 400, "unsupported_grant_type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			(&rig{T: t, Handler: r.Handler, host: r.host, log: r.log}).refused("token", tt.v, tt.status, tt.want)
		})
	}
	r.token(redeems(code)) // it is good all the same: somebody who cannot use it cannot spoil it
}

// An address that the request left out is left out again.
func TestCodeWithoutAddress(t *testing.T) {
	r := newRig(t)
	v := with(asks(), "client_id", "web", "redirect_uri", "-")
	code := r.query(r.location(r.post("authorization_token", agrees(v)), "https://web.test/come?")).Get("code")
	redeem := with(redeems(code), "client_id", "-", "redirect_uri", "-")
	r.refused("token", redeem, 401, "invalid_client")
	r.refused("token", redeem, 401, "invalid_client", basic("web", "rope")...)
	r.refused("token", redeem, 401, "invalid_client", basic("web", "")...)
	r.refused("token", with(redeem, "client_id", "web"), 401, "invalid_client")
	r.refused("token", with(redeem, "client_id", "app"), 400, "invalid_request", basic("web", "rope%26%2B%25")...)
	r.refused("token", with(redeem, "client_secret", "x"), 400, "invalid_request", basic("web", "rope%26%2B%25")...)
	r.refused("token", redeem, 400, "invalid_request", basic("web", "rope%2")...)
	a := r.token(redeem, basic("web", "rope%26%2B%25")...) // RFC 6749, section 2.3.1
	r.refused("token", values("grant_type", "refresh_token", "refresh_token", a.Refresh, "client_id", "web"), 401, "invalid_client")
	r.token(values("grant_type", "refresh_token", "refresh_token", a.Refresh, "client_id", "web", "client_secret", "rope&+%"))
}

func TestReplay(t *testing.T) {
	refresh := func(token string) url.Values {
		return values("grant_type", "refresh_token", "client_id", "app", "refresh_token", token)
	}
	t.Run("code", func(t *testing.T) {
		r := newRig(t)
		code := r.code(asks())
		a := r.token(redeems(code))
		r.refused("token", with(redeems(code), "code_verifier", strings.Repeat("x", 43)), 400, "invalid_grant")
		r.wantUser(a.Access, "sasl_auth ejabberd:user") // who has no verifier does no harm
		r.refused("token", redeems(code), 400, "invalid_grant")
		r.wantUser(a.Access, "")
		r.refused("token", refresh(a.Refresh), 400, "invalid_grant")
		if !strings.Contains(r.log.String(), "used twice") {
			t.Errorf("the log does not tell: %s", r.log)
		}
		r.wantSilent(code, a.Access, a.Refresh)
	})
	t.Run("refresh token", func(t *testing.T) {
		r := newRig(t)
		a := r.token(redeems(r.code(asks())))
		b := r.token(refresh(a.Refresh))
		r.refused("token", with(refresh(a.Refresh), "client_id", "web", "client_secret", "rope&+%"), 400, "invalid_grant")
		r.wantUser(b.Access, "sasl_auth ejabberd:user") // another client does no harm
		r.refused("token", refresh(a.Refresh), 400, "invalid_grant")
		r.wantUser(b.Access, "")
		r.refused("token", refresh(b.Refresh), 400, "invalid_grant")
	})
}

func TestRefresh(t *testing.T) {
	r := newRig(t)
	a := r.token(redeems(r.code(asks())))
	v := func(token, scope string) url.Values {
		return values("grant_type", "refresh_token", "client_id", "app", "refresh_token", token, "scope", scope)
	}
	r.refused("token", v(a.Refresh, "ejabberd:admin"), 400, "invalid_scope")
	r.refused("token", v(a.Refresh, "sasl_auth ejabberd:admin"), 400, "invalid_scope")
	r.refused("token", v(a.Refresh, `"`), 400, "invalid_scope")
	r.refused("token", v(a.Access, "-"), 400, "invalid_grant")
	r.refused("token", v("-", "-"), 400, "invalid_grant")
	b := r.token(v(a.Refresh, "sasl_auth"))
	if b.Scope != "sasl_auth" {
		t.Errorf("got scope %q", b.Scope)
	}
	r.wantUser(b.Access, "sasl_auth")
	if c := r.token(v(b.Refresh, "-")); c.Scope != "sasl_auth ejabberd:user" {
		t.Errorf("got scope %q, want all that the user has agreed to", c.Scope)
	}
	// Who is not let in any more gets no more tokens.
	c := r.token(redeems(r.code(asks())))
	if err := r.host.Accounts.SetDisabled(t.Context(), jid(t, "romeo@a.test"), true); err != nil {
		t.Fatal(err)
	}
	r.refused("token", v(c.Refresh, "-"), 400, "invalid_grant")
}

// Who may not have tokens any more gets no more, also when that changes again.
func TestRefreshRefused(t *testing.T) {
	r := newRig(t)
	a := r.token(redeems(r.code(asks())))
	a = r.token(values("grant_type", "refresh_token", "client_id", "app", "refresh_token", a.Refresh))
	before := r.o
	r.o.Access = stanza.PerHost[acl.Access]{Value: acl.All, Hosts: map[string]acl.Access{"a.test": acl.None}}
	r.Configure(r.o)
	r.wantUser(a.Access, "sasl_auth ejabberd:user")
	refresh := values("grant_type", "refresh_token", "client_id", "app", "refresh_token", a.Refresh)
	r.refused("token", with(refresh, "client_id", "old"), 400, "unauthorized_client")
	r.wantUser(a.Access, "sasl_auth ejabberd:user")
	r.refused("token", refresh, 400, "invalid_grant")
	r.wantUser(a.Access, "")
	if text := r.log.String(); !strings.Contains(text, "oauth_access does not let the user have tokens any more") || !strings.Contains(text, "romeo@a.test") {
		t.Errorf("the log has %q", text)
	}
	r.Configure(before)
	r.refused("token", refresh, 400, "invalid_grant")
}

// meanwhile are passwords during whose check something happens.
type meanwhile struct {
	httpd.Passwords
	happens func()
}

func (m meanwhile) VerifyPassword(ctx context.Context, user stanza.JID, password string) error {
	m.happens()
	return m.Passwords.VerifyPassword(ctx, user, password)
}

// A client that is removed during a login gets nothing for it.
func TestClientRemovedMeanwhile(t *testing.T) {
	for _, id := range []string{"app", "old", "legacy"} {
		r := newRig(t)
		r.Handler = oauth.New(oauth.Host{Store: r.host.Tokens, Passwords: meanwhile{r.host.Accounts, func() {
			if err := r.host.Tokens.RemoveClient(t.Context(), id); err != nil {
				t.Error(err)
			}
		}}})
		r.Configure(r.o)
		switch id {
		case "app":
			r.wantPage(r.post("authorization_token", agrees(asks())), http.StatusForbidden, "'self' https://app.test")
		case "old":
			v := values("response_type", "token", "client_id", "old", "scope", "sasl_auth")
			r.wantPage(r.post("authorization_token", agrees(v)), http.StatusForbidden, "'self' https://old.test")
		default:
			r.refused("token", byPassword(), 400, "invalid_grant")
		}
	}
}

func TestPassword(t *testing.T) {
	r := newRig(t)
	r.o.ClientIDCheck = stanza.PerHost[string]{Value: "db", Hosts: map[string]string{"b.test": "allow"}}
	r.Configure(r.o)
	a := r.token(byPassword())
	if a.Refresh != "" || a.ExpiresIn != 3600 || a.Scope != "sasl_auth" {
		t.Errorf("got %+v", a)
	}
	r.wantUser(a.Access, "sasl_auth")
	if a := r.token(with(byPassword(), "ttl", "60", "scope", "sasl_auth;x")); a.ExpiresIn != 60 || a.Scope != "sasl_auth x" {
		t.Errorf("got %+v", a)
	}
	r.token(with(byPassword(), "client_id", "-", "client_secret", "-"), basic("legacy", "rope")...)
	for _, tt := range []struct {
		name   string
		v      url.Values
		status int
		want   string
	}{
		{"wrong password", with(byPassword(), "password", "x"), 400, "invalid_grant"},
		{"unknown user", with(byPassword(), "username", "nobody@a.test"), 400, "invalid_grant"},
		{"disabled", with(byPassword(), "username", "gone@a.test"), 400, "invalid_grant"},
		{"may not", with(byPassword(), "username", "tybalt@a.test"), 400, "invalid_grant"},
		{"no user", with(byPassword(), "username", "-"), 400, "invalid_request"},
		{"no password", with(byPassword(), "password", ""), 400, "invalid_request"},
		{"no scope", with(byPassword(), "scope", "-"), 400, "invalid_scope"},
		{"wrong ttl", with(byPassword(), "ttl", "-5"), 400, "invalid_request"},
		{"endless", with(byPassword(), "ttl", "9223372036854775807"), 400, "invalid_request"},
		{"wrong secret", with(byPassword(), "client_secret", "x"), 401, "invalid_client"},
		{"no secret", with(byPassword(), "client_secret", "-"), 401, "invalid_client"},
		{"no client", with(byPassword(), "client_id", "-", "client_secret", "-"), 401, "invalid_client"},
		{"a client of codes", with(byPassword(), "client_id", "app", "client_secret", "-"), 400, "unauthorized_client"},
		{"an old client", with(byPassword(), "client_id", "old", "client_secret", "-"), 400, "unauthorized_client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			(&rig{T: t, Handler: r.Handler, host: r.host, log: r.log}).refused("token", tt.v, tt.status, tt.want)
		})
	}
	r.wantSilent(a.Access)
}

// What oauth_client_id_check says of clients that are not registered.
func TestClientIDCheck(t *testing.T) {
	r := newRig(t)
	r.o.ClientIDCheck.Value = "allow"
	r.Configure(r.o)
	r.token(with(byPassword(), "client_id", "-", "client_secret", "-"))
	a := r.token(with(byPassword(), "client_id", "anybody", "client_secret", "x"))
	r.refused("token", with(byPassword(), "client_secret", "x"), 401, "invalid_client") // one that is
	r.refused("token", with(byPassword(), "client_id", strings.Repeat("x", 256)), 401, "invalid_client")
	r.refused("token", with(redeems("x"), "client_id", "anybody"), 400, "unauthorized_client")
	r.refused("revoke", values("token", a.Access), 401, "invalid_client")
	r.refused("introspect", values("token", a.Access), 401, "invalid_client")
	r.o.ClientIDCheck.Value = "deny"
	r.Configure(r.o)
	r.refused("token", byPassword(), 401, "invalid_client")
	r.refused("token", redeems("x"), 401, "invalid_client")
}

func TestBadRequests(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name   string
		q      *http.Request
		status int
	}{
		{"twice", postForm("token", byPassword().Encode()+"&scope=x"), 400},
		{"no text", postForm("token", byPassword().Encode()+"&x=%ff"), 400},
		{"not escaped", postForm("token", byPassword().Encode()+"&x=%zz"), 400},
		{"JSON", postForm("token", "{}", "Content-Type", "application/json"), 400},
		{"no type", postForm("token", byPassword().Encode(), "Content-Type", ""), 400},
		{"too large", postForm("token", byPassword().Encode()+"&x="+strings.Repeat("x", 16<<10)), 413},
		{"in the query", postForm("token?"+byPassword().Encode(), ""), 401},
	} {
		if tt.name == "in the query" { // nothing is in the body, not even the client
			if w := r.serve(tt.q); w.Code != tt.status {
				t.Errorf("%s: got %d: %s, want %d", tt.name, w.Code, w.Body, tt.status)
			}
			continue
		}
		w := r.serve(tt.q)
		var a tokens
		if r.decode(w, &a); w.Code != tt.status || a.Error != "invalid_request" {
			t.Errorf("%s: got %d: %s, want %d and invalid_request", tt.name, w.Code, w.Body, tt.status)
		}
	}
}

func TestMethods(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "token", 405, "POST"}, {"PUT", "authorization_token", 405, "GET, HEAD, POST"}, {"POST", ".well-known/oauth-authorization-server", 405, "GET, HEAD"},
		{"OPTIONS", "token", 204, ""}, {"OPTIONS", "authorization_token", 405, "GET, HEAD, POST"}, {"OPTIONS", "introspect", 405, "POST"},
		{"GET", "", 404, ""}, {"GET", "x", 404, ""}, {"GET", "token/x", 404, ""},
	} {
		w := r.serve(httptest.NewRequest(tt.method, "https://a.test/oauth/"+tt.path, nil))
		if w.Code != tt.status || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: got %d, Allow %q; want %d, %q", tt.method, tt.path, w.Code, w.Header().Get("Allow"), tt.status, tt.allow)
		}
		if open := w.Header().Get("Access-Control-Allow-Origin"); (open == "*") != (tt.status == 204) {
			t.Errorf("%s %s: Access-Control-Allow-Origin %q", tt.method, tt.path, open)
		}
	}
	for path, open := range map[string]bool{"token": true, "revoke": true, "introspect": false, "authorization_token": false} {
		if got := r.post(path, values()).Header().Get("Access-Control-Allow-Origin"); (got == "*") != open {
			t.Errorf("%s: Access-Control-Allow-Origin %q", path, got)
		}
	}
}

// A code is good for a minute, a refresh token for a month.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		late, code := r.code(asks()), ""
		time.Sleep(time.Minute)
		r.refused("token", redeems(late), 400, "invalid_grant")
		code = r.code(asks())
		time.Sleep(time.Minute - time.Second)
		a := r.token(redeems(code))
		time.Sleep(time.Hour)
		r.wantUser(a.Access, "")
		time.Sleep(29 * 24 * time.Hour)
		refresh := values("grant_type", "refresh_token", "client_id", "app", "refresh_token", a.Refresh)
		b := r.token(refresh)
		time.Sleep(30 * 24 * time.Hour)
		r.refused("token", with(refresh, "refresh_token", b.Refresh), 400, "invalid_grant")
	})
}

// broken is a store that fails.
type broken struct {
	oauth.Store
	at string
}

var errDown = errors.New("the disk is on fire")

func (b broken) Client(ctx context.Context, id string) (stanza.OAuthClient, error) {
	if b.at == "Client" {
		return stanza.OAuthClient{}, errDown
	}
	return b.Store.Client(ctx, id)
}

func (b broken) VerifyClient(ctx context.Context, id, secret string) error {
	if b.at == "VerifyClient" {
		return errDown
	}
	return b.Store.VerifyClient(ctx, id, secret)
}

func (b broken) Issue(ctx context.Context, o stanza.OAuthToken) (string, error) {
	if b.at == "Issue" {
		return "", errDown
	}
	return b.Store.Issue(ctx, o)
}

func (b broken) Find(ctx context.Context, token string) (stanza.OAuthToken, error) {
	if b.at == "Find" {
		return stanza.OAuthToken{}, errDown
	}
	return b.Store.Find(ctx, token)
}

func (b broken) Exchange(ctx context.Context, token, scopes string, access, refresh time.Duration) (string, string, error) {
	return "", "", errDown
}

func (b broken) Revoke(context.Context, string) error { return errDown }

// down has passwords that cannot be checked.
type down struct{}

func (down) VerifyPassword(context.Context, stanza.JID, string) error { return errDown }

// What is none of a client's doing is temporary, and nobody is told more.
func TestFailures(t *testing.T) {
	r := newRig(t)
	code := r.code(asks())
	token := r.token(redeems(r.code(asks()))).Access
	for _, tt := range []struct {
		at, path string
		v        url.Values
		page     bool
	}{
		{"Client", "token", byPassword(), false},
		{"VerifyClient", "token", byPassword(), false},
		{"Issue", "token", byPassword(), false},
		{"Find", "token", redeems(code), false},
		{"Exchange", "token", redeems(code), false},
		{"Find", "revoke", values("client_id", "app", "token", token), false},
		{"Revoke", "revoke", values("client_id", "app", "token", token), false},
		{"Find", "introspect", values("client_id", "app", "token", token), false},
		{"Client", "authorization_token", agrees(asks()), true},
		{"Issue", "authorization_token", agrees(asks()), true},
		{"password", "authorization_token", agrees(asks()), true},
		{"password", "token", byPassword(), false},
	} {
		t.Run(tt.at+" of "+tt.path, func(t *testing.T) {
			h := oauth.Host{Passwords: r.host.Accounts, Store: broken{r.host.Tokens, tt.at}}
			if tt.at == "password" {
				h.Passwords = down{}
			}
			n := &rig{T: t, Handler: oauth.New(h), host: r.host, log: r.log}
			n.Configure(r.o)
			w := n.post(tt.path, tt.v)
			if tt.page {
				if w.Code != 503 || !strings.Contains(w.Body.String(), "Please try again later.") {
					t.Errorf("got %d: %s", w.Code, w.Body)
				}
			} else {
				n.refused(tt.path, tt.v, 503, "temporarily_unavailable")
			}
			if strings.Contains(w.Body.String(), "fire") {
				t.Errorf("got %s, which is nobody's business", w.Body)
			}
		})
	}
}

// Who has no credentials cannot fill the log, whatever does not work.
func TestFailuresInTheLog(t *testing.T) {
	r := newRig(t)
	log := slog.New(slog.NewTextHandler(r.log, nil))
	for name, h := range map[string]oauth.Host{
		"accounts": {Passwords: down{}, Store: r.host.Tokens, Log: log},
		"clients":  {Passwords: r.host.Accounts, Store: broken{r.host.Tokens, "Client"}, Log: log},
		"secrets":  {Passwords: r.host.Accounts, Store: broken{r.host.Tokens, "VerifyClient"}, Log: log},
		"nothing":  {Passwords: r.host.Accounts, Store: r.host.Tokens, Log: log},
	} {
		r.log.Reset()
		n := &rig{T: t, Handler: oauth.New(h), host: r.host, log: r.log}
		n.Configure(r.o)
		for range 100 {
			n.post("token", with(byPassword(), "client_secret", "x"))
			n.post("authorization_token", with(agrees(asks()), "password", "x"))
		}
		if lines := strings.Count(r.log.String(), "\n"); lines == 0 || lines > 20 {
			t.Errorf("%s: got %d lines for 200 requests, want a few", name, lines)
		}
	}
}
