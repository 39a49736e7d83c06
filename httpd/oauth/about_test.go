package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd"
)

// RFC 7009.
func TestRevoke(t *testing.T) {
	r := newRig(t)
	a := r.token(redeems(r.code(asks())))
	revoke := func(token string) *httptest.ResponseRecorder {
		return r.post("revoke", values("token", token, "client_id", "app", "token_type_hint", "refresh_token"))
	}
	r.refused("revoke", values("client_id", "app"), 400, "invalid_request")
	r.refused("revoke", values("token", a.Refresh), 401, "invalid_client")
	r.refused("revoke", values("token", a.Refresh, "client_id", "evil"), 401, "invalid_client")
	r.refused("revoke", values("token", a.Refresh, "client_id", "web", "client_secret", "rope&+%"), 400, "invalid_grant")
	r.wantUser(a.Access, "sasl_auth ejabberd:user")
	if w := revoke(a.Refresh); w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("got %d: %s, want 200", w.Code, w.Body)
	}
	r.wantUser(a.Access, "")
	for _, token := range []string{a.Refresh, a.Access, "nonsense"} { // section 2.2
		if w := revoke(token); w.Code != http.StatusOK {
			t.Errorf("%s: got %d: %s, want 200", token, w.Code, w.Body)
		}
	}
	b := r.token(redeems(r.code(asks())))
	if w := revoke(b.Access); w.Code != http.StatusOK {
		t.Errorf("got %d: %s, want 200", w.Code, w.Body)
	}
	r.wantUser(b.Access, "")
	r.refused("token", values("grant_type", "refresh_token", "client_id", "app", "refresh_token", b.Refresh), 400, "invalid_grant")
}

// RFC 7662.
func TestIntrospect(t *testing.T) {
	r := newRig(t)
	code := r.code(asks())
	a := r.token(redeems(r.code(asks())))
	spent := a.Refresh
	a = r.token(values("grant_type", "refresh_token", "client_id", "app", "refresh_token", spent))
	bearer := r.token(with(byPassword(), "scope", "oauth_introspect"))
	if err := r.host.Accounts.Create(t.Context(), jid(t, "juliet@a.test"), "secret"); err != nil {
		t.Fatal(err)
	}
	other := r.token(with(byPassword(), "username", "juliet", "scope", "oauth_introspect"))
	type answer struct {
		Active   bool   `json:"active"`
		Scope    string `json:"scope"`
		ClientID string `json:"client_id"`
		Username string `json:"username"`
		Type     string `json:"token_type"`
		Expires  int64  `json:"exp"`
		Issuer   string `json:"iss"`
	}
	legacy := basic("legacy", "rope")
	by := func(token string) []string { return []string{"Authorization", "bearer " + token} }
	for _, tt := range []struct {
		name, token string
		client      string
		header      []string
		active      bool
	}{
		{"access token, client with a secret", a.Access, "-", legacy, true},
		{"refresh token", a.Refresh, "-", legacy, true},
		{"own", a.Access, "app", nil, true},
		{"another client's", bearer.Access, "app", nil, false},
		{"by a token of the user", a.Access, "-", by(bearer.Access), true},
		{"by a token of another user", a.Access, "-", by(other.Access), false},
		{"code", code, "-", legacy, false},
		{"nonsense", "x", "-", legacy, false},
		{"spent", spent, "-", legacy, false},
	} {
		w := r.post("introspect", values("token", tt.token, "client_id", tt.client), tt.header...)
		var got answer
		r.decode(w, &got)
		if w.Code != http.StatusOK || got.Active != tt.active {
			t.Errorf("%s: got %d: %s, want active %t", tt.name, w.Code, w.Body, tt.active)
		}
		if !tt.active && got != (answer{}) {
			t.Errorf("%s: got %s, which is too much", tt.name, w.Body)
		}
		if tt.active && (got.Scope != "sasl_auth ejabberd:user" || got.ClientID != "app" || got.Username != "romeo@a.test" || got.Expires == 0 || got.Issuer != "https://a.test/oauth") {
			t.Errorf("%s: got %s", tt.name, w.Body)
		}
		if tt.active && (got.Type == "bearer") != (tt.token == a.Access) {
			t.Errorf("%s: got the type %q", tt.name, got.Type)
		}
	}
	r.refused("introspect", values("token", a.Access), 401, "invalid_client")
	r.refused("introspect", values("token", a.Access, "client_id", "legacy"), 401, "invalid_client")
	r.refused("introspect", values(), 400, "invalid_request", legacy...)
	r.refused("introspect", values("token", a.Access), 401, "invalid_token", by("x")...)
	r.refused("introspect", values("token", a.Access), 401, "invalid_token", by(a.Refresh)...)
	r.refused("introspect", values("token", a.Access), 403, "insufficient_scope", by(a.Access)...)
	w := r.post("introspect", values("token", a.Access), by("x")...)
	if got := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("got WWW-Authenticate %q", got)
	}
}

// RFC 8414, with the paths of section 3.1.
func TestMetadata(t *testing.T) {
	r := newRig(t)
	const wellKnown = "/.well-known/oauth-authorization-server"
	for _, tt := range []struct {
		name   string
		host   string
		info   httpd.Info
		status int
		issuer string
	}{
		{"below the mount", "a.test", httpd.Info{Mount: "/oauth", Rest: ".well-known/oauth-authorization-server", Secure: true}, 200, "https://a.test/oauth"},
		{"deep mount", "A.test:5443", httpd.Info{Mount: "/x/oauth", Rest: ".well-known/oauth-authorization-server", Secure: true}, 200, "https://a.test:5443/x/oauth"},
		{"without TLS", "127.0.0.1:5280", httpd.Info{Mount: "/oauth", Rest: ".well-known/oauth-authorization-server"}, 200, "http://127.0.0.1:5280/oauth"},
		{"proper place", "a.test", httpd.Info{Mount: wellKnown, Rest: "oauth", Secure: true}, 200, "https://a.test/oauth"},
		{"proper place, deep mount", "a.test", httpd.Info{Mount: wellKnown, Rest: "x/oauth", Secure: true}, 200, "https://a.test/x/oauth"},
		{"everything", "[::1]:5443", httpd.Info{Mount: "/", Rest: ".well-known/oauth-authorization-server", Secure: true}, 200, "https://[::1]:5443"},
		{"odd host", "a.test/evil", httpd.Info{Mount: "/oauth", Rest: ".well-known/oauth-authorization-server"}, 400, ""},
		{"host with a user", "evil@a.test", httpd.Info{Mount: "/oauth", Rest: ".well-known/oauth-authorization-server"}, 400, ""},
		{"no host", "", httpd.Info{Mount: "/oauth", Rest: ".well-known/oauth-authorization-server"}, 400, ""},
		{"elsewhere", "a.test", httpd.Info{Mount: "/oauth", Rest: ".well-known/openid-configuration"}, 404, ""},
	} {
		q := httptest.NewRequest(http.MethodGet, "/x", nil)
		q.Host = tt.host
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httpd.WithInfo(q, tt.info))
		if w.Code != tt.status {
			t.Errorf("%s: got %d: %s, want %d", tt.name, w.Code, w.Body, tt.status)
		}
		if tt.status != http.StatusOK {
			continue
		}
		var got struct {
			Issuer        string   `json:"issuer"`
			Authorization string   `json:"authorization_endpoint"`
			Token         string   `json:"token_endpoint"`
			Revocation    string   `json:"revocation_endpoint"`
			Introspection string   `json:"introspection_endpoint"`
			Challenges    []string `json:"code_challenge_methods_supported"`
			Ways          []string `json:"token_endpoint_auth_methods_supported"`
			ISS           bool     `json:"authorization_response_iss_parameter_supported"`
		}
		r.decode(w, &got)
		if got.Issuer != tt.issuer || got.Authorization != tt.issuer+"/authorization_token" || got.Token != tt.issuer+"/token" ||
			got.Revocation != tt.issuer+"/revoke" || got.Introspection != tt.issuer+"/introspect" {
			t.Errorf("%s: got %+v, want all at %s", tt.name, got, tt.issuer)
		}
		if !got.ISS || strings.Join(got.Challenges, " ") != "S256" || strings.Join(got.Ways, " ") != "none client_secret_basic client_secret_post" {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}

// In a program's own mux it works, too.
func TestOwnMux(t *testing.T) {
	r := newRig(t)
	mux := http.NewServeMux()
	mux.Handle("/oauth/", http.StripPrefix("/oauth", r.Handler))
	q := postForm("token", byPassword().Encode())
	q.RemoteAddr = netip.MustParseAddrPort("192.0.2.7:50000").String()
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, q)
	var a tokens
	if r.decode(w, &a); w.Code != http.StatusOK || a.Access == "" {
		t.Errorf("got %d: %s, want a token", w.Code, w.Body)
	}
	// Without virtual hosts a user says at which one he is.
	q = postForm("token", with(byPassword(), "username", "romeo").Encode())
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, q)
	if w.Code != http.StatusBadRequest {
		t.Errorf("got %d: %s, want 400", w.Code, w.Body)
	}
}
