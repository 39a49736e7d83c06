package datagram

import (
	"encoding/binary"
	"net/netip"
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

// control has room for the control messages of a datagram: where it was sent to, or is
// sent from, and UDP_SEGMENT (udp(7)).
type control [10]uint64

func (c *control) bytes() (*byte, int) {
	return (*byte)(unsafe.Pointer(c)), int(unsafe.Sizeof(*c))
}

// add writes a control message behind n bytes, and returns how many they are then.
func (c *control) add(n int, level, typ int32, data []byte) int {
	h := (*unix.Cmsghdr)(unsafe.Add(unsafe.Pointer(c), n))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(len(data)))
	copy(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), n+unix.CmsgLen(0))), len(data)), data)
	return n + unix.CmsgSpace(len(data))
}

// set writes what is to be said of a message: the size of its segments, 0 for none, and
// where it is from, if that is valid.
func (c *control) set(segment int, from netip.Addr, inet6 bool) (*byte, int) {
	n := 0
	if segment > 0 {
		var size [2]byte
		binary.NativeEndian.PutUint16(size[:], uint16(segment))
		n = c.add(n, unix.IPPROTO_UDP, unix.UDP_SEGMENT, size[:])
	}
	switch {
	case !from.IsValid():
	case inet6:
		var info [unix.SizeofInet6Pktinfo]byte
		ip := from.As16()
		copy(info[:], ip[:])
		n = c.add(n, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, info[:])
	default:
		var info [unix.SizeofInet4Pktinfo]byte
		ip := from.As4()
		copy(info[4:], ip[:])
		n = c.add(n, unix.IPPROTO_IP, unix.IP_PKTINFO, info[:])
	}
	if n == 0 {
		return nil, 0
	}
	p, _ := c.bytes()
	return p, n
}

// local reads where a datagram was sent to, from the n bytes that the kernel wrote. Of
// link-local addresses the system knows best which is meant.
func (c *control) local(n int) (a netip.Addr) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(c))
	data := (*[unix.SizeofInet6Pktinfo]byte)(unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0)))
	switch {
	case n >= unix.CmsgLen(unix.SizeofInet6Pktinfo) && h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO:
		a = netip.AddrFrom16([16]byte(data[:])).Unmap()
	case n >= unix.CmsgLen(unix.SizeofInet4Pktinfo) && h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO:
		if a = netip.AddrFrom4([4]byte(data[4:])); a.IsUnspecified() {
			a = netip.AddrFrom4([4]byte(data[8:])) // it came before it was to be told
		}
	}
	if a.IsLinkLocalUnicast() || a.IsMulticast() {
		return netip.Addr{}
	}
	return a
}

func (h *mmsghdr) setName(a *sockaddr, length uint32) {
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(a)), length
}

func (h *mmsghdr) setData(iov []unix.Iovec) {
	h.Iov = unsafe.SliceData(iov)
	h.SetIovlen(len(iov))
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
