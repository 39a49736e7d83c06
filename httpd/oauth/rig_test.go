package oauth_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/oauth"
	"github.com/tidewaiter/tidewaiter/internal/conf"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ oauth.Store = (*host.Tokens)(nil)

// The options can be read from a configuration file.
func TestSchema(t *testing.T) {
	var names []string
	for _, f := range conf.SchemaOf(oauth.Defaults).Fields() {
		names = append(names, f.Name)
	}
	if got, want := strings.Join(names, " "), "oauth_access oauth_expire oauth_client_id_check"; got != want {
		t.Errorf("options are %s, want %s", got, want)
	}
}

// The addresses of the registered clients.
const (
	appAddress   = "https://app.test/come?x=1"
	localAddress = "http://127.0.0.1/come"
	ownScheme    = "test.app:/come"
	oldAddress   = "https://old.test/come"
)

// From RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// rig is a handler at https://a.test/oauth, with the users romeo and tybalt, who may have
// no tokens, both with the password secret; and the clients app (codes), web (codes, with
// the secret rope), old (implicit) and legacy (password, with the secret rope).
type rig struct {
	*testing.T
	*oauth.Handler
	host *host.Host
	log  *bytes.Buffer
	o    oauth.Options
}

func newRig(t *testing.T) *rig {
	t.Helper()
	o := host.Defaults()
	o.Hosts = []string{"a.test", "b.test"}
	h, err := host.New(host.Config{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"romeo@a.test", "tybalt@a.test", "gone@a.test"} {
		if err := h.Accounts.Create(t.Context(), jid(t, name), "secret"); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Accounts.SetDisabled(t.Context(), jid(t, "gone@a.test"), true); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client stanza.OAuthClient
		secret string
	}{
		{stanza.OAuthClient{ID: "app", Name: "App & <Co>", Kind: stanza.OAuthCodeClient, Redirects: []string{appAddress, localAddress, ownScheme}}, ""},
		{stanza.OAuthClient{ID: "web", Kind: stanza.OAuthCodeClient, Redirects: []string{"https://web.test/come"}}, "rope&+%"},
		{stanza.OAuthClient{ID: "old", Name: "Old", Kind: stanza.OAuthImplicitClient, Redirects: []string{oldAddress}}, ""},
		{stanza.OAuthClient{ID: "legacy", Kind: stanza.OAuthPasswordClient}, "rope"},
	} {
		if err := h.Tokens.SetClient(t.Context(), c.client, c.secret); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{T: t, host: h, log: new(bytes.Buffer), o: oauth.Defaults()}
	r.Handler = oauth.New(oauth.Host{Passwords: h.Accounts, Store: h.Tokens, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	r.o.Access = stanza.PerHost[acl.Access]{Value: notTybalt{}}
	r.Configure(r.o)
	return r
}

// notTybalt lets everybody else have tokens, from one network.
type notTybalt struct{}

func (notTybalt) Allow(s acl.Subject) bool {
	return s.User != "tybalt" && s.Host == s.Server && s.IP == netip.MustParseAddr("192.0.2.7")
}

func jid(t testing.TB, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// serve answers a request as the server would pass it on.
func (r *rig) serve(q *http.Request) *httptest.ResponseRecorder {
	r.Helper()
	q.Host = "a.test"
	mount, rest := "/oauth", strings.TrimRight(strings.TrimPrefix(q.URL.Path, "/oauth/"), "/")
	q = httpd.WithInfo(q, httpd.Info{Host: "a.test", Client: netip.MustParseAddr("192.0.2.7"), Secure: true, Mount: mount, Rest: rest})
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		r.Errorf("%s: Cache-Control %q, want no-store", q.URL.Path, got)
	}
	return w
}

// values makes a form of names and values; one with the value "-" is not there.
func values(pairs ...string) url.Values {
	v := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "-" {
			v.Del(pairs[i])
		}
	}
	return v
}

// with changes a form.
func with(v url.Values, pairs ...string) url.Values {
	n := make(url.Values)
	for name, list := range v {
		n[name] = list
	}
	for i := 0; i < len(pairs); i += 2 {
		if n.Set(pairs[i], pairs[i+1]); pairs[i+1] == "-" {
			n.Del(pairs[i])
		}
	}
	return n
}

func postForm(path, body string, header ...string) *http.Request {
	q := httptest.NewRequest(http.MethodPost, "https://a.test/oauth/"+path, strings.NewReader(body))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	return q
}

// post sends a form.
func (r *rig) post(path string, v url.Values, header ...string) *httptest.ResponseRecorder {
	r.Helper()
	return r.serve(postForm(path, v.Encode(), header...))
}

// get asks for the page.
func (r *rig) get(v url.Values) *httptest.ResponseRecorder {
	r.Helper()
	return r.serve(httptest.NewRequest(http.MethodGet, "https://a.test/oauth/authorization_token?"+v.Encode(), nil))
}

// asks is a request for a code.
func asks() url.Values {
	return values("response_type", "code", "client_id", "app", "redirect_uri", appAddress, "scope", "sasl_auth ejabberd:user",
		"state", "s&1", "code_challenge", challenge, "code_challenge_method", "S256")
}

// agrees is what the page sends for a request.
func agrees(v url.Values) url.Values {
	return with(v, "username", "romeo@a.test", "password", "secret", "allow", "yes")
}

// location returns where an answer leads, which begins with address.
func (r *rig) location(w *httptest.ResponseRecorder, address string) (rest string) {
	r.Helper()
	rest, ok := strings.CutPrefix(w.Header().Get("Location"), address)
	if w.Code != http.StatusSeeOther || !ok {
		r.Fatalf("got %d, Location %q, %s; want 303 to %s", w.Code, w.Header().Get("Location"), w.Body, address)
	}
	return rest
}

// query parses what follows an address.
func (r *rig) query(s string) url.Values {
	r.Helper()
	v, err := url.ParseQuery(s)
	if err != nil {
		r.Fatal(err)
	}
	return v
}

// code goes through the page and returns a code.
func (r *rig) code(v url.Values) string {
	r.Helper()
	w := r.post("authorization_token", agrees(v))
	code := r.query(r.location(w, v.Get("redirect_uri")+"&")).Get("code")
	if code == "" {
		r.Fatalf("there is no code in %s", w.Header().Get("Location"))
	}
	return code
}

// tokens is an answer of the token endpoint, or an error.
type tokens struct {
	Access    string `json:"access_token"`
	Type      string `json:"token_type"`
	ExpiresIn int64  `json:"expires_in"`
	Refresh   string `json:"refresh_token"`
	Scope     string `json:"scope"`

	Error string `json:"error"`
	Text  string `json:"error_description"`
}

func (r *rig) decode(w *httptest.ResponseRecorder, v any) {
	r.Helper()
	if w.Header().Get("Content-Type") != "application/json" || json.Unmarshal(w.Body.Bytes(), v) != nil {
		r.Fatalf("got %d, %s: %s; want JSON", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
}

// token asks for a token and wants one.
func (r *rig) token(v url.Values, header ...string) (a tokens) {
	r.Helper()
	w := r.post("token", v, header...)
	r.decode(w, &a)
	if w.Code != http.StatusOK || a.Access == "" || a.Type != "bearer" || w.Header().Get("Pragma") != "no-cache" {
		r.Fatalf("got %d: %s; want a token", w.Code, w.Body)
	}
	return a
}

// refused asks for something and wants an error.
func (r *rig) refused(path string, v url.Values, status int, code string, header ...string) {
	r.Helper()
	w := r.post(path, v, header...)
	var a tokens
	r.decode(w, &a)
	if w.Code != status || a.Error != code || a.Text == "" || a.Access != "" {
		r.Errorf("got %d: %s; want %d and %s", w.Code, w.Body, status, code)
	}
}

// wantUser wants a token of romeo, or none.
func (r *rig) wantUser(token, scopes string) {
	r.Helper()
	user, got, err := r.host.Tokens.Token(r.Context(), token)
	if good := err == nil; good != (scopes != "") || good && (user.String() != "romeo@a.test" || got != scopes) {
		r.Errorf("got %s, %q, %v; want scopes %q", user, got, err, scopes)
	}
}

// redeems is what a client asks for with a code.
func redeems(code string) url.Values {
	return values("grant_type", "authorization_code", "client_id", "app", "code", code, "redirect_uri", appAddress, "code_verifier", verifier)
}
