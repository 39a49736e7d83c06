package xmppstream

import (
	"net"
	"net/netip"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Peer implements stanza.Transport. TLS and Certificate are there once the
// handshake is done.
func (t *TCP) Peer() stanza.Peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peer
	p.Secure = p.Secure || t.tls != nil
	p.TLS, p.Certificate = t.tls, t.shown
	return p
}

// peerOf tells what the connection itself says of the peer.
func peerOf(c net.Conn) stanza.Peer {
	p := stanza.Peer{Name: "tcp"}
	addr := c.RemoteAddr()
	if addr == nil {
		return p
	}
	if strings.HasPrefix(addr.Network(), "unix") {
		p.Name, p.Secure = "unix", true
		return p
	}
	if a, ok := addr.(*net.TCPAddr); ok {
		p.Addr = a.AddrPort()
	} else if a, err := netip.ParseAddrPort(addr.String()); err == nil {
		p.Addr = a
	}
	p.Addr = netip.AddrPortFrom(p.Addr.Addr().Unmap(), p.Addr.Port())
	return p
}
