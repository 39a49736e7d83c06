package sock

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// canShare says that sockets with SO_REUSEPORT get datagrams by the hash of
// their source.
const canShare = true

func sharePort(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); cerr != nil {
		return cerr
	}
	return os.NewSyscallError("setsockopt", err)
}

// backlog sets the backlog of a listening socket, for 0 to the largest, and
// returns what it is then. Package net has called listen(2) already; a second call
// changes nothing but the backlog.
func backlog(ln net.Listener, n int) (effective int, err error) {
	s, ok := ln.(syscall.Conn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	n = systemBacklog(n)
	cerr := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("listen", unix.Listen(int(fd), n))
		// Of a listening socket this field is the backlog.
		if info, ierr := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); ierr == nil {
			effective = int(info.Sacked)
		} else {
			effective = n
		}
	})
	return effective, errors.Join(err, cerr)
}

// systemBacklog returns what the system makes of a backlog; 0 asks for the
// largest.
func systemBacklog(n int) int {
	most := unix.SOMAXCONN
	if b, err := os.ReadFile("/proc/sys/net/core/somaxconn"); err == nil {
		if m, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			most = m
		}
	}
	if n == 0 {
		return most
	}
	return min(n, most)
}
