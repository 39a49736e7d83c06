//go:build interop && linux

package interop

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// insideNamespace names, to the copy of this test that runs in a network
// namespace, the folder that is the root of the server's file system.
const insideNamespace = "TIDEWAITER_SPEC_ROOT"

// The long examples, and those of ejabberd_stun, run as they are printed, with the addresses, ports and
// paths that the page names: in a network namespace and under a root directory
// of their own. Listeners that this build does not have are left out.
func TestSpecExamplesRun(t *testing.T) {
	need(t, "ip")
	binary := buildStatic(t)
	for i, e := range specRuns {
		t.Run(e.name, func(t *testing.T) {
			ca, root := newAuthority(t), t.TempDir()
			for path, domains := range e.certificates {
				write(t, filepath.Join(root, path), ca.issue(t, domains...))
			}
			write(t, filepath.Join(root, "ejabberd.yml"), runnable(t, e.example(t), ca.issue(t, "localhost")))
			if err := os.Mkdir(filepath.Join(root, "data"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(binary, filepath.Join(root, "server")); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestInsideNamespace$", "-test.v", "-test.timeout=3m")
			cmd.Env = append(os.Environ(), insideNamespace+"="+root, "TIDEWAITER_SPEC_EXAMPLE="+strconv.Itoa(i))
			cmd.SysProcAttr = namespace()
			out, err := cmd.CombinedOutput()
			switch {
			case err != nil && cmd.Process == nil && os.Getenv("TIDEWAITER_CI") == "":
				t.Skipf("no network namespace here: %v", err)
			case err != nil || !strings.Contains(string(out), "--- PASS: TestInsideNamespace"):
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// namespace has a process run in a network namespace of its own, as root there.
func namespace() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid := os.Getuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// buildStatic builds examples/server so that it needs no other file.
func buildStatic(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server")
	build := exec.Command("go", "build", "-o", path, "./examples/server")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build examples/server: %v\n%s", err, out)
	}
	return path
}

var (
	missing = regexp.MustCompile(`^error: FILE:\d+:\d+: listen\[(\d+)\]\.(?:module|request_handlers\["[^"]*"\]): this build has no (?:module|request handler) \w+$`)
	entries = regexp.MustCompile(`(?m)^  -\n(?:    .*\n)+`)
)

// runnable returns an example without the listeners that this build does not
// have, or not all of. It fails the test if there is any other error in it.
func runnable(t *testing.T, example, cert string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.pem")
	write(t, file, cert)
	said, _ := check(t, example, file)
	var drop []int
	for line := range strings.Lines(said) {
		if m := missing.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			i, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			drop = append(drop, i)
		} else if strings.HasPrefix(line, "error:") {
			t.Errorf("the check says %s", line)
		}
	}
	head, list, ok := strings.Cut("\n"+example, "\nlisten:\n")
	if !ok {
		t.Fatalf("no listen in\n%s", example)
	}
	i := -1
	return head + "\nlisten:\n" + entries.ReplaceAllStringFunc(list, func(entry string) string {
		if i++; slices.Contains(drop, i) {
			t.Logf("left out:\n%s", entry)
			return ""
		}
		return entry
	})
}

// specRun is what an example of the page must do.
type specRun struct {
	name         string
	example      func(t *testing.T) string
	certificates map[string][]string // domains, by the path of the file
	accounts     []string            // of the form user@host:password
	check        func(t *testing.T)
}

var specRuns = []specRun{
	{"three domains", specLong(0), map[string][]string{
		"etc/ejabberd/server.pem":      {"example.org", "example.net"},
		"etc/ejabberd/example_com.pem": {"example.com"},
	}, nil, checkThreeDomains},
	{"transports", specLong(1), map[string][]string{"path/to/ssl.pem": {"localhost"}}, nil, checkTransports},
	{"STUN", specOf("ejabberd_stun", 0), map[string][]string{"etc/ejabberd/server.pem": {"localhost"}}, nil, checkSTUN},
	{"TURN", specOf("ejabberd_stun", 1), nil, []string{"ana@localhost:anchor"}, checkTURN},
}

func checkThreeDomains(t *testing.T) {
	for _, domain := range []string{"example.com", "example.org", "example.net"} {
		for _, l := range []struct{ address, namespace string }{
			{"127.0.0.1:5222", "jabber:client"}, {"192.168.0.1:5222", "jabber:client"},
			{"127.0.0.1:5269", "jabber:server"}, {"[::1]:5269", "jabber:server"},
		} {
			s := open(t, l.address, nil, l.namespace, domain)
			s.expect(t, `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/?>.*</stream:features>`)
			s.Close()
		}
		s := open(t, "127.0.0.1:5223", &tls.Config{ServerName: domain}, "jabber:client", domain)
		s.expect(t, `</stream:features>`)
		if got := s.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0]; got.VerifyHostname(domain) != nil {
			t.Errorf("%s is shown the certificate of %v", domain, got.DNSNames)
		}
		s.Close()
	}
	specBinding(t, "udp", "192.168.0.1:3478", nil)
}

func checkTransports(t *testing.T) {
	open(t, "192.168.0.1:5222", nil, "jabber:client", "localhost").expect(t, `<mechanisms.*</stream:features>`)
	for _, address := range []string{"192.168.0.1:5223", "[fdca:8ab6:a243:75ef::1]:5223"} {
		open(t, address, &tls.Config{ServerName: "localhost"}, "jabber:client", "localhost").expect(t, `<mechanism>PLAIN</mechanism>.*</stream:features>`)
	}
	open(t, "192.168.0.1:5269", nil, "jabber:server", "localhost").expect(t, `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>.*</stream:features>`)
	var refused []*specStream
	for _, c := range []struct{ address, domain, password string }{
		{"127.0.0.1:5233", "aim.example.org", "aimsecret"}, {"[::1]:5233", "aim.example.org", "aimsecret"},
		{"127.0.0.1:5234", "icq.example.org", "jitsecret"}, {"192.168.0.1:5234", "sms.example.org", "jitsecret"},
		{"127.0.0.1:5235", "msn.example.org", "msnsecret"}, {"127.0.0.1:5236", "yahoo.example.org", "yahoosecret"},
		{"127.0.0.1:5237", "gg.example.org", "ggsecret"}, {"127.0.0.1:5238", "jmc.example.org", "jmcsecret"},
		{"127.0.0.1:5239", "custom.example.org", "customsecret"},
	} {
		refused = append(refused, handshake(t, c.address, c.domain, "guess"))
		handshake(t, c.address, c.domain, c.password).expect(t, `<handshake/>`)
	}
	for _, s := range refused { // these are made to wait
		s.expect(t, `<not-authorized `)
	}
}

// handshake opens the stream of a component and sends its handshake.
func handshake(t *testing.T, address, domain, secret string) *specStream {
	t.Helper()
	s := open(t, address, nil, "jabber:component:accept", domain)
	sum := sha1.Sum([]byte(s.id + secret))
	s.send(t, "<handshake>"+hex.EncodeToString(sum[:])+"</handshake>")
	return s
}

// specStream is a stream to a server that runs an example.
type specStream struct {
	net.Conn
	id  string // that the server gave it
	in  *bufio.Reader
	got strings.Builder
}

// open opens a stream, with direct TLS if cfg is not nil, and reads the server's
// header.
func open(t *testing.T, address string, cfg *tls.Config, namespace, to string) *specStream {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if cfg != nil {
		cfg.InsecureSkipVerify = true
		conn = tls.Client(conn, cfg)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(bound)); err != nil {
		t.Fatal(err)
	}
	s := &specStream{Conn: conn, in: bufio.NewReader(conn)}
	version := " version='1.0'"
	if namespace == "jabber:component:accept" {
		version = ""
	}
	s.send(t, "<stream:stream xmlns='"+namespace+"' xmlns:stream='http://etherx.jabber.org/streams' to='"+to+"'"+version+">")
	s.id = s.expect(t, `<stream:stream [^>]*id=['"]([^'"]+)['"][^>]*>`)[1]
	return s
}

func (s *specStream) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s, text); err != nil {
		t.Fatalf("%s: %v", s.RemoteAddr(), err)
	}
}

// expect reads until what has come since the last call matches a pattern.
func (s *specStream) expect(t *testing.T, pattern string) []string {
	t.Helper()
	for re := regexp.MustCompile(`(?s)` + pattern); ; {
		if m := re.FindStringSubmatch(s.got.String()); m != nil {
			s.got.Reset()
			return m
		}
		b, err := s.in.ReadByte()
		if err != nil {
			t.Fatalf("%s: want %s, got %q and %v", s.RemoteAddr(), pattern, s.got.String(), err)
		}
		s.got.WriteByte(b)
	}
}

// TestInsideNamespace is what TestSpecExamplesRun starts in a network namespace.
func TestInsideNamespace(t *testing.T) {
	root := os.Getenv(insideNamespace)
	if root == "" {
		t.Skip("TestSpecExamplesRun starts this")
	}
	example, err := strconv.Atoi(os.Getenv("TIDEWAITER_SPEC_EXAMPLE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"link set lo up",
		"addr add 192.168.0.1/32 dev lo",
		"addr add fdca:8ab6:a243:75ef::1/128 dev lo nodad",
		"addr add 10.20.30.1/32 dev lo",
	} {
		if out, err := run(t, "", need(t, "ip"), strings.Fields(command)...); err != nil {
			t.Fatalf("ip %s: %v\n%s", command, err, out)
		}
	}
	runtime.LockOSThread() // the server ends with this thread, whatever happens
	server := exec.Command("/server", "-config", "/ejabberd.yml", "-data", "/data", "-drain", "1s")
	for _, a := range specRuns[example].accounts {
		server.Args = append(server.Args, "-register", a)
	}
	server.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	server.Dir = "/"
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	server.Stdout, server.Stderr = in, in
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	log := follow(out)
	log.wait(t, "the start table", func(l string) bool { return strings.HasPrefix(l, "ready") })
	specRuns[example].check(t)
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	fmt.Println(log.all())
}
