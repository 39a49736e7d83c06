package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// newHandler returns a handler that writes lines without times to a buffer.
func newHandler() (*Handler, *bytes.Buffer) {
	var out bytes.Buffer
	return New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	})), &out
}

// The handler does what slog asks of every handler.
func TestSlogConformance(t *testing.T) {
	for _, hide := range []bool{false, true} {
		var out bytes.Buffer
		h := New(slog.NewJSONHandler(&out, nil))
		h.Configure(Config{HideSensitive: hide})
		err := slogtest.TestHandler(h, func() []map[string]any {
			var lines []map[string]any
			for _, line := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
				var m map[string]any
				if err := json.Unmarshal(line, &m); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, m)
			}
			return lines
		})
		if err != nil {
			t.Errorf("hiding %t: %v", hide, err)
		}
	}
}

func TestLevels(t *testing.T) {
	grades := []struct {
		name  string
		level slog.Level
	}{{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError}}
	tests := []struct {
		config Level
		want   string // what a logger lets through
	}{
		{"", "info warn error"},
		{"none", ""},
		{"emergency", ""},
		{"alert", ""},
		{"critical", ""},
		{"error", "error"},
		{"warning", "warn error"},
		{"notice", "warn error"},
		{"info", "info warn error"},
		{"debug", "debug info warn error"},
	}
	for _, tt := range tests {
		t.Run(string(tt.config), func(t *testing.T) {
			h, out := newHandler()
			h.Configure(Config{Level: tt.config})
			for _, g := range grades {
				slog.New(h).Log(t.Context(), g.level, g.name)
			}
			var got []string
			for _, g := range grades {
				if strings.Contains(out.String(), "msg="+g.name) {
					got = append(got, g.name)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestLevelsOfFiles(t *testing.T) {
	tests := []struct {
		text string
		want Level // "": an error
	}{
		{"0", "none"},
		{"1", "critical"},
		{"2", "error"},
		{"3", "warning"},
		{"4", "info"},
		{"5", "debug"},
		{"notice", "notice"},
		{"emergency", "emergency"},
		{"6", ""},
		{"-1", ""},
		{"warn", ""},
		{"INFO", ""},
		{"", ""},
	}
	for _, tt := range tests {
		var got Level
		err := got.UnmarshalText([]byte(tt.text))
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: got %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
}

// A package has a level of its own, which changes for loggers that are there.
func TestLevelsOfPackages(t *testing.T) {
	h, out := newHandler()
	c2s, listen := h.Logger("c2s").With("listener", "0.0.0.0:5222"), h.Logger("listen")
	say := func(want string) {
		t.Helper()
		out.Reset()
		c2s.Debug("one")
		listen.Debug("two")
		c2s.WithGroup("group").Debug("three", netserve.KeyPkg, "listen")
		if got := out.String(); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
	say("")
	h.Configure(Config{Packages: map[string]Level{"c2s": "debug", "listen": ""}})
	say("level=DEBUG msg=one pkg=c2s listener=0.0.0.0:5222\nlevel=DEBUG msg=three pkg=c2s listener=0.0.0.0:5222 group.pkg=listen\n")
	h.Configure(Config{Level: "debug", Packages: map[string]Level{"c2s": "none"}})
	say("level=DEBUG msg=two pkg=listen\n")
	h.Configure(Config{})
	say("")
}

func TestHiding(t *testing.T) {
	peer := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.7:40000"))
	reset := &net.OpError{Op: "read", Net: "tcp", Source: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[2001:db8::1]:5222")), Addr: peer, Err: errors.New("connection reset by peer")}
	tests := []struct {
		name         string
		args         []any
		shown, cover string
	}{
		{"peer", []any{"peer", "192.0.2.7:40000"}, "peer=192.0.2.7:40000", "peer=(hidden)"},
		{"peer of another type", []any{"peer", peer}, "peer=192.0.2.7:40000", "peer=(hidden)"},
		{"peer by name", []any{"peer", "@abstract"}, "peer=@abstract", "peer=(hidden)"},
		{
			"error of the network", []any{"err", reset},
			`err="read tcp [2001:db8::1]:5222->192.0.2.7:40000: connection reset by peer"`,
			`err="read tcp (hidden)->(hidden): connection reset by peer"`,
		},
		{"address in a text", []any{"why", "from 192.0.2.7, twice"}, `why="from 192.0.2.7, twice"`, `why="from (hidden), twice"`},
		{"IPv6 with a zone", []any{"why", "fe80::1%eth0 is gone"}, `why="fe80::1%eth0 is gone"`, `why="(hidden) is gone"`},
		{"address of another kind", []any{"from", netip.MustParseAddr("2001:db8::5")}, "from=2001:db8::5", "from=(hidden)"},
		{"our own address", []any{"listener", "192.0.2.1:5222"}, "listener=192.0.2.1:5222", "listener=192.0.2.1:5222"},
		{"user", []any{"user", "ana@one.test/boat"}, "user=ana@one.test/boat", "user=ana@one.test/boat"},
		{"position", []any{"err", "/etc/a.yml:4:49: listen[0]: wrong"}, `err="/etc/a.yml:4:49: listen[0]: wrong"`, `err="/etc/a.yml:4:49: listen[0]: wrong"`},
		{"time", []any{"at", "12:30:05"}, "at=12:30:05", "at=12:30:05"},
		{"number", []any{"count", 5}, "count=5", "count=5"},
		{"no error", []any{"err", nil}, "err=<nil>", "err=<nil>"},
		{"group", []any{slog.Group("g", "peer", "192.0.2.7:1")}, "g.peer=192.0.2.7:1", "g.peer=(hidden)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, with := range []bool{false, true} {
				h, out := newHandler()
				log, args := slog.New(h), tt.args
				if with {
					log, args = log.With(tt.args...), nil
				}
				for _, hide := range []bool{false, true, false} {
					out.Reset()
					h.Configure(Config{HideSensitive: hide})
					log.Info("x", args...)
					want := "level=INFO msg=x " + tt.shown + "\n"
					if hide {
						want = "level=INFO msg=x " + tt.cover + "\n"
					}
					if out.String() != want {
						t.Errorf("With %t, hiding %t: got %s, want %s", with, hide, out, want)
					}
				}
			}
		})
	}
}

// Lines that are not wanted cost no memory, and the check next to no time.
func TestDisabledLinesDoNotAllocate(t *testing.T) {
	h := New(slog.NewTextHandler(io.Discard, nil))
	h.Configure(Config{Packages: map[string]Level{"c2s": "error"}})
	log := h.Logger("c2s")
	if n := testing.AllocsPerRun(100, func() { log.LogAttrs(t.Context(), slog.LevelInfo, "x") }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// FuzzHide sees that no address survives, and that what holds none stays.
func FuzzHide(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "read 192.0.2.1:1->[::1]:5: reset", "a:b:c", "::", "1.2.3.4.5", "fe80::1%eth0", "[", "1:2:3:4:5:6:7:8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := withoutAddresses(s)
		if withoutAddresses(got) != got {
			t.Errorf("%q became %q, which still has an address", s, got)
		}
		for _, word := range strings.Fields(s) {
			_, err := netip.ParseAddrPort(word)
			if err == nil && strings.Contains(" "+strings.Join(strings.Fields(got), " ")+" ", " "+word+" ") {
				t.Errorf("%q became %q, want %q hidden", s, got, word)
			}
		}
	})
}

func TestSetLevel(t *testing.T) {
	h, out := newHandler()
	h.Configure(Config{Packages: map[string]Level{"c2s": "debug"}})
	if got := h.Level(); got != Info {
		t.Errorf("got %s before, want info", got)
	}
	h.SetLevel("error")
	h.Logger("c2s").Debug("own")
	h.Logger("s2s").Warn("hidden")
	h.Logger("s2s").Error("shown")
	if got, want := out.String(), "level=DEBUG msg=own pkg=c2s\nlevel=ERROR msg=shown pkg=s2s\n"; got != want || h.Level() != "error" {
		t.Errorf("got level %s and\n%s\nwant error and\n%s", h.Level(), got, want)
	}
	h.Configure(Config{Level: "warning"})
	if got := h.Level(); got != "warning" {
		t.Errorf("got %s after Configure, want warning", got)
	}
}
