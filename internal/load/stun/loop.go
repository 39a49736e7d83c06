package stun

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/udp"
)

const (
	largestBatch = 64
	socketBuffer = 1 << 20 // bytes, of each client
	peerBuffer   = 4 << 20

	// fewAtOnce is how much of what is due one socket sends, until the next one does.
	fewAtOnce = 4

	sweepEvery = 100 * time.Millisecond
)

// lane is one socket of a client with its window.
type lane struct {
	socket *udp.Socket
	exchange
	window
}

// isStray reports whether something is an answer to a request for an allocation, which
// was made again before it came.
func (ln *lane) isStray(b []byte) bool {
	_, asks := ln.exchange.(*binding)
	return !asks && isMessage(b) && kindOf(b)&successClass != 0 // an error has that bit, too
}

// echo is the socket of the peer, which returns what it gets.
type echo struct {
	socket *udp.Socket
	batch  *udp.Batch
	wrong  func(b []byte, from netip.AddrPort) bool // tells what comes from a wrong address
}

// loop sends and receives on many sockets from one thread.
type loop struct {
	tally
	lanes   []*lane
	peer    *echo   // nil: there is none
	rate    float64 // things a second of all lanes; 0: as many as the windows hold
	timeout time.Duration

	poll    *udp.Poll
	in, out *udp.Batch
	taken   []int // slots of out
	start   time.Time
	swept   time.Duration // when it was last looked for what is lost
	paced   float64       // how much of what was due is done with
	next    int           // lane that is to send
	phase   *phase
	over    bool // nothing more is sent
}

// newLoop returns a loop without sockets.
func newLoop(t *Target, window, size int, rate float64) (*loop, error) {
	poll, err := udp.NewPoll()
	if err != nil {
		return nil, err
	}
	n := min(window, largestBatch)
	return &loop{
		rate: rate, timeout: t.timeout(), poll: poll,
		in: udp.NewBatch(n, size), out: udp.NewBatch(n, size), taken: make([]int, n),
	}, nil
}

// add takes over a connected socket.
func (l *loop) add(conn *net.UDPConn, e exchange, window int) error {
	s, err := take(conn, socketBuffer)
	if err != nil {
		return err
	}
	l.lanes = append(l.lanes, &lane{socket: s, exchange: e, window: newWindow(window)})
	return l.poll.Add(s, len(l.lanes)-1)
}

// peerTag is the tag of the peer's socket.
const peerTag = -1

// addPeer takes over the peer's socket.
func (l *loop) addPeer(conn *net.UDPConn, size int, wrong func([]byte, netip.AddrPort) bool) error {
	s, err := take(conn, peerBuffer)
	if err != nil {
		return err
	}
	l.peer = &echo{socket: s, batch: udp.NewBatch(largestBatch, size), wrong: wrong}
	return l.poll.Add(s, peerTag)
}

// take takes over a socket; the system may grant less of a buffer.
func take(conn *net.UDPConn, buffer int) (*udp.Socket, error) {
	_ = conn.SetReadBuffer(buffer)
	_ = conn.SetWriteBuffer(buffer)
	return udp.Take(conn)
}

// close closes all sockets.
func (l *loop) close() error {
	err := l.poll.Close()
	for _, ln := range l.lanes {
		err = errors.Join(err, ln.socket.Close())
	}
	if l.peer != nil {
		err = errors.Join(err, l.peer.socket.Close())
	}
	return err
}

// run is the job.
func (l *loop) run(p *phase) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.phase, l.start = p, time.Now()
	wait := 50 * time.Millisecond
	if l.rate > 0 {
		wait = time.Millisecond
	} else {
		l.sendAll()
	}
	for !p.ended() {
		l.pace()
		if err := l.poll.Wait(wait, l.ready); err != nil {
			return err
		}
		l.sweep()
	}
	return l.drain()
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

// drain waits for what is still under way.
func (l *loop) drain() error {
	l.over = true
	for l.pending() {
		if err := l.poll.Wait(10*time.Millisecond, l.ready); err != nil {
			return err
		}
		l.sweep()
	}
	return nil
}

func (l *loop) pending() bool {
	for _, ln := range l.lanes {
		if ln.pending() > 0 {
			return true
		}
	}
	return false
}

func (l *loop) sendAll() {
	for _, ln := range l.lanes {
		l.send(ln, len(ln.slots))
	}
}

// send has a lane send up to most things, and returns how many that were.
func (l *loop) send(ln *lane, most int) (total int) {
	for most > 0 && len(ln.free) > 0 {
		n := min(len(ln.free), l.out.Len(), most)
		now := l.now()
		for i := range n {
			slot, sequence := ln.take(now)
			l.taken[i] = slot
			l.out.Set(i, ln.write(l.out.Buffer(i), slot, sequence))
		}
		sent, refused := l.out.Send(ln.socket.FD(), n)
		l.refused(refused)
		for i := n - 1; i >= sent; i-- {
			ln.untake(l.taken[i])
		}
		l.sent += int64(sent)
		total += sent
		most -= sent
		if sent < n {
			break // the kernel has no room
		}
	}
	return total
}

// refused notes that nobody was there.
func (l *loop) refused(is bool) {
	if is {
		l.faults.Broken++
	}
}

// pace sends what is due.
func (l *loop) pace() {
	if l.rate == 0 {
		return
	}
	due := l.rate*l.now().Seconds() - l.paced
	if due >= 1 && l.phase.measuring() {
		l.lag.Add(time.Duration(due / l.rate * float64(time.Second)))
	}
	for full := 0; due >= 1; {
		n := l.send(l.lanes[l.next], min(int(due), fewAtOnce))
		l.next = (l.next + 1) % len(l.lanes)
		l.paced += float64(n)
		due -= float64(n)
		if full++; n > 0 {
			full = 0
		}
		if full == len(l.lanes) {
			l.skipped += int64(due) // no window has room: it is not made up for
			l.paced += due
			return
		}
	}
}

// ready receives what a socket has.
func (l *loop) ready(tag int) {
	if tag == peerTag {
		l.echo()
		return
	}
	ln := l.lanes[tag]
	for more := true; more; {
		n, refused := l.in.Receive(ln.socket.FD())
		l.refused(refused)
		now, measuring := l.now(), l.phase.measuring()
		for i := range n {
			slot, sequence, ok := ln.read(l.in.Data(i))
			if !ok {
				if !ln.isStray(l.in.Data(i)) {
					l.faults.Corrupt++
				}
				continue
			}
			at, v := ln.answer(slot, sequence)
			l.note(v, now-at, measuring)
		}
		more = n == l.in.Len()
	}
	if l.rate == 0 && !l.over {
		l.send(ln, len(ln.slots))
	}
}

// echo returns what the peer has got.
func (l *loop) echo() {
	b := l.peer.batch
	for more := true; more; {
		n, _ := b.Receive(l.peer.socket.FD()) // of an allocation that is gone
		for i := range n {
			if l.peer.wrong(b.Data(i), b.From(i)) {
				l.faults.WrongFrom++
			}
			b.Return(i, len(b.Data(i)))
		}
		b.Send(l.peer.socket.FD(), n)
		more = n == b.Len()
	}
}

// sweep gives up what was not answered in time.
func (l *loop) sweep() {
	now := l.now()
	if now-l.swept < sweepEvery {
		return
	}
	l.swept = now
	for _, ln := range l.lanes {
		if n := ln.expire(now - l.timeout); n > 0 {
			l.lost += n
			if l.rate == 0 && !l.over {
				l.send(ln, int(n))
			}
		}
	}
}
