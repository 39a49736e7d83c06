//go:build interop

package interop

import (
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// oauthScenario is what py/oauth.py and js/oauth.mjs take.
type oauthScenario struct {
	Issuer    string            `json:"issuer"`
	Metadata  string            `json:"metadata"`
	Endpoints map[string]string `json:"endpoints"` // their paths below the issuer, by their name in the metadata
	CA        string            `json:"ca"`
	ClientID  string            `json:"client_id"`
	Redirect  string            `json:"redirect"`
	Scope     string            `json:"scope"`
	User      string            `json:"user"`
	Password  string            `json:"password"`
	API       string            `json:"api"` // a command that the scope is for
}

// oauthScenario is ana's at the server, with a client that is registered there.
func (w *webServer) oauthScenario(t *testing.T) oauthScenario {
	t.Helper()
	s := oauthScenario{
		Issuer: w.https + "/oauth",
		Endpoints: map[string]string{
			"authorization_endpoint": "/authorization_token", "token_endpoint": "/token",
			"revocation_endpoint": "/revoke", "introspection_endpoint": "/introspect",
		},
		CA: w.ca, ClientID: "dinghy", Redirect: "http://127.0.0.1:9/come", Scope: "ejabberd:admin sasl_auth",
		User: "ana@localhost", Password: password, API: w.https + "/api/registered_vhosts",
	}
	// RFC 8414, section 3.1
	s.Metadata = w.https + "/.well-known/oauth-authorization-server/oauth"
	if out, err := w.ctl(t, "oauth_add_client_code", s.ClientID, "Dinghy", s.Redirect); err != nil {
		t.Fatalf("to register a client: %v\n%s", err, out)
	}
	return s
}

// python starts a program of the folder py with the distribution's interpreter, which has
// the distribution's modules.
func python(t *testing.T, name string, arg any) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(arg)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "", "/usr/bin/python3", "-c", "import requests_oauthlib"); err != nil {
		t.Log(out)
		notInstalled(t, "python3-requests-oauthlib")
	}
	return exec.CommandContext(t.Context(), "/usr/bin/python3", filepath.Join("py", name), string(text))
}

// A client gets a code from the form and tokens for it, uses them at the API and as a
// password of XMPP, and gives them back.
func TestWebOAuthPython(t *testing.T) {
	w := webTidewaiter(t)
	c := launchCommand(t, python(t, "oauth.py", w.oauthScenario(t)))
	defer func() {
		if t.Failed() {
			c.stdin.Close()
			_ = c.cmd.Wait()
			t.Log(c.errs.String())
		}
	}()
	line := c.out.wait(t, "the access token", func(l string) bool { return strings.HasPrefix(l, "access ") })
	for _, path := range []string{"/ws", "/bosh"} {
		for _, mechanism := range []string{"OAUTHBEARER", "X-OAUTH2"} {
			t.Run(mechanism+" by "+path[1:], func(t *testing.T) {
				s := w.scenario(w.https, path)
				s.Password, s.Mechanism = strings.TrimPrefix(line, "access "), mechanism
				w.runs(t, "strophe.mjs", s, "bound ana@localhost/boat")
				s.Ana = "bo" // to whom the token does not belong
				launchCommand(t, w.node(t, "strophe.mjs", s)).fails(t)
			})
		}
	}
	if _, err := io.WriteString(c.stdin.(io.Writer), "go on\n"); err != nil {
		t.Fatal(err)
	}
	c.finish(t)
}

// Another client checks all that it can.
func TestWebOAuthNode(t *testing.T) {
	w := webTidewaiter(t)
	w.runs(t, "oauth.mjs", w.oauthScenario(t), "discovered", "token bearer", "refreshed", "revoked")
}

// ejabberd takes a token as strophe.js sends it: with the address in the place of the
// user's name.
func TestWebTokenReference(t *testing.T) {
	w := webEjabberd(t)
	r, body := curl(t, post(`{"jid":"ana@localhost","ttl":3600,"scopes":"sasl_auth"}`, append(asAna, w.http+"/api/oauth_issue_token")...)...)
	if r.StatusCode == 500 {
		notInstalled(t, "erlang-p1-oauth2")
	}
	var issued struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(body), &issued); err != nil {
		t.Fatalf("to issue a token: %q, %v", body, err)
	}
	s := w.scenario(w.https, "/ws")
	s.Password, s.Mechanism = issued.Token, "X-OAUTH2"
	w.runs(t, "strophe.mjs", s, "bound ana@localhost/boat")
}
