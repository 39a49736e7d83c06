package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
)

func TestReport(t *testing.T) {
	tests := []struct {
		name, config string
		status       int
		want         string
	}{
		{"fine", "hosts: [one.test]\nlisten:\n  - {port: 5222, module: ejabberd_c2s}\n", 0, "1 listener, 0 warnings\n"},
		{
			"mistakes", "hosts: [one.test]\nloglevle: info\nlisten:\n  - {port: 99999, module: ejabberd_c2s, shaper: fast}\n", 1,
			"warning: FILE:4:49: listen[0].shaper: the shaper rule fast is not defined and sets no limit\n" +
				"error: FILE:2:1: loglevle: unknown option (did you mean loglevel?)\n" +
				"error: FILE:4:12: listen[0].port: want an integer from 0 to 65535, got 99999\n" +
				"2 errors, 1 warning\n",
		},
		{
			"servers and components", "hosts: [one.test]\ns2s_use_starttls: required\nlisten:\n  - {port: 5269, module: ejabberd_s2s_in, starttls: true}\n" +
				"  - {port: 5347, module: ejabberd_service}\n  - {port: 5348, module: ejabberd_service, password: x, hosts: {one.test: }}\n", 1,
			"warning: FILE:5:5: listen[1].password: missing, so no component can attach\n" +
				"error: FILE:2:19: s2s_use_starttls: there is no certificate, so no other server could connect; set certfiles at the top level\n" +
				"error: FILE:4:43: listen[0].starttls: unknown option of ejabberd_s2s_in; use s2s_use_starttls at the top level\n" +
				"error: FILE:6:65: listen[2].hosts[\"one.test\"]: one.test is one of hosts; a component needs a domain of its own\n" +
				"3 errors, 1 warning\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := host.New(host.Config{})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "ejabberd.yml")
			c, err := listen.Parse(file, []byte(tt.config), all.Registry(h, nil))
			var out strings.Builder
			status := report(&out, c, err)
			if got := strings.ReplaceAll(out.String(), file, "FILE"); got != tt.want || status != tt.status {
				t.Errorf("status %d, want %d; got:\n%s\nwant:\n%s", status, tt.status, got, tt.want)
			}
		})
	}
}

// The check leaves nothing behind.
func TestCheckMakesNoFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if status := check(flags{data: "data"}, t.Output()); status != 0 {
		t.Errorf("status of the built-in configuration: got %d, want 0", status)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the check left %v, %v", left, err)
	}
}
