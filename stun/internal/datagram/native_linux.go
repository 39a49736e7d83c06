package datagram

import (
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// native is what Linux knows of a socket. Descriptors are only used inside
// raw.Control and raw.Read. Those hold a reference, so that the number cannot be
// closed and be another socket's meanwhile, and Control lets any number of
// goroutines in at a time; the kernel orders them.
type native struct {
	raw      syscall.RawConn // nil: no socket of the system
	file     *os.File        // of a socket that is not one of package net
	inet6    bool
	segments atomic.Bool // the kernel takes UDP_SEGMENT
	df       dontFragment
	member   int32 // of a group, which guards it; 0: of none
}

// adopt looks whether conn is a socket of the system.
func (n *native) adopt(conn net.PacketConn) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil || domain != unix.AF_INET && domain != unix.AF_INET6 {
			return
		}
		n.raw, n.inet6 = raw, domain == unix.AF_INET6
		n.tellLocal(int(fd), conn)
		n.probe(int(fd))
	})
}

// probe asks for UDP_SEGMENT, which is of Linux 4.18. An older kernel would take
// the control message for nothing and send one large datagram.
func (n *native) probe(fd int) {
	_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	n.segments.Store(err == nil)
}

// tellLocal asks for the addresses that datagrams are sent to, if there are many.
func (n *native) tellLocal(fd int, conn net.PacketConn) {
	if a, ok := conn.LocalAddr().(*net.UDPAddr); !ok || !a.IP.IsUnspecified() {
		return
	}
	level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
	if n.inet6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	_ = unix.SetsockoptInt(fd, level, option, 1)
}

// isPolled says whether a Group waits for the socket together with others.
func (n *native) isPolled() bool { return n.raw != nil }

func (n *native) close() error { return n.file.Close() }

// drops returns the kernel's count of datagrams that the socket had no room for.
func (n *native) drops() uint64 {
	var v uint32
	if n.raw != nil {
		_ = n.raw.Control(func(fd uintptr) { v, _ = memInfo(fd, unix.SK_MEMINFO_DROPS) })
	}
	return uint64(v)
}

// Raise asks for kernel buffers of size bytes in each direction, and leaves larger
// ones. It returns what they are then: the system has a limit (net.core.rmem_max
// and wmem_max on Linux). Zero: not known.
func (s *Socket) Raise(size int) (receive, send int) {
	if s.raw == nil {
		return 0, 0
	}
	_ = s.raw.Control(func(fd uintptr) {
		receive = raise(int(fd), unix.SO_RCVBUF, size)
		send = raise(int(fd), unix.SO_SNDBUF, size)
	})
	return receive, send
}

func raise(fd, option, size int) int {
	// The kernel doubles what is set, for its own use, and tells the double.
	have, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	if err == nil && have/2 < size {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, size)
		have, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	}
	return have / 2
}
