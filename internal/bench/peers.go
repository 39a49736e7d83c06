package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
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
	managed   bool // stream management
	stored    bool // offline messages, and with them stream management
	component bool // a port for components
	servers   bool // a port for other servers, which must use TLS
	turn      bool // a port for STUN and TURN, by UDP and TCP
	http      bool // a port for WebSocket, BOSH, XML-RPC and the HTTP API
}

// kind says what servers are for.
type kind uint8

const (
	forXMPP kind = 1 << iota
	forSTUN
)

// kind returns that of the servers that a profile is for.
func (p profile) kind() kind {
	if p.turn {
		return forSTUN
	}
	return forXMPP
}

// place says how and where a server runs.
type place struct {
	profile
	dir    string // for its data
	domain string
	port   int // for clients
	second int // for components, servers or relays, as the profile says
}

// The component of all servers with a port for components.
const (
	componentDomain = "echo.localhost"
	componentSecret = "secret"
)

// The account for relays, which is made in-band where the server is one of XMPP, and
// the ports of relays.
const (
	turnPrefix   = "turn"
	turnUser     = turnPrefix + "0"
	turnPassword = "pass"
	turnMinPort  = 40000
	turnMaxPort  = 60999
)

// peer is a server that can be measured.
type peer struct {
	name   string // for -peers
	title  string // for people
	kinds  kind   // what it is measured as
	versus bool   // Tidewaiter is held against it

	// prepare finds or builds the program; errNotInstalled.
	prepare func(ctx context.Context, b *bench) error
	// command returns what runs at a place.
	command func(b *bench, at place) (*exec.Cmd, error)
	version string // set by prepare

	webSocket, bosh string // paths
	calls           bool   // programs can run its commands by XML-RPC and an API
	bare            bool   // it is the bare forwarder: no accounts, no features

	dir     string // its own
	program string
	running *process
	at      place // of running
}

// domain is the one that a peer serves with a port for servers.
func (p *peer) domain() string { return p.name + ".example" }

// twin returns a second server of the same kind.
func (p *peer) twin() *peer {
	return &peer{name: p.name + twinSuffix, title: p.title, kinds: p.kinds, command: p.command, dir: p.dir + twinSuffix}
}

const twinSuffix = "-2"

// allPeers returns the peers in the order of the table.
func allPeers() []*peer {
	return []*peer{
		{name: "tidewaiter", title: "Tidewaiter", prepare: prepareTidewaiter, command: tidewaiter, kinds: forXMPP | forSTUN, webSocket: "/ws", bosh: "/bosh", calls: true},
		{name: "ejabberd", title: "ejabberd", prepare: prepareEjabberd, command: ejabberd, kinds: forXMPP | forSTUN, webSocket: "/ws", bosh: "/bosh", calls: true, versus: true},
		{name: "prosody", title: "Prosody", prepare: prepareProsody, command: prosody, kinds: forXMPP, webSocket: "/xmpp-websocket", bosh: "/http-bind"},
		{name: "coturn", title: "coturn", prepare: prepareCoturn, command: coturn, kinds: forSTUN, versus: true},
		{name: "floor", title: "bare sockets", prepare: prepareFloor, command: floor, kinds: forXMPP | forSTUN, bare: true, versus: true},
	}
}

// configure writes a configuration of the embedded ones, filled in, to the
// folder of a place.
func configure(b *bench, name string, at place) (path string, err error) {
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
		Cert, CA, Dir, Store, Domain              string
		Port, Second, Names, MinPort, MaxPort     int
		Managed, Stored, Component, Servers, TURN bool
		HTTP                                      bool
		ComponentDomain, ComponentSecret          string
		TURNUser, TURNPassword                    string
	}{
		b.cert, b.ca, at.dir, b.store, at.domain, at.port, at.second, b.names.addr().Port, turnMinPort, turnMaxPort,
		at.managed || at.stored, at.stored, at.component, at.servers, at.turn, at.http, componentDomain, componentSecret, turnUser, turnPassword,
	}); err != nil {
		return "", err
	}
	path = filepath.Join(at.dir, name)
	return path, os.WriteFile(path, out.Bytes(), 0o600)
}

// resolverVariable has the server of prepareTidewaiter ask our name server.
const resolverVariable = "BENCH_NAMES"

// overlay writes what has "go build" put one more file into examples/server, so
// that what is measured is that server, and still finds the names of the others.
func overlay(b *bench) (path string, err error) {
	text, err := configs.ReadFile("config/resolver.go.txt")
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.dir, "resolver.go")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(b.root, "examples", "server", "bench_resolver.go"): file},
	})
	if err != nil {
		return "", err
	}
	path = filepath.Join(b.dir, "overlay.json")
	return path, os.WriteFile(path, replace, 0o600)
}

func prepareTidewaiter(ctx context.Context, b *bench) error {
	p := b.peer("tidewaiter")
	p.program = filepath.Join(b.bin, "server")
	added, err := overlay(b)
	if err != nil {
		return err
	}
	if err := b.build(ctx, p.program, "./examples/server", "-overlay", added); err != nil {
		return err
	}
	p.version = b.commit(ctx)
	// A configuration that this build does not take is told before anything runs.
	dir, err := os.MkdirTemp(b.dir, "check")
	if err != nil {
		return err
	}
	config, err := configure(b, "tidewaiter.yml", place{profile: profile{stored: true}, dir: dir, domain: "localhost", port: 1})
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, p.program, "-check", "-config", config, "-data", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the configuration is refused: %w\n%s", err, out)
	}
	return nil
}

func tidewaiter(b *bench, at place) (*exec.Cmd, error) {
	config, err := configure(b, "tidewaiter.yml", at)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(b.peer("tidewaiter").program, "-config", config, "-data", filepath.Join(at.dir, "data"))
	cmd.Env = append(os.Environ(), resolverVariable+"="+b.names.addr().String())
	return cmd, nil
}

func prepareFloor(ctx context.Context, b *bench) error {
	p := b.peer("floor")
	p.program, p.version = filepath.Join(b.bin, "floor"), runtime.Version()
	return b.build(ctx, p.program, "./internal/bench/floor")
}

func floor(b *bench, at place) (*exec.Cmd, error) {
	args := []string{"-addr", loopback(at.port), "-cert", b.cert}
	if at.component {
		args = append(args, "-component-addr", loopback(at.second))
	}
	if at.turn {
		args = append(args, "-stun-addr", loopback(at.second))
	}
	return exec.Command(b.peer("floor").program, args...), nil
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
func ejabberd(b *bench, at place) (*exec.Cmd, error) {
	config, err := configure(b, "ejabberd.yml", at)
	if err != nil {
		return nil, err
	}
	names, err := configure(b, "inetrc", at)
	if err != nil {
		return nil, err
	}
	spool := filepath.Join(at.dir, "spool")
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
		"EJABBERD_CONFIG_PATH="+config, "EJABBERD_LOG_PATH="+filepath.Join(at.dir, "ejabberd.log"),
		"ERL_CRASH_DUMP="+filepath.Join(at.dir, "crash"), "ERL_INETRC="+names, "ERL_MAX_PORTS=65536", "ERL_MAX_ETS_TABLES=1400", "ERL_LIBS="+libraries)
	return cmd, nil
}

func prepareProsody(ctx context.Context, b *bench) (err error) {
	p := b.peer("prosody")
	p.program, err = find("prosody", "/usr/sbin", "/usr/local/bin")
	p.version = packaged(ctx, "prosody")
	return err
}

func prosody(b *bench, at place) (*exec.Cmd, error) {
	config, err := configure(b, "prosody.cfg.lua", at)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(at.dir, "data"), 0o700); err != nil {
		return nil, err
	}
	return withDescriptors(b.peer("prosody").program, "-F", "--config", config), nil
}

func prepareCoturn(ctx context.Context, b *bench) (err error) {
	p := b.peer("coturn")
	p.program, err = find("turnserver", "/usr/sbin", "/usr/local/bin")
	p.version = packaged(ctx, "coturn")
	return err
}

func coturn(b *bench, at place) (*exec.Cmd, error) {
	config, err := configure(b, "turnserver.conf", at)
	if err != nil {
		return nil, err
	}
	return withDescriptors(b.peer("coturn").program, "-c", config), nil
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
	if p.running != nil && !p.running.ended() && p.at.profile == want && !fresh {
		return nil
	}
	p.stop()
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	at := place{profile: want, dir: p.dir, domain: "localhost"}
	if want.servers {
		at.domain = p.domain()
	}
	listens, err := p.ports(&at)
	if err != nil {
		return err
	}
	cmd, err := p.command(b, at)
	if err != nil {
		return err
	}
	if p.running, err = launch(ctx, p.dir, listens, cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.title, err)
	}
	p.at = at
	if want.servers {
		b.names.set(at.domain, at.second)
	}
	return nil
}

// ports chooses those of a place, and returns what accepts connections when the peer
// is ready.
func (p *peer) ports(at *place) (listens []string, err error) {
	if p.kinds&forXMPP != 0 {
		if at.port, err = freePort(); err != nil {
			return nil, err
		}
		listens = append(listens, loopback(at.port))
	}
	if at.component || at.servers || at.turn || at.http {
		if at.second, err = freePort(); err != nil {
			return nil, err
		}
		if !(at.turn && p.bare) { // that answers datagrams alone, before it takes connections
			listens = append(listens, loopback(at.second))
		}
	}
	return listens, nil
}

func (p *peer) stop() {
	p.running.stop()
	p.running = nil
}
