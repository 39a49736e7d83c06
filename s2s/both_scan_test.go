package s2s

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
)

// A server that is nobody yet learns nothing of the network behind us: not which
// ports of which addresses are open. Its DNS says where its domain is.
func TestPortScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, func(r *outRig) {
			r.dns.srv["_xmpp-server._tcp.open.test"] = []*net.SRV{{Target: "a.evil.test", Port: 6379}}
			r.dns.srv["_xmpp-server._tcp.shut.test"] = []*net.SRV{{Target: "a.evil.test", Port: 6380}}
			r.dns.addrs["a.evil.test"] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		})
		r.onDial = func(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
			if to.Port() == 6380 {
				return nil, errOutRefused
			}
			ours, theirs := net.Pipe()
			go func() {
				_, _ = theirs.Read(make([]byte, 4096))
				_ = theirs.Close()
			}()
			return ours, nil
		}
		open := r.srv.out.verify(t.Context(), pair{"here.test", "open.test"}, "id", "key")
		shut := r.srv.out.verify(t.Context(), pair{"here.test", "shut.test"}, "id", "key")
		if open.Error() != shut.Error() {
			t.Errorf("got the answers %q for an open port and %q for a closed one, want one and the same", open, shut)
		}
	})
}
