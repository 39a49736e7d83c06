package datagram

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bounds of a message that the network splits (UDP_SEGMENT). More segments the
// kernel does not take; larger ones do not fit into an Ethernet frame, which it
// refuses; and the whole must be no larger than a datagram may be. A run of 4 costs
// half as much as 4 datagrams, and one of 2 four fifths.
const (
	mostSegments = 64
	largeSegment = 1452
	largeMessage = 65000
)

// sendBatch is the messages of one sendmmsg. The zero value is ready for use.
type sendBatch struct{ *messages }

type messages struct {
	headers  [outboxSize]mmsghdr
	iovecs   [outboxSize]unix.Iovec
	names    [outboxSize]sockaddr
	controls [outboxSize]control
	from     [outboxSize]netip.Addr
	first    [outboxSize]int // of the vectors of a message
	n        int             // messages
	vectors  int             // datagrams in them

	socket *Socket
	done   int
	tried  bool
	send   func(fd uintptr)
}

// post sends those of the letters that are for s, the first of which is, and marks
// them.
func (s *Socket) post(b *sendBatch, letters []letter) {
	if s.raw == nil {
		s.postPlain(letters)
		return
	}
	if b.messages == nil {
		b.messages = &messages{}
		b.send = b.sendAll
	}
	b.gather(s, letters)
	if b.n == 0 {
		return
	}
	if s.raw.Control(b.send) != nil {
		s.lost.Add(uint64(b.vectors))
	}
	clear(b.iovecs[:b.vectors])
}

// gather makes messages of the letters for s.
func (b *messages) gather(s *Socket, letters []letter) {
	b.socket, b.n, b.vectors, b.done, b.tried = s, 0, 0, 0, false
	split := s.segments.Load()
	for i := range letters {
		first := &letters[i]
		if first.socket != s {
			continue
		}
		first.socket = nil
		h, name := &b.headers[b.n], &b.names[b.n]
		length := setSockaddr(name, first.to, s.inet6)
		if length == 0 { // of the other family
			s.lost.Add(1)
			continue
		}
		from := b.vectors
		b.first[b.n] = from
		b.add(first.data)
		if split && len(first.data) > 0 && len(first.data) <= largeSegment {
			b.addRun(s, first, letters[i+1:])
		}
		h.setName(name, length)
		h.setData(b.iovecs[from:b.vectors])
		segment := 0
		if b.vectors-from > 1 {
			segment = len(first.data)
		}
		b.from[b.n] = first.from
		h.setControl(b.controls[b.n].set(segment, first.from, s.inet6))
		b.n++
	}
}

func (b *messages) add(data []byte) {
	setBytes(&b.iovecs[b.vectors], data)
	b.vectors++
}

// addRun adds to the message of first those of the letters that can be segments of
// the same: for the same address and of the same size, but for the last, which may
// be smaller. One that cannot be ends the run, so that the order stays.
func (b *messages) addRun(s *Socket, first *letter, rest []letter) {
	size, total := len(first.data), len(first.data)
	for i, count := 0, 1; i < len(rest) && count < mostSegments; i++ {
		l := &rest[i]
		if l.socket != s || l.to != first.to || l.from != first.from {
			continue
		}
		n := len(l.data)
		if n == 0 || n > size || total+n > largeMessage {
			return
		}
		b.add(l.data)
		l.socket = nil
		count++
		if total += n; n < size {
			return
		}
	}
}

// sendAll sends the messages. An error is about the first of those that are not
// sent yet: it must not cost the others anything.
func (b *messages) sendAll(fd uintptr) {
	for b.done < b.n {
		h := &b.headers[b.done]
		n, errno := sendmmsg(fd, b.headers[b.done:b.n])
		switch {
		case errno == 0:
			b.done += n
			b.tried = false
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN: // the socket's buffer is full
			for ; b.done < b.n; b.done++ {
				b.socket.lost.Add(uint64(b.headers[b.done].Iovlen))
			}
		case h.Iovlen > 1 && (errno == syscall.EIO || errno == syscall.EINVAL || b.tried):
			b.unsplit(fd, errno)
		case !b.tried:
			// It may be an error of a datagram long gone, which ICMP reported: the
			// kernel tells it to the next who asks.
			b.tried = true
		default:
			b.socket.lost.Add(uint64(h.Iovlen))
			b.done++
			b.tried = false
		}
	}
}

// unsplit sends the segments of a message one by one. EIO says that nothing on the
// way can split (the route has IPsec, the device no checksums), EINVAL that
// segments are larger than this route takes.
func (b *messages) unsplit(fd uintptr, errno syscall.Errno) {
	if errno == syscall.EIO {
		b.socket.segments.Store(false)
	}
	h, first := &b.headers[b.done], b.first[b.done]
	n := int(h.Iovlen)
	h.setControl(b.controls[b.done].set(0, b.from[b.done], b.socket.inet6))
	for i := first; i < first+n; i++ {
		h.setData(b.iovecs[i : i+1])
		if sendOne(fd, h) != 0 {
			b.socket.lost.Add(1)
		}
	}
	b.done++
	b.tried = false
}

// sendOne sends one message and returns why it was not sent.
func sendOne(fd uintptr, h *mmsghdr) syscall.Errno {
	for tried := false; ; {
		errno := sendmsg(fd, h)
		switch {
		case errno == syscall.EINTR:
		case errno == 0 || errno == syscall.EAGAIN || tried:
			return errno
		default:
			tried = true // as in sendAll
		}
	}
}

// envelope sends one datagram. They are pooled, so that goroutines share nothing.
type envelope struct {
	header mmsghdr
	iovec  [1]unix.Iovec
	name   sockaddr
	info   control
	errno  syscall.Errno
	send   func(fd uintptr)
}

var envelopes = sync.Pool{New: func() any {
	e := &envelope{}
	e.send = func(fd uintptr) { e.errno = sendOne(fd, &e.header) }
	return e
}}

func (n *native) write(s *Socket, data []byte, to netip.AddrPort, from netip.Addr, df bool) error {
	if n.raw == nil {
		return plainWrite(s.conn, data, to)
	}
	e := envelopes.Get().(*envelope)
	defer envelopes.Put(e)
	length := setSockaddr(&e.name, to, n.inet6)
	if length == 0 {
		return &net.AddrError{Err: "address of another family than the socket's", Addr: to.String()}
	}
	setBytes(&e.iovec[0], data)
	e.header.setName(&e.name, length)
	e.header.setData(e.iovec[:])
	e.header.setControl(e.info.set(0, from, n.inet6))
	err := n.control(e.send, df)
	e.iovec[0].Base = nil
	if err != nil {
		return err
	}
	if e.errno != 0 {
		return os.NewSyscallError("sendmsg", e.errno)
	}
	return nil
}

// control runs f with the descriptor, and with the DF bit if df.
func (n *native) control(f func(fd uintptr), df bool) error {
	var err error
	if df {
		err = n.df.control(n, f)
	} else {
		err = n.raw.Control(f)
	}
	if err != nil {
		return net.ErrClosed
	}
	return nil
}

// dontFragment orders those that set the DF bit of a socket.
type dontFragment struct{ mu sync.Mutex }

// control sets the bit for the time of f. Linux has no control message for it, and
// datagrams with it are rare: clients that look for the MTU of a path.
func (d *dontFragment) control(n *native, f func(fd uintptr)) error {
	level, option := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
	if n.inet6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return n.raw.Control(func(fd uintptr) {
		before, err := unix.GetsockoptInt(int(fd), level, option)
		if err == nil {
			// PROBE, not DO: what the kernel believes of the path is not asked.
			err = unix.SetsockoptInt(int(fd), level, option, unix.IP_PMTUDISC_PROBE)
		}
		f(fd)
		if err == nil {
			_ = unix.SetsockoptInt(int(fd), level, option, before)
		}
	})
}
