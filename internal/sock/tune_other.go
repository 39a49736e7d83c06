//go:build !linux

package sock

import (
	"errors"
	"net"
	"syscall"
)

const canShare = false

func sharePort(_, _ string, _ syscall.RawConn) error { return errors.ErrUnsupported }

var errBacklog = errors.New("on this system the backlog stays what the system allows")

func backlog(_ net.Listener, _ int) (effective int, err error) { return 0, errBacklog }
