//go:build linux

package datagram

import (
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's struct mmsghdr is a struct msghdr, an int and padding.
func TestLayout(t *testing.T) {
	word := unsafe.Sizeof(uintptr(0))
	want := unsafe.Sizeof(unix.Msghdr{}) + max(4, word)
	if got := unsafe.Sizeof(mmsghdr{}); got != want {
		t.Errorf("mmsghdr: got %d bytes, want %d", got, want)
	}
	if got, least := int(unsafe.Sizeof(control{})), unix.CmsgSpace(2)+unix.CmsgSpace(unix.SizeofInet6Pktinfo); got < least {
		t.Errorf("control: got %d bytes, want no less than %d", got, least)
	}
}

func TestSockaddr(t *testing.T) {
	for _, c := range []struct {
		addr  string
		inet6 bool
		want  string // what is read again; none: not possible
	}{
		{"192.0.2.1:3478", false, "192.0.2.1:3478"},
		{"192.0.2.1:65535", true, "192.0.2.1:65535"},
		{"[::ffff:192.0.2.1]:1", false, "192.0.2.1:1"},
		{"[::ffff:192.0.2.1]:1", true, "192.0.2.1:1"},
		{"[2001:db8::1]:258", true, "[2001:db8::1]:258"},
		{"[fe80::1%1]:9", true, "[fe80::1%1]:9"},
		{"[fe80::1%lo]:9", true, "[fe80::1%1]:9"},
		{"[2001:db8::1]:258", false, ""},
	} {
		if strings.Contains(c.addr, "lo") {
			if i, err := net.InterfaceByName("lo"); err != nil || i.Index != 1 {
				continue
			}
		}
		a := sockaddr{Scope_id: 7, Flowinfo: 7} // left over
		length := setSockaddr(&a, netip.MustParseAddrPort(c.addr), c.inet6)
		if c.want == "" {
			if length != 0 {
				t.Errorf("%s: got length %d, want 0", c.addr, length)
			}
			continue
		}
		if got := addrPort(&a); got != netip.MustParseAddrPort(c.want) {
			t.Errorf("%s, IPv6 socket %v: got %v, want %s", c.addr, c.inet6, got, c.want)
		}
	}
}

// A peer with no socket answers with ICMP (RFC 792: type 3, code 3; RFC 4443: type
// 1, code 4), which neither costs datagrams nor ends the socket.
func TestICMP(t *testing.T) {
	for _, c := range []struct {
		addr netip.Addr
		want ICMP
	}{
		{loopback4, ICMP{Type: 3, Code: 3}},
		{loopback6, ICMP{Type: 1, Code: 4}},
	} {
		t.Run(c.addr.String(), func(t *testing.T) {
			g := newGroup(t)
			var ports Ports
			got := make(chan ICMP, 400)
			r := &receiver{onICMP: func(e ICMP) { got <- e }}
			r.open(t, g, &ports, c.addr)
			client := listenUDP(t, "udp", netip.AddrPortFrom(c.addr, 0).String())
			live := client.LocalAddr().(*net.UDPAddr).AddrPort()
			gone := listenUDP(t, "udp", netip.AddrPortFrom(c.addr, 0).String())
			c.want.Peer = gone.LocalAddr().(*net.UDPAddr).AddrPort()
			_ = gone.Close()
			var out Outbox
			for i, told := 0, false; !told; i++ {
				// The kernel limits how many it tells of (icmp_msgs_per_sec).
				if i == 100 {
					t.Fatal("got no report of 200 datagrams")
				}
				out.Add(r.socket, numbered(i, 10), c.want.Peer)
				out.Add(r.socket, numbered(i, 10), live)
				out.Flush()
				if err := r.socket.Write(numbered(i, 10), c.want.Peer); err != nil {
					t.Error(err)
				}
				expect(t, client, [][]byte{numbered(i, 10)})
				select {
				case e := <-got:
					told = true
					if e != c.want {
						t.Errorf("got %+v, want %+v", e, c.want)
					}
				case <-time.After(patience / 100):
				}
			}
			if n := r.socket.Drops().Sent; n != 0 {
				t.Errorf("drops: got %d, want 0", n)
			}
			send(t, client, []byte("still here"), r.socket.LocalAddr())
			expect(t, client, [][]byte{[]byte("still here")})
		})
	}
}

func TestParseICMP(t *testing.T) {
	peer := &unix.SockaddrInet4{Port: 9, Addr: [4]byte{192, 0, 2, 1}}
	queued := func(origin, typ, code byte, info byte) []byte {
		b := make([]byte, unix.CmsgSpace(16))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_RECVERR
		h.SetLen(unix.CmsgLen(16))
		d := b[unix.CmsgLen(0):]
		d[4], d[5], d[6] = origin, typ, code
		d[8], d[11] = info, info // in either order
		return b
	}
	info := uint32(5<<24 | 5)
	for _, c := range []struct {
		name string
		oob  []byte
		peer unix.Sockaddr
		want ICMP
		ok   bool
	}{
		{"too big", queued(unix.SO_EE_ORIGIN_ICMP, 3, 4, 5), peer, ICMP{Type: 3, Code: 4, Data: info}, true},
		{"IPv6 too big", queued(unix.SO_EE_ORIGIN_ICMP6, 2, 0, 5), peer, ICMP{Type: 2, Data: info}, true},
		{"host unreachable", queued(unix.SO_EE_ORIGIN_ICMP, 3, 1, 5), peer, ICMP{Type: 3, Code: 1}, true},
		{"local", queued(unix.SO_EE_ORIGIN_LOCAL, 0, 0, 5), peer, ICMP{}, false},
		{"no peer", queued(unix.SO_EE_ORIGIN_ICMP, 3, 4, 5), nil, ICMP{}, false},
		{"short", queued(unix.SO_EE_ORIGIN_ICMP, 3, 4, 5)[:20], peer, ICMP{}, false},
		{"empty", nil, peer, ICMP{}, false},
	} {
		got, ok := parseICMP(c.oob, c.peer)
		if c.ok {
			c.want.Peer = netip.MustParseAddrPort("192.0.2.1:9")
		}
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func option(t *testing.T, s *Socket, level, name, value int) {
	t.Helper()
	if err := s.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), level, name, value); err != nil {
			t.Skip(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// What the kernel refuses to split goes as single datagrams: without checksums it
// refuses.
func TestUnsplit(t *testing.T) {
	s := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	if !s.segments.Load() {
		t.Skip("no UDP_SEGMENT")
	}
	option(t, s, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	clients := []*net.UDPConn{listenUDP(t, "udp4", "127.0.0.1:0"), listenUDP(t, "udp4", "127.0.0.1:0")}
	var want [][]byte
	var out Outbox
	for i := range 60 {
		want = append(want, numbered(i, 100))
		for _, c := range clients {
			out.Add(s, want[i], c.LocalAddr().(*net.UDPAddr).AddrPort())
		}
	}
	out.Flush()
	for _, c := range clients {
		expect(t, c, want)
	}
	if got := s.Drops().Sent; got != 0 {
		t.Errorf("drops: got %d, want 0", got)
	}
}

// What a full buffer does not take is counted: nothing blocks, and each datagram
// arrives, or is counted here, or there.
func TestFull(t *testing.T) {
	const all = 4000
	from := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	to := NewSocket(listenUDP(t, "udp4", "127.0.0.1:0"))
	option(t, from, unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
	option(t, to, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	var out Outbox
	for range all / 2 {
		out.Add(from, make([]byte, 1000), to.LocalAddr())
		_ = from.Write(make([]byte, 1000), to.LocalAddr())
	}
	out.Flush()
	sent, received := from.Drops().Sent, to.Drops().Received
	here := uint64(0)
	ended := make(chan error)
	go func() {
		ended <- newGroup(t).Serve(to, func(batch []Packet, _ *Outbox) {
			here += uint64(len(batch))
			if here+sent+received >= all {
				_ = to.Close()
			}
		})
	}()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if here+sent+received != all || received == 0 {
		t.Errorf("got %d arrived, %d not sent, %d not received, want %d in all and not 0 of the last", here, sent, received, all)
	}
}

// Sockets of a group have no goroutine of their own, and so no buffers.
func TestGroupGoroutines(t *testing.T) {
	g := newGroup(t)
	var ports Ports
	new(receiver).open(t, g, &ports, loopback4)
	before := runtime.NumGoroutine()
	for range 200 {
		new(receiver).open(t, g, &ports, loopback4)
	}
	if got := runtime.NumGoroutine(); got > before {
		t.Errorf("got %d goroutines, want no more than %d", got, before)
	}
}

// DF is on for the one datagram only.
func TestDF(t *testing.T) {
	var ports Ports
	client := listenUDP(t, "udp4", "127.0.0.1:0")
	s, err := ports.Open(loopback4, relays)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mode := func() (v int) {
		_ = s.raw.Control(func(fd uintptr) { v, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER) })
		return v
	}
	if err := s.WriteDF([]byte("x"), client.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		t.Fatal(err)
	}
	take(t, client)
	if got := mode(); got != unix.IP_PMTUDISC_OMIT {
		t.Errorf("mode after WriteDF: got %d, want %d", got, unix.IP_PMTUDISC_OMIT)
	}
	during := 0
	if err := s.df.control(&s.native, func(uintptr) { during = mode() }); err != nil || during != unix.IP_PMTUDISC_PROBE {
		t.Errorf("mode during WriteDF: got %d, %v, want %d", during, err, unix.IP_PMTUDISC_PROBE)
	}
}

// Link-local peers keep their zone.
func TestZone(t *testing.T) {
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil || !p.Addr().Is6() || !p.Addr().IsLinkLocalUnicast() || i.Flags&net.FlagUp == 0 {
				continue
			}
			here := p.Addr().WithZone(strconv.Itoa(i.Index))
			s := NewSocket(listenUDP(t, "udp6", "[::]:0"))
			client := listenUDP(t, "udp6", netip.AddrPortFrom(here, 0).String())
			serve(t, s, func(batch []Packet, out *Outbox) {
				if got := batch[0].Addr.Addr(); got != here {
					t.Errorf("got %v, want %v", got, here)
				}
				echo(s)(batch, out)
			})
			send(t, client, []byte("x"), netip.AddrPortFrom(here, s.LocalAddr().Port()))
			take(t, client)
			return
		}
	}
	t.Skip("no link-local address here")
}
