package sock

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func listen(t *testing.T, network, address string, o Options) *Listener {
	t.Helper()
	l, err := Listen(t.Context(), network, address, o)
	if err != nil {
		t.Fatalf("Listen(%s, %s): %v", network, address, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// unchanged leaves the owner of unix sockets alone.
var unchanged = Options{Mode: 0o700, Owner: -1, Group: -1}

func TestPortZero(t *testing.T) {
	l := listen(t, "tcp4", "127.0.0.1:0", Options{})
	if port := l.Addr().(*net.TCPAddr).Port; port == 0 {
		t.Error("got port 0, want the one that the system chose")
	}
	pcs, _, err := ListenPacket(t.Context(), "udp4", "127.0.0.1:0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pcs[0].Close()
	if port := pcs[0].LocalAddr().(*net.UDPAddr).Port; port == 0 {
		t.Error("got port 0, want the one that the system chose")
	}
}

func TestTakenPort(t *testing.T) {
	l := listen(t, "tcp4", "127.0.0.1:0", Options{})
	if _, err := Listen(t.Context(), "tcp4", l.Addr().String(), Options{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("tcp: got %v, want EADDRINUSE", err)
	}
	for _, readers := range []int{0, 1, 4} {
		pcs, _, err := ListenPacket(t.Context(), "udp4", "127.0.0.1:0", Options{Readers: readers})
		if err != nil {
			t.Fatal(err)
		}
		for _, second := range []int{0, 4} {
			if _, _, err := ListenPacket(t.Context(), "udp4", pcs[0].LocalAddr().String(), Options{Readers: second}); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("udp, %d readers after %d: got %v, want EADDRINUSE", second, readers, err)
			}
		}
		for _, pc := range pcs {
			_ = pc.Close()
		}
	}
}

// The wildcard IPv6 address leaves the IPv4 port to others with tcp6 only.
func TestWildcards(t *testing.T) {
	if _, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	tests := []struct {
		first, second string
		taken         bool
	}{
		{"tcp4 0.0.0.0", "tcp6 [::]", false},
		{"tcp6 [::]", "tcp4 0.0.0.0", false},
		{"tcp4 0.0.0.0", "tcp [::]", true},
		{"tcp [::]", "tcp4 0.0.0.0", true},
		{"tcp4 0.0.0.0", "tcp4 127.0.0.1", true},
		{"tcp4 127.0.0.1", "tcp4 0.0.0.0", true},
		{"tcp4 127.0.0.1", "tcp4 127.0.0.2", false},
		{"tcp6 [::]", "tcp6 [::1]", true},
		{"tcp6 [::]", "tcp4 127.0.0.1", false},
	}
	for _, tt := range tests {
		t.Run(tt.first+" before "+tt.second, func(t *testing.T) {
			network, ip, _ := strings.Cut(tt.first, " ")
			l := listen(t, network, ip+":0", Options{})
			port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
			network2, ip2, _ := strings.Cut(tt.second, " ")
			second, err := Listen(t.Context(), network2, ip2+":"+port, Options{})
			if err == nil {
				defer second.Close()
			}
			if taken := errors.Is(err, syscall.EADDRINUSE); taken != tt.taken {
				t.Errorf("got %v, want taken %t", err, tt.taken)
			}
			if got := Conflict(network, ip+":"+port, network2, ip2+":"+port); got != tt.taken {
				t.Errorf("Conflict: got %t, want %t", got, tt.taken)
			}
		})
	}
}

func TestConflict(t *testing.T) {
	tests := []struct {
		network1, address1, network2, address2 string
		want                                   bool
	}{
		{"tcp4", "0.0.0.0:5222", "tcp4", "0.0.0.0:5223", false},
		{"tcp4", "0.0.0.0:5222", "udp4", "0.0.0.0:5222", false},
		{"udp4", "0.0.0.0:3478", "udp4", "127.0.0.1:3478", true},
		{"udp", "[::]:3478", "udp4", "127.0.0.1:3478", true},
		{"tcp4", "127.0.0.1:0", "tcp4", "127.0.0.1:0", false},
		{"unix", "/run/a", "unix", "/run/a", true},
		{"unix", "/run/a", "unix", "/run/b", false},
		{"unix", "/run/a", "tcp4", "0.0.0.0:1", false},
		{"tcp", "localhost:1", "tcp", "localhost:1", true},
		{"tcp", "localhost:1", "tcp4", "127.0.0.1:1", false},
	}
	for _, tt := range tests {
		for range 2 {
			if got := Conflict(tt.network1, tt.address1, tt.network2, tt.address2); got != tt.want {
				t.Errorf("Conflict(%s %s, %s %s): got %t, want %t", tt.network1, tt.address1, tt.network2, tt.address2, got, tt.want)
			}
			tt.network1, tt.address1, tt.network2, tt.address2 = tt.network2, tt.address2, tt.network1, tt.address1
		}
	}
}

func TestBacklog(t *testing.T) {
	if runtime.GOOS != "linux" {
		l := listen(t, "tcp4", "127.0.0.1:0", Options{Backlog: 7})
		if len(l.Warnings) != 1 || l.Backlog != 0 {
			t.Errorf("got %d, %q, want a warning", l.Backlog, l.Warnings)
		}
		return
	}
	most := somaxconn(t)
	dir := t.TempDir()
	tests := []struct {
		name          string
		asked, change int
		want, changed int
	}{
		{"small", 7, 9, 7, 9},
		{"larger than the system's", most + 1, 3, most, 3},
		{"the system's", 0, 5, most, 5},
		{"back to the system's", 5, 0, 5, most},
	}
	for _, tt := range tests {
		for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "unix": filepath.Join(dir, "s")} {
			t.Run(tt.name+" "+network, func(t *testing.T) {
				o := unchanged
				o.Backlog = tt.asked
				l := listen(t, network, address, o)
				if l.Backlog != tt.want || len(l.Warnings) > 0 {
					t.Errorf("got %d, %q, want %d", l.Backlog, l.Warnings, tt.want)
				}
				o.Backlog = tt.change
				if err := l.Adjust(o); err != nil || l.Backlog != tt.changed {
					t.Errorf("Adjust: got %d, %v, want %d", l.Backlog, err, tt.changed)
				}
				c, err := net.Dial(l.Addr().Network(), l.Addr().String())
				if err != nil {
					t.Fatalf("connecting after listen(2) was called again: %v", err)
				}
				_ = c.Close()
			})
		}
	}
}

func somaxconn(t *testing.T) int {
	b, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Skip(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Several readers share the datagrams of one address, and no datagram is lost.
func TestReaders(t *testing.T) {
	pcs, warnings, err := ListenPacket(t.Context(), "udp4", "127.0.0.1:0", Options{Readers: 4})
	if err != nil {
		t.Fatal(err)
	}
	want := 4
	if !canShare {
		if want = 1; len(warnings) != 1 {
			t.Errorf("warnings: got %q, want one", warnings)
		}
	}
	if len(pcs) != want {
		t.Fatalf("sockets: got %d, want %d", len(pcs), want)
	}
	const peers = 64
	got := make(chan int)
	for i, pc := range pcs {
		go func() {
			for buf := make([]byte, 10); ; {
				if _, _, err := pc.ReadFrom(buf); err != nil {
					return
				}
				got <- i
			}
		}()
	}
	used := make(map[int]int)
	for range peers {
		c, err := net.Dial("udp4", pcs[0].LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("x"))
		used[<-got]++
		_ = c.Close()
	}
	if canShare && len(used) < 2 {
		t.Errorf("readers that got datagrams: %v, want more than one", used)
	}
	for _, pc := range pcs {
		_ = pc.Close()
	}
}

func TestExplain(t *testing.T) {
	other := errors.New("another error")
	for _, tt := range []struct {
		network string
		err     error
		want    string
	}{
		{"tcp4", syscall.EADDRINUSE, "another program"},
		{"tcp4", syscall.EADDRNOTAVAIL, "no interface"},
		{"udp6", syscall.EACCES, "CAP_NET_BIND_SERVICE"},
		{"unix", syscall.EACCES, "directory"},
		{"unix", syscall.EPERM, "owner and group"},
		{"unix", other, "another error"},
	} {
		got := Explain(tt.network, &net.OpError{Op: "listen", Net: tt.network, Err: tt.err})
		if !errors.Is(got, tt.err) || !strings.Contains(got.Error(), tt.want) {
			t.Errorf("%s, %v: got %v, want it with %q", tt.network, tt.err, got, tt.want)
		}
	}
	if err := Explain("tcp4", nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
}
