//go:build unix

package stun

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// canShare says whether connections can be made from an address that is listened on.
const canShare = true

// share lets connections have the address of a listener. Until then nobody else can
// listen there, and so whoever is first has the port.
func share(ln net.Listener) error {
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err == nil {
		err = setReusePort(raw)
	}
	if err != nil {
		_ = ln.Close()
	}
	return err
}

// shareControl is share for the connections.
func shareControl(_, _ string, raw syscall.RawConn) error {
	if err := setOption(raw, unix.SO_REUSEADDR); err != nil {
		return err
	}
	return setReusePort(raw)
}

func setReusePort(raw syscall.RawConn) error { return setOption(raw, unix.SO_REUSEPORT) }

func setOption(raw syscall.RawConn, option int) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1) }); cerr != nil {
		return cerr
	}
	return err
}
