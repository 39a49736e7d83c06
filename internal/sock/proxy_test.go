package sock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

var (
	proxyAddr  = netip.MustParseAddrPort("198.51.100.9:1000")
	serverAddr = netip.MustParseAddrPort("192.0.2.1:5222")
)

// v2 makes a header of version 2. The bytes are those of section 2.2 of the
// specification, and not of a library.
func v2(command, family byte, rest string) string {
	h := []byte("\r\n\r\n\x00\r\nQUIT\n")
	h = append(h, 0x20|command, family)
	h = binary.BigEndian.AppendUint16(h, uint16(len(rest)))
	return string(h) + rest
}

const (
	addr4 = "\xcb\x00\x71\x07\xc0\x00\x02\x01\xc0\x00\x14\x66"          // 203.0.113.7:49152 to 192.0.2.1:5222
	tlv   = "\x04\x00\x03abc" + "\x01\x00\x04xmpp" + "\x20\x00\x01\x00" // NOOP, ALPN, one that is too short for its type
)

var (
	addr6 = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x07" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + "\xc0\x00\x14\x66"
	local = strings.Repeat("/tmp/x", 18) + strings.Repeat("/tmp/y", 18)
)

// Peers and local addresses that a header leads to; "" leaves the real ones.
var proxyHeaders = []struct {
	name, header, remote, local string
}{
	{"v1 TCP4", "PROXY TCP4 203.0.113.7 192.0.2.1 49152 5222\r\n", "203.0.113.7:49152", "192.0.2.1:5222"},
	{"v1 TCP4 shortest", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0", "0.0.0.0:0"},
	{"v1 TCP4 longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", "255.255.255.255:65535"},
	{"v1 TCP6", "PROXY TCP6 2001:db8::7 2001:db8::1 49152 5222\r\n", "[2001:db8::7]:49152", "[2001:db8::1]:5222"},
	{"v1 TCP6 shortest", "PROXY TCP6 :: :: 0 0\r\n", "[::]:0", "[::]:0"},
	{"v1 TCP6 longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", "", ""},
	{"v1 UNKNOWN with addresses", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "", ""},
	{"v2 IPv4", v2(1, 0x11, addr4), "203.0.113.7:49152", "192.0.2.1:5222"},
	{"v2 IPv4 with TLVs", v2(1, 0x11, addr4+tlv), "203.0.113.7:49152", "192.0.2.1:5222"},
	{"v2 IPv6", v2(1, 0x21, addr6), "[2001:db8::7]:49152", "[2001:db8::1]:5222"},
	{"v2 largest", v2(1, 0x11, addr4+"\x04\x0f\xf1"+strings.Repeat("x", 0xff1)), "203.0.113.7:49152", "192.0.2.1:5222"},
	{"v2 LOCAL", v2(0, 0x00, ""), "", ""},
	{"v2 LOCAL with addresses", v2(0, 0x11, addr4), "", ""},
	{"v2 LOCAL with anything", v2(0, 0x11, "abc"), "", ""},
	{"v2 UNSPEC", v2(1, 0x00, ""), "", ""},
	{"v2 UNSPEC with TLVs", v2(1, 0x00, tlv), "", ""},
	{"v2 unix", v2(1, 0x31, local), "", ""}, // nobody is local because a proxy says so
}

var brokenHeaders = map[string]string{
	"nothing":                  "",
	"TLS":                      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 100),
	"XMPP":                     "<?xml version='1.0'?><stream:stream>",
	"HTTP":                     "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
	"v1 another protocol":      "PROXY UDP4 203.0.113.7 192.0.2.1 49152 5222\r\n",
	"v1 without a space":       "PROXYTCP4 203.0.113.7 192.0.2.1 49152 5222\r\n",
	"v1 two spaces":            "PROXY TCP4  203.0.113.7 192.0.2.1 49152 5222\r\n",
	"v1 lower case":            "proxy TCP4 203.0.113.7 192.0.2.1 49152 5222\r\n",
	"v1 families mixed":        "PROXY TCP4 2001:db8::7 192.0.2.1 49152 5222\r\n",
	"v1 IPv4 as TCP6":          "PROXY TCP6 203.0.113.7 192.0.2.1 49152 5222\r\n",
	"v1 port too large":        "PROXY TCP4 203.0.113.7 192.0.2.1 65536 5222\r\n",
	"v1 port with leading 0":   "PROXY TCP4 203.0.113.7 192.0.2.1 080 5222\r\n",
	"v1 zone":                  "PROXY TCP6 fe80::1%eth0 2001:db8::1 49152 5222\r\n",
	"v1 without CR":            "PROXY TCP4 203.0.113.7 192.0.2.1 49152 5222\n",
	"v1 field missing":         "PROXY TCP4 203.0.113.7 192.0.2.1 49152\r\n",
	"v1 field too many":        "PROXY TCP4 203.0.113.7 192.0.2.1 49152 5222 1\r\n",
	"v1 cut off":               "PROXY TCP4 203.0.113.7 192.0.2.1 4",
	"v1 early end of line":     "PROXY TCP4 \r\n" + strings.Repeat("x", 100),
	"v1 too long":              "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n",
	"v1 never ends":            "PROXY TCP6 " + strings.Repeat("2001:db8::7 ", 100),
	"v2 wrong version":         strings.Replace(v2(1, 0x11, addr4), "\x21\x11", "\x11\x11", 1),
	"v2 unknown command":       v2(2, 0x11, addr4),
	"v2 unknown family":        v2(1, 0x41, addr4),
	"v2 unknown transport":     v2(1, 0x13, addr4),
	"v2 datagrams":             v2(1, 0x12, addr4),
	"v2 unix datagrams":        v2(1, 0x32, local),
	"v2 too short for family":  v2(1, 0x21, addr4),
	"v2 cut off":               v2(1, 0x11, addr4)[:20],
	"v2 cut off in the middle": v2(1, 0x11, addr4)[:14],
	"v2 too large":             v2(1, 0x11, addr4+strings.Repeat("x", 65535-12)),
}

// receive lets a proxy send header and returns the connection behind it, and
// the error of reading it.
func receive(t *testing.T, send func(c net.Conn)) (*Conn, error) {
	t.Helper()
	proxy, server := listentest.NewConn(proxyAddr, serverAddr)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		send(proxy)
	}()
	t.Cleanup(func() {
		_, _ = proxy.Close(), server.Close()
		<-sent
	})
	c := new(Meter).Count(server)
	return c, c.ReadProxyHeader()
}

func checkProxied(t *testing.T, c *Conn, err error, remote, local string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if remote == "" {
		remote, local = proxyAddr.String(), serverAddr.String()
	}
	if got := c.RemoteAddr().String(); got != remote {
		t.Errorf("remote address: got %s, want %s", got, remote)
	}
	if got := c.LocalAddr().String(); got != local {
		t.Errorf("local address: got %s, want %s", got, local)
	}
	if _, ok := c.RemoteAddr().(*net.TCPAddr); !ok {
		t.Errorf("remote address: got a %T, want a *net.TCPAddr", c.RemoteAddr())
	}
	if got, err := io.ReadAll(c); string(got) != "payload" || err != nil {
		t.Errorf("after the header: got %q, %v, want the payload", got, err)
	}
}

func TestProxyHeaders(t *testing.T) {
	for _, tt := range proxyHeaders {
		t.Run(tt.name, func(t *testing.T) {
			c, err := receive(t, func(c net.Conn) {
				_, _ = io.WriteString(c, tt.header+"payload")
				_ = c.Close()
			})
			checkProxied(t, c, err, tt.remote, tt.local)
		})
		t.Run(tt.name+" byte by byte", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := receive(t, func(c net.Conn) {
					for _, b := range []byte(tt.header) {
						time.Sleep(time.Millisecond)
						_, _ = c.Write([]byte{b})
					}
					time.Sleep(time.Minute) // the header's deadline is not the session's
					_, _ = io.WriteString(c, "payload")
					_ = c.Close()
				})
				checkProxied(t, c, err, tt.remote, tt.local)
			})
		})
	}
}

// Nothing behind the header is read with it: the module may look at the socket
// itself.
func TestProxyHeaderIsReadExactly(t *testing.T) {
	for _, tt := range proxyHeaders {
		r := bytes.NewReader([]byte(tt.header + "payload"))
		if _, err := rawProxyHeader(r); err != nil || r.Len() != len("payload") {
			t.Errorf("%s: got %v with %d bytes left, want those of the payload", tt.name, err, r.Len())
		}
	}
}

func TestBrokenProxyHeaders(t *testing.T) {
	for name, header := range brokenHeaders {
		t.Run(name, func(t *testing.T) {
			c, err := receive(t, func(c net.Conn) {
				_, _ = io.WriteString(c, header)
				_ = c.Close()
			})
			if err == nil {
				t.Fatal("got no error")
			}
			if got := c.RemoteAddr().String(); got != proxyAddr.String() {
				t.Errorf("remote address: got %s, want that of the connection", got)
			}
		})
	}
}

func TestSlowProxyHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := receive(t, func(c net.Conn) {
			for _, b := range []byte("PROXY TCP4 203.0.113.7 192.0.2.1 49152 5222\r\n") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("waited %v, want 10s", d)
		}
	})
}

func TestProxies(t *testing.T) {
	p, err := ParseProxies([]string{"127.0.0.1", "192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.0/120", "203.0.113.9/24"})
	if err != nil {
		t.Fatal(err)
	}
	tcp := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	tests := []struct {
		peer net.Addr
		want bool
	}{
		{tcp("127.0.0.1:1"), true},
		{tcp("127.0.0.2:1"), false},
		{tcp("192.0.2.255:1"), true},
		{tcp("[::ffff:192.0.2.7]:1"), true}, // on a dual-stack socket
		{tcp("[2001:db8::1%eth0]:1"), true},
		{tcp("[2001:db9::1]:1"), false},
		{tcp("198.51.100.3:1"), true},
		{tcp("203.0.113.1:1"), true},
		{&net.UnixAddr{Net: "unix"}, true},
		{&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, false},
		{nil, false},
	}
	for _, tt := range tests {
		if got := p.Include(tt.peer); got != tt.want {
			t.Errorf("Include(%v): got %t, want %t", tt.peer, got, tt.want)
		}
	}
	if Proxies(nil).Include(tcp("127.0.0.1:1")) {
		t.Error("no proxies: got one, want none")
	}
	for _, s := range []string{"", "localhost", "1.2.3.4/33", "300.1.1.1"} {
		if _, err := ParseProxies([]string{s}); err == nil {
			t.Errorf("ParseProxies(%q): got no error", s)
		}
	}
}

// FuzzProxyHeader checks that reading takes what the header says and no more,
// and that what comes out is an address.
func FuzzProxyHeader(f *testing.F) {
	for _, tt := range proxyHeaders {
		f.Add([]byte(tt.header))
	}
	for _, h := range brokenHeaders {
		f.Add([]byte(h))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		proxy, server := listentest.NewConn(proxyAddr, serverAddr)
		defer server.Close()
		if len(b) > listentest.BufferSize/2 {
			return
		}
		_, _ = proxy.Write(append(b, "payload"...))
		_ = proxy.Close()
		c := new(Meter).Count(server)
		if c.ReadProxyHeader() != nil {
			if c.remote != nil || c.local != nil {
				t.Errorf("addresses %v, %v of a header that was refused", c.remote, c.local)
			}
			return
		}
		if a, ok := c.RemoteAddr().(*net.TCPAddr); !ok || !a.AddrPort().IsValid() {
			t.Errorf("got the address %#v", c.RemoteAddr())
		}
		rest, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		n := len(b) + len("payload") - len(rest)
		alone := bytes.NewReader(append(b, "payload"...)[:n])
		if again, err := rawProxyHeader(alone); err != nil || len(again) != n {
			t.Errorf("the header alone: got %q, %v, want %d bytes", again, err, n)
		}
	})
}
