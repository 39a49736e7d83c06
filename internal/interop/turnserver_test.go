//go:build interop

package interop

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Who may have a relay of the TURN servers here, besides those who know the secret.
const (
	turnUser     = "ana"
	turnPassword = "anchor"
	turnSecret   = "the tide waits for nobody"
)

// turnServer is a TURN server on 127.0.0.1 and ::1 that relays to peers there.
type turnServer struct {
	name  string
	plain string // port for UDP and TCP
	tls   string // port for TLS
	ca    string // PEM file: who vouches for its certificate
}

// turnServers are those that the clients are tried with: that of others shows that a
// client and its test are right.
func turnServers() map[string]func(*testing.T, credentials) *turnServer {
	return map[string]func(*testing.T, credentials) *turnServer{"coturn": coturn, "tidewaiter": turnTidewaiter}
}

// credentials says what the clients of a server have: coturn can have one of the two.
type credentials int

const (
	accounts   credentials = iota // a user with a password
	timeLimits                    // names that are good until a time
)

func (c credentials) String() string {
	return [...]string{"accounts", "time-limited credentials"}[c]
}

func newTURNServer(t *testing.T, name string) (*turnServer, string) {
	t.Helper()
	dir, ca := t.TempDir(), newAuthority(t)
	s := &turnServer{name: name, plain: freeTURNPort(t), ca: filepath.Join(dir, "ca.pem")}
	for s.tls = s.plain; s.tls == s.plain; s.tls = freeTURNPort(t) {
	}
	write(t, s.ca, ca.pem)
	write(t, filepath.Join(dir, "localhost.pem"), ca.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}))
	return s, dir
}

// freeTURNPort returns a port that is free for UDP and TCP in both families.
func freeTURNPort(t *testing.T) string {
	t.Helper()
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		notInstalled(t, "IPv6 on loopback")
	} else {
		ln.Close()
	}
	free := func(port string) bool {
		for _, host := range []string{"127.0.0.1", "::1"} {
			pc, err := net.ListenPacket("udp", net.JoinHostPort(host, port))
			if err != nil {
				return false
			}
			pc.Close()
		}
		ln, err := net.Listen("tcp", net.JoinHostPort("::1", port))
		if err != nil {
			return false
		}
		ln.Close()
		return true
	}
	for range 100 {
		if port := freePort(t); free(port) {
			return port
		}
	}
	t.Fatal("no port is free for UDP and TCP on 127.0.0.1 and ::1")
	return ""
}

// coturn runs coturn's turnserver.
func coturn(t *testing.T, c credentials) *turnServer {
	t.Helper()
	program := need(t, "turnserver")
	s, dir := newTURNServer(t, "coturn")
	known := "lt-cred-mech\nuser=" + turnUser + ":" + turnPassword
	if c == timeLimits {
		known = "use-auth-secret\nstatic-auth-secret=" + turnSecret
	}
	config := filepath.Join(dir, "turnserver.conf")
	write(t, config, fmt.Sprintf(`listening-ip=127.0.0.1
listening-ip=::1
relay-ip=127.0.0.1
relay-ip=::1
listening-port=%s
tls-listening-port=%s
realm=localhost
%s
cert=%[4]s/localhost.pem
pkey=%[4]s/localhost.pem
log-file=%[4]s/log
userdb=%[4]s/db
pidfile=%[4]s/pid
allow-loopback-peers
no-stdout-log
simple-log
no-rfc5780
no-cli
no-dtls
verbose
`, s.plain, s.tls, known, dir))
	p := &process{name: "coturn", dir: dir, program: []string{program, "-c", config}, ready: net.JoinHostPort("::1", s.tls)}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.stop()
		}
		p.keep(t)
	})
	p.launch(t)
	for _, ip := range []string{"127.0.0.1", "::1"} {
		awaitSTUN(t, net.JoinHostPort(ip, s.plain))
	}
	return s
}

// awaitSTUN waits until a server answers a Binding request (RFC 8489) on UDP.
func awaitSTUN(t *testing.T, server string) {
	t.Helper()
	c, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, newID()...)
	for deadline := time.Now().Add(bound); time.Now().Before(deadline); {
		_, _ = c.Write(request) // refused as long as the server is not there
		if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1500)
		n, err := c.Read(b)
		if err == nil && n >= 20 && b[0] == 1 && b[1] == 1 && string(b[8:20]) == string(request[8:]) {
			return
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			<-time.After(20 * time.Millisecond)
		}
	}
	t.Fatalf("%s does not answer a Binding request", server)
}

// turnTidewaiter runs examples/server. It takes credentials of both kinds.
func turnTidewaiter(t *testing.T, _ credentials) *turnServer {
	t.Helper()
	s, dir := newTURNServer(t, "tidewaiter")
	config := "hosts: [localhost]\ncertfiles: [localhost.pem]\nmodules: {mod_stun_disco: {secret: " + turnSecret + "}}\nlisten:\n"
	for _, ip := range []string{"127.0.0.1", "::1"} {
		for _, way := range []struct{ port, options string }{
			{s.plain, "transport: udp"},
			{s.plain, "transport: tcp"},
			{s.tls, "tls: true"},
		} {
			// All clients have one address, and those that break off do not clean up.
			config += fmt.Sprintf("  - {port: %s, ip: %q, %s, module: ejabberd_stun, use_turn: true, turn_ipv4_address: 127.0.0.1, "+
				"turn_ipv6_address: \"::1\", turn_whitelist: [127.0.0.0/8, \"::1\"], turn_max_allocations: 200}\n", way.port, ip, way.options)
		}
	}
	path := filepath.Join(dir, "ejabberd.yml")
	write(t, path, config)
	(&server{dir: dir}).begin(t, path, "-register", turnUser+"@localhost:"+turnPassword)
	return s
}
