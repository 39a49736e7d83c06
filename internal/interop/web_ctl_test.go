//go:build interop

package interop

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ctl has the server run a command.
func (s *server) ctl(t *testing.T, words ...string) (string, error) {
	t.Helper()
	return run(t, "", serverBinary, append([]string{"ctl", "-data", filepath.Join(s.dir, "data")}, words...)...)
}

// A person is registered, seen and asked about from the command line.
func TestWebCtl(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each call takes a second to end
	port := freePort(t)
	s := start(t, "hosts: [localhost]\nlisten:\n  - {port: "+port+", ip: 127.0.0.1, module: ejabberd_c2s, allow_plain_without_tls: true}\n", nil)
	cases := []struct {
		name, input string
		words       string
		status      int
		want        string // what it prints has this
	}{
		{"help", "", "help", 0, "connected_users"},
		{"help on a command", "", "help register", 0, "register USER HOST PASSWORD"},
		{"nothing", "", "", 2, "usage: "},
		{"nobody is there", "", "connected_users_number", 0, "0\n"},
		{"register", "", "register ana localhost " + password, 0, "ana@localhost"},
		{"register once more", "", "register ana localhost " + password, 1, "error: "},
		{"register with a password that nobody sees", password + "\n", "register bo localhost -", 0, "bo@localhost"},
		{"register elsewhere", "", "register ana example.com " + password, 1, "virtual host"},
		{"registered users", "", "registered_users localhost", 0, "ana\nbo\n"},
		{"right password", "", "check_password bo localhost " + password, 0, ""},
		{"wrong password", "", "check_password bo localhost wrong", 1, ""},
		{"unknown command", "", "registr", 2, "there is no command"},
		{"too few arguments", "", "register ana", 2, "register USER HOST PASSWORD"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			words := append([]string{"ctl", "-data", filepath.Join(s.dir, "data")}, strings.Fields(c.words)...)
			out, status := ctlStatus(t, c.input, words)
			if status != c.status || !strings.Contains(out, c.want) {
				t.Errorf("got status %d and %q, want %d and %q", status, out, c.status, c.want)
			}
		})
	}
	t.Run("who is there", func(t *testing.T) {
		ana := login(t, net.JoinHostPort("127.0.0.1", port), "localhost", "ana")
		login(t, net.JoinHostPort("127.0.0.1", port), "localhost", "bo")
		out, err := s.ctl(t, "connected_users")
		if want := "ana@localhost/boat\nbo@localhost/boat\n"; err != nil || out != want {
			t.Errorf("got %q and %v, want %q", out, err, want)
		}
		ana.leave()
		for deadline := time.Now().Add(patience); out != "1\n"; {
			if out, err = s.ctl(t, "connected_users_number"); err != nil || time.Now().After(deadline) {
				t.Fatalf("after one has left: got %q and %v, want 1", out, err)
			}
		}
	})
	t.Run("no server", func(t *testing.T) {
		out, status := ctlStatus(t, "", []string{"ctl", "-data", t.TempDir(), "help"})
		if status != 3 || !strings.Contains(out, "no server runs") {
			t.Errorf("got status %d and %q, want 3", status, out)
		}
	})
}

// ctlStatus runs a command line and returns its exit status.
func ctlStatus(t *testing.T, input string, words []string) (out string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), serverBinary, words...)
	cmd.Stdin = strings.NewReader(input)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}
