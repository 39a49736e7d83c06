package datagram

import (
	"errors"
	"net"
	"sync"
	"time"
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

// Group reads many sockets: a server's, and those of its relays. On Linux it has one
// goroutine and one set of buffers for all sockets of the system, so that an idle one
// costs nothing but itself, and what a server and its relays get at about the same time
// costs one wake-up. Elsewhere each socket has a goroutine and a buffer of its own, and
// no ICMP; so have others than UDP sockets everywhere.
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
		g.readers.Go(func() { _ = s.serve(r.Receive) })
	}
	g.sockets[s] = struct{}{}
	return nil
}

// Serve has the group read s until s is closed, and then returns nil: after that handle
// is not called. It is called for one batch at a time, owns the packets until it
// returns, and must not block. What it adds to out is sent soon after that: data in out
// must stay as it is until the next call. Errors that pass are retried. When the
// net.PacketConn that s was made of is closed instead of s, Serve may find out a second
// later. It returns net.ErrClosed if s or the group is closed already.
func (g *Group) Serve(s *Socket, handle func(batch []Packet, out *Outbox)) error {
	if !s.isPolled() {
		return g.serveAlone(s, handle)
	}
	ended := make(chan struct{})
	if !s.onClose(func() { close(ended) }) {
		return net.ErrClosed
	}
	h := &handler{handle: handle}
	defer h.end()
	if err := g.Add(s, h); err != nil {
		return err
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ended:
			return nil
		case <-look.C:
			// A deadline can be set as long as the socket is open. It has no other
			// effect: nobody waits for it.
			if errors.Is(s.conn.SetReadDeadline(time.Time{}), net.ErrClosed) {
				_ = s.Close()
			}
		}
	}
}

// serveAlone is Serve for a socket that the caller's goroutine reads.
func (g *Group) serveAlone(s *Socket, handle func(batch []Packet, out *Outbox)) error {
	if !g.enter(s) {
		return net.ErrClosed
	}
	defer g.remove(s)
	return s.serve(handle)
}

// enter notes a socket for Close; not one that is closed, or after Close.
func (g *Group) enter(s *Socket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || !s.onClose(func() { g.remove(s) }) {
		return false
	}
	g.sockets[s] = struct{}{}
	return true
}

// handler is the Receiver of a socket whose end somebody waits for.
type handler struct {
	mu     sync.Mutex
	over   bool
	handle func(batch []Packet, out *Outbox)
}

func (h *handler) Receive(batch []Packet, out *Outbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		h.handle(batch, out)
	}
}

func (h *handler) ICMP(ICMP) {}

func (h *handler) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
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
	g.poll.close()
	g.readers.Wait()
	return nil
}
