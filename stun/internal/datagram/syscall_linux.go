package datagram

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All that is unsafe in this package is here.
//
// The system calls are raw ones: they do not block (MSG_DONTWAIT, a timeout of 0),
// so the scheduler need not know of them. What they cost in latency is the length
// of a batch, for other goroutines on this thread and for a garbage collection that
// wants to begin: some 10 to 100 µs. In return the scheduler's monitor never takes
// the processor away from a batch, which otherwise costs a quarter to a half more
// time in all.

// mmsghdr is struct mmsghdr of recvmmsg(2); the compiler pads it as C does.
type mmsghdr struct {
	unix.Msghdr
	n uint32 // bytes received or sent
}

// sockaddr has room for an address of either family.
type sockaddr = unix.RawSockaddrInet6

// segmentControl is the control message UDP_SEGMENT (udp(7)).
type segmentControl struct {
	unix.Cmsghdr
	size uint16
	_    [6]byte
}

func (h *mmsghdr) setName(a *sockaddr, length uint32) {
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(a)), length
}

func (h *mmsghdr) setData(iov []unix.Iovec) {
	h.Iov = unsafe.SliceData(iov)
	h.SetIovlen(len(iov))
}

// setSegments makes the message's data datagrams of size bytes each.
func (h *mmsghdr) setSegments(c *segmentControl, size int) {
	c.Level, c.Type, c.size = unix.IPPROTO_UDP, unix.UDP_SEGMENT, uint16(size)
	c.SetLen(unix.CmsgLen(2))
	h.setControl((*byte)(unsafe.Pointer(c)), unix.CmsgSpace(2))
}

func (h *mmsghdr) setControl(p *byte, n int) {
	h.Control = p
	h.SetControllen(n)
}

func setBytes(iov *unix.Iovec, b []byte) {
	iov.Base = unsafe.SliceData(b)
	iov.SetLen(len(b))
}

// inet4 returns the address as one of IPv4; both have the family in front.
func inet4(a *sockaddr) *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
}

func recvmmsg(fd uintptr, h []mmsghdr) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(unsafe.SliceData(h))), uintptr(len(h)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

func sendmmsg(fd uintptr, h []mmsghdr) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(unsafe.SliceData(h))), uintptr(len(h)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

func sendmsg(fd uintptr, h *mmsghdr) syscall.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&h.Msghdr)), unix.MSG_DONTWAIT, 0, 0, 0)
	return e
}

func epollWait(fd uintptr, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	return int(n), e
}

// memInfo returns a value of SO_MEMINFO (linux/sock_diag.h).
func memInfo(fd uintptr, which int) (uint32, syscall.Errno) {
	var v [16]uint32
	n := uint32(unsafe.Sizeof(v))
	_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&n)), 0)
	return v[which], e
}
