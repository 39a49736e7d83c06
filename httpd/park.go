package httpd

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// linger is how long a connection without TLS waits for its next request in net/http, with
// the buffers that it has there, and at most twice as long. Then it is parked.
const linger = time.Second

// parkable is a connection that net/http can be made to let go of while it is idle.
type parkable struct {
	net.Conn

	// What follows is of whoever serves it: net/http reads in one goroutine at a time, and
	// in none that it does not wait for before it tells that the connection is idle.
	phase phase
	early []byte    // with phase returned
	size  int       // of the buffer of net/http, when it is empty
	until time.Time // when the client has been idle for too long; zero: never

	gone atomic.Int32 // for net/http: 0, or how it went

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	armed bool // timer is
	waits bool // for a request; when none comes tick ends that
	turn  int  // how many times it has waited
	seen  int  // turn when the timer was set
	let   bool // tick has set a deadline that is over
}

// phase says what a parkable does next.
type phase uint8

const (
	busy     phase = iota // nothing of its own
	returned              // it has bytes that were read while net/http did not have it
	idle                  // the next read deadline is for the next request
	lingers               // that is set
	late                  // a request has come, and the deadline of tick
)

const (
	closed int32 = iota + 1
	parked
)

// newParkable returns c as net/http should see it. What does TLS itself is not wrapped.
func newParkable(c net.Conn) net.Conn {
	if _, ok := c.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return c
	}
	return &parkable{Conn: c}
}

// SetReadDeadline implements net.Conn.
func (c *parkable) SetReadDeadline(t time.Time) error {
	switch c.phase {
	case idle:
		c.phase, c.until = lingers, t
	case lingers, late:
		c.phase = busy
	}
	return c.Conn.SetReadDeadline(t)
}

// Read implements net.Conn. It returns io.EOF when net/http shall let go.
func (c *parkable) Read(b []byte) (int, error) {
	if c.size == 0 {
		c.size = len(b)
	}
	if c.phase == busy {
		return c.Conn.Read(b)
	}
	was := c.phase
	c.phase = busy
	switch was {
	case returned:
		n := copy(b, c.early)
		if c.early = c.early[n:]; len(c.early) > 0 {
			c.phase = returned
		}
		return n, nil
	case lingers:
		if len(b) == c.size { // else there is part of the request in the buffer already
			return c.linger(b)
		}
	case late:
		if err := c.Conn.SetReadDeadline(c.until); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

// linger is Read that lets go if nothing comes.
func (c *parkable) linger(b []byte) (int, error) {
	c.mu.Lock()
	c.waits = true
	c.turn++
	if !c.armed {
		c.arm()
	}
	c.mu.Unlock()
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	let := c.let
	c.waits, c.let = false, false
	c.mu.Unlock()
	if let {
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.gone.CompareAndSwap(0, parked) {
			return 0, io.EOF
		}
		c.phase = late
	}
	return n, err
}

// arm sets the timer. Busy connections do so once a second, and not for each request. The
// caller holds mu.
func (c *parkable) arm() {
	c.armed, c.seen = true, c.turn
	if c.timer == nil {
		c.timer = time.AfterFunc(linger, c.tick)
	} else {
		c.timer.Reset(linger)
	}
}

// tick ends the wait for a request that was the same when the timer was set.
func (c *parkable) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = false
	switch {
	case !c.waits:
	case c.turn != c.seen:
		c.arm()
	default:
		c.let = true
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// take returns the connection below for whoever takes it over.
func (c *parkable) take() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	return c.Conn
}

// Close implements net.Conn. Of what net/http has let go of it closes nothing.
func (c *parkable) Close() error {
	if !c.gone.CompareAndSwap(0, closed) && c.gone.Load() == parked {
		return nil
	}
	return c.take().Close()
}

// CloseWrite is for net/http.
func (c *parkable) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection below, for those who ask the http.ResponseWriter of
// net/http for it.
func (c *parkable) NetConn() net.Conn { return c.Conn }

// parking has the idle connections that net/http has let go of. Each has a goroutine with
// a small stack, and nothing else. To net/http it is a net.Listener, from which those come
// back on which a request comes.
type parking struct {
	addr    net.Addr
	back    chan net.Conn
	over    chan struct{} // is closed by Close
	waiting sync.WaitGroup

	mu    sync.Mutex
	spots map[*spot]struct{} // nil: closed
}

// spot is a parked connection.
type spot struct {
	conn   net.Conn
	waiter netserve.ReadWaiter // nil: a byte has to be read
}

func newParking(addr net.Addr) *parking {
	return &parking{addr: addr, back: make(chan net.Conn), over: make(chan struct{}), spots: make(map[*spot]struct{})}
}

// park takes a connection, until the next request comes or the time is over.
func (p *parking) park(c net.Conn, until time.Time) {
	s := &spot{conn: c}
	if w, err := netserve.NewReadWaiter(c); err == nil {
		s.waiter = w
	}
	p.mu.Lock()
	open := p.spots != nil
	if open {
		p.spots[s] = struct{}{}
		p.waiting.Add(1)
	}
	p.mu.Unlock()
	if !open || c.SetReadDeadline(until) != nil {
		_ = c.Close()
	}
	if open {
		go p.wait(s)
	}
}

// wait is all that an idle connection has for a stack.
func (p *parking) wait(s *spot) {
	if s.waiter != nil {
		err := s.waiter.WaitRead()
		if err == nil || !errors.Is(err, errors.ErrUnsupported) {
			p.leave(s, &parkable{Conn: s.conn}, err)
			return
		}
	}
	b := make([]byte, 1)
	n, err := s.conn.Read(b)
	if n > 0 {
		err = nil // a lasting error comes again
	}
	p.leave(s, &parkable{Conn: s.conn, phase: returned, early: b[:n]}, err)
}

// leave gives a connection back to net/http, or closes it if err says so.
func (p *parking) leave(s *spot, c *parkable, err error) {
	defer p.waiting.Done()
	p.mu.Lock()
	delete(p.spots, s)
	p.mu.Unlock()
	if err == nil {
		err = c.Conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Conn.Close()
		return
	}
	p.giveBack(c)
}

// giveBack gives a connection to net/http, or closes it if that takes none any more.
func (p *parking) giveBack(c *parkable) {
	select {
	case p.back <- c:
	case <-p.over:
		_ = c.Conn.Close()
	}
}

// isOver says whether net/http takes no connections any more.
func (p *parking) isOver() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// Accept implements net.Listener.
func (p *parking) Accept() (net.Conn, error) {
	select {
	case c := <-p.back:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It closes all that is parked.
func (p *parking) Close() error {
	p.mu.Lock()
	spots := p.spots
	p.spots = nil
	p.mu.Unlock()
	if spots == nil {
		return net.ErrClosed
	}
	close(p.over)
	for s := range spots {
		_ = s.conn.Close()
	}
	return nil
}

// Addr implements net.Listener.
func (p *parking) Addr() net.Addr { return p.addr }
