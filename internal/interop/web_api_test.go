//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// curl makes a request with curl and returns the answer, with its body.
func curl(t *testing.T, args ...string) (*http.Response, string) {
	t.Helper()
	out, err := run(t, "", need(t, "curl"), append([]string{"-sS", "-i", "--max-time", "20"}, args...)...)
	if err != nil {
		t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(out)), nil)
	if err != nil {
		t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	return r, string(body)
}

// curlCase is a request for the HTTP API and what it is answered.
type curlCase struct {
	name   string
	args   []string
	path   string // below /api
	status int
	body   string // a pattern
	all    bool   // ejabberd of Debian, which knows no versions, answers so, too
}

var (
	asAna    = []string{"-u", "ana@localhost:" + password}
	asBo     = []string{"-u", "bo@localhost:" + password}
	asNobody = []string{"-u", "ana@localhost:wrong"}
)

// post returns the arguments for a POST.
func post(body string, more ...string) []string {
	return append([]string{"-H", "Content-Type: application/json", "--data-binary", body}, more...)
}

var curlCases = []curlCase{
	{"POST without credentials", post("{}"), "/connected_users_number", 200, `^0$`, false},
	{"POST of a line end", post("\n"), "/connected_users_number", 200, `^0$`, false},
	{"GET without credentials", nil, "/connected_users_number", 200, `^0$`, false},
	{"not for everybody", nil, "/registered_users?host=localhost", 403, `"code":32`, true},
	{"not for bo", asBo, "/registered_users?host=localhost", 403, `"code":32`, true},
	{"GET by Basic", asAna, "/registered_users?host=localhost", 200, `^\["ana","bo"\]$`, true},
	{"POST by Basic", post(`{"host":"localhost"}`, asAna...), "/registered_users", 200, `^\["ana","bo"\]$`, true},
	{"wrong password", asNobody, "/connected_users_number", 401, `"code":10`, true},
	{"wrong token", []string{"-H", "Authorization: Bearer guess"}, "/connected_users_number", 401, `"code":10`, true},
	{"other scheme", []string{"-H", "Authorization: Digest x=y"}, "/connected_users_number", 401, `"code":10`, false},
	{"no body", post("", asAna...), "/registered_users", 400, ``, false},
	{"bad JSON", post("{", asAna...), "/registered_users", 400, ``, true},
	{"an array", post("[1]", asAna...), "/registered_users", 400, ``, false},
	{"argument missing", asAna, "/registered_users", 400, ``, true},
	{"argument too many", asAna, "/registered_users?host=localhost&port=1", 400, ``, true},
	{"argument of another type", post(`{"host":{"a":1}}`, asAna...), "/registered_users", 400, ``, false},
	{"virtual host of others", asAna, "/registered_users?host=example.com", 403, `"code":32`, false},
	{"unknown command", asAna, "/registered_user", 404, `"code":44`, false},
	{"no command", asAna, "", 400, `"code":40`, false},
	{"other method", append([]string{"-X", "DELETE"}, asAna...), "/registered_users?host=localhost", 400, `"code":40`, false},
	{"version 0", nil, "/connected_users_number/v0", 200, `^\{"num_sessions":0\}$`, false},
	{"version 1", nil, "/connected_users_number/v1", 200, `^0$`, false},
	{"version 2", nil, "/connected_users_number/v2", 200, `^0$`, false},
	{"version 99", nil, "/connected_users_number/v99", 200, `^0$`, false},
	{"register", post(`{"user":"cy","host":"localhost","password":"capstan"}`, asAna...), "/register", 200, `cy@localhost`, true},
	{"register once more", post(`{"user":"cy","host":"localhost","password":"capstan"}`, asAna...), "/register", 409, `10090`, true},
	{"yes", post(`{"user":"cy","host":"localhost"}`, asAna...), "/check_account", 200, `^0$`, false},
	{"no", post(`{"user":"dee","host":"localhost"}`, asAna...), "/check_account", 200, `^1$`, false},
	{"no, in version 0", post(`{"user":"dee","host":"localhost"}`, asAna...), "/check_account/v0", 200, `^\{"res":1\}$|^1$`, false},
}

// curl uses the HTTP API.
func TestWebCurl(t *testing.T) {
	for _, name := range []string{"tidewaiter", "ejabberd"} {
		t.Run(name, func(t *testing.T) {
			w := webServers()[name](t)
			for _, c := range curlCases {
				if name == "ejabberd" && !c.all {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					r, body := curl(t, append(c.args, w.http+"/api"+c.path)...)
					if r.StatusCode != c.status || !regexp.MustCompile(c.body).MatchString(strings.TrimSpace(body)) {
						t.Errorf("got %s and %q, want %d and %s", r.Status, body, c.status, c.body)
					}
					if got := r.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") || !json.Valid([]byte(body)) {
						t.Errorf("got %q as %s, want JSON", body, got)
					}
					if got := r.Header.Get("Access-Control-Allow-Origin"); got != "*" {
						t.Errorf("got Access-Control-Allow-Origin %q, want *", got)
					}
				})
			}
			t.Run("OPTIONS", func(t *testing.T) { webPreflight(t, w.http+"/api/registered_users", "Authorization", "GET", "POST") })
			t.Run("OPTIONS of BOSH", func(t *testing.T) { webPreflight(t, w.http+"/bosh", "Content-Type", "POST") })
			t.Run("HTTPS", func(t *testing.T) {
				r, body := curl(t, append([]string{"--http1.1", "--cacert", w.ca, w.https + "/api/registered_users?host=localhost"}, asBo...)...)
				if r.StatusCode != 403 {
					t.Errorf("got %s and %q, want 403", r.Status, body)
				}
			})
			if name == "tidewaiter" {
				t.Run("Bearer", func(t *testing.T) { curlBearer(t, w) })
			}
		})
	}
}

// webPreflight asks as a browser does before a request from another site. See the Fetch
// standard, section 3.2.3.
func webPreflight(t *testing.T, url, header string, methods ...string) {
	t.Helper()
	r, body := curl(t, "-X", "OPTIONS", "-H", "Origin: https://chat.example", "-H", "Access-Control-Request-Method: POST",
		"-H", "Access-Control-Request-Headers: "+strings.ToLower(header), url)
	if r.StatusCode/100 != 2 || r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("got %s and %v, want that everybody may: %q", r.Status, r.Header, body)
	}
	list := func(name string) []string {
		return strings.FieldsFunc(strings.ToLower(r.Header.Get(name)), func(c rune) bool { return c == ',' || c == ' ' })
	}
	for _, m := range methods {
		if !slices.Contains(list("Access-Control-Allow-Methods"), strings.ToLower(m)) {
			t.Errorf("methods: got %v, want %s", slices.Collect(maps.Keys(r.Header)), m)
		}
	}
	if !slices.Contains(list("Access-Control-Allow-Headers"), strings.ToLower(header)) {
		t.Errorf("headers: got %q, want %s", r.Header.Get("Access-Control-Allow-Headers"), header)
	}
}

// curlBearer uses a token that the command line has made.
func curlBearer(t *testing.T, w *webServer) {
	t.Helper()
	for jid, want := range map[string]int{"ana@localhost": 200, "bo@localhost": 403} {
		r, body := curl(t, post(`{"jid":"`+jid+`","ttl":3600,"scopes":["ejabberd:admin"]}`, append(asAna, w.http+"/api/oauth_issue_token")...)...)
		var issued struct {
			Token  string   `json:"token"`
			Scopes []string `json:"scopes"`
		}
		if err := json.Unmarshal([]byte(body), &issued); err != nil || r.StatusCode != 200 || issued.Token == "" {
			t.Fatalf("to issue a token: %s and %q, %v", r.Status, body, err)
		}
		bearer := "Authorization: Bearer " + issued.Token
		if r, body := curl(t, "-H", bearer, w.http+"/api/registered_users?host=localhost"); r.StatusCode != want {
			t.Errorf("%s: got %s and %q, want %d", jid, r.Status, body, want)
		}
		if _, err := w.ctl(t, "oauth_revoke_token", issued.Token); err != nil {
			t.Errorf("to revoke the token: %v", err)
		}
		if r, body := curl(t, "-H", bearer, w.http+"/api/connected_users_number"); r.StatusCode != 401 {
			t.Errorf("%s, revoked: got %s and %q, want 401", jid, r.Status, body)
		}
	}
}
