//go:build unix

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"mellium.im/xmlstream"
	"mellium.im/xmpp"
)

// process is a server in a process of its own.
type process struct {
	cmd       *exec.Cmd
	dir       string // of the configuration, the certificate and the data
	log       output
	out       output
	addresses []string // of the listeners, as the start table has them
	done      chan error
}

var tableLine = regexp.MustCompile(`(?m)^  (\S+:\d+) +tcp `)

// launch starts a server on the configuration ejabberd.yml in dir, with the
// accounts ana and bo, until the test ends. env is added to the environment.
func launch(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	args = append([]string{
		"-config", filepath.Join(dir, "ejabberd.yml"), "-data", dir,
		"-register", "ana@localhost:anchor", "-register", "bo@localhost:bollard",
	}, args...)
	return begin(t, dir, env, exec.Command(os.Args[0], args...))
}

// begin starts a command that becomes the server, and waits for its start table.
func begin(t *testing.T, dir string, env []string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, dir: dir, done: make(chan error, 1)}
	p.cmd.Env = append(append(os.Environ(), asServer+"=1"), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("standard output:\n%s\nlog:\n%s", p.out.String(), p.log.String())
		}
	})
	p.out.wait(t, "\nready:")
	for _, m := range tableLine.FindAllStringSubmatch(p.out.String(), -1) {
		p.addresses = append(p.addresses, m[1])
	}
	return p
}

// signal sends a signal.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ended waits for the end of the process and returns its state.
func (p *process) ended(t *testing.T) *os.ProcessState {
	t.Helper()
	select {
	case err := <-p.done:
		p.done <- err
		return p.cmd.ProcessState
	case <-time.After(bound):
		t.Fatal("the process does not end")
		return nil
	}
}

// login logs a client in on the i-th listener of the start table; the second
// does direct TLS.
func (p *process) login(t *testing.T, i int, user, password string) *xmpp.Session {
	t.Helper()
	return loginAt(t, p.addresses[i], i == 1, p.dir, user, password)
}

// reload writes a configuration, has it read, and waits for the line that says
// what came of it.
func (p *process) reload(t *testing.T, config, want string) {
	t.Helper()
	p.log.Reset()
	writeFile(t, filepath.Join(p.dir, "ejabberd.yml"), config)
	p.signal(t, syscall.SIGHUP)
	p.log.wait(t, want)
}

// readUntil reads what comes in on a session until an element with one of the
// names begins, and returns it; "" at the end of the stream.
func readUntil(t *testing.T, s *xmpp.Session, names ...string) xml.StartElement {
	t.Helper()
	_ = s.Conn().SetReadDeadline(time.Now().Add(bound))
	r := s.TokenReader()
	defer r.Close()
	d := xml.NewTokenDecoder(xmlstream.MultiReader(r))
	for {
		tok, err := d.Token()
		var timeout net.Error
		switch start, ok := tok.(xml.StartElement); {
		case errors.As(err, &timeout) && timeout.Timeout():
			t.Fatalf("nothing came, want one of %v", names)
		case err != nil && strings.Contains(err.Error(), names[0]): // mellium reads stream errors itself
			return xml.StartElement{Name: xml.Name{Local: names[0]}}
		case err != nil && !errors.Is(err, io.EOF):
			t.Logf("the stream ended with %v", err)
			return xml.StartElement{}
		case err != nil:
			return xml.StartElement{}
		case ok:
			for _, n := range names {
				if start.Name.Local == n {
					start = start.Copy()
					_ = d.Skip() // the rest of it; the stream may be over
					return start
				}
			}
		}
	}
}
