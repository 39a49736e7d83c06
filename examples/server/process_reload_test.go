//go:build unix

package main

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mellium.im/xmpp"
)

// The listeners of reloadConfig are the first two lines of the start table, so
// that more can follow.
const reloadConfig = `hosts: [localhost]
certfiles: [localhost.pem]
acl:
  removable: {user: nobody@localhost}
access_rules:
  may_remove: [{allow: removable}]
modules:
  mod_register: {access_remove: may_remove}
listen:
  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, starttls: true}
  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, tls: true}
`

// reloadWorld is a server with two sessions that are there before the reload.
type reloadWorld struct {
	*process
	ana, bo *xmpp.Session // by STARTTLS and direct TLS
}

// alive checks that both sessions go on.
func (w *reloadWorld) alive(t *testing.T) {
	t.Helper()
	chat(t, w.ana, w.bo, "ahoy")
	chat(t, w.bo, w.ana, "ahoy back")
}

// shown returns the fingerprint of the certificate that a new handshake gets.
func (w *reloadWorld) shown(t *testing.T) string {
	t.Helper()
	c, err := tls.Dial("tcp", w.addresses[1], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return fmt.Sprintf("%x", sha256.Sum256(c.ConnectionState().PeerCertificates[0].Raw))
}

// renew replaces the certificate of the server in its file.
func (w *reloadWorld) renew(t *testing.T) {
	t.Helper()
	path := filepath.Join(w.dir, "localhost.pem")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := selfSigned(w.dir, []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
}

// remove asks the server to remove the account of ana, and returns the type of
// the answer.
func (w *reloadWorld) remove(t *testing.T) string {
	t.Helper()
	if _, err := io.WriteString(w.ana.Conn(), "<iq type='set' id='r1'><query xmlns='jabber:iq:register'><remove/></query></iq>"); err != nil {
		t.Fatal(err)
	}
	for _, a := range readUntil(t, w.ana, "iq").Attr {
		if a.Name.Local == "type" {
			return a.Value
		}
	}
	return ""
}

func change(old, with string) string { return strings.Replace(reloadConfig, old, with, 1) }

// TestReloadOfTheProcess sends SIGHUP to the real server with sessions that are
// logged in, for every kind of change.
func TestReloadOfTheProcess(t *testing.T) {
	const third = "  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, access: all, starttls: true}\n"
	tests := []struct {
		name  string
		check func(t *testing.T, w *reloadWorld)
	}{
		{"nothing", func(t *testing.T, w *reloadWorld) {
			w.reload(t, reloadConfig, "msg=reloaded")
			for _, address := range w.addresses {
				w.logged(t, "msg=reload pkg=server listener="+address+" module=ejabberd_c2s change=kept\n")
			}
			w.logged(t, "certificates=1 changed=0")
			w.alive(t)
		}},
		{"option", func(t *testing.T, w *reloadWorld) {
			w.reload(t, change("starttls: true", "starttls_required: true"), "msg=reloaded")
			w.logged(t, "listener="+w.addresses[0]+` module=ejabberd_c2s change=updated options="starttls: true → unset, starttls_required: unset → true"`)
			w.alive(t)
			chat(t, w.login(t, 0, "ana", "anchor"), w.bo, "a new session")
		}},
		{"port", func(t *testing.T, w *reloadWorld) {
			w.reload(t, change("port: 0", fmt.Sprintf("port: %d", freePort(t))), "msg=reloaded")
			w.logged(t, "change=added", "listener="+w.addresses[0]+" module=ejabberd_c2s change=removed", "listener="+w.addresses[1]+" module=ejabberd_c2s change=kept")
			if got := readUntil(t, w.ana, "system-shutdown").Name.Local; got != "system-shutdown" {
				t.Errorf("session of the old port: got %q, want system-shutdown", got)
			}
			chat(t, w.bo, w.login(t, 1, "ana", "anchor"), "another way in")
		}},
		{"certificate", func(t *testing.T, w *reloadWorld) {
			before := w.shown(t)
			w.renew(t)
			if got := w.shown(t); got != before {
				t.Error("another certificate is shown before the reload")
			}
			w.reload(t, reloadConfig, "msg=reloaded")
			w.logged(t, "change=kept", `setting="certificate.localhost: until `, "certificates=1 changed=1")
			if got := w.shown(t); got == before {
				t.Error("the old certificate is shown after the reload")
			}
			w.alive(t)
			chat(t, w.login(t, 0, "ana", "anchor"), w.bo, "a new session") // trusts the new one alone
		}},
		{"acl", func(t *testing.T, w *reloadWorld) {
			if got := w.remove(t); got != "error" {
				t.Errorf("before the reload: got %s, want an error", got)
			}
			w.reload(t, change("nobody@localhost", "ana@localhost"), "msg=reloaded")
			w.logged(t, "change=kept", `setting="acl.removable: [user: nobody@localhost] → [user: ana@localhost]"`)
			w.alive(t)
			if got := w.remove(t); got != "result" {
				t.Errorf("the same session after the reload: got %s, want the result", got)
			}
		}},
		{"added listener", func(t *testing.T, w *reloadWorld) {
			w.reload(t, reloadConfig+third, "msg=reloaded")
			w.logged(t, "change=added")
			w.alive(t)
		}},
		{"removed listener", func(t *testing.T, w *reloadWorld) {
			config, _, _ := strings.Cut(reloadConfig, "  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s, tls")
			w.reload(t, config, "msg=reloaded")
			w.logged(t, "listener="+w.addresses[1]+" module=ejabberd_c2s change=removed")
			if c, err := net.Dial("tcp", w.addresses[1]); err == nil {
				c.Close()
				t.Error("the socket of the removed listener is still open")
			}
			if got := readUntil(t, w.bo, "system-shutdown").Name.Local; got != "system-shutdown" {
				t.Errorf("session of the removed listener: got %q, want system-shutdown", got)
			}
			chat(t, w.login(t, 0, "bo", "bollard"), w.ana, "another way in")
		}},
		{"broken file", func(t *testing.T, w *reloadWorld) {
			broken := change("starttls: true}", "starttls: perhaps}") + "loglevle: info\nacl: {}\n"
			w.reload(t, broken, "reload failed, the configuration is as before")
			file := filepath.Join(w.dir, "ejabberd.yml")
			w.logged(t, "problem=\""+file+":10:62: listen[0].starttls: want true or false", "problem=\""+file+":12:1: loglevle: unknown option (did you mean loglevel?)", "problem=\""+file+":13:1: acl:")
			w.alive(t)
			chat(t, w.login(t, 0, "ana", "anchor"), w.bo, "a new session")
			w.reload(t, reloadConfig, "msg=reloaded")
			w.logged(t, "change=kept")
		}},
		{"missing file", func(t *testing.T, w *reloadWorld) {
			if err := os.Remove(filepath.Join(w.dir, "ejabberd.yml")); err != nil {
				t.Fatal(err)
			}
			w.log.Reset()
			w.signal(t, syscall.SIGHUP)
			w.log.wait(t, "reload failed, the configuration is as before")
			w.logged(t, "no such file")
			w.alive(t)
			chat(t, w.login(t, 1, "ana", "anchor"), w.bo, "a new session")
		}},
		{"missing certificate", func(t *testing.T, w *reloadWorld) {
			w.reload(t, change("[localhost.pem]", "[localhost.pem, gone.pem]"), "reload failed, the configuration is as before")
			w.logged(t, "ejabberd.yml:2:28: certfiles[1]:", "gone.pem", "no such file")
			w.alive(t)
			chat(t, w.login(t, 1, "ana", "anchor"), w.bo, "a new session")
		}},
		{"taken port", func(t *testing.T, w *reloadWorld) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			taken := strings.Replace(third, "port: 0", fmt.Sprintf("port: %d", ln.Addr().(*net.TCPAddr).Port), 1)
			w.reload(t, change("nobody@localhost", "ana@localhost")+taken, "reload failed, the configuration is as before")
			w.logged(t, "ejabberd.yml:12:5: listen[2]:", "another program or listener has this address")
			if got := w.remove(t); got != "error" {
				t.Errorf("an ACL of the failed configuration applies: got %s", got)
			}
			w.alive(t)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "ejabberd.yml"), reloadConfig)
			if _, err := selfSigned(dir, []string{"localhost"}); err != nil {
				t.Fatal(err)
			}
			w := &reloadWorld{process: launch(t, dir, nil, "-drain", "100ms")}
			w.ana, w.bo = w.login(t, 0, "ana", "anchor"), w.login(t, 1, "bo", "bollard")
			w.alive(t)
			tt.check(t, w)
		})
	}
}

// logged checks that the log of the last reload has some texts.
func (p *process) logged(t *testing.T, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

// freePort returns a port of 127.0.0.1 that nobody uses.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}
