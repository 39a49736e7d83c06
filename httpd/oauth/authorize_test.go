package oauth_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// wantPage wants a page that is safe to show, and leads nowhere.
func (r *rig) wantPage(w *httptest.ResponseRecorder, status int, formAction string) string {
	r.Helper()
	h := w.Header()
	if w.Code != status || h.Get("Location") != "" || h.Get("Content-Type") != "text/html; charset=utf-8" {
		r.Fatalf("got %d, %s, Location %q: %s; want %d and a page", w.Code, h.Get("Content-Type"), h.Get("Location"), w.Body, status)
	}
	policy := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none';", "frame-ancestors 'none';", "base-uri 'none';", "style-src 'sha256-"} {
		if !strings.Contains(policy, part) {
			r.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	if !strings.HasSuffix(policy, "form-action "+formAction) {
		r.Errorf("the policy is %q, want form-action %s", policy, formAction)
	}
	if h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" {
		r.Errorf("header %v", h)
	}
	body := w.Body.String()
	if strings.Contains(body, "<script") || strings.Contains(body, "http://") {
		r.Errorf("the page has what it should not have: %s", body)
	}
	return body
}

// The form of the page goes to the page, also where the address of that ends with a slash.
func TestPageAddress(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"authorization_token", "authorization_token/", "authorization_token//"} {
		q := httptest.NewRequest(http.MethodGet, "https://a.test/oauth/"+path+"?"+asks().Encode(), nil)
		page := q.URL
		body := r.wantPage(r.serve(q), http.StatusOK, "'self' https://app.test")
		_, action, _ := strings.Cut(body, `<form method="post" action="`)
		action, _, _ = strings.Cut(action, `"`)
		to, err := page.Parse(html.UnescapeString(action))
		if err != nil || to.RawQuery != "" {
			t.Fatalf("%s: the form goes to %q, %v; want an address without a query", path, to, err)
		}
		r.location(r.post(strings.TrimPrefix(to.Path, "/oauth/"), agrees(asks())), appAddress+"&")
	}
}

func TestPage(t *testing.T) {
	r := newRig(t)
	body := r.wantPage(r.get(with(asks(), "jid", "romeo@a.test")), http.StatusOK, "'self' https://app.test")
	for _, want := range []string{
		`<form method="post" action="?">`, `<strong>App &amp; &lt;Co&gt;</strong> at <strong>app.test</strong>`,
		`(sasl_auth)</li><li>running commands about your account (ejabberd:user)</li>`, `name="username" value="romeo@a.test" autocomplete="username"`,
		`name="password" type="password" autocomplete="current-password"`, `name="state" value="s&amp;1"`, `name="deny"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s: %s", want, body)
		}
	}
	if strings.Contains(body, "<select") {
		t.Error("the page asks for how long, of a code")
	}
	// What the page says is what the client has asked for.
	hidden := regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	got := make(url.Values)
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		got.Add(m[1], html.UnescapeString(m[2]))
	}
	if got.Encode() != asks().Encode() {
		t.Errorf("the page has %v, want %v", got, asks())
	}
	old := values("response_type", "token", "client_id", "old", "scope", "sasl_auth")
	body = r.wantPage(r.get(old), http.StatusOK, "'self' https://old.test")
	for _, want := range []string{`<option value="3600">`, `<option value="315360000">`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if r.get(with(asks(), "redirect_uri", ownScheme)); !strings.HasSuffix(r.get(with(asks(), "redirect_uri", ownScheme)).Header().Get("Content-Security-Policy"), "'self' test.app:") {
		t.Error("the policy does not let the page lead to an app")
	}
}

// Nothing that comes from outside gets into a page as it is.
func TestPageEscapes(t *testing.T) {
	r := newRig(t)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	old := values("response_type", "token", "client_id", "old", "scope", "x")
	for _, name := range []string{"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "jid", "username", "ttl", "x"} {
		for _, base := range []url.Values{asks(), old} {
			v := with(base, name, evil)
			for _, w := range []*httptest.ResponseRecorder{r.get(v), r.post("authorization_token", v), r.post("authorization_token", with(agrees(v), "password", "x"))} {
				if body := w.Body.String(); strings.Contains(body, "<script") || strings.Contains(body, "<img") {
					t.Errorf("%s: %s", name, body)
				}
				if l := w.Header().Get("Location"); strings.ContainsAny(l, "<>\"\r\n ") {
					t.Errorf("%s: Location %q", name, l)
				}
			}
		}
	}
}

// Nobody is sent anywhere for a client that is not known, or to an address that is not
// its own.
func TestNoOpenRedirect(t *testing.T) {
	r := newRig(t)
	twice := func(v url.Values, name, value string) url.Values {
		v[name] = append(v[name], value)
		return v
	}
	for _, tt := range []struct {
		name string
		v    url.Values
	}{
		{"nothing", values()},
		{"no client", with(asks(), "client_id", "-")},
		{"unknown client", with(asks(), "client_id", "evil")},
		{"odd client", with(asks(), "client_id", "\x00")},
		{"two clients", twice(asks(), "client_id", "old")},
		{"two addresses", twice(asks(), "redirect_uri", "https://evil.test/")},
		{"evil address", with(asks(), "redirect_uri", "https://evil.test/")},
		{"address of another client", with(asks(), "redirect_uri", oldAddress)},
		{"javascript", with(asks(), "redirect_uri", "javascript:alert(1)")},
		{"user in the address", with(asks(), "redirect_uri", "https://app.test@evil.test/come?x=1")},
		{"no address of several", with(asks(), "redirect_uri", "-")},
		{"client without addresses", with(asks(), "client_id", "legacy", "redirect_uri", "https://evil.test/")},
		{"evil address and another mistake", with(asks(), "redirect_uri", "https://evil.test/", "response_type", "x")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &rig{T: t, Handler: r.Handler, host: r.host, log: r.log}
			r.wantPage(r.get(tt.v), http.StatusBadRequest, "'none'")
			r.wantPage(r.post("authorization_token", agrees(tt.v)), http.StatusBadRequest, "'none'")
			r.wantPage(r.post("authorization_token", with(tt.v, "deny", "yes")), http.StatusBadRequest, "'none'")
		})
	}
}

// Of other mistakes the client hears, at its own address (RFC 6749, section 4.1.2.1).
func TestMistakesOfClients(t *testing.T) {
	r := newRig(t)
	twice := asks()
	twice["scope"] = []string{"a", "b"}
	old := values("response_type", "token", "client_id", "old", "scope", "x", "state", "s")
	for _, tt := range []struct {
		name    string
		v       url.Values
		address string // with what separates it from the answer
		want    string
	}{
		{"no type", with(asks(), "response_type", "-"), appAddress + "&", "invalid_request"},
		{"unknown type", with(asks(), "response_type", "id_token"), appAddress + "&", "unsupported_response_type"},
		{"two types", with(asks(), "response_type", "code token"), appAddress + "&", "unsupported_response_type"},
		{"token for a client of codes", with(asks(), "response_type", "token"), appAddress + "&", "unauthorized_client"},
		{"code for an old client", with(old, "response_type", "code"), oldAddress + "#", "unauthorized_client"},
		{"no challenge", with(asks(), "code_challenge", "-", "code_challenge_method", "-"), appAddress + "&", "invalid_request"},
		{"no challenge with a secret", with(asks(), "client_id", "web", "redirect_uri", "https://web.test/come", "code_challenge", "-"), "https://web.test/come?", "invalid_request"},
		{"plain challenge", with(asks(), "code_challenge_method", "plain"), appAddress + "&", "invalid_request"},
		{"challenge without a method", with(asks(), "code_challenge_method", "-"), appAddress + "&", "invalid_request"},
		{"short challenge", with(asks(), "code_challenge", "x"), appAddress + "&", "invalid_request"},
		{"no scope", with(asks(), "scope", "-"), appAddress + "&", "invalid_scope"},
		{"odd scope", with(asks(), "scope", `x"y`), appAddress + "&", "invalid_scope"},
		{"a parameter twice", twice, appAddress + "&", "invalid_request"},
		{"no scope, old", with(old, "scope", "-"), oldAddress + "#", "invalid_scope"},
		{"port of this machine", with(asks(), "scope", "-", "redirect_uri", "http://127.0.0.1:9/come"), "http://127.0.0.1:9/come?", "invalid_scope"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &rig{T: t, Handler: r.Handler, host: r.host, log: r.log}
			for _, w := range []*httptest.ResponseRecorder{r.get(tt.v), r.post("authorization_token", agrees(tt.v))} {
				q := r.query(r.location(w, tt.address))
				if q.Get("error") != tt.want || q.Get("iss") != "https://a.test/oauth" || q.Get("code")+q.Get("access_token") != "" {
					t.Errorf("got %v, want %s", q, tt.want)
				}
				if got, want := q.Get("state"), tt.v.Get("state"); got != want && len(tt.v["scope"]) < 2 {
					t.Errorf("got state %q, want %q", got, want)
				}
			}
		})
	}
}

func TestCode(t *testing.T) {
	r := newRig(t)
	w := r.post("authorization_token", agrees(asks()))
	q := r.query(r.location(w, appAddress+"&"))
	if q.Get("state") != "s&1" || q.Get("iss") != "https://a.test/oauth" || q.Get("code") == "" || len(q) != 3 {
		t.Errorf("got %v, want a code with state and iss", q)
	}
	a := r.token(redeems(q.Get("code")))
	if a.Scope != "sasl_auth ejabberd:user" || a.ExpiresIn != 3600 || a.Refresh == "" {
		t.Errorf("got %+v", a)
	}
	r.wantUser(a.Access, "sasl_auth ejabberd:user")
	r.wantSilent(q.Get("code"), a.Access, a.Refresh)
}

// wantSilent wants nothing secret in the log.
func (r *rig) wantSilent(secrets ...string) {
	r.Helper()
	for _, s := range append(secrets, "secret", "rope", verifier) {
		if strings.Contains(r.log.String(), s) {
			r.Errorf("the log has %q: %s", s, r.log)
		}
	}
}

// The old way (RFC 6749, section 4.2): the token is in the fragment, where no server sees
// it.
func TestImplicit(t *testing.T) {
	r := newRig(t)
	v := values("response_type", "token", "client_id", "old", "redirect_uri", oldAddress, "scope", "sasl_auth", "state", "s")
	for ttl, want := range map[string]string{"-": "3600", "86400": "86400", "315360000": "315360000"} {
		q := r.query(r.location(r.post("authorization_token", with(agrees(v), "ttl", ttl)), oldAddress+"#"))
		if q.Get("token_type") != "bearer" || q.Get("expires_in") != want || q.Get("scope") != "sasl_auth" || q.Get("state") != "s" || q.Get("refresh_token") != "" {
			t.Errorf("got %v", q)
		}
		r.wantUser(q.Get("access_token"), "sasl_auth")
		r.wantSilent(q.Get("access_token"))
	}
	for _, ttl := range []string{"0", "-1", "315360001", "99999999999999999999", "1h", "1.5"} {
		if q := r.query(r.location(r.post("authorization_token", with(agrees(v), "ttl", ttl)), oldAddress+"#")); q.Get("error") != "invalid_request" {
			t.Errorf("ttl %s: got %v", ttl, q)
		}
	}
}

func TestUsersOfThePage(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name, user, password string
		right                bool
	}{
		{"address", "romeo@a.test", "secret", true},
		{"name alone", "romeo", "secret", true},
		{"other spelling", " Romeo@A.TEST ", "secret", true},
		{"with a resource", "romeo@a.test/x", "secret", true},
		{"wrong password", "romeo@a.test", "Secret", false},
		{"no password", "romeo@a.test", "", false},
		{"no user", "", "secret", false},
		{"unknown", "nobody@a.test", "secret", false},
		{"another domain", "romeo@b.test", "secret", false},
		{"no domain of ours", "romeo@x.test", "secret", false},
		{"disabled", "gone@a.test", "secret", false},
		{"may not", "tybalt@a.test", "secret", false},
		{"no address", "@", "secret", false},
		{"no name", "@a.test", "secret", false},
	} {
		w := r.post("authorization_token", with(agrees(asks()), "username", tt.user, "password", tt.password))
		if tt.right {
			r.location(w, appAddress+"&code=")
			continue
		}
		// Nobody can tell why.
		body := r.wantPage(w, http.StatusForbidden, "'self' https://app.test")
		if !strings.Contains(body, "The address or the password is wrong, or this account may not let programs in.") || strings.Contains(body, tt.password+`"`) && tt.password != "" {
			t.Errorf("%s: %s", tt.name, body)
		}
	}
	if !strings.Contains(r.log.String(), "peer=192.0.2.7") || !strings.Contains(r.log.String(), `reason="wrong password"`) {
		t.Errorf("the log does not tell of attempts: %s", r.log)
	}
	r.wantSilent("Secret")
}

func TestDenied(t *testing.T) {
	r := newRig(t)
	q := r.query(r.location(r.post("authorization_token", with(asks(), "deny", "yes")), appAddress+"&"))
	if q.Get("error") != "access_denied" || q.Get("state") != "s&1" {
		t.Errorf("got %v", q)
	}
}

// A form of another site is not taken, nor one from the query.
func TestForgedForms(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name   string
		header []string
		want   int
	}{
		{"own page", []string{"Origin", "https://a.test", "Sec-Fetch-Site", "same-origin"}, http.StatusSeeOther},
		{"old browser", []string{"Origin", "https://a.test"}, http.StatusSeeOther},
		{"program", nil, http.StatusSeeOther},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"same site", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"another origin", []string{"Origin", "https://evil.test"}, http.StatusForbidden},
		{"no origin that is told", []string{"Origin", "null"}, http.StatusForbidden},
		{"text", []string{"Content-Type", "text/plain"}, http.StatusBadRequest},
		{"JSON", []string{"Content-Type", "application/json"}, http.StatusBadRequest},
	} {
		if w := r.post("authorization_token", agrees(asks()), tt.header...); w.Code != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.want)
		}
	}
	r.wantPage(r.serve(postForm("authorization_token?"+agrees(asks()).Encode(), "")), http.StatusBadRequest, "'none'")
	r.wantPage(r.serve(postForm("authorization_token", "a=%zz")), http.StatusBadRequest, "'none'")
	r.wantPage(r.serve(postForm("authorization_token", strings.Repeat("x", 20_000))), http.StatusBadRequest, "'none'")
	// Neither does the page log in whom its address names.
	r.wantPage(r.get(agrees(asks())), http.StatusOK, "'self' https://app.test")
}

func TestClientIDCheckOfThePage(t *testing.T) {
	r := newRig(t)
	r.o.ClientIDCheck = stanza.PerHost[string]{Value: "deny", Hosts: map[string]string{"b.test": "db"}}
	r.Configure(r.o)
	r.wantPage(r.get(asks()), http.StatusBadRequest, "'none'")
	r.o.ClientIDCheck = stanza.PerHost[string]{Value: "allow"}
	r.Configure(r.o)
	r.wantPage(r.get(asks()), http.StatusOK, "'self' https://app.test")
	r.wantPage(r.get(with(asks(), "client_id", "unknown")), http.StatusBadRequest, "'none'") // all the same
}

func TestNobodyByDefault(t *testing.T) {
	r := newRig(t)
	r.o.Access.Value = nil
	r.Configure(r.o)
	r.wantPage(r.post("authorization_token", agrees(asks())), http.StatusForbidden, "'self' https://app.test")
}
