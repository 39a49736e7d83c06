//go:build unix

package sock

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// shortDir returns a directory with a path that leaves room for a name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestUnixModes(t *testing.T) {
	old := syscall.Umask(0) // must make no difference
	defer syscall.Umask(old)
	for _, mode := range []os.FileMode{0o600, 0o660, 0o777, 0o700} {
		dir := shortDir(t)
		path := filepath.Join(dir, "s")
		listen(t, "unix", path, Options{Mode: mode, Owner: -1, Group: -1})
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := info.Mode(), mode|fs.ModeSocket; got != want {
			t.Errorf("mode: got %v, want %v", got, want)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("left behind in the directory: %v", entries)
		}
	}
}

func TestUnixOwner(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l := listen(t, "unix", path, Options{Mode: 0o600, Owner: os.Getuid(), Group: os.Getgid()})
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	if err := l.Adjust(Options{Mode: 0o640, Owner: 1234, Group: 2345}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid != 1234 || st.Gid != 2345 || info.Mode().Perm() != 0o640 {
		t.Errorf("got %d:%d %v, want 1234:2345 0640", st.Uid, st.Gid, info.Mode())
	}
}

func TestUnixOwnerRefused(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may do everything")
	}
	dir := shortDir(t)
	if _, err := Listen(t.Context(), "unix", filepath.Join(dir, "s"), Options{Mode: 0o600, Owner: 0, Group: -1}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want that chown is not permitted", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind in the directory: %v", entries)
	}
}

func TestUnixLiveIsRefused(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	listen(t, "unix", path, unchanged)
	if _, err := Listen(t.Context(), "unix", path, unchanged); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want EADDRINUSE", err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the first socket: %v", err)
	}
	_ = c.Close()
}

func TestUnixStaleIsReplaced(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	l := listen(t, "unix", path, unchanged)
	if got := l.Addr().String(); got != path {
		t.Errorf("address: got %s, want %s", got, path)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestUnixOtherFilesAreKept(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "s")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "l")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link, dir} {
		if _, err := Listen(t.Context(), "unix", p, unchanged); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("got %v, want that %s is not a socket", err, p)
		}
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file has %q now", b)
	}
}

func TestUnixClose(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l := listen(t, "unix", path, unchanged)
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: got %v, want the name gone", err)
	}

	// A name that belongs to somebody else by now stays.
	l = listen(t, "unix", path, unchanged)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	listen(t, "unix", path, unchanged)
	_ = l.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the newer socket: %v", err)
	}
	_ = c.Close()
}

func TestUnixDirectoryIsMade(t *testing.T) {
	dir := filepath.Join(shortDir(t), "a", "b")
	listen(t, "unix", filepath.Join(dir, "s"), unchanged)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("mode of the directory: got %v, want 0700", got)
	}
}

func TestUnixPathLength(t *testing.T) {
	dir := shortDir(t)
	name := func(total int) string { return filepath.Join(dir, strings.Repeat("x", total-len(dir)-1)) }
	listen(t, "unix", name(107), unchanged)
	deep := filepath.Join(dir, strings.Repeat("d", 100-len(dir)))
	for _, path := range []string{name(108), filepath.Join(deep, "s")} {
		_, err := Listen(t.Context(), "unix", path, unchanged)
		if err == nil || !strings.Contains(err.Error(), "107") {
			t.Errorf("got %v, want the limit of 107 bytes", err)
		}
	}
	if _, err := os.Stat(deep); err == nil {
		t.Error("the directory was made although its socket cannot be")
	}
}
