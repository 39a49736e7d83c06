package s2s

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// dialFunc is Host.Dial.
type dialFunc func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)

// patience is how many times the negotiation timeout all addresses of a server may
// take together.
const patience = 3

// Where nobody here has sent anything, and somebody who is unknown only says that he
// is there, fewer servers of a domain are tried.
const (
	maxAskTargets   = 4
	maxAskAddresses = 2 // of each
)

// isWanted is wanted for whoever does not hold mu.
func (l *link) isWanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted()
}

// attempt is one search for a stream of a link.
type attempt struct {
	l        *link
	c        *Settings
	tlsBroke bool // a handshake has failed: there is no stream without TLS any more
	saslLoss bool // a server has closed a stream because of SASL: it is left out
	last     *failure
}

// open opens a stream that takes stanzas. It returns nil without an error when
// nothing is left to be done. It runs in a goroutine that ends then: the stack that
// a handshake needs is not kept for as long as the stream lives.
func (l *link) open() (s *outStream, f *failure) {
	var done sync.WaitGroup
	done.Go(func() {
		err := netserve.Guard(func() error {
			s, f = l.search()
			return nil
		})
		var p *netserve.PanicError
		if errors.As(err, &p) {
			l.p.log.Error("opening a stream panicked", netserve.KeyErr, err, "stack", string(p.Stack))
			s, f = nil, &failure{step: stepStream, err: err}
		}
	})
	done.Wait()
	if f != nil && l.p.ctx.Err() != nil {
		f = &failure{step: stepShutdown, err: errNotSent}
	}
	return s, f
}

// search tries all addresses of all targets in order.
func (l *link) search() (*outStream, *failure) {
	a := &attempt{l: l, c: l.p.srv.settings.Load()}
	ctx, cancel := l.p.ctx, context.CancelFunc(func() {})
	if t := a.c.NegotiationTimeout; t > 0 {
		ctx, cancel = context.WithTimeout(ctx, patience*t)
	}
	defer cancel()
	dns := a.lookup()
	targets, err := dns.targets(ctx, l.remote)
	if err != nil {
		return nil, &failure{step: stepDNS, err: err}
	}
	for i, t := range targets {
		if i >= maxAskTargets && !l.isWanted() {
			break
		}
		addrs, err := dns.addresses(ctx, t)
		if err != nil {
			a.note(&failure{step: stepDNS, err: err})
			continue
		}
		if !l.isWanted() {
			addrs = addrs[:min(len(addrs), maxAskAddresses)]
		}
		if s, over := a.try(ctx, t, addrs); over {
			return s, a.last
		}
	}
	return nil, a.last
}

// try tries the addresses of a target; over: no other one is to be tried.
func (a *attempt) try(ctx context.Context, t target, addrs []netip.AddrPort) (s *outStream, over bool) {
	d := a.dialer()
	for len(addrs) > 0 {
		won, rest := d.race(ctx, addrs)
		if won.err != nil {
			a.note(&failure{step: stepConnection, peer: won.to, err: won.err})
			return nil, ctx.Err() != nil
		}
		addrs = rest
		sasl := !a.saslLoss
		s, f := a.negotiate(ctx, won, t.direct)
		if f == nil {
			a.last = nil
			return s, true
		}
		a.note(f)
		switch {
		case f.final || ctx.Err() != nil:
			return nil, true
		case f.step == stepTLS:
			a.tlsBroke = true
		case sasl && a.saslLoss:
			addrs = slices.Insert(addrs, 0, won.to) // once more, with dialback alone
		}
	}
	return nil, false
}

// note remembers why an address has failed; that one does not resolve counts less.
func (a *attempt) note(f *failure) {
	a.l.p.log.Debug("connecting to a server failed", "local", a.l.local, "remote", a.l.remote,
		"peer", f.peer, "step", f.step, netserve.KeyErr, f.err)
	if a.last == nil || a.last.step == stepDNS || f.step != stepDNS {
		a.last = f
	}
}

func (a *attempt) lookup() *lookup {
	c, local := a.c, a.l.local
	return &lookup{
		resolver: a.l.p.host.resolver(), timeout: c.DNSTimeout.For(local), retries: c.DNSRetries.For(local),
		families: c.Families.For(local), port: uint16(c.Port.For(local)), direct: c.UseStartTLS.For(local) != TLSOff,
		random: func(n int) int { return min(int(a.l.p.random()*float64(n)), n-1) },
	}
}

func (a *attempt) dialer() *dialer {
	c, local := a.c, a.l.local
	return &dialer{dial: a.l.p.dial, timeout: c.ConnectTimeout.For(local), ipv4: c.IPv4.For(local), ipv6: c.IPv6.For(local)}
}

// What a server may send before it takes stanzas, and on a stream of ours alone.
var beforeStanzas = stanza.Limits{Bytes: 64 << 10, Elements: 1000}

// negotiate makes a stream of a connection, and gives it what waits.
func (a *attempt) negotiate(ctx context.Context, d dialed, direct bool) (*outStream, *failure) {
	n := &opening{a: a, l: a.l, c: a.c, ctx: ctx, peer: d.to, s: &outStream{l: a.l}}
	if t := a.c.NegotiationTimeout; t > 0 {
		n.deadline = time.Now().Add(t)
		_ = d.conn.SetDeadline(n.deadline)
	}
	// Cancelling cuts the connection, whoever reads or writes.
	stop := context.AfterFunc(ctx, func() { netserve.Cut(d.conn) })
	defer stop()
	if f := n.connect(d.conn, direct); f != nil {
		_ = d.conn.Close()
		return nil, f
	}
	n.s.t = n.t
	ready, f := n.run()
	if f == nil && ready && stop() {
		_ = n.t.SetReadDeadline(time.Time{})
		_ = n.t.SetWriteDeadline(time.Time{})
		n.t.SetLimits(n.limits())
		if a.l.establish(n.s, a.c) {
			a.l.p.log.Info("stream to a server is open", "local", a.l.local, "remote", a.l.remote, "peer", d.to,
				"tls", n.state != nil, "by", n.by, "both_ways", n.s.both, "managed", n.s.managed)
			return n.s, nil
		}
	}
	if f == nil && ctx.Err() != nil {
		f = n.fail(stepStream, context.Cause(ctx))
	}
	a.l.mu.Lock()
	a.l.reask()
	a.l.mu.Unlock()
	a.l.fallBack()
	var end *stanza.StreamError
	if f != nil {
		end = farewell(f.err)
	}
	_ = n.t.Close(end)
	return nil, f
}

// limits returns what the remote server may send from now on.
func (n *opening) limits() stanza.Limits {
	if n.s.both {
		return stanza.Limits{Bytes: maxOutgoing, Elements: Defaults().MaxStanzaElements}
	}
	return beforeStanzas
}

// newTransport returns the transport of a connection.
func newTransport(c net.Conn) *xmppstream.TCP {
	return xmppstream.NewTCP(c, xmppstream.TCPOptions{Limits: beforeStanzas, Namespace: stanza.NSServer})
}
