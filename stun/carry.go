package stun

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// carry passes bytes between the client and its peer, as they are, until both have
// ended (RFC 6062, section 5.5).
func (s *stream) carry() error {
	s.out.running.Wait()
	if err := s.conn.SetDeadline(time.Time{}); err != nil {
		return nil
	}
	c, early := s.bound, slices.Clone(s.in.Rest())
	framers.Put(s.in)
	s.in = nil
	defer netserve.Heed(s.ctx, c.end)() // its allocation may be of another listener
	var up sync.WaitGroup
	var failed error
	up.Go(func() {
		failed = c.guard(func() {
			if c.pause(len(early)) && c.begins(early) {
				c.pass(c.conn, s.conn)
			}
		})
	})
	err := c.guard(func() { c.pass(s.conn, c.conn) })
	up.Wait()
	return cmp.Or(err, failed)
}

// guard runs one direction. If it panics, the other ends, too.
func (c *peerConn) guard(f func()) error {
	err := netserve.Guard(func() error { f(); return nil })
	if err != nil {
		c.end()
	}
	return err
}

// begins sends the peer what came with the request to bind the connection.
func (c *peerConn) begins(early []byte) bool {
	n, err := c.conn.Write(early)
	if c.a.l.srv.stats.bytes.Add(uint64(n)); err != nil {
		c.end()
	}
	return err == nil
}

// pass copies what one side sends, until it has ended. Then the other side has to send
// something every now and again: whether there is still somebody to hear it shows only
// then.
func (c *peerConn) pass(to, from net.Conn) {
	moved := false // something, since the deadline was set
	for c.pause(0) {
		n, err := io.CopyN(to, from, c.portion())
		c.a.l.srv.stats.bytes.Add(uint64(n))
		moved = moved || n > 0
		goesOn := c.pause(int(n)) // what comes before an end counts, too
		switch {
		case err == io.EOF:
			if closeWrite(to) != nil {
				c.end()
			}
			_ = to.SetReadDeadline(time.Now().Add(idleLimit))
			return
		case moved && errors.Is(err, os.ErrDeadlineExceeded):
			moved, err = false, from.SetReadDeadline(time.Now().Add(idleLimit))
		}
		if err != nil || !goesOn {
			break
		}
	}
	c.end()
}

// How many bytes are copied until somebody looks at their rate. Without rates it is
// much, so that the kernel can do it alone.
const (
	minPortion = 512
	maxPortion = 1 << 20
)

func (c *peerConn) portion() int64 {
	n := maxPortion
	set := c.a.l.set.Load()
	for _, rate := range []int{set.AllocationRate, set.UserRate} {
		if rate > 0 {
			n = min(n, max(rate/10, minPortion))
		}
	}
	return int64(n)
}

// pause waits as long as n bytes more are too many; false: the connection has ended.
func (c *peerConn) pause(n int) bool {
	d := max(c.a.limits[0].Take(n), c.a.limits[1].Take(n))
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// closeWrite tells one side that the other has ended.
func closeWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}
