package datagram

import (
	"net"
	"sync"
)

// Receiver takes what arrives at a socket of a Group. Its methods must not block.
// They may close sockets, and open others. Those of one socket, and on Linux of all
// sockets of a group, are called one at a time.
type Receiver interface {
	// Receive gets datagrams in the order of their arrival. It owns the packets
	// until it returns. What it adds to out is sent soon after that, and data in out
	// may be of the packets.
	Receive(batch []Packet, out *Outbox)

	// ICMP gets what the network says of datagrams that the socket sent. It is
	// never called where the system does not tell (anywhere but on Linux).
	ICMP(e ICMP)
}

// Group reads many sockets, those of relays. On Linux it has one goroutine and one
// set of buffers for all sockets of the system, so that an idle one costs nothing but
// itself. Elsewhere each socket has a goroutine and a buffer of its own, and no ICMP;
// so have others than UDP sockets everywhere.
type Group struct {
	mu      sync.Mutex
	closed  bool
	sockets map[*Socket]struct{}
	readers sync.WaitGroup
	poll    poll
}

// NewGroup returns a group without sockets.
func NewGroup() (*Group, error) {
	g := &Group{sockets: make(map[*Socket]struct{})}
	if err := g.poll.open(); err != nil {
		return nil, err
	}
	return g, nil
}

// Add has the group read s until s is closed. r may be called before Add returns,
// and once more after s was closed. It returns net.ErrClosed if s or the group is
// closed.
func (g *Group) Add(s *Socket, r Receiver) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || !s.onClose(func() { g.remove(s) }) {
		return net.ErrClosed
	}
	if polled, err := g.poll.add(g, s, r); err != nil {
		return err
	} else if !polled {
		g.readers.Go(func() { _ = s.Serve(r.Receive) })
	}
	g.sockets[s] = struct{}{}
	return nil
}

func (g *Group) remove(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sockets, s)
	g.poll.remove(s)
}

// Close closes the sockets of the group and waits for its goroutines: after it no
// Receiver is called. A Receiver must not call it. A second call does nothing. The
// error is nil.
func (g *Group) Close() error {
	g.mu.Lock()
	g.closed = true
	open := g.sockets
	g.sockets = nil
	g.mu.Unlock()
	for s := range open {
		_ = s.Close()
	}
	g.mu.Lock()
	g.poll.close()
	g.mu.Unlock()
	g.readers.Wait()
	return nil
}
