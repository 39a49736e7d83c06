//go:build interop && linux

package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// webNamespace says, to the copy of a test that runs in a network namespace, that it is
// the one.
const webNamespace = "TIDEWAITER_WEB_NAMESPACE"

// inNamespace runs a test in a network namespace of its own, which has nothing but
// loopback: there it may take any port.
func inNamespace(t *testing.T, test func(*testing.T)) {
	t.Helper()
	ip := need(t, "ip")
	if os.Getenv(webNamespace) == t.Name() {
		if out, err := run(t, "", ip, "link", "set", "lo", "up"); err != nil {
			t.Fatalf("ip link set lo up: %v\n%s", err, out)
		}
		test(t)
		return
	}
	var pattern []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	cmd := exec.Command(os.Args[0], "-test.run="+strings.Join(pattern, "/"), "-test.v", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), webNamespace+"="+t.Name())
	cmd.SysProcAttr = namespace()
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && cmd.Process == nil && os.Getenv("TIDEWAITER_CI") == "":
		t.Skipf("no network namespace here: %v", err)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" "):
		t.Errorf("%v\n%s", err, out)
	}
}

// urlOf returns the URL of the first listener for HTTP.
func (s *server) urlOf(t *testing.T) string {
	t.Helper()
	i := slices.IndexFunc(s.listeners, func(l listener) bool { return l.module == "ejabberd_http" && l.tls != "TLS" })
	if i < 0 {
		t.Fatalf("no listener for HTTP among %v", s.listeners)
	}
	return fmt.Sprintf("http://%s/", net.JoinHostPort(s.listeners[i].host, s.listeners[i].port))
}

// examples/server without a configuration serves the page, too.
func TestWebDefault(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		if errBuild != nil {
			t.Fatal(errBuild)
		}
		s := &server{dir: t.TempDir()}
		s.args = []string{"-data", filepath.Join(s.dir, "data"), "-register", "ana@localhost:" + password, "-register", "bo@localhost:" + password}
		t.Cleanup(func() { s.stop(t) })
		s.launch(t)
		site := s.urlOf(t)
		if !strings.Contains(site, "127.0.0.1") {
			t.Errorf("the first listener is at %s, want one at 127.0.0.1", site)
		}
		pageChat(t, chromium(t, ""), site, [2]string{"ana@localhost", "bo@localhost"}, [2]string{password, password})
	})
}

// specScripts returns the YAML blocks of the page about listen modules that are about
// XML-RPC, and the Python scripts that belong to them.
func specScripts(t *testing.T) (configs, scripts []string) {
	t.Helper()
	for _, b := range specBlocks(t) {
		if strings.Contains(b, "/xmlrpc: ejabberd_xmlrpc") {
			configs = append(configs, b)
		}
	}
	text, err := os.ReadFile(os.Getenv("TIDEWAITER_LISTEN_SPEC"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range regexp.MustCompile("(?ms)^``` ?python\n(.*?)^```").FindAllSubmatch(text, -1) {
		if strings.Contains(string(b[1]), "print(") {
			scripts = append(scripts, string(b[1]))
		}
	}
	if len(configs) != 2 || len(scripts) != 2 {
		t.Fatalf("the page has %d configurations and %d scripts for XML-RPC, want 2 of each", len(configs), len(scripts))
	}
	return configs, scripts
}

// The two scripts of the page run as they are printed, with the configurations that are
// printed above them.
func TestWebSpecScripts(t *testing.T) {
	for i, want := range []string{"{'num_sessions': 0}\n", "{'users': ['user1']}\n"} {
		t.Run([]string{"everybody", "one account"}[i], func(t *testing.T) {
			inNamespace(t, func(t *testing.T) {
				configs, scripts := specScripts(t)
				s := start(t, configs[i], nil, "-register", "user1@localhost:mypass11")
				out, err := run(t, "", "/usr/bin/python3", "-c", scripts[i])
				if err != nil || out != want {
					t.Errorf("got %q and %v, want %q", out, err, want)
				}
				if i == 0 {
					return
				}
				wrong := strings.Replace(scripts[i], "mypass11", "mypass12", 1)
				if out, err := run(t, "", "/usr/bin/python3", "-c", wrong); err == nil || !strings.Contains(out, "xmlrpc.client.Fault") || !strings.Contains(out, "-118") {
					t.Errorf("with a wrong password: got %q and %v, want fault -118", out, err)
				}
				for _, l := range s.listeners {
					if l.module == "ejabberd_http" && l.host != "::" {
						t.Errorf("it listens on %s, want ::", l.host)
					}
				}
			})
		})
	}
}
