package main

import (
	"bytes"
	"flag"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"github.com/tidewaiter/tidewaiter/internal/load/stun"
	"github.com/tidewaiter/tidewaiter/internal/load/xmpp"
)

func TestParse(t *testing.T) {
	c, err := parse([]string{"sessions", "-n", "2000", "-pairs", "30", "-window", "4", "-sm", "-addr", "[::1]:1", "-accounts", "7"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	chat := c.job().(against[xmpp.Target])
	if w := chat.workload.(xmpp.Chat); w.Idle != 1940 || w.Pairs != 30 || w.Window != 4 || !w.Managed || chat.target.Accounts != 7 {
		t.Errorf("got %+v against %+v", w, chat.target)
	}
	c, err = parse(strings.Fields("federation -pairs 7 -peer-domain b.example -peer-pid 12 -tls -accounts 30 -user x"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.job().(against[xmpp.Target]).workload.(xmpp.Federation); w.Pairs != 7 || w.Window != 32 || w.Peer.Domain != "b.example" || w.Peer.PID != 12 || !w.Peer.TLS || w.Peer.Accounts != 30 || w.Peer.User != "x" {
		t.Errorf("got %+v with %+v", w, w.Peer)
	}
	c, err = parse(strings.Fields("component -n 3 -component-domain c.example -secret s"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.job().(against[xmpp.Target]).workload.(xmpp.Component); w.Clients != 3 || w.Window != 16 || w.Domain != "c.example" || w.Secret != "s" {
		t.Errorf("got %+v", w)
	}
	c, err = parse(strings.Fields("turn -n 3 -size 1000 -rate 50 -indications -addr 127.0.0.1:1 -user x -pid 7"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	turn := c.job().(against[stun.Target])
	if w := turn.workload.(stun.Relay); w.Clients != 3 || w.Window != 8 || w.Size != 1000 || w.Rate != 50 || !w.Send ||
		turn.target.Addr != "127.0.0.1:1" || turn.target.User != "x" || turn.target.PID != 7 {
		t.Errorf("got %+v against %+v", w, turn.target)
	}
	for _, name := range []string{"register", "login", "chat", "sessions", "idle", "presence", "offline", "component", "federation", "domains", "stun", "turn", "allocations", "idle-allocations"} {
		var help bytes.Buffer
		if _, err := parse([]string{name, "-h"}, &help); err != flag.ErrHelp || !strings.Contains(help.String(), "-addr") {
			t.Errorf("%s -h: got %v and %q", name, err, &help)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range []string{
		"dance", "chat -what", "chat more", "chat -pairs -1", "chat -pairs x", "login -n 99999999999",
		"chat -addr 192.0.2.1:5222", "chat -addr example.org:5222", "chat -addr nowhere",
		"component -component-addr 192.0.2.1:5347", "federation -peer-addr 192.0.2.1:5222", "domains -listen 0.0.0.0:5269",
		"stun -addr 192.0.2.1:3478", "stun -mechanism PLAIN", "turn -size x", "idle-allocations -n -1",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q: want an error", args)
		}
	}
	for _, args := range []string{"chat -addr localhost:1", "chat -addr 127.3.2.1:1", "chat -addr 192.0.2.1:5222 -anywhere"} {
		if _, err := parse(strings.Fields(args), io.Discard); err != nil {
			t.Errorf("%q: got %v", args, err)
		}
	}
}

func TestExitStatus(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	for _, c := range []struct {
		args string
		want int
	}{
		{"", exitUsage},
		{"dance", exitUsage},
		{"chat -h", 0},
		{"chat -addr " + ln.Addr().String(), exitFailed},
		{"idle -n 10000000 -addr " + ln.Addr().String(), exitNoRoom},
	} {
		if c.want == exitNoRoom {
			if _, ok := meter.Descriptors(0); !ok {
				continue
			}
		}
		var out, errs bytes.Buffer
		if got := run(t.Context(), strings.Fields(c.args), &out, &errs); got != c.want {
			t.Errorf("%q: got %d, want %d: %s", c.args, got, c.want, &errs)
		}
		if out.Len() > 0 {
			t.Errorf("%q: got a result: %s", c.args, &out)
		}
	}
}

func TestReport(t *testing.T) {
	var out, errs bytes.Buffer
	if got := report(meter.Result{Workload: "chat"}, "x", &out, &errs); got != 0 || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("got %d and %q, want 0 and one line", got, &out)
	}
	if got := report(meter.Result{Faults: meter.Faults{Lost: 1}}, "", &out, &errs); got != exitFaults {
		t.Errorf("with a fault: got %d, want %d", got, exitFaults)
	}
}
