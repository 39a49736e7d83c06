package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/oauth"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What is secret is not taken from where others write it down, and not written down here.
func TestSecretsInTheQuery(t *testing.T) {
	r := newRig(t)
	code := r.code(asks())
	token := r.token(redeems(r.code(asks()))).Access
	none := values()
	for _, tt := range []struct {
		path  string
		query url.Values
		body  url.Values
		want  int
	}{
		{"token", redeems(code), none, 401},
		{"token", byPassword(), none, 401},
		{"token", values("code", code, "code_verifier", verifier), with(redeems(code), "code", "-", "code_verifier", "-"), 400},
		{"token", values("password", "secret"), with(byPassword(), "password", "-"), 400},
		{"token", values("client_secret", "rope"), with(byPassword(), "client_secret", "-"), 401},
		{"revoke", values("token", token), values("client_id", "app"), 400},
		{"introspect", values("token", token), values("client_id", "app"), 400},
		{"introspect", values("access_token", token, "token", token), none, 401},
		{"authorization_token", values("username", "romeo@a.test", "password", "secret"), asks(), 403},
	} {
		if w := r.serve(postForm(tt.path+"?"+tt.query.Encode(), tt.body.Encode())); w.Code != tt.want {
			t.Errorf("%s with %v in the query: got %d: %s, want %d", tt.path, tt.query, w.Code, w.Body, tt.want)
		}
	}
	r.wantUser(token, "sasl_auth ejabberd:user")
	r.wantSilent(code, token)
	r.token(redeems(code)) // which is as good as before
}

// Pages of other sites can ask for what clients that are pages need, and nowhere with
// what a browser keeps for the server.
func TestNoCredentialsForPages(t *testing.T) {
	r := newRig(t)
	evil := []string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}
	for path, open := range map[string]bool{
		"token": true, "revoke": true, ".well-known/oauth-authorization-server": true, "introspect": false, "authorization_token": false, "x": false,
	} {
		for _, method := range []string{http.MethodOptions, http.MethodGet, http.MethodPost} {
			q := postForm(path, redeems("x").Encode(), evil...)
			q.Method = method
			h := r.serve(q).Header()
			if h.Get("Access-Control-Allow-Credentials") != "" || strings.Contains(h.Get("Access-Control-Allow-Headers"), "*") {
				t.Errorf("%s %s: got %v", method, path, h)
			}
			if got := h.Get("Access-Control-Allow-Origin"); got != "" && (got != "*" || !open) {
				t.Errorf("%s %s: Access-Control-Allow-Origin %q", method, path, got)
			}
		}
	}
}

// checks counts passwords that are checked.
type checks struct {
	httpd.Passwords
	n int
}

func (c *checks) VerifyPassword(ctx context.Context, user stanza.JID, password string) error {
	c.n++
	return c.Passwords.VerifyPassword(ctx, user, password)
}

// Neither the answer nor the work tells which accounts there are.
func TestUsersAreNotTold(t *testing.T) {
	r := newRig(t)
	c := &checks{Passwords: r.host.Accounts}
	r.Handler = oauth.New(oauth.Host{Passwords: c, Store: r.host.Tokens})
	r.Configure(r.o)
	var texts [2]string
	for _, user := range []string{"romeo@a.test", "nobody@a.test", "gone@a.test", "tybalt@a.test", "romeo@b.test", "romeo@far.test"} {
		for i, v := range []url.Values{byPassword(), agrees(asks())} {
			path := []string{"token", "authorization_token"}[i]
			c.n = 0
			w := r.post(path, with(v, "username", user, "password", "wrong"))
			text := strings.ReplaceAll(w.Body.String(), user, "USER")
			if texts[i] == "" {
				texts[i] = text
			}
			if text != texts[i] || c.n != 1 {
				t.Errorf("%s of %s: %d passwords were checked, and the answer is %s; want one, and %s", path, user, c.n, text, texts[i])
			}
		}
	}
}

// Of many who use a code at a time at most one has tokens, which are then good for
// nothing.
func TestCodeAtOnce(t *testing.T) {
	r := newRig(t)
	code := r.code(asks())
	answers := make([]*httptest.ResponseRecorder, 8)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = r.post("token", redeems(code)) })
	}
	all.Wait()
	n := 0
	for _, w := range answers {
		var a tokens
		if r.decode(w, &a); w.Code == http.StatusOK {
			n++
			r.wantUser(a.Access, "")
			r.refused("token", values("grant_type", "refresh_token", "client_id", "app", "refresh_token", a.Refresh), 400, "invalid_grant")
		} else if a.Error != "invalid_grant" {
			t.Errorf("got %d: %s", w.Code, w.Body)
		}
	}
	if n > 1 {
		t.Errorf("%d of %d have got tokens, want at most one", n, len(answers))
	}
}
