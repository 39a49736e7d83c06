//go:build unix

package sock

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// start runs the test binary as a service that inherits sockets.
func start(t *testing.T, env []string, sockets ...interface{ File() (*os.File, error) }) *bufio.Scanner {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"=1")
	cmd.Env = append(append(cmd.Env, "GORACE=atexit_sleep_ms=0"), env...)
	for _, s := range sockets {
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = cmd.Wait()
		watchdog.Stop()
	})
	return bufio.NewScanner(out)
}

func expect(t *testing.T, out *bufio.Scanner, want ...string) {
	t.Helper()
	for _, w := range want {
		if !out.Scan() || out.Text() != w {
			t.Fatalf("the service says %q, want %q", out.Text(), w)
		}
	}
}

func TestInherit(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := filepath.Join(shortDir(t), "s")
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	out := start(t, []string{"LISTEN_PID=self", "LISTEN_FDS=3", "LISTEN_FDNAMES=ejabberd_c2s:local:stun"},
		tcp.(*net.TCPListener), unix, udp.(*net.UDPConn))
	expect(t, out, "sockets: 3",
		"ejabberd_c2s tcp "+tcp.Addr().String(), "local unix "+path, "stun udp "+udp.LocalAddr().String())
	for _, ln := range []struct{ network, address, name string }{{"tcp4", tcp.Addr().String(), "ejabberd_c2s"}, {"unix", path, "local"}} {
		c, err := net.Dial(ln.network, ln.address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if want := "hello from " + ln.name + "\n"; string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		_ = c.Close()
	}
	c, err := net.Dial("udp4", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = c.Write([]byte("echo"))
	buf := make([]byte, 10)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "echo" {
		t.Errorf("datagram: got %q, %v, want %q", buf[:n], err, "echo")
	}
}

func TestInheritNothing(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	pipe := func() interface{ File() (*os.File, error) } {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		return file{r}
	}
	conn := func() interface{ File() (*os.File, error) } {
		c, err := net.Dial("tcp4", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c.(*net.TCPConn)
	}
	tests := []struct {
		name    string
		env     []string
		sockets []interface{ File() (*os.File, error) }
		want    string
	}{
		{"no environment", nil, nil, "sockets: 0"},
		{"of another process", []string{"LISTEN_PID=1", "LISTEN_FDS=1"}, nil, "sockets: 0"},
		{"not a number", []string{"LISTEN_PID=self", "LISTEN_FDS=x"}, nil, "error: LISTEN_FDS"},
		{"not open", []string{"LISTEN_PID=self", "LISTEN_FDS=1000"}, nil, "error: descriptor"},
		{"not a socket", []string{"LISTEN_PID=self", "LISTEN_FDS=1"}, []interface{ File() (*os.File, error) }{pipe()}, "error: descriptor 3"},
		{"a connection", []string{"LISTEN_PID=self", "LISTEN_FDS=1"}, []interface{ File() (*os.File, error) }{conn()}, "error: descriptor 3 of LISTEN_FDS: not a listening socket"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := start(t, tt.env, tt.sockets...)
			if !out.Scan() || !strings.HasPrefix(out.Text(), tt.want) {
				t.Errorf("the service says %q, want %q", out.Text(), tt.want)
			}
			for out.Scan() {
				t.Errorf("the service also says %q", out.Text())
			}
		})
	}
}

// file is a file to inherit that is not a socket.
type file struct{ f *os.File }

func (f file) File() (*os.File, error) { return f.f, nil }

func TestInheritedMatches(t *testing.T) {
	tcp4, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp4.Close()
	_, port, _ := net.SplitHostPort(tcp4.Addr().String())
	path := filepath.Join(shortDir(t), "s")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	stream, local, packet := Inherited{Name: "m", Listener: tcp4}, Inherited{Name: "m", Listener: unix}, Inherited{Name: "m", PacketConn: udp}
	tests := []struct {
		socket                 Inherited
		network, address, name string
		want                   Match
	}{
		{stream, "tcp4", "0.0.0.0:" + port, "", AddressMatch},
		{stream, "tcp", "[::]:" + port, "", WildcardMatch},
		{stream, "tcp4", "127.0.0.1:" + port, "", NoMatch},
		{stream, "tcp4", "127.0.0.1:1", "m", NameMatch},
		{stream, "udp4", "0.0.0.0:" + port, "m", NoMatch},
		{local, "unix", path, "", AddressMatch},
		{local, "unix", path + "x", "", NoMatch},
		{local, "tcp4", "0.0.0.0:1", "m", NameMatch},
		{packet, "udp4", udp.LocalAddr().String(), "", AddressMatch},
		{packet, "tcp4", udp.LocalAddr().String(), "m", NoMatch},
	}
	for _, tt := range tests {
		if got := tt.socket.Matches(tt.network, tt.address, tt.name); got != tt.want {
			t.Errorf("%v for %s %s %q: got %d, want %d", tt.socket.Addr(), tt.network, tt.address, tt.name, got, tt.want)
		}
	}
}

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify("READY=1"); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
	names := []string{filepath.Join(shortDir(t), "notify")}
	if runtime.GOOS == "linux" {
		names = append(names, "@tidewaiter-test-"+filepath.Base(shortDir(t)))
	}
	for _, name := range names {
		manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", name)
		if err := Notify("READY=1", "STATUS=fine"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		buf := make([]byte, 100)
		n, err := manager.Read(buf)
		if got, want := string(buf[:n]), "READY=1\nSTATUS=fine"; got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
		_ = manager.Close()
	}
	t.Setenv("NOTIFY_SOCKET", "vsock:2:1234")
	if err := Notify("READY=1"); err == nil {
		t.Error("a socket of another family: got no error")
	}
}

func TestReloading(t *testing.T) {
	parts := reloading()
	if parts[0] != "RELOADING=1" {
		t.Errorf("got %q, want RELOADING=1 first", parts)
	}
	if runtime.GOOS == "linux" && (len(parts) != 2 || !strings.HasPrefix(parts[1], "MONOTONIC_USEC=") || strings.HasSuffix(parts[1], "=0")) {
		t.Errorf("got %q, want the time", parts)
	}
}
