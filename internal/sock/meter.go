package sock

import "sync/atomic"

// Reason says why a connection was accepted and then closed without the module
// having seen it.
type Reason int

const (
	ProxyHeader  Reason = iota // the PROXY header was wrong or missing
	ProxyTimeout               // it did not come in time
	Unserved                   // the listener was closed before a module took it
	reasons
)

// String returns the name of r, as statistics have it.
func (r Reason) String() string {
	return [reasons]string{"proxy_header", "proxy_timeout", "unserved"}[r]
}

// Meter counts what happens on a listener.
type Meter struct {
	accepted   atomic.Int64
	active     atomic.Int64
	handshakes atomic.Int64
	panics     atomic.Int64
	rejected   [reasons]atomic.Int64
	_          [64]byte
	in, out    counter
}

// counter has a cache line of its own: all cores write to it.
type counter struct {
	atomic.Int64
	_ [56]byte
}

// Counts are the values of a Meter.
type Counts struct {
	Accepted          int64 // connections, also those rejected later
	Active            int64 // connections open now
	Rejected          map[string]int64
	HandshakeFailures int64 // connections that ended before their TLS handshake
	Panics            int64
	BytesIn, BytesOut int64 // of the connections, above the PROXY header and below TLS
}

// Counts returns the values. Those of one moment may be a little apart.
func (m *Meter) Counts() Counts {
	c := Counts{
		Accepted:          m.accepted.Load(),
		Active:            m.active.Load(),
		Rejected:          make(map[string]int64, reasons),
		HandshakeFailures: m.handshakes.Load(),
		Panics:            m.panics.Load(),
		BytesIn:           m.in.Load(),
		BytesOut:          m.out.Load(),
	}
	for r := range reasons {
		c.Rejected[r.String()] = m.rejected[r].Load()
	}
	return c
}

// Reject counts and closes a connection.
func (m *Meter) Reject(c *Conn, r Reason) {
	m.rejected[r].Add(1)
	_ = c.Close()
}
