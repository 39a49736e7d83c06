package datagram

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// serverBatch is how many datagrams Serve takes at once.
const serverBatch = 32

// inbox is the buffers that datagrams are received into. One goroutine uses it.
type inbox struct {
	packets []Packet
	headers []mmsghdr
	iovecs  []unix.Iovec
	names   []sockaddr
	infos   []control // nil: not asked for
	used    int       // packets that are still in use
}

func newInbox(size int) *inbox {
	in := &inbox{
		packets: make([]Packet, size),
		headers: make([]mmsghdr, size),
		iovecs:  make([]unix.Iovec, size),
		names:   make([]sockaddr, size),
	}
	all := make([]byte, size*slotSize)
	for i := range in.packets {
		slot := all[i*slotSize:][: Headroom+room : Headroom+room]
		in.packets[i].slot = slot
		setBytes(&in.iovecs[i], slot[Headroom:])
		in.headers[i].setData(in.iovecs[i : i+1])
		in.headers[i].setName(&in.names[i], unix.SizeofSockaddrInet6)
	}
	return in
}

// askLocal has every datagram tell where it was sent to.
func (in *inbox) askLocal() {
	in.infos = make([]control, len(in.headers))
	for i := range in.infos {
		in.headers[i].setControl(in.infos[i].bytes())
	}
}

// receive takes up to most datagrams that are there, into buffers that are not in
// use.
func (in *inbox) receive(fd uintptr, most int) ([]Packet, syscall.Errno) {
	end := min(in.used+most, len(in.packets))
	headers := in.headers[in.used:end]
	var n int
	errno := syscall.EINTR
	for errno == syscall.EINTR {
		n, errno = recvmmsg(fd, headers)
	}
	if errno != 0 {
		return nil, errno
	}
	packets := in.packets[in.used : in.used+n]
	for i := range packets {
		packets[i].fill(int(headers[i].n), addrPort(&in.names[in.used+i]))
		if in.infos != nil {
			packets[i].Local = in.infos[in.used+i].local(int(headers[i].Controllen))
			headers[i].setControl(in.infos[in.used+i].bytes())
		}
		headers[i].Namelen = unix.SizeofSockaddrInet6
	}
	in.used += n
	return packets, 0
}

// free is how many buffers are not in use.
func (in *inbox) free() int { return len(in.packets) - in.used }

// connReader reads a socket of package net in batches, through Go's poller.
type connReader struct {
	raw   syscall.RawConn
	in    *inbox
	take  func(fd uintptr) bool
	batch []Packet
	errno syscall.Errno
}

func (n *native) reader() reader {
	if n.raw == nil {
		return nil
	}
	r := &connReader{raw: n.raw, in: newInbox(serverBatch)}
	if n.many {
		r.in.askLocal()
	}
	r.take = func(fd uintptr) bool {
		r.in.used = 0
		r.batch, r.errno = r.in.receive(fd, serverBatch)
		return r.errno != syscall.EAGAIN
	}
	return r
}

// receive handles nothing while it is inside raw.Read: closing a socket waits for
// that, and a handler may close it.
func (r *connReader) receive() ([]Packet, error) {
	if err := r.raw.Read(r.take); err != nil {
		if errors.Is(err, os.ErrClosed) {
			err = net.ErrClosed
		}
		return nil, err
	}
	if r.errno != 0 {
		return nil, os.NewSyscallError("recvmmsg", r.errno)
	}
	return r.batch, nil
}
