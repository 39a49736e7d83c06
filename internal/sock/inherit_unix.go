//go:build unix

package sock

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// inherit makes a socket of a descriptor, which it closes: package net has its
// own copy.
func inherit(fd int) (Inherited, error) {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), fmt.Sprintf("fd%d", fd))
	if f == nil {
		return Inherited{}, errors.New("not open")
	}
	defer f.Close()
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return Inherited{}, os.NewSyscallError("getsockopt", err)
	}
	switch kind {
	case unix.SOCK_STREAM:
		if listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listening == 0 {
			return Inherited{}, errors.New("not a listening socket; the socket unit needs Accept=no")
		}
		ln, err := net.FileListener(f)
		if t, ok := ln.(*net.TCPListener); ok {
			ln = systemTimes{t}
		}
		return Inherited{Listener: ln}, err
	case unix.SOCK_DGRAM:
		pc, err := net.FilePacketConn(f)
		return Inherited{PacketConn: pc}, err
	}
	return Inherited{}, fmt.Errorf("socket of type %d; want a stream or datagram socket", kind)
}
