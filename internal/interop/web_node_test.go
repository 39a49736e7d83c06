//go:build interop

package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// webScenario is what js/websocket.mjs and js/strophe.mjs take.
type webScenario struct {
	Service   string `json:"service"`
	Domain    string `json:"domain"`
	Ana       string `json:"ana"`
	Bo        string `json:"bo"`
	Password  string `json:"password"`
	Mechanism string `json:"mechanism,omitempty"` // log in by this one, and no more
	Unbroken  bool   `json:"unbroken,omitempty"`  // connections stay, and sessions their pages
	Verbose   bool   `json:"verbose,omitempty"`
}

// scenario is ana's and bo's at a path of the server.
func (w *webServer) scenario(url, path string) webScenario {
	if path == "/ws" {
		url = "ws" + strings.TrimPrefix(url, "http")
	}
	return webScenario{
		Service: url + path, Domain: "localhost", Ana: "ana", Bo: "bo", Password: password,
		Verbose: os.Getenv("INTEROP_VERBOSE") != "",
	}
}

// node starts a program of the folder js. What it needs must be installed there.
func (w *webServer) node(t *testing.T, name string, arg any) *exec.Cmd {
	t.Helper()
	for _, p := range []string{"@xmpp/client", "strophe.js", "converse.js", "oauth4webapi", "ws", "xhr2"} {
		if _, err := os.Stat(filepath.Join("js", "node_modules", filepath.FromSlash(p))); err != nil {
			t.Fatalf("%s is not installed (npm --prefix internal/interop/js ci): %v", p, err)
		}
	}
	text, err := json.Marshal(arg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("js", name), string(text))
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+w.ca)
	return cmd
}

// runs runs a program to its good end, in which it must have said all these words.
func (w *webServer) runs(t *testing.T, name string, arg any, words ...string) {
	t.Helper()
	said := launchCommand(t, w.node(t, name, arg)).finish(t)
	for _, word := range words {
		if !slices.ContainsFunc(said, func(l string) bool { return strings.HasPrefix(l, word) }) {
			t.Errorf("%s does not say %q, but %q", name, word, said)
		}
	}
}

// Two clients of xmpp.js talk by WebSocket; one of them loses its connection, resumes its
// session, and nothing is lost or comes twice.
func TestWebSocketXMPPJS(t *testing.T) {
	for name, start := range webServers() {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			for scheme, url := range map[string]string{"ws": w.http, "wss": w.https} {
				t.Run(scheme, func(t *testing.T) {
					w.runs(t, "websocket.mjs", w.scenario(url, "/ws"), "bound", "messages 50 50", "resumed")
				})
			}
		})
	}
}

// Two clients of strophe.js do the same, by WebSocket and by BOSH, where what was lost is
// asked for once more, and another page takes a session over. With that other servers
// now and then lose a message or a session.
func TestWebStrophe(t *testing.T) {
	for name, start := range webServers() {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			for _, path := range []string{"/ws", "/bosh"} {
				t.Run(path[1:], func(t *testing.T) {
					s, words := w.scenario(w.http, path), []string{"refused", "bound", "messages 50", "reconnected"}
					if s.Unbroken = w.server == nil; !s.Unbroken {
						words = append(words, "replayed")
						if path == "/bosh" {
							words = append(words, "attached")
						}
					}
					w.runs(t, "strophe.mjs", s, words...)
				})
			}
		})
	}
}
