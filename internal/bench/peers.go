package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"text/template"
)

//go:embed config
var configs embed.FS

// profile says which optional features a server has. All have what routing
// needs, rosters and in-band registration.
type profile struct {
	managed bool // stream management
	stored  bool // offline messages, and with them stream management
}

// peer is a server that can be measured.
type peer struct {
	name  string // for -peers
	title string // for people

	// prepare finds or builds the program; errNotInstalled.
	prepare func(ctx context.Context, b *bench) error
	// command returns what listens on a port, with its data in dir.
	command func(b *bench, dir string, port int, p profile) (*exec.Cmd, error)
	version string // set by prepare
	bare    bool   // it is the bare forwarder: no accounts, no features

	dir     string // its own
	program string
	running *process
	profile profile // of running
}

// allPeers returns the peers in the order of the table.
func allPeers() []*peer {
	return []*peer{
		{name: "tidewaiter", title: "Tidewaiter", prepare: prepareTidewaiter, command: tidewaiter},
		{name: "ejabberd", title: "ejabberd", prepare: prepareEjabberd, command: ejabberd},
		{name: "prosody", title: "Prosody", prepare: prepareProsody, command: prosody},
		{name: "floor", title: "bare sockets", prepare: prepareFloor, command: floor, bare: true},
	}
}

// configure writes a configuration of the embedded ones, filled in, to dir.
func configure(b *bench, name, dir string, port int, p profile) (path string, err error) {
	text, err := configs.ReadFile("config/" + name)
	if err != nil {
		return "", err
	}
	t, err := template.New(name).Parse(string(text))
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, struct {
		Cert, Dir, Store string
		Port             int
		Managed, Stored  bool
	}{b.cert, dir, b.store, port, p.managed || p.stored, p.stored}); err != nil {
		return "", err
	}
	path = filepath.Join(dir, name)
	return path, os.WriteFile(path, out.Bytes(), 0o600)
}

func prepareTidewaiter(ctx context.Context, b *bench) error {
	p := b.peer("tidewaiter")
	p.program = filepath.Join(b.bin, "server")
	if err := b.build(ctx, p.program, "./examples/server"); err != nil {
		return err
	}
	p.version = b.commit(ctx)
	// A configuration that this build does not take is told before anything runs.
	dir, err := os.MkdirTemp(b.dir, "check")
	if err != nil {
		return err
	}
	config, err := configure(b, "tidewaiter.yml", dir, 1, profile{stored: true})
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, p.program, "-check", "-config", config, "-data", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the configuration is refused: %w\n%s", err, out)
	}
	return nil
}

func tidewaiter(b *bench, dir string, port int, p profile) (*exec.Cmd, error) {
	config, err := configure(b, "tidewaiter.yml", dir, port, p)
	return exec.Command(b.peer("tidewaiter").program, "-config", config, "-data", filepath.Join(dir, "data")), err
}

func prepareFloor(ctx context.Context, b *bench) error {
	p := b.peer("floor")
	p.program, p.version = filepath.Join(b.bin, "floor"), runtime.Version()
	return b.build(ctx, p.program, "./internal/bench/floor")
}

func floor(b *bench, _ string, port int, _ profile) (*exec.Cmd, error) {
	return exec.Command(b.peer("floor").program, "-addr", loopback(port), "-cert", b.cert), nil
}

func prepareEjabberd(ctx context.Context, b *bench) error {
	p := b.peer("ejabberd")
	if _, err := find("ejabberdctl", "/usr/sbin"); err != nil {
		return err
	}
	var err error
	if p.program, err = find("erl"); err != nil {
		return err
	}
	p.version = packaged(ctx, "ejabberd")
	return nil
}

// erlangLibraries is the line of ejabberdctl that says where they are.
var erlangLibraries = regexp.MustCompile(`(?m)^ERL_LIBS='?([^'\n]*)'?`)

// ejabberd does what "ejabberdctl foreground" does, without the change of user
// and without epmd, the name server.
func ejabberd(b *bench, dir string, port int, p profile) (*exec.Cmd, error) {
	config, err := configure(b, "ejabberd.yml", dir, port, p)
	if err != nil {
		return nil, err
	}
	spool := filepath.Join(dir, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return nil, err
	}
	distribution, err := freePort()
	if err != nil {
		return nil, err
	}
	libraries := os.Getenv("ERL_LIBS")
	if ctl, err := find("ejabberdctl", "/usr/sbin"); err == nil && libraries == "" {
		text, err := os.ReadFile(ctl)
		if err != nil {
			return nil, err
		}
		if m := erlangLibraries.FindSubmatch(text); m != nil {
			libraries = string(m[1])
		}
	}
	cmd := withDescriptors(b.peer("ejabberd").program,
		// The database belongs to a node of this name.
		"-sname", fmt.Sprintf("bench%d@localhost", os.Getpid()), "-start_epmd", "false", "-erl_epmd_port", fmt.Sprint(distribution),
		"-setcookie", "bench", "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
		"+K", "true", "+P", "250000", // as ejabberdctl has them
		"-mnesia", "dir", fmt.Sprintf("%q", spool), "-ejabberd", "log_rotate_count", "0", "-s", "ejabberd", "-noinput")
	cmd.Env = append(os.Environ(),
		"EJABBERD_CONFIG_PATH="+config, "EJABBERD_LOG_PATH="+filepath.Join(dir, "ejabberd.log"),
		"ERL_CRASH_DUMP="+filepath.Join(dir, "crash"), "ERL_MAX_PORTS=65536", "ERL_MAX_ETS_TABLES=1400", "ERL_LIBS="+libraries)
	return cmd, nil
}

func prepareProsody(ctx context.Context, b *bench) (err error) {
	p := b.peer("prosody")
	p.program, err = find("prosody", "/usr/sbin", "/usr/local/bin")
	p.version = packaged(ctx, "prosody")
	return err
}

func prosody(b *bench, dir string, port int, p profile) (*exec.Cmd, error) {
	config, err := configure(b, "prosody.cfg.lua", dir, port, p)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, err
	}
	return withDescriptors(b.peer("prosody").program, "-F", "--config", config), nil
}

// packaged returns the version of a Debian package, "" when it is none.
func packaged(ctx context.Context, name string) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// start runs the peer with a profile, if it does not run with it already. fresh
// has it run anew in any case.
func (p *peer) start(ctx context.Context, b *bench, want profile, fresh bool) error {
	if p.running != nil && !p.running.ended() && p.profile == want && !fresh {
		return nil
	}
	p.stop()
	port, err := freePort()
	if err != nil {
		return err
	}
	cmd, err := p.command(b, p.dir, port, want)
	if err != nil {
		return err
	}
	if p.running, err = launch(ctx, p.dir, loopback(port), cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.title, err)
	}
	p.profile = want
	return nil
}

func (p *peer) stop() {
	p.running.stop()
	p.running = nil
}
