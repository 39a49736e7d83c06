package datagram

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// inbox is the buffers that datagrams are received into. One goroutine uses it.
type inbox struct {
	packets []Packet
	headers []mmsghdr
	iovecs  []unix.Iovec
	names   []sockaddr
	infos   []control // of sockets with many addresses
	used    int       // packets that are still in use
}

func newInbox(size int) *inbox {
	in := &inbox{
		packets: make([]Packet, size),
		headers: make([]mmsghdr, size),
		iovecs:  make([]unix.Iovec, size),
		names:   make([]sockaddr, size),
		infos:   make([]control, size),
	}
	all := make([]byte, size*slotSize)
	for i := range in.packets {
		slot := all[i*slotSize:][: Headroom+room : Headroom+room]
		in.packets[i].slot = slot
		setBytes(&in.iovecs[i], slot[Headroom:])
		in.headers[i].setData(in.iovecs[i : i+1])
		in.headers[i].setName(&in.names[i], unix.SizeofSockaddrInet6)
		in.headers[i].setControl(in.infos[i].bytes())
	}
	return in
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
		info := &in.infos[in.used+i]
		packets[i].Local = info.local(int(headers[i].Controllen))
		headers[i].setControl(info.bytes())
		headers[i].Namelen = unix.SizeofSockaddrInet6
	}
	in.used += n
	return packets, 0
}

// free is how many buffers are not in use.
func (in *inbox) free() int { return len(in.packets) - in.used }
