//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// SIGHUP with new certificates and options: the sessions go on, and new ones
// see what is new.
func TestReload(t *testing.T) {
	s, base := c2sServer(t)
	starttls := s.find(t, "STARTTLS")
	base = base.at(starttls)
	base.TLS = "starttls"
	bo := base
	bo.JID, bo.Password, bo.Action = "bo@localhost/pier", "bollard", "echo"
	echo := launch(t, xmppjs, bo)
	ana := base
	ana.JID, ana.Password, ana.Action, ana.Peer = "ana@localhost/boat", "anchor", "talk", echo.ready(t)
	launch(t, slixmpp, ana).finish(t)

	ca := newAuthority(t)
	write(t, filepath.Join(s.dir, "localhost.pem"), ca.issue(t, "localhost"))
	write(t, filepath.Join(s.dir, "second.pem"), ca.issue(t, "second.test"))
	config := strings.Replace(c2sConfig, "starttls: true}", "starttls_required: true}", 1)
	write(t, filepath.Join(s.dir, "ejabberd.yml"), config)
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.log.wait(t, "the reload", func(l string) bool { return strings.Contains(l, "change=updated") })

	if said := launch(t, slixmpp, ana).fails(t); said == "" {
		t.Error("a client that trusts the old CA logged in")
	}
	write(t, filepath.Join(s.dir, "ca.pem"), ca.pem)
	launch(t, slixmpp, ana).finish(t) // with the client that was there before
	echo.finish(t)

	if err := os.Remove(filepath.Join(s.dir, "second.pem")); err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.log.wait(t, "the refusal", func(l string) bool { return strings.Contains(l, "no such file") })
	ana.Action = "login"
	launch(t, slixmpp, ana).finish(t)
}
