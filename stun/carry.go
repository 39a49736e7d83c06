package stun

import (
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
	var up sync.WaitGroup
	var panicked error
	up.Go(func() {
		panicked = netserve.Guard(func() error {
			if _, err := c.conn.Write(early); err != nil {
				c.end()
				return nil
			}
			c.pass(c.conn, s.conn)
			return nil
		})
		if panicked != nil {
			c.end()
		}
	})
	defer up.Wait()
	c.pass(s.conn, c.conn)
	up.Wait()
	return panicked
}

// pass copies what one side sends, until it has ended. Then the other side has to send
// something every now and again: whether there is still somebody to hear it shows only
// then.
func (c *peerConn) pass(to, from net.Conn) {
	for {
		n, err := io.CopyN(to, from, c.portion())
		c.a.l.srv.stats.bytes.Add(uint64(n))
		switch {
		case err == io.EOF:
			if closeWrite(to) != nil {
				c.end()
			}
			_ = to.SetReadDeadline(time.Now().Add(idleLimit))
			return
		case n > 0 && errors.Is(err, os.ErrDeadlineExceeded):
			err = from.SetReadDeadline(time.Now().Add(idleLimit))
		}
		if err != nil || !c.pause(int(n)) {
			c.end()
			return
		}
	}
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
