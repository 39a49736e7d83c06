//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd/ctl"
)

// order runs a command that has to succeed, and returns what it prints.
func (p *process) order(t *testing.T, words ...string) string {
	t.Helper()
	out, errOut, status := runCtl(t, p.dir, "", words...)
	if status != ctl.StatusOK || errOut != "" {
		t.Fatalf("%v: got status %d and %q, want success", words, status, errOut)
	}
	return strings.TrimSuffix(out, "\n")
}

// Commands end the process as signals do, or at once, or put a new one in its place.
func TestCommandsEndTheProcess(t *testing.T) {
	t.Run("stop", func(t *testing.T) {
		p := launchPlain(t, nil, "-drain", "1h")
		ana := p.login(t, 0, "ana", "anchor")
		p.order(t, "stop")
		if got := readUntil(t, ana, "system-shutdown").Name.Local; got != "system-shutdown" {
			t.Errorf("got %q, want system-shutdown", got)
		}
		_ = ana.Close()
		_ = ana.Conn().Close()
		if state := p.ended(t); state.ExitCode() != statusOK {
			t.Errorf("got %v, want exit status 0", state)
		}
	})
	t.Run("halt", func(t *testing.T) {
		p := launchPlain(t, nil, "-drain", "1h")
		ana := p.login(t, 0, "ana", "anchor")
		p.order(t, "halt")
		if got := readUntil(t, ana, "system-shutdown").Name.Local; got != "" {
			t.Errorf("got %q, want no farewell", got)
		}
		if state := p.ended(t); state.ExitCode() != statusError || !strings.Contains(p.log.String(), "halted") {
			t.Errorf("got %v, want exit status 1 and the reason", state)
		}
	})
	t.Run("restart", func(t *testing.T) {
		p := launchPlain(t, nil, "-drain", "10s")
		p.order(t, "register", "cy", "localhost", "capstan")
		p.out.Reset()
		p.order(t, "restart_kindly", "0", "back soon")
		p.out.wait(t, "\nready:")
		p.addresses = nil
		for _, m := range tableLine.FindAllStringSubmatch(p.out.String(), -1) {
			p.addresses = append(p.addresses, m[1])
		}
		cy := p.login(t, 0, "cy", "capstan")
		_ = cy.Close()
		_ = cy.Conn().Close()
		p.order(t, "stop")
		if state := p.ended(t); state.ExitCode() != statusOK {
			t.Errorf("got %v, want exit status 0", state)
		}
	})
}

func TestCommandsAboutTheProcess(t *testing.T) {
	p := launchPlain(t, nil)
	ana := p.login(t, 0, "ana", "anchor")
	if got := p.order(t, "get_loglevel"); got != "info" {
		t.Errorf("got the level %q, want info", got)
	}
	p.order(t, "set_loglevel", "debug")
	if got := p.order(t, "get_loglevel"); got != "debug" {
		t.Errorf("got the level %q, want debug", got)
	}
	writeFile(t, filepath.Join(p.dir, "ejabberd.yml"), reloadConfig+"loglevel: error\n")
	p.order(t, "reload_config")
	if got := p.order(t, "get_loglevel"); got != "error" {
		t.Errorf("got the level %q after the reload, want error", got)
	}
	writeFile(t, filepath.Join(p.dir, "ejabberd.yml"), reloadConfig+"logleve: error\n")
	if _, errOut, status := runCtl(t, p.dir, "", "reload_config"); status != ctl.StatusError || !strings.Contains(errOut, "did you mean loglevel?") {
		t.Errorf("got status %d and %q, want what is wrong", status, errOut)
	}
	for _, words := range [][]string{{"incoming_s2s_number"}, {"outgoing_s2s_number"}} {
		if got := p.order(t, words...); got != "0" {
			t.Errorf("%v: got %q, want 0", words, got)
		}
	}
	p.order(t, "stop_s2s_connections")
	chat(t, ana, ana, "still here")
}
