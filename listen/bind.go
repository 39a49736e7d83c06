package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/sock"
)

// bound is an open socket: one for streams, or one or several for datagrams.
type bound struct {
	stream    *sock.Listener
	packets   []net.PacketConn
	warnings  []string
	inherited *Inherited // what it was made of
}

func (b *bound) addr() net.Addr {
	if b.stream != nil {
		return b.stream.Addr()
	}
	return b.packets[0].LocalAddr()
}

// close may be called twice. Nobody can do anything about its errors.
func (b *bound) close() {
	if b.stream != nil {
		_ = b.stream.Close()
	}
	for _, pc := range b.packets {
		_ = pc.Close()
	}
}

// bind opens the sockets that a plan needs. After an error none of them is
// open, and the old ones are as before.
func (s *Server) bind(ctx context.Context, p *plan) error {
	s.assign(p)
	old := slices.Concat(p.removed, p.replace)
	inTheWay := func(c *change) []*listener {
		return slices.DeleteFunc(slices.Clone(old), func(l *listener) bool {
			return l.isLost() || l.bound.inherited != nil || !sock.Conflict(l.entry.Network, l.entry.Address, c.Entry.Network, c.Entry.Address)
		})
	}
	var errs []error
	var late []int // need the place of an old socket
	for i, c := range p.changes {
		switch {
		case c.l != nil || c.bound != nil:
		case len(inTheWay(c)) > 0:
			late = append(late, i)
		default:
			errs = append(errs, s.open(ctx, c, i))
		}
	}
	var suspended []*listener
	if errors.Join(errs...) == nil {
		for _, i := range late {
			for _, l := range inTheWay(p.changes[i]) {
				if !slices.Contains(suspended, l) {
					l.suspend(ctx)
					suspended = append(suspended, l)
				}
			}
			errs = append(errs, s.open(ctx, p.changes[i], i))
		}
	}
	if errors.Join(errs...) == nil {
		return nil
	}
	for _, c := range p.changes {
		s.release(c)
	}
	for _, l := range suspended {
		errs = append(errs, s.resume(ctx, l))
	}
	return errors.Join(errs...)
}

// release undoes what bind has done for one change.
func (s *Server) release(c *change) {
	switch {
	case c.bound == nil:
	case c.bound.inherited != nil:
		s.mu.Lock()
		s.inherited = append(s.inherited, *c.bound.inherited)
		s.mu.Unlock()
	default:
		c.bound.close()
	}
	c.bound = nil
}

// resume opens the socket again that suspend has closed. If this fails, too,
// the listener is lost: its sessions go on and nobody else gets in.
func (s *Server) resume(ctx context.Context, l *listener) error {
	b, err := s.listen(ctx, &l.entry)
	if err != nil {
		l.lose()
		return fmt.Errorf("the listener on %s is lost: %w", l.entry.Address, err)
	}
	l.resume(b)
	return nil
}

// open opens the socket of the i-th entry.
func (s *Server) open(ctx context.Context, c *change, i int) error {
	b, err := s.listen(ctx, &c.Entry)
	if err != nil {
		return c.Entry.problem(i, err)
	}
	c.bound = b
	return nil
}

func (s *Server) listen(ctx context.Context, e *Entry) (*bound, error) {
	var b *bound
	var err error
	if s.o.Bind != nil {
		b, err = s.ask(ctx, e)
	} else {
		b, err = e.listen(ctx)
	}
	return b, sock.Explain(e.Network, err)
}

// ask lets ServerOptions.Bind open a socket.
func (s *Server) ask(ctx context.Context, e *Entry) (*bound, error) {
	ln, pc, err := s.o.Bind(ctx, e.Network, e.Address, e.Socket)
	switch {
	case err != nil:
		return nil, err
	case e.datagram() && pc != nil:
		return &bound{packets: []net.PacketConn{pc}}, nil
	case !e.datagram() && ln != nil:
		return &bound{stream: &sock.Listener{Listener: ln}}, nil
	}
	return nil, fmt.Errorf("no socket was given for %s %s", e.Network, e.Address)
}

// listen opens a socket of the operating system.
func (e *Entry) listen(ctx context.Context) (*bound, error) {
	if e.datagram() {
		pcs, warnings, err := sock.ListenPacket(ctx, e.Network, e.Address, system(&e.Socket))
		if err != nil {
			return nil, err
		}
		return &bound{packets: pcs, warnings: warnings}, nil
	}
	ln, err := sock.Listen(ctx, e.Network, e.Address, system(&e.Socket))
	if err != nil {
		return nil, err
	}
	return &bound{stream: ln, warnings: ln.Warnings}, nil
}

// tuning returns the options that count for each connection. The proxies were
// checked when the entry was planned.
func tuning(o *SocketOptions) sock.Tuning {
	proxies, _ := sock.ParseProxies(o.ProxyFrom)
	return sock.Tuning{Interval: o.AcceptInterval, Proxied: o.ProxyProtocol, Proxies: proxies}
}

// system returns the options that concern the operating system.
func system(o *SocketOptions) sock.Options {
	s := sock.Options{Backlog: o.Backlog, Mode: 0o700, Owner: o.UnixOwner, Group: o.UnixGroup, Readers: o.Readers}
	if o.UnixModeSet {
		s.Mode = o.UnixMode
	}
	return s
}
