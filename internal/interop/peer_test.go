//go:build interop

package interop

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// newID returns something that is not used twice.
func newID() string { return rand.Text()[:12] }

// need finds a program. Without it the test is skipped, where nothing says that
// everything must be there.
func need(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, filepath.Join("/usr/sbin", name)} {
		if p, err := exec.LookPath(path); err == nil {
			return p
		}
	}
	notInstalled(t, name)
	return ""
}

// notInstalled fails the test or skips it.
func notInstalled(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("TIDEWAITER_CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}

// process is a server of somebody else that runs until the test ends.
type process struct {
	name    string
	dir     string // its own
	program []string
	env     []string
	ready   string // address that it listens on when it has started

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// launch starts the process, once more after kill, and waits until it listens.
func (p *process) launch(t *testing.T) {
	t.Helper()
	out, err := os.OpenFile(p.output(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // the process has it open as well
	p.cmd = exec.Command(p.program[0], p.program[1:]...)
	p.cmd.Dir, p.cmd.Env, p.cmd.SysProcAttr = p.dir, append(os.Environ(), p.env...), noOrphan()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		defer close(done)
		_ = cmd.Wait() // it is ended by us, one way or the other
	}(p.cmd, p.done)
	if p.ready == "" {
		return
	}
	deadline := time.Now().Add(bound)
	for {
		if c, err := net.Dial("tcp", p.ready); err == nil {
			c.Close()
			return
		}
		select {
		case <-p.done:
			t.Fatalf("%s has ended:\n%s", p.name, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen:\n%s", p.name, p.tail())
		}
	}
}

func (p *process) output() string { return filepath.Join(p.dir, "output") }

// kill ends the process at once, with everything that is in its memory.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// stop ends the process, if need be without its consent.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(10*time.Second, func() { p.cmd.Process.Kill() })
	<-p.done
	timer.Stop()
}

// tail returns the end of what the process and its logs say.
func (p *process) tail() string {
	const most = 4000
	var b strings.Builder
	for _, name := range []string{"output", "log"} {
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err == nil {
			fmt.Fprintf(&b, "-- %s\n%s\n", name, text[max(0, len(text)-most):])
		}
	}
	return b.String()
}

// logged reads what the process has logged so far.
func (p *process) logged() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(text)
}

// keep shows the end of the log of a failed test, and copies all of it to the
// folder INTEROP_LOGS, if there is one.
func (p *process) keep(t *testing.T) {
	if t.Failed() {
		t.Logf("%s:\n%s", p.name, p.tail())
	}
	if dir := os.Getenv("INTEROP_LOGS"); dir != "" {
		write(t, filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+"."+p.name+".log"), p.logged())
	}
}

// peer is a server with its domains.
type peer struct {
	*process
	c2s  string          // address for clients, without TLS
	s2s  string          // address for servers, STARTTLS or none
	tls  string          // address for servers, TLS
	taps map[string]*tap // by domain: what the DNS points to
}

// setup is what the configuration of a server is made of.
type setup struct {
	Dir              string
	CA               string // PEM file
	Certs            string // folder of the certificates
	LogLevel         string // "debug", "info"
	DNSHost, DNSPort string // of the DNS server
	C2S, S2S, TLS    string // ports
	Component        string // port
	Hosts            []vhost
}

// vhost is a domain of a server. A configuration takes of it what it knows.
type vhost struct {
	Domain   string
	Cert     string // PEM file with key and certificate; "": no TLS
	Dialback bool   // domains may be proved so, too
	Bidi     bool   // XEP-0288
	Managed  bool   // XEP-0198 between servers
	StartTLS string // s2s_use_starttls; "": optional with Cert, else false
	Timeout  string // s2s_timeout; "": an hour
	Direct   bool   // by TLS alone (XEP-0368)

	Component bool // of a component, not of a virtual host
}

// UseStartTLS is the option s2s_use_starttls.
func (h vhost) UseStartTLS() string {
	switch {
	case h.StartTLS != "":
		return h.StartTLS
	case h.Cert != "":
		return "optional"
	}
	return "false"
}

// federation is the names and certificates of a group of servers.
type federation struct {
	names    *names
	ca       *authority
	dir      string
	logLevel string // of all servers
}

func newFederation(t *testing.T) *federation {
	t.Helper()
	f := &federation{names: serveNames(t), ca: newAuthority(t), dir: t.TempDir(), logLevel: "debug"}
	write(t, f.caFile(), f.ca.pem)
	return f
}

func (f *federation) caFile() string { return filepath.Join(f.dir, "ca.pem") }

// cert writes a certificate of the federation's CA for a domain and returns its
// path.
func (f *federation) cert(t *testing.T, domain string) string {
	t.Helper()
	return f.certificate(t, domain, f.ca.issue(t, domain))
}

// certificate writes what a domain shows, which may be wrong, and returns its path.
func (f *federation) certificate(t *testing.T, domain, pem string) string {
	t.Helper()
	path := filepath.Join(f.dir, domain+".pem") // where Prosody looks for it
	write(t, path, pem)
	return path
}

// setup prepares what a server needs.
func (f *federation) setup(t *testing.T, hosts []vhost) (setup, *peer) {
	t.Helper()
	s := setup{Dir: t.TempDir(), CA: f.caFile(), Certs: f.dir, LogLevel: f.logLevel, C2S: freePort(t), S2S: freePort(t), TLS: freePort(t), Hosts: hosts}
	s.DNSHost, s.DNSPort, _ = net.SplitHostPort(f.names.addr)
	at := func(port string) string { return net.JoinHostPort("127.0.0.1", port) }
	p := &peer{process: &process{dir: s.Dir}, c2s: at(s.C2S), s2s: at(s.S2S), tls: at(s.TLS), taps: make(map[string]*tap)}
	return s, p
}

// fill writes a configuration from testdata, filled in.
func fill(t *testing.T, name string, s setup) string {
	t.Helper()
	tmpl, err := template.ParseFiles(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, s); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir, name)
	write(t, path, out.String())
	return path
}

// announce has the DNS point to the domains of the peer, each by a tap of its own.
// host is the name of the machine.
func (p *peer) announce(t *testing.T, names *names, host string, hosts []vhost) {
	t.Helper()
	for _, h := range hosts {
		addr, service := p.s2s, "xmpp-server"
		if h.Direct {
			addr, service = p.tls, "xmpps-server"
		}
		p.taps[h.Domain] = tapTo(t, addr)
		names.serve(t, h.Domain, service, host, p.taps[h.Domain].addr)
	}
}

// run launches the peer until the test ends, and makes an account "bo" in each of
// its domains.
func (p *peer) run(t *testing.T, hosts []vhost) *peer {
	t.Helper()
	t.Cleanup(func() {
		if p.cmd != nil {
			p.stop()
		}
		p.keep(t)
	})
	p.launch(t)
	for _, h := range hosts {
		register(t, p.c2s, h.Domain, "bo")
	}
	return p
}

// prosody runs Prosody.
func (f *federation) prosody(t *testing.T, hosts ...vhost) *peer {
	t.Helper()
	program := need(t, "prosody")
	if found, _ := filepath.Glob("/usr/lib/*/lua/*/lunbound.so"); found == nil {
		notInstalled(t, "lua-unbound") // without it Prosody asks the system's DNS servers
	}
	s, p := f.setup(t, hosts)
	p.announce(t, f.names, "localhost", hosts)
	p.name, p.program, p.ready = "prosody", []string{program, "-F", "--config", fill(t, "prosody.cfg.lua", s)}, p.c2s
	return p.run(t, hosts)
}

// erlangLibraries is the line of ejabberdctl that says where they are.
var erlangLibraries = regexp.MustCompile(`(?m)^ERL_LIBS='?([^'\n]*)'?`)

// ejabberd runs ejabberd as "ejabberdctl foreground" does, without the change of
// user and without a name server for its nodes.
func (f *federation) ejabberd(t *testing.T, hosts ...vhost) *peer {
	t.Helper()
	ctl := need(t, "ejabberdctl")
	program := need(t, "erl")
	s, p := f.setup(t, hosts)
	text, err := os.ReadFile(ctl)
	if err != nil {
		t.Fatal(err)
	}
	inetrc := filepath.Join(s.Dir, "inetrc")
	write(t, inetrc, fmt.Sprintf("{resolv_conf, \"\"}.\n{lookup, [file, dns]}.\n{host, {127,0,0,1}, [\"localhost\"]}.\n{nameserver, {%s}, %s}.\n{timeout, 1000}.\n",
		strings.ReplaceAll(s.DNSHost, ".", ","), s.DNSPort))
	spool := filepath.Join(s.Dir, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		t.Fatal(err)
	}
	p.announce(t, f.names, "node.ejabberd.test", hosts)
	p.name, p.ready = "ejabberd", p.c2s
	p.program = []string{program,
		"-sname", "interop" + s.C2S + "@localhost", "-start_epmd", "false", "-erl_epmd_port", freePort(t),
		"-setcookie", "interop", "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
		"-mnesia", "dir", fmt.Sprintf("%q", spool), "-ejabberd", "log_rotate_count", "0", "-s", "ejabberd", "-noinput"}
	p.env = []string{"HOME=" + s.Dir, "EJABBERD_CONFIG_PATH=" + fill(t, "ejabberd.yml", s), "EJABBERD_LOG_PATH=" + filepath.Join(s.Dir, "log"),
		"ERL_CRASH_DUMP=" + filepath.Join(s.Dir, "crash"), "ERL_INETRC=" + inetrc, "ERL_MAX_PORTS=4096"}
	if m := erlangLibraries.FindSubmatch(text); m != nil {
		p.env = append(p.env, "ERL_LIBS="+string(m[1]))
	}
	return p.run(t, hosts)
}

// together starts servers side by side: they take their time.
func together(t *testing.T, start ...func()) {
	t.Helper()
	var wg sync.WaitGroup
	for _, f := range start {
		wg.Go(f)
	}
	wg.Wait()
	switch {
	case t.Failed():
		t.FailNow()
	case t.Skipped():
		t.SkipNow()
	}
}
