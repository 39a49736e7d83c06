//go:build !unix

package stun

import (
	"errors"
	"net"
	"syscall"
)

// canShare says whether connections can be made from an address that is listened on.
const canShare = false

func share(net.Listener) error { return errors.ErrUnsupported }

func shareControl(_, _ string, _ syscall.RawConn) error { return errors.ErrUnsupported }
