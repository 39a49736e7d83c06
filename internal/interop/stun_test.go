//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// sideBySide runs a test for each row at the same time: the clients wait more than they
// work.
func sideBySide[R any](t *testing.T, rows []R, name func(R) string, test func(*testing.T, R)) {
	t.Helper()
	var wg sync.WaitGroup
	for _, r := range rows {
		wg.Go(func() { t.Run(name(r), func(t *testing.T) { test(t, r) }) })
	}
	wg.Wait()
}

// eachTURNServer runs a test with each TURN server.
func eachTURNServer(t *testing.T, c credentials, test func(*testing.T, *turnServer)) {
	t.Helper()
	for name, start := range turnServers() {
		t.Run(name, func(t *testing.T) { test(t, start(t, c)) })
	}
}

// coturn's client for STUN learns its address.
func TestStunclient(t *testing.T) {
	program := need(t, "turnutils_stunclient")
	eachTURNServer(t, accounts, func(t *testing.T, s *turnServer) {
		for _, ip := range []string{"127.0.0.1", "::1"} {
			out, err := run(t, "", program, "-p", s.plain, ip)
			if err != nil || !strings.Contains(out, "UDP reflexive addr: "+ip+":") {
				t.Errorf("%s: %v, and it said\n%s", ip, err, out)
			}
		}
	})
}

// echo returns the port of a peer that sends back what it gets, on 127.0.0.1 and ::1.
func echo(t *testing.T) string {
	t.Helper()
	port := freeTURNPort(t)
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	for _, ip := range []string{"127.0.0.1", "::1"} {
		pc, err := net.ListenPacket("udp", net.JoinHostPort(ip, port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pc.Close() })
		wg.Go(func() {
			b := make([]byte, 1<<16)
			for {
				n, from, err := pc.ReadFrom(b)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err == nil {
					_, _ = pc.WriteTo(b[:n], from) // a relay that is gone, or full, needs none
				}
			}
		})
	}
	return port
}

// uclient is a run of coturn's TURN client. There is none with relays of both families
// (-Z): it asks for them with the number that the attribute had in a draft of RFC 8656.
type uclient struct {
	name   string
	server string   // "" is 127.0.0.1
	peer   string   // address of the peer that it talks with; "": another client
	args   []string // of the program
	says   string   // what it has to say of the way, by -v
}

const (
	relay4 = "IPv4. Received relay addr: 127.0.0.1:"
	relay6 = "IPv6. Received relay addr: ::1:"
)

func uclients() []uclient {
	args := strings.Fields
	return []uclient{
		{"channels over UDP", "", "127.0.0.1", args("-c"), "channel bind sent"},
		{"indications over UDP", "", "127.0.0.1", args("-c -s"), "create perm sent"},
		{"DONT-FRAGMENT", "", "127.0.0.1", args("-c -s -g"), relay4},
		{"repeated requests", "", "127.0.0.1", args("-c -G"), relay4},
		{"ten clients", "", "127.0.0.1", args("-c -m 10"), relay4},
		{"clients that break off", "", "127.0.0.1", args("-c -m 4 -B"), relay4},
		{"a stream of datagrams", "", "127.0.0.1", args("-c -l 1200 -n 200 -z 5"), relay4},
		{"even ports and reserved ones, client to client", "", "", args("-y"), relay4},
		{"IPv6 relay for IPv4", "", "::1", args("-c -x"), relay6},
		{"IPv4 relay for IPv6", "::1", "127.0.0.1", args("-c -X"), relay4},
		{"IPv6 relay for IPv6", "::1", "::1", args("-c -x"), relay6},
		{"channels over TCP", "", "127.0.0.1", args("-t -c"), "channel bind sent"},
		{"padded channels over TCP", "", "127.0.0.1", args("-t -c -D -l 101"), "channel bind sent"},
		{"indications over TCP", "", "127.0.0.1", args("-t -c -s"), "create perm sent"},
		{"client to client over TCP", "", "", args("-t -y"), relay4},
		{"TCP and IPv6", "::1", "::1", args("-t -c -x"), relay6},
		{"channels over TLS", "", "127.0.0.1", args("-t -S -c"), "channel bind sent"},
		{"indications over TLS", "", "127.0.0.1", args("-t -S -c -s"), "create perm sent"},
		{"TLS and IPv6", "::1", "::1", args("-t -S -c -x"), relay6},
		{"TCP relays", "", "", args("-T"), "connect sent"},
		{"TCP relays over TLS", "", "", args("-T -S"), "connect sent"},
		{"TCP relays and IPv6", "::1", "", args("-T -x"), relay6},
	}
}

// command returns the arguments for a server.
func (u uclient) command(s *turnServer, echo string) []string {
	args, port, server := append([]string{"-v"}, u.args...), s.plain, u.server
	for _, a := range u.args {
		if a == "-S" {
			port = s.tls
			args = append(args, "-E", s.ca)
		}
	}
	if u.peer != "" {
		args = append(args, "-e", u.peer, "-r", echo)
	}
	if server == "" {
		server = "127.0.0.1"
	}
	return append(args, "-p", port, server)
}

// What the client says of its success.
var (
	exchanged = regexp.MustCompile(`start_mclient: tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`)
	lost      = regexp.MustCompile(`Total lost packets (\d+) `)
)

// check checks what the client said.
func (u uclient) check(t *testing.T, out string, err error) {
	t.Helper()
	e, l := exchanged.FindStringSubmatch(out), lost.FindStringSubmatch(out)
	if err != nil || e == nil || l == nil || e[1] == "0" || e[1] != e[2] || l[1] != "0" || !strings.Contains(out, u.says) {
		t.Errorf("%v, and it said\n%s", err, out)
	}
}

// refused checks that the client said that it was not let in.
func refused(t *testing.T, out string) {
	t.Helper()
	if strings.Contains(out, "success") || !strings.Contains(out, "Cannot complete Allocation") {
		t.Errorf("it said\n%s", out)
	}
}

// coturn's TURN client talks in every way that it knows.
func TestUclient(t *testing.T) {
	program := need(t, "turnutils_uclient")
	peer := echo(t)
	eachTURNServer(t, accounts, func(t *testing.T, s *turnServer) {
		sideBySide(t, uclients(), func(u uclient) string { return u.name }, func(t *testing.T, u uclient) {
			out, err := run(t, "", program, append([]string{"-u", turnUser, "-w", turnPassword}, u.command(s, peer)...)...)
			u.check(t, out, err)
		})
		// It sends what it made up of random bytes, and waits for answers that such
		// requests need not have.
		t.Run("strange requests", func(t *testing.T) {
			u := uclient{peer: "127.0.0.1", args: []string{"-c", "-R", "-m", "5"}}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_ = exec.CommandContext(ctx, program, append([]string{"-u", turnUser, "-w", turnPassword}, u.command(s, peer)...)...).Run()
			awaitSTUN(t, net.JoinHostPort("127.0.0.1", s.plain))
		})
		t.Run("wrong password", func(t *testing.T) {
			out, _ := run(t, "", program, append([]string{"-u", turnUser, "-w", "ankle"}, uclients()[0].command(s, peer)...)...)
			refused(t, out)
		})
	})
}

// The client makes a name and password of the secret by itself.
func TestUclientWithSecret(t *testing.T) {
	program := need(t, "turnutils_uclient")
	peer := echo(t)
	eachTURNServer(t, timeLimits, func(t *testing.T, s *turnServer) {
		u := uclients()[0]
		out, err := run(t, "", program, append([]string{"-u", "somebody", "-W", turnSecret}, u.command(s, peer)...)...)
		u.check(t, out, err)
		out, _ = run(t, "", program, append([]string{"-u", "somebody", "-W", "another secret"}, u.command(s, peer)...)...)
		refused(t, out)
	})
}

// iceScenario is what py/ice.py takes.
type iceScenario struct {
	Host      string `json:"host"`
	Port      string `json:"port"`
	User      string `json:"user"`
	Password  string `json:"password"`
	Transport string `json:"transport"`
	TLS       bool   `json:"tls"`
}

func (s iceScenario) name() string {
	if s.TLS {
		return s.Host + " tls"
	}
	return s.Host + " " + s.Transport
}

// Two agents of aioice reach each other by their relays alone.
func TestAioice(t *testing.T) {
	python := "/usr/bin/python3" // the distribution's interpreter has the distribution's aioice
	if err := exec.Command(python, "-c", "import aioice").Run(); err != nil {
		notInstalled(t, "python3-aioice")
	}
	eachTURNServer(t, accounts, func(t *testing.T, s *turnServer) {
		sideBySide(t, []iceScenario{
			{"127.0.0.1", s.plain, turnUser, turnPassword, "udp", false},
			{"127.0.0.1", s.plain, turnUser, turnPassword, "tcp", false},
			{"127.0.0.1", s.tls, turnUser, turnPassword, "tcp", true},
			{"::1", s.plain, turnUser, turnPassword, "udp", false},
		}, iceScenario.name, func(t *testing.T, c iceScenario) {
			arg, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), python, filepath.Join("py", "ice.py"), string(arg))
			cmd.Env = append(cmd.Environ(), "SSL_CERT_FILE="+s.ca)
			if said := launchCommand(t, cmd).finish(t); !strings.Contains(strings.Join(said, "\n"), "typ relay") {
				t.Errorf("it said %q, want candidates of type relay", said)
			}
		})
	})
}
