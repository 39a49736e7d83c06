package sock

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// maxPath is how long the name of a unix socket may be: sun_path has 108 bytes
// on Linux, and one of them ends it.
const maxPath = 107

// unixListener is a unix socket that goes by another name than the one it was
// bound to.
type unixListener struct {
	*net.UnixListener
	path  string
	made  fs.FileInfo // of the socket, to know it again
	close sync.Once
	err   error
}

// Addr implements net.Listener.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close implements net.Listener. While the socket is open, nothing else can
// have its inode; so the name goes first.
func (l *unixListener) Close() error {
	l.close.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
			l.err = os.Remove(l.path)
		}
		l.err = errors.Join(l.err, l.UnixListener.Close())
	})
	return l.err
}

// CheckUnixPath returns an error if an absolute path is too long for the name
// of a unix socket, or for that under which Listen makes it.
func CheckUnixPath(path string) error {
	bound := filepath.Join(hiddenDir(filepath.Dir(path), "xxxxxx"), "s")
	if n := max(len(path), len(bound)); n > maxPath {
		return fmt.Errorf("unix socket %q: its path, or that under which it is made in the same directory, takes %d bytes, more than the %d that the system allows; choose a shorter one", path, n, maxPath)
	}
	return nil
}

func hiddenDir(dir, random string) string { return filepath.Join(dir, ".tw"+random) }

// listenUnix binds the socket in a directory that nobody else may enter, gives
// it mode and owner and only then its name: nobody can connect before.
func listenUnix(path string, o Options) (net.Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := CheckUnixPath(path); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	hidden := hiddenDir(dir, rand.Text()[:6])
	bound := filepath.Join(hidden, "s")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkFree(path); err != nil {
		return nil, err
	}
	if err := os.Mkdir(hidden, 0o700); err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(hidden) }()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: bound, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	l := &unixListener{UnixListener: ln, path: path}
	if err := l.name(bound, o); err != nil {
		_ = ln.Close()
		_ = os.Remove(bound)
		return nil, err
	}
	return l, nil
}

// name turns the socket bound into l.path.
func (l *unixListener) name(bound string, o Options) error {
	if err := setOwner(bound, o); err != nil {
		return err
	}
	var err error
	if l.made, err = os.Lstat(bound); err != nil {
		return err
	}
	return os.Rename(bound, l.path)
}

func setOwner(path string, o Options) error {
	if o.Owner >= 0 || o.Group >= 0 {
		if err := os.Lchown(path, o.Owner, o.Group); err != nil {
			return err
		}
	}
	return os.Chmod(path, o.Mode)
}

// checkFree returns an error unless path does not exist or is a socket that no
// process listens to.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%q exists and is not a socket; remove it or choose another path", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return &net.OpError{Op: "listen", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: syscall.EADDRINUSE}
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%q may be in use: %w", path, err)
}
