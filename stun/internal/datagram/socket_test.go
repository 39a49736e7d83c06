package datagram

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/sock"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

func TestEcho(t *testing.T) {
	for _, c := range []struct {
		name                    string
		network, address        string
		clientNetwork, clientIP string
		plain                   bool
	}{
		{"IPv4", "udp4", "127.0.0.1:0", "udp4", "127.0.0.1", false},
		{"IPv6", "udp6", "[::1]:0", "udp6", "::1", false},
		{"IPv4 client of an IPv6 socket", "udp", "[::]:0", "udp4", "127.0.0.1", false},
		{"IPv6 client of an IPv6 socket", "udp", "[::]:0", "udp6", "::1", false},
		{"no UDP socket", "udp4", "127.0.0.1:0", "udp4", "127.0.0.1", true},
		{"no UDP socket, IPv4 client of an IPv6 one", "udp", "[::]:0", "udp4", "127.0.0.1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var conn net.PacketConn = listenUDP(t, c.network, c.address)
			if c.plain {
				conn = struct{ net.PacketConn }{conn}
			}
			s := NewSocket(conn)
			client := listenUDP(t, c.clientNetwork, net.JoinHostPort(c.clientIP, "0"))
			want := client.LocalAddr().(*net.UDPAddr).AddrPort()
			want = netip.AddrPortFrom(want.Addr().Unmap(), want.Port())
			answer := echo(s)
			serve(t, s, func(batch []Packet, out *Outbox) {
				for _, p := range batch {
					if p.Addr != want {
						t.Errorf("sender: got %v, want %v", p.Addr, want)
					}
					if len(p.Data) != cap(p.Data) {
						t.Errorf("capacity: got %d, want %d", cap(p.Data), len(p.Data))
					}
				}
				answer(batch, out)
			})
			to := netip.AddrPortFrom(netip.MustParseAddr(c.clientIP), s.LocalAddr().Port())
			for _, n := range []int{0, 1, 20, 1200, 4096, 9000, 65507} {
				data := bytes.Repeat([]byte{byte(n), 7, 3}, n/3+1)[:n]
				send(t, client, data, to)
				if got, _ := take(t, client); !bytes.Equal(got, data) {
					t.Errorf("%d bytes: got %d others back", n, len(got))
				}
			}
		})
	}
}

// The bytes in front of the data are the handler's, and nobody else's.
func TestGrow(t *testing.T) {
	s := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	serve(t, s, func(batch []Packet, out *Outbox) {
		for i := range batch {
			for _, n := range []int{0, 4, Headroom} {
				b := batch[i].Grow(n)
				copy(b, bytes.Repeat([]byte{'h'}, n))
				out.Add(s, b, batch[i].Addr)
				out.Flush()
			}
		}
	})
	for _, n := range []int{0, 3, 65507 - Headroom} {
		data := bytes.Repeat([]byte{'d'}, n)
		send(t, client, data, s.LocalAddr())
		for _, head := range []int{0, 4, Headroom} {
			want := append(bytes.Repeat([]byte{'h'}, head), data...)
			if got, _ := take(t, client); !bytes.Equal(got, want) {
				t.Errorf("%d bytes with %d in front: got %d others", n, head, len(got))
			}
		}
	}
}

func TestWrite(t *testing.T) {
	s := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	to := client.LocalAddr().(*net.UDPAddr).AddrPort()
	for name, write := range map[string]func([]byte, netip.AddrPort) error{"plain": s.Write, "DF": s.WriteDF} {
		t.Run(name, func(t *testing.T) {
			before := s.Drops().Sent
			if err := write([]byte("hello"), to); err != nil {
				t.Fatal(err)
			}
			if got, from := take(t, client); string(got) != "hello" || from != s.LocalAddr() {
				t.Errorf("got %q from %v, want hello from %v", got, from, s.LocalAddr())
			}
			if err := write(make([]byte, 1<<16), to); err == nil {
				t.Error("65536 bytes: got nil, want an error")
			}
			if err := write(nil, netip.MustParseAddrPort("[2001:db8::1]:9")); err == nil {
				t.Error("an IPv6 address on a socket of IPv4: got nil, want an error")
			}
			if err := write(nil, netip.AddrPort{}); err == nil {
				t.Error("no address: got nil, want an error")
			}
			if got := s.Drops().Sent - before; got != 3 {
				t.Errorf("drops: got %d, want 3", got)
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(nil, to); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: got %v, want net.ErrClosed", err)
	}
	if err := s.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: got %v, want net.ErrClosed", err)
	}
}

// A lease that is closed ends the reader and leaves the socket.
func TestServeLease(t *testing.T) {
	conn := listenUDP(t, "udp4", "127.0.0.1:0")
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	for range 3 {
		g := newGroup(t)
		s := NewSocket(sock.NewPacketLease(conn))
		ended := make(chan error, 1)
		go func() { ended <- g.Serve(s, echo(s)) }()
		for i := range 4 {
			send(t, client, []byte{byte(i)}, s.LocalAddr())
			take(t, client)
		}
		_ = s.Close()
		if err := <-ended; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
	}
}

// A deadline that somebody left does not end the reader.
func TestServeDeadline(t *testing.T) {
	conn := listenUDP(t, "udp4", "127.0.0.1:0")
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	_ = conn.SetReadDeadline(time.Unix(1, 0))
	s := NewSocket(conn)
	serve(t, s, echo(s))
	send(t, client, []byte("x"), s.LocalAddr())
	take(t, client)
}

// Who closes the connection below the socket ends the reader, too.
func TestServeConnClosed(t *testing.T) {
	for _, lease := range []bool{false, true} {
		t.Run(fmt.Sprintf("lease %v", lease), func(t *testing.T) {
			var pc net.PacketConn = listenUDP(t, "udp4", "127.0.0.1:0")
			if lease {
				pc = sock.NewPacketLease(pc)
			}
			g := newGroup(t)
			s := NewSocket(pc)
			ended := make(chan error, 1)
			go func() { ended <- g.Serve(s, echo(s)) }()
			client := listenUDP(t, "udp4", "127.0.0.1:0")
			send(t, client, []byte("x"), s.LocalAddr())
			take(t, client)
			_ = pc.Close()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("Serve: got %v, want nil", err)
				}
			case <-time.After(patience):
				t.Fatal("Serve goes on")
			}
		})
	}
}

func TestServeClosed(t *testing.T) {
	for _, plain := range []bool{false, true} {
		var conn net.PacketConn = listenUDP(t, "udp4", "127.0.0.1:0")
		if plain {
			conn = struct{ net.PacketConn }{conn}
		}
		g := newGroup(t)
		s := NewSocket(conn)
		_ = s.Close()
		if err := g.Serve(s, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed socket, plain %v: got %v, want net.ErrClosed", plain, err)
		}
		_ = g.Close()
		if err := g.Serve(NewSocket(listenUDP(t, "udp4", "127.0.0.1:0")), nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed group: got %v, want net.ErrClosed", err)
		}
	}
}

func TestServeInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pc := listentest.NewPacketConn()
		s := NewSocket(pc)
		ended := make(chan error)
		go func() { ended <- newGroup(t).Serve(s, echo(s)) }()
		clients := []*listentest.PacketConn{pc.Dial(), pc.Dial()}
		b := make([]byte, 1<<16)
		for i, c := range clients {
			for _, n := range []int{1, 65507} {
				_, _ = c.Write(make([]byte, n))
				if got, err := c.Read(b); got != n || err != nil {
					t.Errorf("client %d: got %d, %v, want %d", i, got, err, n)
				}
			}
		}
		if err := s.Write([]byte("hi"), netip.MustParseAddrPort(clients[0].LocalAddr().String())); err != nil {
			t.Error(err)
		}
		if n, _ := clients[0].Read(b); string(b[:n]) != "hi" {
			t.Errorf("got %q, want hi", b[:n])
		}
		_ = s.Close()
		if err := <-ended; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
	})
}

// faultyConn fails to read in the ways it is told.
type faultyConn struct {
	net.PacketConn
	errs []error
}

func (c *faultyConn) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

func (c *faultyConn) ReadFrom([]byte) (int, net.Addr, error) {
	err := c.errs[0]
	c.errs = c.errs[1:]
	return 0, nil, err
}

func TestServeErrors(t *testing.T) {
	broken := errors.New("broken")
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			errs []error
			want error
		}{
			{"closed", []error{&net.OpError{Op: "read", Err: net.ErrClosed}}, nil},
			{"refused, then closed", append(refusals(200), net.ErrClosed), nil},
			{"unknown", append(refusals(1), broken), broken},
		} {
			s := NewSocket(&faultyConn{errs: c.errs})
			start := time.Now()
			if err := newGroup(t).Serve(s, nil); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
			if took := time.Since(start); len(c.errs) > 100 && took < time.Second {
				t.Errorf("%s: %d errors in %v: got no pause", c.name, len(c.errs), took)
			}
		}
	})
}

// A descriptor that is closed while others write is never one of another socket.
func TestCloseWhileWriting(t *testing.T) {
	sink := listenUDP(t, "udp4", "127.0.0.1:0")
	to := sink.LocalAddr().(*net.UDPAddr).AddrPort()
	var ports Ports
	for range 20 {
		a, err := ports.Open(loopback4, relays)
		if err != nil {
			t.Fatal(err)
		}
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				var out Outbox
				from := fmt.Append(nil, a.LocalAddr())
				for err := error(nil); err == nil; {
					if w%2 == 0 {
						out.Add(a, from, to)
						out.Flush()
					}
					err = a.Write(from, to)
					if err != nil && !errors.Is(err, net.ErrClosed) {
						err = nil // its buffer is full
					}
				}
			})
		}
		data, from := take(t, sink)
		_ = a.Close()
		b, err := ports.Open(loopback4, relays)
		if err != nil {
			t.Fatal(err)
		}
		writers.Wait()
		if string(data) != from.String() {
			t.Errorf("datagram of %s came from %v", data, from)
		}
		_ = sink.SetReadDeadline(time.Now())
		for buf := make([]byte, 64); ; {
			_ = sink.SetReadDeadline(time.Now().Add(time.Millisecond))
			n, from, err := sink.ReadFromUDPAddrPort(buf)
			if err != nil {
				break
			}
			if string(buf[:n]) != from.String() {
				t.Errorf("datagram of %s came from %v", buf[:n], from)
			}
		}
		_ = b.Close()
	}
}

func TestRaise(t *testing.T) {
	s := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	before, _ := s.Raise(1)
	receive, sent := s.Raise(before + 4096)
	if receive < before || sent < 1 && receive > 0 {
		t.Errorf("got %d and %d, want no less than %d", receive, sent, before)
	}
	if again, _ := s.Raise(1); again != receive {
		t.Errorf("a smaller one: got %d, want %d", again, receive)
	}
}

func refusals(n int) (errs []error) {
	for range n {
		errs = append(errs, &net.OpError{Op: "read", Err: os.NewSyscallError("recvfrom", syscall.ECONNREFUSED)})
	}
	return errs
}
