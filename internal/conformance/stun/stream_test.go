package stunconformance

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// frames makes a stream look like the socket of a client: a read takes one message or
// one padded ChannelData message (RFC 8656, section 12.5).
type frames struct {
	net.Conn
	unread []byte
}

// ReadFrom implements net.PacketConn.
func (f *frames) ReadFrom(b []byte) (int, net.Addr, error) {
	var buf [65536]byte
	for {
		if n, ok := frame(f.unread); ok {
			copy(b, f.unread[:n])
			f.unread = append([]byte(nil), f.unread[n:]...)
			a := netip.MustParseAddrPort(f.RemoteAddr().String())
			return n, net.UDPAddrFromAddrPort(a), nil
		}
		n, err := f.Conn.Read(buf[:])
		f.unread = append(f.unread, buf[:n]...)
		if err != nil {
			return 0, nil, err
		}
	}
}

// WriteTo implements net.PacketConn.
func (f *frames) WriteTo(b []byte, _ net.Addr) (int, error) { return f.Conn.Write(b) }

// frame returns the length of the first frame.
func frame(b []byte) (int, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n := 4 + (int(binary.BigEndian.Uint16(b[2:]))+3)&^3
	if b[0]&0xC0 == 0 {
		n = 20 + int(binary.BigEndian.Uint16(b[2:]))
	}
	return n, len(b) >= n
}

// listen has the server of the world listen for connections, too.
func (w *world) listen() *listentest.Listener {
	ln := listentest.NewListenerAt(w.address)
	w.listenOn(ln)
	return ln
}

func (w *world) listenOn(ln net.Listener) {
	w.run(func(ctx context.Context) error { return w.module.Listen(ctx, ln, w.options) }, ln.Close)
}

// stream returns a client on a new connection.
func (w *world) stream(ln *listentest.Listener) *client { return w.wrap(&frames{Conn: ln.Dial()}) }

// channelFrame is a padded ChannelData message.
func channelFrame(number uint16, data []byte) []byte {
	b := channelData(number, data)
	return append(b, make([]byte, -len(b)&3)...)
}

// ended says whether the server has closed a connection, after a while.
func (c *client) ended(after time.Duration) bool {
	_ = c.conn.SetReadDeadline(time.Now().Add(after))
	for {
		_, err := c.conn.Read(make([]byte, 4096))
		switch {
		case errors.Is(err, io.EOF), err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return true
		case err != nil:
			return false
		}
	}
}

// pieces writes bytes in pieces, each of which arrives alone.
func (c *client) pieces(b []byte, at ...int) {
	c.w.t.Helper()
	last := 0
	for _, i := range append(at, len(b)) {
		c.write(b[last:i])
		synctest.Wait()
		last = i
	}
}
