//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"mellium.im/xmpp"
)

// launchPlain starts a server on the configuration of the reload tests.
func launchPlain(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ejabberd.yml"), reloadConfig)
	if _, err := selfSigned(dir, []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	return launch(t, dir, env, args...)
}

// Sessions are told at once, and the process ends when they have ended, long
// before the deadline.
func TestStopWithClientsThatClose(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			p := launchPlain(t, nil, "-drain", "1h")
			ana, bo := p.login(t, 0, "ana", "anchor"), p.login(t, 1, "bo", "bollard")
			p.signal(t, sig)
			for name, session := range map[string]*xmpp.Session{"ana": ana, "bo": bo} {
				if got := readUntil(t, session, "system-shutdown").Name.Local; got != "system-shutdown" {
					t.Errorf("%s: got %q, want system-shutdown", name, got)
				}
				if c, err := net.Dial("tcp", p.addresses[0]); err == nil {
					c.Close()
					t.Error("connections are still taken")
				}
				_ = session.Close()
				_ = session.Conn().Close()
			}
			if state := p.ended(t); state.ExitCode() != statusOK {
				t.Errorf("got %v, want exit status 0", state)
			}
		})
	}
}

// A client that does not close has the time of -drain, and no more.
func TestStopWithClientsThatStay(t *testing.T) {
	p := launchPlain(t, nil, "-drain", "200ms")
	ana := p.login(t, 0, "ana", "anchor")
	silent, err := net.Dial("tcp", p.addresses[1]) // has not even begun its handshake
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p.signal(t, syscall.SIGTERM)
	if state := p.ended(t); state.ExitCode() != statusOK {
		t.Errorf("got %v, want exit status 0", state)
	}
	if got := readUntil(t, ana, "system-shutdown").Name.Local; got != "system-shutdown" {
		t.Errorf("got %q, want system-shutdown", got)
	}
	p.logged(t, "msg=stopped")
}

// A second signal ends the process at once, whatever is open. One to reload
// does not.
func TestSecondSignal(t *testing.T) {
	p := launchPlain(t, nil, "-drain", "1h")
	p.login(t, 0, "ana", "anchor")
	p.signal(t, syscall.SIGTERM)
	p.out.wait(t, "stopping: sessions have 1h0m0s to end")
	p.signal(t, syscall.SIGHUP)
	p.signal(t, syscall.SIGTERM)
	status, ok := p.ended(t).Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("got %v, want a process that SIGTERM has ended", p.cmd.ProcessState)
	}
}

// systemd is told of the start, the reload and the end.
func TestServiceManagerIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("", "tw") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	told := func(want string) {
		t.Helper()
		buf := make([]byte, 4096)
		_ = manager.SetReadDeadline(time.Now().Add(bound))
		n, err := manager.Read(buf)
		if got := string(buf[:n]); err != nil || !regexp.MustCompile("^(?:"+want+")$").MatchString(got) {
			t.Errorf("told %q, %v, want %s", got, err, want)
		}
	}
	p := launchPlain(t, []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "notify")})
	told("READY=1\nSTATUS=localhost, 2 listeners")
	p.reload(t, reloadConfig, "msg=reloaded")
	if runtime.GOOS == "linux" {
		told(`RELOADING=1\nMONOTONIC_USEC=\d+`)
	} else {
		told("RELOADING=1")
	}
	told("READY=1\nSTATUS=localhost, 2 listeners")
	p.reload(t, "listen: [nothing]", "reload failed")
	told("RELOADING=1(?s:.*)")
	told("READY=1\nSTATUS=localhost, 2 listeners")
	p.signal(t, syscall.SIGTERM)
	told("STOPPING=1\nSTATUS=sessions end")
	if state := p.ended(t); state.ExitCode() != statusOK {
		t.Errorf("got %v, want exit status 0", state)
	}
}

// Prometheus is answered while the server runs.
func TestMetricsOfTheProcess(t *testing.T) {
	p := launchPlain(t, nil, "-metrics", "127.0.0.1:0", "-drain", "0s")
	p.log.wait(t, "serving metrics")
	m := regexp.MustCompile(`msg="serving metrics" pkg=server listener=(\S+)`).FindStringSubmatch(p.log.String())
	if m == nil {
		t.Fatal("the log does not tell the address")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	scrape := func() string {
		t.Helper()
		r, err := client.Get("http://" + m[1] + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v:\n%s", r.Status, err, body)
		}
		parser := expfmt.NewTextParser(model.LegacyValidation)
		if _, err := parser.TextToMetricFamilies(bytes.NewReader(body)); err != nil {
			t.Fatalf("the parser says %v of:\n%s", err, body)
		}
		return string(body)
	}
	p.login(t, 0, "ana", "anchor")
	p.reload(t, "listen: [nothing]", "reload failed")
	text := scrape()
	for _, want := range []string{
		`tidewaiter_listener_connections_active{address="` + p.addresses[0] + `",module="ejabberd_c2s",network="tcp4"} 1`,
		`tidewaiter_config_loads_total{result="success"} 1`,
		`tidewaiter_config_loads_total{result="failure"} 1`,
		"tidewaiter_config_last_load_successful 0",
		"tidewaiter_config_last_load_success_timestamp_seconds 1.",
		`tidewaiter_certificate_expiry_timestamp_seconds{name="localhost"} `,
		`tidewaiter_build_info{go_version="` + runtime.Version() + `",version=`,
		"go_goroutines ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %s:\n%s", want, text)
		}
	}
	r, err := client.Get("http://" + m[1] + "/")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusNotFound {
		t.Errorf("another path: got %s, want 404", r.Status)
	}
	p.signal(t, syscall.SIGTERM)
	if state := p.ended(t); state.ExitCode() != statusOK {
		t.Errorf("got %v, want exit status 0", state)
	}
	if _, err := client.Get("http://" + m[1] + "/metrics"); err == nil {
		t.Error("metrics are served after the end")
	}
}

// Every line of the log is an object with -log-format json, also those of a
// configuration with mistakes.
func TestLogInJSON(t *testing.T) {
	p := launchPlain(t, nil, "-log-format", "json", "-drain", "0s")
	writeFile(t, filepath.Join(p.dir, "ejabberd.yml"), "loglevle: 5\nlisten: [nothing]\n")
	p.signal(t, syscall.SIGHUP)
	p.log.wait(t, "reload failed")
	p.signal(t, syscall.SIGTERM)
	p.ended(t)
	problems := 0
	for line := range strings.Lines(p.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if m["pkg"] == "" || m["pkg"] == nil {
			t.Errorf("got %s, want a package", line)
		}
		if m["problem"] != nil {
			problems++
		}
	}
	if problems < 3 { // the file has two mistakes and a warning
		t.Errorf("got %d problems, want all of the file", problems)
	}
}
