//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The production configuration runs on the sockets of the socket unit.
func TestSocketUnit(t *testing.T) {
	if !hasIPv6() {
		t.Skip("no IPv6 here: the socket unit opens sockets of both families")
	}
	if n := strings.Count(deployed(t, "tidewaiter.socket"), "\nListenStream="); n != 3 {
		t.Fatalf("the unit has %d sockets, want 3", n)
	}
	var files []*os.File
	var changes []string
	for _, port := range []string{"5222", "5223", "5269"} {
		ln, err := net.Listen("tcp", "[::]:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
		changes = append(changes, "port: "+port, fmt.Sprintf("port: %d", ln.Addr().(*net.TCPAddr).Port))
	}
	// The other listeners are on sockets of their own.
	changes = append(changes, "port: 3478", "port: 0", "port: 5349", "port: 0", "192.0.2.1", "127.0.0.1")
	f := productionConfig(t, changes...)
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "-config", f.config, "-data", f.data, "-drain", "0s")
	cmd.ExtraFiles = files
	p := begin(t, f.data, []string{"LISTEN_FDS=3", "LISTEN_FDNAMES=tidewaiter.socket:tidewaiter.socket:tidewaiter.socket"}, cmd)
	for i := range files {
		if want := strings.TrimPrefix(changes[2*i+1], "port: "); !strings.HasSuffix(p.addresses[i], ":"+want) {
			t.Errorf("listener %d is at %s, want port %s", i, p.addresses[i], want)
		}
	}
	p.signal(t, syscall.SIGTERM)
	p.ended(t)
	if text := p.log.String(); strings.Contains(text, "inherited socket") || strings.Contains(text, "level=ERROR") {
		t.Errorf("the log says:\n%s", text)
	}
}
