package host

import (
	"net/netip"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// origin is where a session comes from, for people.
type origin struct {
	began time.Time // the session, not the connection that it has now
	addr  netip.AddrPort
	kind  string // of the connection
}

// from notes where a session comes from: when it begins, and when it goes on with
// another connection.
func (s *session) from(p stanza.Peer) {
	o := &origin{began: time.Now(), addr: p.Addr, kind: kindOf(p)}
	if old := s.origin.Load(); old != nil {
		o.began = old.began
	}
	s.origin.Store(o)
}

// kindOf returns ejabberd's word for a kind of connection.
func kindOf(p stanza.Peer) string {
	switch p.Name {
	case "tcp":
		if p.Secure {
			return "c2s_tls"
		}
		return "c2s"
	case "unix":
		return "c2s"
	case "websocket":
		return "websocket"
	case "bosh":
		return "http_bind"
	}
	return "unknown"
}
