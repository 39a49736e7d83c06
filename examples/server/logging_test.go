package main

import (
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The configuration says what is logged, and a reload changes it.
func TestLogFollowsTheConfiguration(t *testing.T) {
	const rest = "hosts: [one.test]\nlisten:\n  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s}\n"
	tests := []struct {
		name, config string
		has, lacks   []string
	}{
		{"nothing said", "", []string{"pkg=listen", "pkg=server", "connection failed", "peer=127.0.0.1:"}, nil},
		{"words", "loglevel: warning\n", nil, []string{"level=INFO"}},
		{"numbers", "loglevel: 2\n", nil, []string{"level=INFO", "level=WARN"}},
		{"none", "loglevel: none\n", nil, []string{"level="}},
		{"packages", "loglevel: error\nlog_levels: {server: info}\n", []string{"pkg=server"}, []string{"pkg=listen"}},
		{"packages by number", "log_levels: {server: 0}\n", []string{"pkg=listen"}, []string{"pkg=server"}},
		{"hidden", "hide_sensitive_log_data: true\n", []string{`connection failed" pkg=c2s peer=(hidden)`, "listener=127.0.0.1:"}, []string{"peer=127.0.0.1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "ejabberd.yml")
			writeFile(t, file, "loglevel: none\n"+rest)
			var log output
			s := startLogging(t, flags{config: file, data: dir}, &log)
			log.Reset()
			writeFile(t, file, tt.config+strings.Replace(rest, "ejabberd_c2s", "ejabberd_c2s, max_stanza_size: 5000", 1))
			s.reload(t.Context())
			fail(t, s.listen.Stats()[0].Bound)
			for _, want := range tt.has {
				log.wait(t, want)
			}
			for _, want := range tt.lacks {
				if strings.Contains(log.String(), want) {
					t.Errorf("the log has %s:\n%s", want, log.String())
				}
			}
		})
	}
}

// fail makes a connection that fails, and waits for its end.
func fail(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "no XML"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, c)
}

// A flood of connections that fail costs few lines, which account for all.
func TestFloodInTheLog(t *testing.T) {
	const flood = 2000
	dir := t.TempDir()
	file := filepath.Join(dir, "ejabberd.yml")
	writeFile(t, file, "hosts: [one.test]\nlisten:\n  - {port: 0, ip: 127.0.0.1, module: ejabberd_c2s}\n")
	var log output
	s := startLogging(t, flags{config: file, data: dir}, &log)
	for range flood {
		fail(t, s.listen.Stats()[0].Bound)
	}
	if err := s.listen.Shutdown(t.Context()); err != nil { // the last summary comes with the end, if not before
		t.Fatal(err)
	}
	lines, total := 0, 0
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "connection") {
			lines++
		}
		if strings.Contains(line, `msg="connection failed"`) {
			total++
		}
		if _, n, ok := strings.Cut(strings.TrimSpace(line), "suppressed="); ok {
			more, _ := strconv.Atoi(n)
			total += more
		}
	}
	if lines > 100 || total != flood {
		t.Errorf("got %d lines that account for %d of %d failures", lines, total, flood)
	}
}

// Mistakes in the options of the log are found as all others are.
func TestMistakesAboutTheLog(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ejabberd.yml")
	writeFile(t, file, "hosts: [one.test]\nloglevel: loud\nlog_levels:\n  c2: debug\n  c2s: 7\nhide_sensitive_log_data: maybe\n")
	var out strings.Builder
	if status := check(flags{config: file, data: dir, check: true}, &out); status != statusError {
		t.Errorf("got status %d, want %d", status, statusError)
	}
	for _, want := range []string{
		"error: FILE:2:11: loglevel: want none, emergency, alert, critical, error, warning, notice, info, debug or a number from 0 to 5, got \"loud\"",
		"error: FILE:4:3: log_levels.c2: want server, listen, c2s, s2s, component, stun, host or store, got \"c2\" (did you mean c2s?)",
		"error: FILE:5:8: log_levels.c2s: want none,",
		"error: FILE:6:26: hide_sensitive_log_data: want true or false, got \"maybe\"",
	} {
		if got := strings.ReplaceAll(out.String(), file, "FILE"); !strings.Contains(got, want) {
			t.Errorf("got:\n%s\nwant a line %s", got, want)
		}
	}
}
