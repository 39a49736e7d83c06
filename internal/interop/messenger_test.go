//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What a messenger needs, on a port that stays the same after a restart.
const messengerConfig = `
hosts: [localhost]
certfiles: [localhost.pem]
modules:
  mod_roster: {versioning: true}
  mod_offline: {}
  mod_last: {}
  mod_private: {}
  mod_vcard: {}
  mod_blocking: {}
  mod_carboncopy: {}
  mod_stream_mgmt: {}
listen:
  - {port: %s, ip: 127.0.0.1, module: ejabberd_c2s, starttls_required: true}
disable_sasl_mechanisms: [SCRAM-SHA-1-PLUS, SCRAM-SHA-256-PLUS, SCRAM-SHA-512-PLUS]
`

// Two people with two devices each: contacts, presence, carbons, block lists,
// cards and messages go on through a reload and outlive a kill -9.
func TestMessenger(t *testing.T) {
	ca := newAuthority(t)
	port := freePort(t)
	s := start(t, fmt.Sprintf(messengerConfig, port), map[string]string{
		"localhost.pem": ca.issue(t, "localhost"),
		"ca.pem":        ca.pem,
	}, "-register", "ana@localhost:anchor", "-register", "bo@localhost:bollard")

	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	arg, err := json.Marshal(map[string]any{
		"host": "127.0.0.1", "port": n, "ca": filepath.Join(s.dir, "ca.pem"), "domain": "localhost",
		"users": []map[string]string{{"name": "ana", "password": "anchor"}, {"name": "bo", "password": "bollard"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", filepath.Join("py", "messenger.py"), string(arg))
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	events := follow(out)
	defer func() {
		all := events.all()
		if err := cmd.Wait(); err != nil || !strings.HasSuffix(all, "done") {
			t.Errorf("messenger.py: %v\n%s\n%s", err, all, said.String())
		}
	}()
	for range 2 {
		switch line := events.wait(t, "a request", func(l string) bool { return strings.HasPrefix(l, "ask ") }); line {
		case "ask reload":
			write(t, filepath.Join(s.dir, "ejabberd.yml"), fmt.Sprintf(messengerConfig, port)+"\nmax_fsm_queue: 5000\n")
			s.cmd.Process.Signal(syscall.SIGHUP)
			s.log.wait(t, "the reload", func(l string) bool { return strings.Contains(l, "change=updated") })
		case "ask kill":
			s.kill(t)
			s.launch(t)
		default:
			t.Fatalf("unexpected %q", line)
		}
		if _, err := fmt.Fprintln(in, "done"); err != nil {
			t.Fatal(err)
		}
	}
}

// freePort returns a port that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		// Not one of those that the system gives to connections: such a one may be
		// taken by the time that it is used.
		port := strconv.Itoa(10000 + rand.IntN(20000))
		if ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}
