//go:build interop

package interop

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// scenario is what the client programs take.
type scenario struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	JID      string `json:"jid"`
	Password string `json:"password"`
	CA       string `json:"ca"`
	TLS      string `json:"tls"` // "starttls", "direct" or "none"
	Mech     string `json:"mech,omitempty"`
	Action   string `json:"action"` // "echo", "talk", "login", "register", "unregister"
	Peer     string `json:"peer,omitempty"`
	Cert     string `json:"cert,omitempty"` // PEM file with the client's key and certificate
}

// at points a scenario to a listener.
func (s scenario) at(l listener) scenario {
	s.Host = l.host
	s.Port, _ = strconv.Atoi(l.port)
	return s
}

// program starts a client program on a scenario.
type program func(t *testing.T, s scenario) *exec.Cmd

func slixmpp(t *testing.T, s scenario) *exec.Cmd {
	// The distribution's interpreter has the distribution's slixmpp.
	return command(t, s, "/usr/bin/python3", filepath.Join("py", "client.py"))
}

func xmppjs(t *testing.T, s scenario) *exec.Cmd {
	if _, err := os.Stat(filepath.Join("js", "node_modules", "@xmpp", "client")); err != nil {
		t.Fatalf("xmpp.js is not installed (npm --prefix internal/interop/js ci): %v", err)
	}
	return command(t, s, "node", filepath.Join("js", "client.mjs"))
}

func command(t *testing.T, s scenario, name string, args ...string) *exec.Cmd {
	t.Helper()
	arg, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, append(args, string(arg))...)
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+s.CA)
	return cmd
}

// client is a running client program.
type client struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *lines
	errs  strings.Builder
}

func launch(t *testing.T, p program, s scenario) *client {
	t.Helper()
	return launchCommand(t, p(t, s))
}

func launchCommand(t *testing.T, cmd *exec.Cmd) *client {
	t.Helper()
	c := &client{cmd: cmd}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = &c.errs
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.out = follow(out)
	return c
}

// ready waits for the address of an echoing client.
func (c *client) ready(t *testing.T) string {
	t.Helper()
	defer func() {
		if t.Failed() {
			c.cmd.Wait()
			t.Log(c.errs.String())
		}
	}()
	line := c.out.wait(t, "the echo's address", func(l string) bool { return strings.HasPrefix(l, "ready ") })
	return strings.TrimPrefix(line, "ready ")
}

// finish waits for the program's end, which must be a good one, and returns
// its lines.
func (c *client) finish(t *testing.T) []string {
	t.Helper()
	c.stdin.Close()
	all := c.out.all()
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", filepath.Base(c.cmd.Path), err, all, c.errs.String())
	}
	ls := strings.Split(all, "\n")
	if ls[len(ls)-1] != "done" {
		t.Fatalf("%s did not finish: %q", filepath.Base(c.cmd.Path), ls)
	}
	return ls
}

// fails waits for the program's end, which must be a bad one, and returns what
// it said.
func (c *client) fails(t *testing.T) string {
	t.Helper()
	c.stdin.Close()
	all := c.out.all()
	if err := c.cmd.Wait(); err == nil {
		t.Fatalf("%s succeeded: %q", filepath.Base(c.cmd.Path), all)
	}
	return c.errs.String()
}
