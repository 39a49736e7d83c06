//go:build interop

package interop

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bound is how long anything may take here; it only ends tests that hang.
const bound = 60 * time.Second

// serverBinary is examples/server; errBuild says why it is not there.
var (
	serverBinary string
	errBuild     error
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		panic(err)
	}
	serverBinary = filepath.Join(dir, "server")
	if errBuild = build(dir); errBuild != nil {
		fmt.Fprintln(os.Stderr, errBuild)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// build builds examples/server with the race detector, and with a resolver that
// a test can point to a DNS server of its own.
func build(dir string) error {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(root, "examples", "server", "resolver_interop.go"): filepath.Join(root, "internal", "interop", "testdata", "resolver.go"),
	}})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-race", "-overlay", file, "-o", serverBinary, "./examples/server")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build examples/server: %w\n%s", err, out)
	}
	return nil
}

// listener is one line of the server's start table.
type listener struct{ host, port, tls, module string }

// server is a running examples/server.
type server struct {
	dir       string
	args      []string
	env       []string
	listeners []listener
	cmd       *exec.Cmd
	log       *lines
}

// line of the start table: address, transport, TLS, module.
var tableLine = regexp.MustCompile(`^\s+(\S+):(\d+)\s+tcp\s+(.+?)\s{2,}(ejabberd_\w+)`)

// start runs the server on a configuration (the text of a file) until the test
// ends; files are written beside it first.
func start(t *testing.T, config string, files map[string]string, args ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir()}
	for name, text := range files {
		write(t, filepath.Join(s.dir, name), text)
	}
	path := filepath.Join(s.dir, "ejabberd.yml")
	write(t, path, config)
	s.begin(t, path, args...)
	return s
}

// begin starts the server on a file, until the test ends.
func (s *server) begin(t *testing.T, config string, args ...string) {
	t.Helper()
	if errBuild != nil {
		t.Fatal(errBuild)
	}
	s.args = append([]string{"-config", config, "-data", filepath.Join(s.dir, "data")}, args...)
	t.Cleanup(func() { s.stop(t) })
	s.launch(t)
}

// launch starts the process and waits until it is ready.
func (s *server) launch(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(serverBinary, s.args...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Env, s.cmd.SysProcAttr = append(os.Environ(), s.env...), noOrphan()
	s.cmd.Stdout, s.cmd.Stderr = in, in
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	s.log, s.listeners = follow(out), nil
	s.log.wait(t, "the start table", func(l string) bool {
		if m := tableLine.FindStringSubmatch(l); m != nil {
			s.listeners = append(s.listeners, listener{strings.Trim(m[1], "[]"), m[2], strings.TrimSpace(m[3]), m[4]})
		}
		return strings.HasPrefix(l, "ready")
	})
}

// kill ends the process at once, with everything that is in its memory.
func (s *server) kill(t *testing.T) {
	t.Helper()
	s.cmd.Process.Kill()
	if err := s.cmd.Wait(); err == nil {
		t.Error("the server ended in order before it could be killed")
	}
}

// stop ends the server in order and fails the test if it does not, or if the
// race detector had something to say.
func (s *server) stop(t *testing.T) {
	if s.cmd.ProcessState != nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(bound, func() { s.cmd.Process.Kill() })
	err := s.cmd.Wait()
	timer.Stop()
	if err != nil {
		t.Errorf("server ended with %v", err)
	}
	if t.Failed() || err != nil {
		t.Logf("server printed:\n%s", s.log.all())
	}
}

// find returns the listener whose TLS column is tls: "STARTTLS", "TLS", ….
func (s *server) find(t *testing.T, tls string) listener {
	t.Helper()
	for _, l := range s.listeners {
		if l.tls == tls {
			return l
		}
	}
	t.Fatalf("no listener with %q among %v", tls, s.listeners)
	return listener{}
}

// lines collects what a process prints.
type lines struct {
	ch   chan string
	seen []string
}

func follow(r io.ReadCloser) *lines {
	l := &lines{ch: make(chan string, 10000)}
	go func() {
		defer close(l.ch)
		defer r.Close()
		for sc := bufio.NewScanner(r); sc.Scan(); {
			l.ch <- sc.Text()
		}
	}()
	return l
}

// wait reads lines until one satisfies ok and returns it.
func (l *lines) wait(t *testing.T, what string, ok func(string) bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	for {
		select {
		case s, more := <-l.ch:
			if !more {
				t.Fatalf("%s did not come; the process printed:\n%s", what, strings.Join(l.seen, "\n"))
			}
			l.seen = append(l.seen, s)
			if ok(s) {
				return s
			}
		case <-ctx.Done():
			t.Fatalf("%s did not come in time; the process printed:\n%s", what, strings.Join(l.seen, "\n"))
		}
	}
}

// find is wait for a line that may have come already.
func (l *lines) find(t *testing.T, what string, ok func(string) bool) string {
	t.Helper()
	for _, s := range l.seen {
		if ok(s) {
			return s
		}
	}
	return l.wait(t, what, ok)
}

// now returns what has been printed so far.
func (l *lines) now() []string {
	for {
		select {
		case s, more := <-l.ch:
			if more {
				l.seen = append(l.seen, s)
				continue
			}
		default:
		}
		return l.seen
	}
}

// all returns everything printed; the process must have ended.
func (l *lines) all() string {
	for s := range l.ch {
		l.seen = append(l.seen, s)
	}
	return strings.Join(l.seen, "\n")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// authority is a certificate authority for one test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 2}
}

// issue returns a PEM file with key and certificate for DNS names.
func (a *authority) issue(t *testing.T, names ...string) string {
	t.Helper()
	return a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names})
}

// issueExpired is issue for a certificate that was good until a minute ago.
func (a *authority) issueExpired(t *testing.T, names ...string) string {
	t.Helper()
	return a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(-time.Minute),
	})
}

// issueUser returns a PEM file with key and certificate for an XMPP address.
// See RFC 6120, section 13.7.1.4.
func (a *authority) issueUser(t *testing.T, jid string) string {
	t.Helper()
	type otherName struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"explicit,tag:0,utf8"`
	}
	name, err := asn1.MarshalWithParams(otherName{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}, jid}, "tag:0")
	if err != nil {
		t.Fatal(err)
	}
	names, err := asn1.Marshal([]asn1.RawValue{{FullBytes: name}})
	if err != nil {
		t.Fatal(err)
	}
	subjectAltName := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}
	return a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: jid}, ExtraExtensions: []pkix.Extension{subjectAltName}})
}

func (a *authority) sign(t *testing.T, tmpl *x509.Certificate) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber = big.NewInt(a.next)
	if tmpl.NotAfter.IsZero() {
		tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	a.next++
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// run executes a command to its end and returns what it printed.
func run(t *testing.T, stdin string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%s is not installed", name)
	}
	return string(out), err
}
