package stun

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Relay has clients send to a peer, which returns what it gets, through a relay of
// their own each: for the server a round trip is four datagrams.
type Relay struct {
	Clients  int
	Window   int           // datagrams of a client that may be under way at once
	Size     int           // bytes of data, at least 16
	Rate     float64       // round trips a second, of all clients, evenly paced; 0: as fast as possible
	Send     bool          // by Send and Data indications instead of a channel
	Warm     time.Duration // before measuring
	Duration time.Duration // of measuring
}

// maxSize keeps datagrams within what goes through loopback and the buffers at once.
const maxSize = 8000

// Run measures.
func (w Relay) Run(ctx context.Context, t *Target) (r meter.Result, err error) {
	r.Workload = "turn"
	r.Set("clients", w.Clients)
	r.Set("window", w.Window)
	r.Set("size", max(w.Size, minPayload))
	if w.Rate > 0 {
		r.Set("rate", w.Rate)
	}
	if w.Send {
		r.Set("by", "indications")
	}
	if w.Clients < 1 || w.Window < 1 || w.Size > maxSize {
		return r, errors.New("want one client or more, a window, and at most 8000 bytes")
	}
	if err := errors.Join(crowd.Room(2*w.Clients, t.PID), r.Before(t.PID)); err != nil {
		return r, err
	}
	if err := t.reach(ctx); err != nil {
		return r, err
	}
	s := &relays{Relay: w, t: t, text: newPayload(w.Size)}
	err = s.run(ctx, &r)
	return r, errors.Join(err, r.After(t.PID, 0))
}

// relays is a run of Relay.
type relays struct {
	Relay
	t       *Target
	text    payload
	loop    *loop
	clients []*client
	addrs   []netip.AddrPort // of the relays
}

// run makes the allocations, measures and gives them back.
func (s *relays) run(ctx context.Context, r *meter.Result) (err error) {
	buffer := envelopeLength + max(s.Size, minPayload) + 256 // the server may add attributes of its own
	if s.loop, err = newLoop(s.t, s.Window, buffer, s.Rate); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.loop.close()) }()
	defer func() { err = errors.Join(err, s.free()) }()
	if err := s.allocate(ctx, buffer); err != nil {
		return err
	}
	spent, drops, err := s.t.measure(ctx, span{s.Warm, s.Duration}, []func(*phase) error{s.loop.run})
	if err != nil {
		return err
	}
	s.loop.report(r, "round trips", spent, drops, s.t.Loss)
	return nil
}

// allocate makes an allocation for each client, with a permission and, unless it is
// not needed, a channel for the peer.
func (s *relays) allocate(ctx context.Context, buffer int) error {
	var peer netip.AddrPort
	for i := range s.Clients {
		conn, err := s.t.dial()
		if err != nil {
			return err
		}
		if i == 0 {
			if peer, err = s.listen(conn, buffer); err != nil {
				return errors.Join(err, conn.Close())
			}
		}
		if err := s.client(ctx, conn, uint32(i), peer); err != nil {
			return err
		}
	}
	return nil
}

// listen opens the peer's socket on the address that clients have.
func (s *relays) listen(conn net.Conn, buffer int) (peer netip.AddrPort, err error) {
	own := conn.LocalAddr().(*net.UDPAddr).IP
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: own})
	if err != nil {
		return peer, err
	}
	return localAddr(c), s.loop.addPeer(c, buffer, s.wrong)
}

// wrong reports whether a datagram has not come by the relay of the client that has
// sent it.
func (s *relays) wrong(b []byte, from netip.AddrPort) bool {
	n, ok := s.text.author(b)
	return !ok || int64(n) >= int64(len(s.addrs)) || s.addrs[n] != from
}

// client makes one allocation and hands its socket to the loop.
func (s *relays) client(ctx context.Context, conn *net.UDPConn, number uint32, peer netip.AddrPort) error {
	c := s.t.newClient(conn)
	addr, err := c.allocate(ctx)
	if err == nil {
		err = c.permit(ctx, peer)
	}
	if err == nil && !s.Send {
		err = c.bind(ctx, channelNumber, peer)
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	text := s.text
	text.number = number
	var e exchange = &channelData{text}
	if s.Send {
		e = newIndication(text, peer)
	}
	if err := s.loop.add(conn, e, s.Window); err != nil {
		return err
	}
	s.clients, s.addrs = append(s.clients, c), append(s.addrs, addr)
	return nil
}

// freeTimeout is how long a server may take to take an allocation back.
const freeTimeout = 5 * time.Second

// free gives the allocations back, so that nothing of them is left to the next run.
func (s *relays) free() error {
	ctx, cancel := context.WithTimeout(context.Background(), freeTimeout)
	defer cancel()
	return crowd.Parallel(len(s.clients), atOnce, func(i int) error {
		conn, err := s.loop.lanes[i].socket.Conn()
		if err != nil {
			return err
		}
		s.clients[i].conn = conn
		return errors.Join(s.clients[i].free(ctx), conn.Close())
	})
}
