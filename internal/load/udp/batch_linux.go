package udp

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// header is struct mmsghdr of recvmmsg(2); the compiler pads it as C does.
type header struct {
	unix.Msghdr
	n uint32 // bytes received or sent
}

// Batch is buffers for datagrams that are received, or sent, at once. One goroutine
// uses it, with one socket or several.
type Batch struct {
	buffers [][]byte
	headers []header
	iovecs  []unix.Iovec
	names   []unix.RawSockaddrInet4
}

// NewBatch returns a batch of n datagrams of up to size bytes; what is longer is cut.
func NewBatch(n, size int) *Batch {
	b := &Batch{
		buffers: make([][]byte, n),
		headers: make([]header, n),
		iovecs:  make([]unix.Iovec, n),
		names:   make([]unix.RawSockaddrInet4, n),
	}
	all := make([]byte, n*size)
	for i := range b.buffers {
		b.buffers[i] = all[i*size:][:size:size]
		b.iovecs[i].Base = &b.buffers[i][0]
		b.headers[i].Iov = &b.iovecs[i]
		b.headers[i].SetIovlen(1)
	}
	return b
}

// Len returns how many datagrams there is room for.
func (b *Batch) Len() int { return len(b.buffers) }

// Buffer returns the whole memory of datagram i.
func (b *Batch) Buffer(i int) []byte { return b.buffers[i] }

// Receive takes what has come to a socket and does not wait: 0 when there is
// nothing. An error that an earlier datagram has caused counts as nothing, too;
// refused reports that nobody was there to take it.
func (b *Batch) Receive(fd uintptr) (n int, refused bool) {
	for i := range b.headers {
		h := &b.headers[i]
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&b.names[i])), unix.SizeofSockaddrInet4
		b.iovecs[i].SetLen(len(b.buffers[i]))
	}
	n, errno := b.call(unix.SYS_RECVMMSG, fd, 0, len(b.headers))
	return n, errno == unix.ECONNREFUSED
}

// Data returns the i-th datagram that was received. It is valid until the next call
// of Receive.
func (b *Batch) Data(i int) []byte { return b.buffers[i][:b.headers[i].n] }

// From returns where it came from.
func (b *Batch) From(i int) netip.AddrPort {
	p := (*[2]byte)(unsafe.Pointer(&b.names[i].Port)) // in the order of the network
	return netip.AddrPortFrom(netip.AddrFrom4(b.names[i].Addr), uint16(p[0])<<8|uint16(p[1]))
}

// Set makes the first n bytes of its buffer datagram i, for where the socket is
// connected to.
func (b *Batch) Set(i, n int) {
	b.headers[i].Name, b.headers[i].Namelen = nil, 0
	b.iovecs[i].SetLen(n)
}

// Return makes the first n bytes of its buffer datagram i, for where the i-th that
// was received came from.
func (b *Batch) Return(i, n int) { b.iovecs[i].SetLen(n) }

// Send sends the first n datagrams and does not wait. It returns how many the kernel
// has taken; refused is as that of Receive.
func (b *Batch) Send(fd uintptr, n int) (sent int, refused bool) {
	for sent < n {
		k, errno := b.call(unix.SYS_SENDMMSG, fd, sent, n)
		if errno == unix.ECONNREFUSED && !refused {
			refused = true // of an earlier datagram: it is told once
			continue
		}
		if errno != 0 {
			break
		}
		sent += k
	}
	return sent, refused
}

// call makes a system call that does not block, so the scheduler need not know of it.
func (b *Batch) call(trap, fd uintptr, from, to int) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&b.headers[from])), uintptr(to-from), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
			continue
		}
		return 0, errno
	}
}
