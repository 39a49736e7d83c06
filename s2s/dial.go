package s2s

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// attemptDelay is how long a connection may take before the next address is tried
// beside it.
// See RFC 8305, section 8.
const attemptDelay = 250 * time.Millisecond

// dialer connects to servers for one local domain.
type dialer struct {
	dial       func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)
	timeout    time.Duration // of one address; 0: none
	ipv4, ipv6 netip.Addr    // where connections come from
}

// dialed is what became of one address.
type dialed struct {
	conn net.Conn
	to   netip.AddrPort
	err  error
}

// race connects to the first address that answers, of some that are tried one
// after the other in their order, the next as soon as one fails or lets the others
// wait. rest are the addresses that have not failed. Without a connection the
// error is that of the last address.
// See RFC 8305, section 5.
func (d *dialer) race(ctx context.Context, addrs []netip.AddrPort) (won dialed, rest []netip.AddrPort) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed, len(addrs))
	late := time.NewTimer(attemptDelay)
	defer late.Stop()
	started, running := 0, 0
	next := func() {
		if started < len(addrs) {
			to := addrs[started]
			started++
			running++
			go func() { results <- d.connect(ctx, to) }()
			late.Reset(attemptDelay)
		}
	}
	next()
	for running > 0 {
		select {
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				return r, append(undecided(results, running), addrs[started:]...)
			}
			won = r
			next()
		case <-late.C:
			next()
		}
	}
	return won, nil
}

// undecided waits for attempts that came too late, and returns their addresses.
func undecided(results <-chan dialed, running int) (rest []netip.AddrPort) {
	for range running {
		r := <-results
		if r.err == nil {
			_ = r.conn.Close()
		}
		rest = append(rest, r.to)
	}
	return rest
}

// connect connects to one address.
func (d *dialer) connect(ctx context.Context, to netip.AddrPort) dialed {
	if d.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.timeout)
		defer cancel()
	}
	from := d.ipv6
	if to.Addr().Is4() {
		from = d.ipv4
	}
	conn, err := d.dial(ctx, from, to)
	return dialed{conn, to, err}
}

// dialTCP connects by TCP.
func dialTCP(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d.DialContext(ctx, "tcp", to.String())
}
