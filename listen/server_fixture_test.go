package listen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sock"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// options are those of the test modules.
type options struct {
	Greeting string `conf:"greeting"`
}

func defaults() options { return options{Greeting: "hello"} }

// echo is a module for streams. Its sessions begin with a greeting, echo, and
// end with "bye" when they are told to.
type echo struct {
	mu   sync.Mutex
	runs []time.Time
	fail func(run int) error // what Listen does instead of serving, if not nil
}

func (m *echo) Listen(ctx context.Context, ln net.Listener, o options) error {
	m.mu.Lock()
	run := len(m.runs)
	m.runs = append(m.runs, time.Now())
	m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(run); err != nil {
			return err
		}
	}
	return netserve.Serve(ctx, ln, func(ctx context.Context, c net.Conn) error {
		defer context.AfterFunc(ctx, func() {
			_, _ = io.WriteString(c, "bye")
			_ = c.Close()
		})()
		if _, err := io.WriteString(c, o.Greeting+" "+c.RemoteAddr().String()+"\n"); err != nil {
			return err
		}
		_, err := io.Copy(c, c)
		return err
	}, netserve.Config{Grace: time.Second})
}

func (m *echo) starts() []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]time.Time(nil), m.runs...)
}

// pong is a module for datagrams: it answers with its greeting.
type pong struct {
	mu      sync.Mutex
	runs    int
	updates []string
	options map[string]options
	refuse  error // of Update
}

func (m *pong) ListenPacket(ctx context.Context, pc net.PacketConn, o options) error {
	m.mu.Lock()
	m.runs++
	if m.options == nil {
		m.options = make(map[string]options)
	}
	m.options[pc.LocalAddr().String()] = o
	m.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = pc.Close() })()
	for buf := make([]byte, 100); ; {
		_, peer, err := pc.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		m.mu.Lock()
		o := m.options[pc.LocalAddr().String()]
		m.mu.Unlock()
		_, _ = pc.WriteTo([]byte(o.Greeting), peer)
	}
}

func (m *pong) Update(addr net.Addr, o options) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return m.refuse
	}
	m.updates = append(m.updates, addr.String())
	m.options[addr.String()] = o
	return nil
}

// network is a network in memory, with the addresses of one machine.
type network struct {
	mu      sync.Mutex
	sockets map[string]*socket
	refused map[string]error // addresses that cannot be bound
	asked   []string
}

type socket struct {
	net     *network
	network string
	address string
	stream  *listentest.Listener
	packet  *listentest.PacketConn
}

// boundStream is a listener that gives its address back.
type boundStream struct {
	net.Listener
	s *socket
}

func (b boundStream) Close() error { return errors.Join(b.Listener.Close(), b.s.free()) }

type boundPacket struct {
	net.PacketConn
	s *socket
}

func (b boundPacket) Close() error { return errors.Join(b.PacketConn.Close(), b.s.free()) }

func (s *socket) free() error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	if s.net.sockets[s.address] == s {
		delete(s.net.sockets, s.address)
	}
	return nil
}

func newNetwork() *network {
	return &network{sockets: make(map[string]*socket), refused: make(map[string]error)}
}

func (n *network) bind(_ context.Context, nw, address string, _ listen.SocketOptions) (net.Listener, net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, address)
	if err := n.refused[address]; err != nil {
		return nil, nil, &net.OpError{Op: "listen", Net: nw, Err: os.NewSyscallError("bind", err)}
	}
	for _, s := range n.sockets {
		if sock.Conflict(s.network, s.address, nw, address) {
			return nil, nil, &net.OpError{Op: "listen", Net: nw, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
		}
	}
	s := &socket{net: n, network: nw, address: address}
	n.sockets[address] = s
	if strings.HasPrefix(nw, "udp") {
		s.packet = listentest.NewPacketConnAt(netip.MustParseAddrPort(address))
		return nil, boundPacket{s.packet, s}, nil
	}
	s.stream = listentest.NewListenerAt(netip.MustParseAddrPort(address))
	return boundStream{s.stream, s}, nil, nil
}

func (n *network) socket(t *testing.T, address string) *socket {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sockets[address]
	if s == nil {
		t.Fatalf("nobody listens on %s", address)
	}
	return s
}

func (n *network) bound(address string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sockets[address] != nil
}

// dial connects to an address and expects the greeting.
func (n *network) dial(t *testing.T, address, greeting string) *listentest.Client {
	t.Helper()
	c := listentest.NewClient(t, n.socket(t, address).stream.Dial())
	if got := c.Expect("\n"); !strings.HasPrefix(got, greeting+" ") {
		t.Fatalf("greeting on %s: got %q, want %q", address, got, greeting)
	}
	return c
}

// alive checks that a session goes on.
func alive(t *testing.T, c *listentest.Client) {
	t.Helper()
	c.Send("ping")
	c.Expect("ping")
}

// world is a server with its test modules on a network in memory.
type world struct {
	t      *testing.T
	net    *network
	echo   *echo
	other  *echo
	pong   *pong
	reg    *listen.Registry
	server *listen.Server
	log    *logBuffer
	used   []string // values of the top-level option motto, as the section got them
}

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type motto struct {
	Motto string `conf:"motto,top"`
}

func newWorld(t *testing.T, change ...func(*listen.ServerOptions)) *world {
	w := &world{t: t, net: newNetwork(), echo: &echo{}, other: &echo{}, pong: &pong{}, log: &logBuffer{}}
	w.reg = listen.NewRegistry(
		listen.StreamKind("echo", w.echo, defaults),
		listen.StreamKind("other", w.other, defaults),
		listen.PacketKind("pong", w.pong, defaults),
		listen.TopSection(func() motto { return motto{} }, func(m motto) { w.used = append(w.used, m.Motto) }),
	)
	o := listen.ServerOptions{Bind: w.net.bind, Grace: time.Minute, Log: slog.New(slog.NewTextHandler(w.log, nil))}
	for _, f := range change {
		f(&o)
	}
	w.server = listen.New(w.reg, o)
	return w
}

// stop ends the server and everybody's sessions.
func (w *world) stop() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.server.Shutdown(ctx)
}

// config parses entries of listen, each a line of YAML in flow style.
func (w *world) config(entries ...string) *listen.Config {
	w.t.Helper()
	src := "hosts: [localhost]\nmotto: m" + fmt.Sprint(len(entries)) + "\nlisten:\n"
	for _, e := range entries {
		src += "  - {" + e + "}\n"
	}
	c, err := listen.Parse("test.yml", []byte(src), w.reg)
	if err != nil {
		w.t.Fatalf("configuration:\n%v", err)
	}
	return c
}

// apply applies entries and checks what it did about them.
func (w *world) apply(want string, entries ...string) {
	w.t.Helper()
	steps, err := w.server.Apply(w.t.Context(), w.config(entries...))
	if err != nil {
		w.t.Fatalf("Apply: %v", err)
	}
	w.check(steps, want)
}

func (w *world) check(steps []listen.Step, want string) {
	w.t.Helper()
	var got []string
	for _, s := range steps {
		got = append(got, s.Change.String()+" "+s.Entry.Address)
		if s.Err != nil {
			w.t.Errorf("step %s: %v", s.Entry.Address, s.Err)
		}
	}
	if g := strings.Join(got, ", "); g != want {
		w.t.Errorf("steps: got %q, want %q", g, want)
	}
}

func (w *world) stats(address string) listen.Stats {
	w.t.Helper()
	for _, s := range w.server.Stats() {
		if s.Address == address {
			return s
		}
	}
	w.t.Fatalf("no listener %s in the statistics", address)
	return listen.Stats{}
}
