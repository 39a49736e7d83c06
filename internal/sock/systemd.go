package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Inherited is a socket that the program was started with.
type Inherited struct {
	// Name is that of FileDescriptorName= in the socket unit.
	Name string
	// One of the two is set.
	Listener   net.Listener
	PacketConn net.PacketConn
}

// Addr returns the address that the socket is bound to.
func (i Inherited) Addr() net.Addr {
	if i.Listener != nil {
		return i.Listener.Addr()
	}
	return i.PacketConn.LocalAddr()
}

// Close closes the socket.
func (i Inherited) Close() error {
	if i.Listener != nil {
		return i.Listener.Close()
	}
	return i.PacketConn.Close()
}

// firstFD is where the sockets of systemd begin.
const firstFD = 3

// Inherit takes the sockets over that systemd has opened for this process
// (socket activation), and removes the environment variables that tell of
// them, so that no child believes that they are its own. It returns none if
// there are none. It must be called at most once, before descriptors are
// opened or closed. See sd_listen_fds(3).
func Inherit() ([]Inherited, error) {
	pid, fds, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, v := range []string{"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(v)
	}
	if pid == "" || fds == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(fds)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS is %q, want a number", fds)
	}
	named := strings.Split(names, ":")
	var list []Inherited
	for i := range n {
		s, err := inherit(firstFD + i)
		if err != nil {
			for _, s := range list {
				_ = s.Close()
			}
			return nil, fmt.Errorf("descriptor %d of LISTEN_FDS: %w", firstFD+i, err)
		}
		if i < len(named) {
			s.Name = named[i]
		}
		list = append(list, s)
	}
	return list, nil
}

// systemTimes is a TCP listener whose connections have our keep-alive.
type systemTimes struct{ *net.TCPListener }

// Accept implements net.Listener.
func (l systemTimes) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	_ = c.SetKeepAliveConfig(keepAlive) // fails on connections that are gone
	return c, nil
}

// Notify tells the service manager about this process; each part is one
// assignment. It does nothing, and returns nil, when there is no service
// manager that wants to know. See sd_notify(3).
func Notify(parts ...string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if name[0] != '/' && name[0] != '@' {
		return fmt.Errorf("NOTIFY_SOCKET is %q, want a path or @name", name)
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	err = c.SetWriteDeadline(time.Now().Add(time.Second))
	if err == nil {
		_, err = c.Write([]byte(strings.Join(parts, "\n")))
	}
	return errors.Join(err, c.Close())
}

// Notification is something that a service manager wants to know about a
// process.
type Notification int

// The notifications; package listen says what they mean.
const (
	Ready Notification = iota
	Reloading
	Stopping
	Status
)

// Send tells the service manager n and, if it is not empty, a line of text for
// humans.
func (n Notification) Send(status string) error {
	var parts []string
	switch n {
	case Ready:
		parts = append(parts, "READY=1")
	case Reloading:
		parts = reloading()
	case Stopping:
		parts = append(parts, "STOPPING=1")
	case Status:
	}
	if status != "" {
		parts = append(parts, "STATUS="+status)
	}
	if len(parts) == 0 {
		return nil
	}
	return Notify(parts...)
}

// reloading returns the parts that announce a reload, with the time that
// Type=notify-reload wants.
func reloading() []string {
	parts := []string{"RELOADING=1"}
	if us, ok := monotonic(); ok {
		parts = append(parts, "MONOTONIC_USEC="+strconv.FormatInt(us, 10))
	}
	return parts
}
