package datagram

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// groupSlots is how many datagrams a group takes before it sends what was made
	// of them, and largestBatch how many of one socket: the others have their turn
	// then.
	groupSlots   = 64
	largestBatch = 32

	// groupEvents is how many sockets one look at the epoll instance finds.
	groupEvents = 64
)

// poll is the epoll instance of a group. Its descriptor is in Go's poller, the sockets
// of Ports are not: Go's would wake for every datagram that has left a socket
// (EPOLLOUT), and a goroutine for every socket with one that came. At 20,000 datagrams
// a second to 16 sockets that costs twice as much. So does a server's socket that has a
// goroutine of its own, at 10,000 round trips a second by its relays.
type poll struct {
	file    *os.File
	raw     syscall.RawConn
	started bool
	next    int32
	members map[int32]*member
}

type member struct {
	socket   *Socket
	receiver Receiver
}

// add puts a socket into the epoll instance, whose goroutine starts with the first.
// It is level-triggered: what one round leaves is found in the next. It returns false
// for what is no socket of the system.
func (p *poll) add(g *Group, s *Socket, r Receiver) (bool, error) {
	if !s.isPolled() {
		return false, nil
	}
	if !p.started {
		p.started = true
		reader := &groupReader{group: g, raw: p.raw}
		g.readers.Go(reader.run)
	}
	s.member = p.free()
	p.members[s.member] = &member{s, r}
	_, serves := r.(*handler)
	err := p.watch(s, !serves)
	if err != nil {
		p.remove(s)
	}
	return true, err
}

func (p *poll) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	// What tells os that Go's poller can have it.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	p.file = os.NewFile(uintptr(fd), "epoll")
	p.members = make(map[int32]*member)
	p.raw, err = p.file.SyscallConn()
	return err
}

// free returns a number that no socket has. The next will not have it: an event may
// be of one that is closed.
func (p *poll) free() int32 {
	for p.next++; p.next == 0 || p.members[p.next] != nil; p.next++ {
	}
	return p.next
}

func (p *poll) watch(s *Socket, icmp bool) error {
	var err error
	cerr := p.raw.Control(func(epoll uintptr) {
		cerr := s.raw.Control(func(fd uintptr) {
			if icmp {
				err = s.reportICMP(int(fd))
			}
			if err == nil {
				err = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: s.member})
			}
		})
		if err == nil {
			err = cerr
		}
	})
	if err == nil {
		err = cerr
	}
	return err
}

// remove forgets a socket that was closed. That took it out of the epoll instance,
// unless it was a lease.
func (p *poll) remove(s *Socket) {
	if s.member == 0 {
		return
	}
	delete(p.members, s.member)
	if s.file == nil {
		_ = p.raw.Control(func(epoll uintptr) {
			_ = s.raw.Control(func(fd uintptr) {
				_ = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_DEL, int(fd), nil)
			})
		})
	}
}

func (p *poll) close() { _ = p.file.Close() }

// groupReader is the goroutine of a group.
type groupReader struct {
	group  *Group
	raw    syscall.RawConn
	events [groupEvents]unix.EpollEvent

	in     *inbox
	out    Outbox
	failed failures

	batch []Packet // what take received
	errno syscall.Errno
}

// run serves all that is ready and then waits in Go's poller until the group is closed.
// That hears of every datagram that comes, also of one that comes while this is served
// and is found by it: it sees the instance edge-triggered.
func (r *groupReader) run() {
	r.in = newInbox(groupSlots)
	take := r.take
	_ = r.raw.Read(func(epoll uintptr) bool {
		for r.round(epoll, take) {
		}
		return false
	})
}

// round serves each socket that is ready once. It says whether there may be more.
func (r *groupReader) round(epoll uintptr, take func(fd uintptr)) (more bool) {
	ready := r.ready(epoll)
	more = len(ready) == groupEvents
	for _, e := range ready {
		if m := r.member(e.Fd); m != nil && r.serve(m, e.Events, take) {
			more = true
		}
	}
	r.flush()
	return more
}

func (r *groupReader) ready(epoll uintptr) []unix.EpollEvent {
	for {
		n, errno := epollWait(epoll, r.events[:])
		if errno == 0 {
			return r.events[:n]
		}
		if errno != syscall.EINTR {
			return nil
		}
	}
}

func (r *groupReader) member(id int32) *member {
	r.group.mu.Lock()
	defer r.group.mu.Unlock()
	return r.group.poll.members[id]
}

// serve takes what is there for one socket, and says whether there may be more. What
// its receiver makes of that is sent together with that of others, for as long as
// there are buffers.
func (r *groupReader) serve(m *member, events uint32, take func(fd uintptr)) (more bool) {
	if events&unix.EPOLLERR != 0 {
		m.socket.takeICMP(m.receiver)
		more = true
	}
	if r.in.free() < largestBatch {
		r.flush()
	}
	if m.socket.raw.Control(take) != nil {
		return false // closed meanwhile
	}
	if r.errno != 0 && r.errno != syscall.EAGAIN {
		// It may be an error of a datagram long gone, which ICMP reported: the kernel
		// tells it once, and a peer can cause any number of them.
		_ = m.socket.raw.Control(take)
	}
	switch r.errno {
	case 0:
		r.failed = 0
		m.receiver.Receive(r.batch, &r.out)
		return more || len(r.batch) == largestBatch
	case syscall.EAGAIN:
		r.failed = 0
		return more
	}
	r.failed.pause()
	return true
}

func (r *groupReader) take(fd uintptr) {
	r.batch, r.errno = r.in.receive(fd, largestBatch)
}

func (r *groupReader) flush() {
	r.out.Flush()
	r.in.used = 0
}
