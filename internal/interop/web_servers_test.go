//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"text/template"

	"testing"
)

// webServer serves localhost by HTTP on 127.0.0.1: WebSocket at /ws, BOSH at /bosh and,
// where it has them, /api, /xmlrpc and /oauth. Its users are ana and bo; their password is
// that of all people here.
type webServer struct {
	*process // nil for Tidewaiter
	*server  // Tidewaiter's

	http, https string // URLs, without a path
	ca          string // PEM file: who vouches for its certificate
}

// webServers are those that the clients are tried with: those of others show that a
// client and its test are right.
func webServers() map[string]func(*testing.T) *webServer {
	return map[string]func(*testing.T) *webServer{"tidewaiter": webTidewaiter, "ejabberd": webEjabberd, "prosody": webProsody}
}

// webSetup is what a configuration is made of.
type webSetup struct {
	Dir              string
	Cert             string // PEM file of localhost
	C2S, HTTP, HTTPS string // ports
}

func newWebServer(t *testing.T, config string) (w *webServer, s webSetup, path string) {
	t.Helper()
	ca := newAuthority(t)
	s = webSetup{Dir: t.TempDir(), C2S: freePort(t), HTTP: freePort(t), HTTPS: freePort(t)}
	s.Cert = filepath.Join(s.Dir, "localhost.pem")
	write(t, s.Cert, ca.issue(t, "localhost"))
	w = &webServer{http: "http://127.0.0.1:" + s.HTTP, https: "https://localhost:" + s.HTTPS, ca: filepath.Join(s.Dir, "ca.pem")}
	write(t, w.ca, ca.pem)
	tmpl, err := template.ParseFiles(filepath.Join("testdata", config))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, s); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(s.Dir, config)
	write(t, path, out.String())
	return w, s, path
}

// serve launches a server of somebody else until the test ends, and makes the accounts.
func (w *webServer) serve(t *testing.T, s webSetup, p *process) *webServer {
	t.Helper()
	p.dir, p.ready, w.process = s.Dir, net.JoinHostPort("127.0.0.1", s.C2S), p
	t.Cleanup(func() {
		if p.cmd != nil {
			p.stop()
		}
		p.keep(t)
	})
	p.launch(t)
	for _, user := range []string{"ana", "bo"} {
		register(t, p.ready, "localhost", user)
	}
	return w
}

func webTidewaiter(t *testing.T) *webServer {
	t.Helper()
	w, s, path := newWebServer(t, "tidewaiter-web.yml")
	w.server = &server{dir: s.Dir}
	w.begin(t, path, "-register", "ana@localhost:"+password, "-register", "bo@localhost:"+password)
	return w
}

func webProsody(t *testing.T) *webServer {
	t.Helper()
	program := need(t, "prosody")
	w, s, path := newWebServer(t, "prosody-web.cfg.lua")
	return w.serve(t, s, &process{name: "prosody", program: []string{program, "-F", "--config", path}})
}

func webEjabberd(t *testing.T) *webServer {
	t.Helper()
	ctl, program := need(t, "ejabberdctl"), need(t, "erl")
	w, s, path := newWebServer(t, "ejabberd-web.yml")
	text, err := os.ReadFile(ctl)
	if err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(s.Dir, "spool")
	if err := os.Mkdir(spool, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &process{
		name: "ejabberd",
		program: []string{program,
			"-sname", "interop" + s.C2S + "@localhost", "-start_epmd", "false", "-erl_epmd_port", freePort(t),
			"-setcookie", "interop", "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
			"-mnesia", "dir", fmt.Sprintf("%q", spool), "-ejabberd", "log_rotate_count", "0", "-s", "ejabberd", "-noinput"},
		env: []string{"HOME=" + s.Dir, "EJABBERD_CONFIG_PATH=" + path, "EJABBERD_LOG_PATH=" + filepath.Join(s.Dir, "log"),
			"ERL_CRASH_DUMP=" + filepath.Join(s.Dir, "crash")},
	}
	if m := erlangLibraries.FindSubmatch(text); m != nil {
		p.env = append(p.env, "ERL_LIBS="+string(m[1]))
	}
	return w.serve(t, s, p)
}
