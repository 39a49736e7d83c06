package udp

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is one that the scheduler knows nothing of: it would wake a thread for each
// datagram, and whoever sends it pays for that. A Poll waits for it.
type Socket struct{ fd int }

// Take returns the socket of a connection of IPv4, which it closes.
func Take(conn *net.UDPConn) (*Socket, error) {
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := new(Socket)
	if e := raw.Control(func(fd uintptr) { s.fd, err = duplicate(int(fd)) }); e != nil {
		return nil, e
	}
	return s, err
}

func duplicate(fd int) (int, error) {
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return fd, os.NewSyscallError("fcntl", err)
}

// FD returns the descriptor, for a Batch.
func (s *Socket) FD() uintptr { return uintptr(s.fd) }

// Conn returns a connection of package net for the same socket, which stays open when
// that is closed.
func (s *Socket) Conn() (net.Conn, error) {
	fd, err := duplicate(s.fd)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "udp")
	defer file.Close()
	return net.FileConn(file)
}

// Close closes the socket.
func (s *Socket) Close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// Poll waits for several sockets. One goroutine uses it.
type Poll struct {
	fd     int
	events []unix.EpollEvent
}

// NewPoll returns a poll that waits for nothing yet.
func NewPoll() (*Poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &Poll{fd: fd, events: make([]unix.EpollEvent, 256)}, nil
}

// Add waits for a socket, too, under a tag.
func (p *Poll) Add(s *Socket, tag int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(tag)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, s.fd, &event))
}

// Wait waits until there is something to receive, up to a time of whole
// milliseconds, and calls f with the tag of each socket that has something.
func (p *Poll) Wait(most time.Duration, f func(tag int)) error {
	n, err := unix.EpollWait(p.fd, p.events, int(most/time.Millisecond))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("epoll_wait", err)
	}
	for _, e := range p.events[:max(n, 0)] {
		f(int(e.Fd))
	}
	return nil
}

// Close ends the waiting.
func (p *Poll) Close() error { return os.NewSyscallError("close", unix.Close(p.fd)) }
