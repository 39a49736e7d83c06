package listen_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// newSystem is a world on the sockets of the operating system.
func newSystem(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, func(o *listen.ServerOptions) { o.Bind, o.Grace = nil, 0 })
	t.Cleanup(w.stop)
	return w
}

// freePort returns a port that nobody uses.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// reach connects and expects the greeting.
func reach(t *testing.T, network, address, greeting string) *listentest.Client {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	client := listentest.NewClient(t, c)
	client.Expect(greeting)
	return client
}

// The order of addresses that overlap makes no difference, neither within a
// configuration nor from one to the next.
func TestWildcardsOnTheSystem(t *testing.T) {
	if ln, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		_ = ln.Close()
	}
	port := freePort(t)
	entry := func(ip string) string { return fmt.Sprintf("port: %d, ip: %q, module: echo", port, ip) }
	tests := []struct{ from, to []string }{
		{[]string{"0.0.0.0"}, []string{"127.0.0.1"}},
		{[]string{"127.0.0.1"}, []string{"0.0.0.0"}},
		{[]string{"::"}, []string{"0.0.0.0"}},
		{[]string{"0.0.0.0"}, []string{"::"}},
		{[]string{"::"}, []string{"0.0.0.0", "::"}},
		{[]string{"::"}, []string{"::", "0.0.0.0"}},
		{[]string{"0.0.0.0", "::"}, []string{"::"}},
		{[]string{"::", "0.0.0.0"}, []string{"::1", "127.0.0.1"}},
		{[]string{"::1", "127.0.0.1"}, []string{"::"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.from, " to ", tt.to), func(t *testing.T) {
			w := newWorld(t, func(o *listen.ServerOptions) { o.Bind = nil })
			defer w.stop()
			var session *listentest.Client
			for _, ips := range [][]string{tt.from, tt.to, tt.from} {
				var entries []string
				for _, ip := range ips {
					entries = append(entries, entry(ip))
				}
				if _, err := w.server.Apply(t.Context(), w.config(entries...)); err != nil {
					t.Fatalf("%v: %v", ips, err)
				}
				if session != nil {
					alive(t, session)
				}
				to := "127.0.0.1"
				if ips[0] == "::1" && len(ips) == 1 {
					to = "::1"
				}
				session = reach(t, "tcp", net.JoinHostPort(to, fmt.Sprint(port)), "hello")
			}
		})
	}
}

func TestTakenPortOnTheSystem(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w := newSystem(t)
	_, err = w.server.Apply(t.Context(), w.config(fmt.Sprintf("port: %d, ip: 127.0.0.1, module: echo", ln.Addr().(*net.TCPAddr).Port)))
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "test.yml:4:5: listen[0]: listen tcp4 127.0.0.1:") {
		t.Errorf("got %v, want EADDRINUSE with the position", err)
	}
}

func TestUnixSocketReload(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes here")
	}
	dir, err := os.MkdirTemp("", "tw") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	mode := func(want os.FileMode) {
		t.Helper()
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != want|fs.ModeSocket {
			t.Errorf("got %v, %v, want a socket with mode %v", info, err, want)
		}
	}
	w := newSystem(t)
	w.apply("added "+path, fmt.Sprintf("port: %q, module: echo", "unix:"+path))
	mode(0o700)
	c := reach(t, "unix", path, "hello")
	w.apply("updated "+path, fmt.Sprintf("port: %q, module: echo, unix_socket: {mode: \"0660\"}, backlog: 3", "unix:"+path))
	mode(0o660)
	alive(t, c)
	reach(t, "unix", path, "hello")
	if got := w.stats(path).Backlog; runtime.GOOS == "linux" && got != 3 {
		t.Errorf("backlog: got %d, want 3", got)
	}
	w.apply("removed " + path)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want the socket file gone", err)
	}
}

func TestBacklogIsShown(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the backlog cannot be set here")
	}
	w := newSystem(t)
	w.apply("added 127.0.0.1:0, added 127.0.0.1:0", "port: 0, ip: 127.0.0.1, module: echo, backlog: 5", "port: 0, ip: 127.0.0.1, module: echo, backlog: 7")
	stats := w.server.Stats()
	if stats[0].Backlog != 5 || stats[1].Backlog != 7 || stats[0].Bound == stats[1].Bound {
		t.Errorf("got %+v, want backlogs 5 and 7 on two ports", stats)
	}
	if log := w.log.String(); !strings.Contains(log, "listener="+stats[0].Bound+" module=echo backlog=5") {
		t.Errorf("log: got %s, want the port and the backlog", log)
	}
	// Entries with port 0 are matched in their order.
	w.apply("kept 127.0.0.1:0, removed 127.0.0.1:0", "port: 0, ip: 127.0.0.1, module: echo, backlog: 5")
}

// batcher is a module that reads in batches.
type batcher struct{ got chan string }

func (m *batcher) ListenPacket(ctx context.Context, pc net.PacketConn, _ options) error {
	defer context.AfterFunc(ctx, func() { _ = pc.Close() })()
	conn := ipv4.NewPacketConn(pc)
	for {
		batch := []ipv4.Message{{Buffers: [][]byte{make([]byte, 100)}}}
		n, err := conn.ReadBatch(batch, 0)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		for _, msg := range batch[:n] {
			m.got <- string(msg.Buffers[0][:msg.N])
		}
	}
}

// Several readers of one address, in batches, and a reload that changes their
// number.
func TestReaders(t *testing.T) {
	m := &batcher{got: make(chan string, 100)}
	reg := listen.NewRegistry(listen.PacketKind("batcher", m, defaults))
	s := listen.New(reg, listen.ServerOptions{})
	defer func() { _ = s.Shutdown(t.Context()) }()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	for i, readers := range []int{4, 2, 0, 3} {
		steps, err := s.Apply(t.Context(), &listen.Config{Entries: []listen.Entry{{
			Module: "batcher", Network: "udp4", Address: address, Options: defaults(),
			Socket: listen.SocketOptions{Readers: readers},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && steps[0].Change != listen.Restarted {
			t.Errorf("%d readers: got %v, want restarted", readers, steps[0].Change)
		}
		for range 16 {
			c, err := net.Dial("udp4", address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write([]byte("x"))
			select {
			case <-m.got:
			case <-time.After(10 * time.Second):
				t.Fatalf("%d readers: a datagram was lost", readers)
			}
			_ = c.Close()
		}
	}
	_, err := s.Apply(t.Context(), &listen.Config{})
	if err != nil {
		t.Fatal(err)
	}
}

// startService runs the test binary with sockets for any and for pong. stop
// lets it end and returns a function that waits for the end.
func startService(t *testing.T, config, manager string, sockets ...interface{ File() (*os.File, error) }) (stop func() (wait func())) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", asService+"="+config, "LISTEN_FDS=2", "LISTEN_FDNAMES=any:pong", "NOTIFY_SOCKET="+manager)
	for _, s := range sockets {
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() func() {
		_ = stdin.Close()
		return func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("the service: %v\n%s", err, out.String())
			}
		}
	}
}

// A service that systemd activates: sockets come in, readiness goes out.
func TestSocketActivation(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no systemd here")
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	dir, err := os.MkdirTemp("", "tw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()

	// The stream socket is found by its address, the other by its name.
	config := fmt.Sprintf("hosts: [localhost]\nlisten:\n  - {port: %d, ip: 127.0.0.1, module: echo}\n  - {port: 1, ip: 127.0.0.1, transport: udp, module: pong}\n",
		tcp.Addr().(*net.TCPAddr).Port)
	stop := startService(t, config, filepath.Join(dir, "n"), tcp.(*net.TCPListener), udp.(*net.UDPConn))
	notified := func(want string) {
		t.Helper()
		_ = manager.SetReadDeadline(time.Now().Add(30 * time.Second))
		buf := make([]byte, 200)
		if n, err := manager.Read(buf); err != nil || string(buf[:n]) != want {
			t.Fatalf("notification: got %q, %v, want %q", buf[:n], err, want)
		}
	}
	notified("READY=1\nSTATUS=serving")
	reach(t, "tcp4", tcp.Addr().String(), "hello").Close()
	c, err := net.Dial("udp4", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(c, "?")
	buf := make([]byte, 10)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("datagram: got %q, %v, want the greeting", buf[:n], err)
	}
	wait := stop()
	notified("STOPPING=1")
	wait()
}

func TestNotify(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such sockets here")
	}
	dir, err := os.MkdirTemp("", "tw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "n")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	tests := []struct {
		n      listen.Notification
		status string
		want   string
	}{
		{listen.Ready, "", "READY=1"},
		{listen.Ready, "serving", "READY=1\nSTATUS=serving"},
		{listen.Reloading, "", "RELOADING=1"},
		{listen.Stopping, "bye", "STOPPING=1\nSTATUS=bye"},
		{listen.Status, "busy", "STATUS=busy"},
	}
	for _, tt := range tests {
		if err := listen.Notify(tt.n, tt.status); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 200)
		n, err := manager.Read(buf)
		if got := string(buf[:n]); err != nil || !strings.HasPrefix(got, tt.want) {
			t.Errorf("Notify(%d, %q): got %q, %v, want %q", tt.n, tt.status, got, err, tt.want)
		}
	}
	if err := listen.Notify(listen.Status, ""); err != nil {
		t.Errorf("nothing to say: got %v, want nil", err)
	}
}
