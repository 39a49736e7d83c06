package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/version"
)

func TestServerCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := host.New(host.Config{Options: hosts("a.test", "b.test"), Version: version.Info{Name: "Tidewaiter", Version: "1.2.3"}})
		if err != nil {
			t.Fatal(err)
		}
		create(t, h.Accounts, "romeo@a.test", "secret")
		create(t, h.Accounts, "tybalt@b.test", "secret")
		create(t, h.Accounts, "paris@b.test", "secret")
		r := rig{t, h}
		r.bind("romeo@a.test/1", "")
		r.bind("romeo@a.test/2", "")
		r.bind("tybalt@b.test/1", "")
		machine, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(90*time.Second + time.Millisecond)
		r.want("The node tidewaiter@"+machine+" is started\nTidewaiter 1.2.3 is running in that node", "status")
		for name, want := range map[string]string{"registeredusers": "3", "onlineusers": "3", "onlineusersnode": "3", "uptimeseconds": "90"} {
			r.want(want, "stats", "name", name)
		}
		if got, fault := r.call("stats", "name", "processes"); fault != nil || got.(int) < 1 {
			t.Errorf("got %v processes and %v, want at least this one", got, fault)
		}
		r.want("1", "stats_host", "name", "registeredusers", "host", "a.test")
		r.want("2", "stats_host", "name", "onlineusers", "host", "a.test")
		r.fails(command.BadArgument, "name", "stats", "name", "load")
		r.fails(command.BadArgument, "name", "stats_host", "name", "uptimeseconds", "host", "a.test")
		r.done("gc")
	})
}

// What the program does not offer is no command, and what it does is called.
func TestProcessCommands(t *testing.T) {
	var calls []string
	note := func(name string) { calls = append(calls, name) }
	task := func(name string) func(context.Context) error {
		return func(context.Context) error { note(name); return nil }
	}
	level := "info"
	r := newRig(t)
	s := r.bind("romeo@a.test/x", "")
	for _, tt := range []struct {
		p     host.Process
		names string // of the commands that there are then
		calls func()
		want  string
	}{
		{host.Process{}, "", func() {}, ""},
		{
			host.Process{Stop: func(d time.Duration) { note("stop " + d.String()) }}, "stop stop_kindly",
			func() {
				r.done("stop")
				r.done("stop_kindly", "delay", 60, "announcement", "So long & thanks")
				r.wantLast(s, "<message from='a.test' to='romeo@a.test/x' type='headline'><subject>Server stop in 60 seconds!</subject><body>So long &amp; thanks</body></message>")
				for _, delay := range []int{-1, 86401} {
					r.fails(command.BadArgument, "delay", "stop_kindly", "delay", delay, "announcement", "")
				}
				r.fails(command.BadArgument, "announcement", "stop_kindly", "delay", 0, "announcement", strings.Repeat("x", 256<<10))
			},
			"stop 0s, stop 1m0s",
		},
		{
			host.Process{Restart: func(d time.Duration) { note("restart " + d.String()) }}, "restart restart_kindly",
			func() { r.done("restart"); r.done("restart_kindly", "delay", 1, "announcement", "") }, "restart 0s, restart 1s",
		},
		{host.Process{Halt: func() { note("halt") }}, "halt", func() { r.done("halt") }, "halt"},
		{host.Process{Reload: task("reload")}, "reload_config", func() { r.done("reload_config") }, "reload"},
		{
			host.Process{DumpConfig: func(_ context.Context, file string) error { note("dump " + file); return nil }}, "dump_config",
			func() {
				r.done("dump_config", "out", "/tmp/x.yml")
				r.fails(command.BadArgument, "out", "dump_config", "out", "")
			},
			"dump /tmp/x.yml",
		},
		{host.Process{ReopenLog: task("reopen")}, "reopen_log rotate_log", func() { r.done("reopen_log"); r.done("rotate_log") }, "reopen, reopen"},
		{host.Process{LogLevel: func() string { return level }}, "get_loglevel", func() { r.want("info", "get_loglevel") }, ""},
		{
			host.Process{SetLogLevel: func(l string) error { level = l; note("level " + l); return nil }}, "set_loglevel",
			func() {
				r.done("set_loglevel", "loglevel", "debug")
				r.done("set_loglevel", "loglevel", "4")
				r.fails(command.BadArgument, "loglevel", "set_loglevel", "loglevel", "loud")
			},
			"level debug, level info",
		},
		{
			host.Process{S2SNumbers: func() (int, int) { return 3, 4 }}, "incoming_s2s_number outgoing_s2s_number",
			func() { r.want("3", "incoming_s2s_number"); r.want("4", "outgoing_s2s_number") }, "",
		},
		{host.Process{StopS2S: task("s2s")}, "stop_s2s_connections", func() { r.done("stop_s2s_connections") }, "s2s"},
	} {
		before := r.h.Commands.List()
		if err := r.h.SetProcess(tt.p); err != nil {
			t.Fatal(err)
		}
		if got, want := len(r.h.Commands.List())-len(before), len(strings.Fields(tt.names)); got != want {
			t.Errorf("%s: there are %d commands more, want %d", tt.names, got, want)
		}
		for _, name := range strings.Fields(tt.names) {
			if _, ok := r.h.Commands.Get(name); !ok {
				t.Errorf("there is no %s", name)
			}
		}
		calls = nil
		tt.calls()
		if got := strings.Join(calls, ", "); got != tt.want {
			t.Errorf("%s: got the calls %q, want %q", tt.names, got, tt.want)
		}
	}
	if err := r.h.SetProcess(wholeProcess()); err == nil {
		t.Error("the commands can be registered twice, want an error")
	}
}

// The caller is told why the program cannot do something.
func TestProcessFails(t *testing.T) {
	r := newRig(t)
	p := wholeProcess()
	bad := func(context.Context) error { return errors.New("it is on line 3") }
	p.Reload, p.ReopenLog, p.StopS2S = bad, bad, bad
	p.DumpConfig = func(context.Context, string) error { return errors.New("it is on line 3") }
	p.SetLogLevel = func(string) error { return errors.New("it is on line 3") }
	if err := r.h.SetProcess(p); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]any{
		"reload_config": nil, "reopen_log": nil, "rotate_log": nil, "stop_s2s_connections": nil,
		"dump_config": {"out", "x"}, "set_loglevel": {"loglevel", "info"},
	} {
		r.fails(command.Internal, "it is on line 3", name, args...)
	}
}

// A host adds commands of its own beside those that there are.
func ExampleHost_commands() {
	h, err := host.New(host.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = h.Commands.Add(command.Command{
		Name: "rooms_number", Description: "How many rooms there are.", Tags: []string{"statistics"},
		Result: command.Field{Name: "rooms", Type: command.Integer},
		Run:    func(context.Context, command.Args) (any, error) { return 3, nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"rooms_number", "connected_users_number"} {
		c, _ := h.Commands.Get(name)
		n, err := c.Do(context.Background(), nil)
		fmt.Println(name, n, err)
	}
	// Output:
	// rooms_number 3 <nil>
	// connected_users_number 0 <nil>
}
