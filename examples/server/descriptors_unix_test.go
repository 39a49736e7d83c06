//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A limit that is too low is told with the figures and the remedy; the Go
// runtime raises the soft limit by itself, so that a low soft limit alone is
// none.
func TestLowLimitIsTold(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell to set the limit with")
	}
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || uint64(l.Max) < 20_000 {
		t.Skipf("the hard limit here is %d, %v", l.Max, err)
	}
	tests := []struct {
		name, limits, want string
	}{
		{"hard", "ulimit -n 1000", `msg="the limit of open files is low: further connections will wait and fail when it is reached" pkg=server limit=1000 need=10066 remedy="LimitNOFILE=32768 in the unit of systemd, or ulimit -n 32768 before the start"`},
		{"soft", "ulimit -Sn 1000", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "ejabberd.yml"), reloadConfig)
			if _, err := selfSigned(dir, []string{"localhost"}); err != nil {
				t.Fatal(err)
			}
			p := begin(t, dir, nil, exec.Command("sh", "-c", tt.limits+` && exec "$0" "$@"`, os.Args[0], "-config", filepath.Join(dir, "ejabberd.yml"), "-data", dir))
			p.signal(t, syscall.SIGTERM)
			p.ended(t)
			if text := p.log.String(); tt.want == "" && strings.Contains(text, "limit of open files") || !strings.Contains(text, tt.want) {
				t.Errorf("got %s, want %q", text, tt.want)
			}
		})
	}
}
