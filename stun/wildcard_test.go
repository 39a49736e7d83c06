package stun

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pion/stun"
)

// What a client gets comes from the address that it sends to, though the socket has all
// addresses of the machine: clients take nothing else, and neither do the NATs in
// front of them (RFC 8489, section 6.3.1.1; RFC 8656, section 3.1).
func TestWildcard(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("all of 127.0.0.0/8 is here on Linux only")
	}
	for _, tt := range []struct{ network, bind, to string }{
		{"udp4", "0.0.0.0", "127.0.0.1"},
		{"udp4", "0.0.0.0", "127.0.0.2"},
		{"udp", "::", "127.0.0.2"},
		{"udp", "::", "::1"},
	} {
		t.Run(tt.bind+" "+tt.to, func(t *testing.T) {
			pc, err := net.ListenUDP(tt.network, &net.UDPAddr{IP: net.ParseIP(tt.bind)})
			if err != nil {
				t.Skip(err)
			}
			o := turnOptions()
			o.AuthType = AuthAnonymous
			o.IPv4Address, o.IPv6Address = localhost, netip.Addr{}
			o.Whitelist = []netip.Prefix{netip.PrefixFrom(localhost, 8)}
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- New(Host{}).ListenPacket(ctx, pc, o) }()
			defer func() { stop(); <-done }()

			server := netip.AddrPortFrom(netip.MustParseAddr(tt.to), pc.LocalAddr().(*net.UDPAddr).AddrPort().Port())
			conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
			if err != nil {
				t.Skip(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			exchange := func(m stun.Method, attrs ...stun.Setter) *stun.Message {
				t.Helper()
				q := stun.MustBuild(append([]stun.Setter{stun.TransactionID, stun.NewType(m, stun.ClassRequest)}, attrs...)...)
				_, _ = conn.Write(q.Raw)
				b := make([]byte, 1500)
				n, err := conn.Read(b)
				if err != nil {
					t.Fatalf("%s: %v, want an answer", m, err)
				}
				return parse(t, b[:n], q.TransactionID)
			}
			exchange(stun.MethodBinding)
			p := listen(t)
			relay := address(t, exchange(stun.MethodAllocate, udp), stun.AttrXORRelayedAddress)
			exchange(stun.MethodCreatePermission, peer(p.LocalAddr().(*net.UDPAddr).AddrPort()))
			const all = 20 // of one size, so that the kernel splits some
			for range all {
				_, _ = p.WriteToUDPAddrPort(make([]byte, 100), relay)
			}
			for i := range all {
				if _, err := conn.Read(make([]byte, 1500)); err != nil {
					t.Fatalf("datagram %d: %v", i, err)
				}
			}
		})
	}
}
