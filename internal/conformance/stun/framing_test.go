package stunconformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// streaming is a row with a client on a connection.
func streaming(name string, set func(*setup), run func(w *world, ln *listentest.Listener, c *client)) row {
	return row{name, set, func(w *world) {
		ln := w.listen()
		run(w, ln, w.stream(ln))
	}}
}

var streamRows = []row{
	streaming("RFC 8489 6.2.2 Binding", nil, func(w *world, ln *listentest.Listener, c *client) {
		for range 3 {
			c.mapped(c.bare(binding))
		}
	}),
	streaming("RFC 8656 11 Send and Data", nil, func(w *world, ln *listentest.Listener, c *client) {
		p := w.peer(peerA.String())
		relayed(relay4)(c, c.allocate())
		c.permit(peerA)
		c.reached(p)
		for _, n := range []int{0, 1, 2, 3, 1200, 60000, 65400} {
			data := bytes.Repeat([]byte{3}, n)
			c.send(peerA, data)
			p.expect(c.relay, data)
			p.send(c.relay, data)
			c.expectData(peerA, data)
		}
	}),
	streaming("RFC 8656 12.5 ChannelData is padded", nil, func(w *world, ln *listentest.Listener, c *client) {
		p := w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 1199, 60001} {
			data := bytes.Repeat([]byte{5}, n)
			c.write(channelFrame(0x4000, data))
			p.expect(c.relay, data)
			p.send(c.relay, data)
			if b := c.next(); !bytes.Equal(b[:min(len(b), 4+n)], channelData(0x4000, data)) || len(b) != (4+n+3)&^3 {
				w.t.Errorf("got %d bytes %.20x, want a padded frame with %d bytes", len(b), b, n)
			}
			c.mapped(c.bare(binding)) // what follows is aligned
		}
	}),
	streaming("RFC 8656 12.6 a frame of eight bytes is not held back", nil, func(w *world, ln *listentest.Listener, c *client) {
		p := w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		c.write(channelFrame(0x4000, []byte("four")))
		p.expect(c.relay, []byte("four"))
		c.write(channelFrame(0x4000, nil))
		p.expect(c.relay, nil)
	}),
	streaming("RFC 8656 12.6 padding may come late", nil, func(w *world, ln *listentest.Listener, c *client) {
		p := w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		c.pieces(channelFrame(0x4000, []byte("hello")), 9)
		p.expect(c.relay, []byte("hello"))
		c.mapped(c.bare(binding))
	}),
	streaming("a message split at every byte", nil, func(w *world, ln *listentest.Listener, c *client) {
		c.learn()
		b := bindingRequest(text(atSoftware, "split"))
		for i := 1; i < len(b); i++ {
			c.pieces(b, i)
			m, err := decode(c.next())
			if err != nil {
				w.t.Fatalf("split at %d: %v", i, err)
			}
			c.mapped(m)
		}
	}),
	streaming("a message byte by byte", nil, func(w *world, ln *listentest.Listener, c *client) {
		c.learn()
		b := c.cr.modern().sign(newMessage(allocate, request, udp))
		for i := range b {
			c.pieces(b[i : i+1])
		}
		if m, err := decode(c.next()); err != nil || m.class != success {
			w.t.Errorf("got %v, %v, want success", m, err)
		}
	}),
	streaming("ChannelData split at every byte", nil, func(w *world, ln *listentest.Listener, c *client) {
		p := w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		b := append(channelFrame(0x4000, []byte("first")), channelFrame(0x4000, []byte("second"))...)
		for i := 1; i < len(b); i++ {
			c.pieces(b, i)
			p.expect(c.relay, []byte("first"))
			p.expect(c.relay, []byte("second"))
		}
	}),
	streaming("many messages in one write", nil, func(w *world, ln *listentest.Listener, c *client) {
		p := w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		var b []byte
		for range 100 {
			b = append(b, bindingRequest()...)
			b = append(b, channelFrame(0x4000, []byte("between"))...)
			b = append(b, newMessage(send, indication, peerAddress(peerA), text(atData, "them")).bytes()...)
		}
		c.write(b)
		for range 100 {
			m, err := decode(c.next())
			if err != nil {
				w.t.Fatal(err)
			}
			c.mapped(m)
			p.expect(c.relay, []byte("between"))
			p.expect(c.relay, []byte("them"))
		}
	}),
	streaming("what is ignored over UDP does not end a connection", nil, func(w *world, ln *listentest.Listener, c *client) {
		c.write(newMessage(binding, indication).bytes())
		c.write(unhex(sampleResponse4))
		c.write(channelFrame(0x4000, []byte("unbound")))
		c.write(newMessage(send, indication, peerAddress(peerA), text(atData, "x")).bytes())
		c.mapped(c.bare(binding))
	}),
	streaming("RFC 8656 7.2 (2) one allocation of a connection", nil, func(w *world, ln *listentest.Listener, c *client) {
		c.allocate()
		w.code(c.call(allocate, udp), 437)
		w.ok(c.call(refresh, lifetime(0)))
		c.allocate()
	}),
	streaming("RFC 8656 6 the transport is part of the 5-tuple", nil, func(w *world, ln *listentest.Listener, _ *client) {
		c := w.wrap(&frames{Conn: ln.DialFrom(addrPort("198.51.100.9:4000"))})
		d := w.clientAt("198.51.100.9:4000")
		c.allocate()
		d.allocate()
		w.ok(c.call(refresh, lifetime(0)))
		w.ok(d.call(refresh))
	}),
	streaming("RFC 8656 7.2 a reservation of another transport", nil, func(w *world, ln *listentest.Listener, c *client) {
		d := w.client()
		tok := d.reserve()
		c.allocate(tok)
		if c.relay.Port() != d.relay.Port()+1 {
			w.t.Errorf("got %v, want the port after %v", c.relay, d.relay)
		}
	}),
	streaming("quotas are those of all transports together", func(s *setup) { s.options.MaxAllocations = 2 }, func(w *world, ln *listentest.Listener, c *client) {
		c.allocate()
		w.client().allocate()
		w.code(w.client().call(allocate, udp), 486)
		w.code(w.stream(ln).call(allocate, udp), 486)
	}),
	streaming("a UDP client and a TCP client of one server", nil, func(w *world, ln *listentest.Listener, c *client) {
		d := w.client()
		c.allocate()
		d.allocate()
		c.permit(d.relay)
		d.permit(c.relay)
		c.send(d.relay, []byte("by stream"))
		d.expectData(c.relay, []byte("by stream"))
		d.send(c.relay, []byte("by datagram"))
		c.expectData(d.relay, []byte("by datagram"))
	}),
	streaming("an allocation ends with its connection", nil, func(w *world, ln *listentest.Listener, c *client) {
		c.allocate(lifetime(3600))
		_ = c.conn.Close()
		w.wait(time.Second)
		if n := w.relays.count(); n != 0 {
			w.t.Errorf("got %d relays, want none", n)
		}
	}),
	streaming("RFC 8489 6.2.2 a connection with an allocation is not closed", nil, func(w *world, ln *listentest.Listener, c *client) {
		c.allocate(lifetime(3600))
		w.wait(59 * time.Minute)
		w.ok(c.call(refresh))
		w.wait(9 * time.Minute)
		c.mapped(c.bare(binding))
	}),
}

// TestStreams is about clients on connections.
func TestStreams(t *testing.T) { play(t, streamRows) }

// closing is a row about bytes that end a connection: nothing behind them can be
// found.
func closing(name string, b []byte) row {
	return streaming(name, nil, func(w *world, ln *listentest.Listener, c *client) {
		c.mapped(c.bare(binding))
		c.write(b)
		if !c.ended(time.Second) {
			w.t.Errorf("got a connection that is still open, want it closed")
		}
		other := w.stream(ln)
		other.mapped(other.bare(binding))
	})
}

func header(typ, length uint16) []byte {
	b := bindingRequest()
	binary.BigEndian.PutUint16(b, typ)
	binary.BigEndian.PutUint16(b[2:], length)
	return append(b, 0, 0, 0, 0)
}

var closingRows = []row{
	closing("a message of 65516 bytes", header(1, 0xFFEC)),
	closing("a message of 65532 bytes", header(1, 0xFFFC)),
	closing("a length that is no multiple of four", header(1, 5)),
	closing("ChannelData of 65532 bytes", append([]byte{0x40, 0, 0xFF, 0xFC}, make([]byte, 20)...)),
	closing("ChannelData of 65535 bytes", append([]byte{0x40, 0, 0xFF, 0xFF}, make([]byte, 20)...)),
	closing("first bits 10", append([]byte{0x80}, make([]byte, 40)...)),
	closing("first bits 11", append([]byte{0xFF}, make([]byte, 40)...)),
	closing("a wrong cookie", append(classic(allocate, udp), make([]byte, 40)...)),
	streaming("HTTP, whose first bytes are those of ChannelData", nil, func(w *world, ln *listentest.Listener, c *client) {
		c.write([]byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"))
		if !c.ended(10 * time.Minute) {
			w.t.Errorf("got a connection that is still open after 10 min, want it closed")
		}
	}),
	closing("TLS to a port without it", append([]byte{0x16, 3, 1, 2, 0}, make([]byte, 512)...)),
	streaming("a silent connection", nil, func(w *world, ln *listentest.Listener, c *client) {
		if !c.ended(10 * time.Minute) {
			w.t.Errorf("got a connection that is still open after 10 min of silence, want it closed")
		}
	}),
	streaming("half a message", nil, func(w *world, ln *listentest.Listener, c *client) {
		c.write(bindingRequest()[:10])
		if !c.ended(10 * time.Minute) {
			w.t.Errorf("got a connection that is still open after 10 min, want it closed")
		}
	}),
	streaming("a byte a minute", nil, func(w *world, ln *listentest.Listener, c *client) {
		b := bindingRequest(text(atSoftware, string(make([]byte, 400))))
		for i := range 200 {
			if _, err := c.conn.Write(b[i : i+1]); err != nil {
				return
			}
			w.wait(time.Minute)
		}
		w.t.Errorf("got a connection that is still open after 200 min for one message, want it closed")
	}),
	streaming("a client that does not read", nil, func(w *world, ln *listentest.Listener, c *client) {
		p, other := w.peer(peerA.String()), w.stream(ln)
		c.allocate(lifetime(3600))
		c.permit(peerA)
		for range 50 {
			for range 100 {
				p.send(c.relay, make([]byte, 1000))
			}
			synctest.Wait()
			other.mapped(other.bare(binding))
		}
		w.wait(time.Minute) // SendTimeout is 15 s
		other = w.stream(ln)
		other.mapped(other.bare(binding))
		_ = c.conn.Close()
	}),
	streaming("a client that asks and does not read", nil, func(w *world, ln *listentest.Listener, c *client) {
		other := w.stream(ln)
		_ = c.conn.SetWriteDeadline(time.Now().Add(time.Hour))
		for range 100_000 {
			if _, err := c.conn.Write(bindingRequest()); err != nil {
				other.mapped(other.bare(binding))
				return
			}
		}
		w.t.Errorf("got every request taken, want a bound")
	}),
}

// TestStreamEnds is about connections that the server closes.
func TestStreamEnds(t *testing.T) { play(t, closingRows) }

// TestStreamTLS is about connections that do TLS from the first byte.
func TestStreamTLS(t *testing.T) {
	cert, pool := listentest.Certificate(t, "turn.example.org")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		ln := listentest.NewListenerAt(w.address)
		w.listenOn(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}))
		conn := tls.Client(ln.Dial(), &tls.Config{ServerName: "turn.example.org", RootCAs: pool})
		defer func() { _ = conn.Close() }()
		c, p := w.wrap(&frames{Conn: conn}), w.peer(peerA.String())
		c.mapped(c.bare(binding))
		c.allocate()
		c.bind(0x4000, peerA)
		c.write(channelFrame(0x4000, []byte("safe")))
		p.expect(c.relay, []byte("safe"))
		p.send(c.relay, []byte("and back"))
		c.expectChannel(0x4000, []byte("and back"))
	})
}

// TestStreamListenerCloses is about the end by closing: connections are drained.
func TestStreamListenerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		ln := listentest.NewListenerAt(w.address)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- w.module.Listen(ctx, ln, w.options) }()
		c := w.stream(ln)
		c.allocate()
		_ = ln.Close()
		w.wait(time.Minute)
		w.ok(c.call(refresh))
		select {
		case err := <-ended:
			t.Fatalf("got %v while a connection lives, want the listener to wait for it", err)
		default:
		}
		_ = c.conn.Close()
		if err := <-ended; err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}

// TestStreamCancel is about the end by cancelling: connections are closed, with what
// they have allocated.
func TestStreamCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		ln := listentest.NewListenerAt(w.address)
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- w.module.Listen(ctx, ln, w.options) }()
		c, idle := w.stream(ln), w.stream(ln)
		c.allocate()
		cancel(cause)
		if err := <-ended; !errors.Is(err, cause) {
			t.Errorf("got %v, want the cause", err)
		}
		if !c.ended(time.Second) || !idle.ended(time.Second) || w.relays.count() != 0 {
			t.Errorf("got open connections or relays, want none")
		}
		_ = ln.Close()
	})
}
