package stun

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

const (
	// maxPeerConns is how many connections with peers an allocation may have, those
	// that are being made among them.
	maxPeerConns = 10

	connectTimeout = 30 * time.Second // RFC 6062, section 5.2
	bindTimeout    = 30 * time.Second // RFC 6062, sections 5.2 and 5.3
)

// peerConn is a connection between a relay and a peer, which becomes one between the
// client and the peer (RFC 6062, section 3).
type peerConn struct {
	a     *allocation
	relay netip.AddrPort
	peer  netip.AddrPort
	ctx   context.Context // ends with it
	stop  context.CancelFunc

	// What follows is guarded by a.mu.
	id     uint32      // 0: nobody can bind it
	conn   net.Conn    // nil: it is being made
	client net.Conn    // nil: it is not bound
	timer  *time.Timer // of bindTimeout
}

// enterPeer makes room for a connection with a peer. code is why there is none. a is
// locked.
func (a *allocation) enterPeer(relay, peer netip.AddrPort) (c *peerConn, code int) {
	switch {
	case a.closed:
		return nil, codeMismatch
	case a.peers[peer] != nil:
		return nil, codeConnected
	case len(a.peers) == maxPeerConns:
		return nil, codeCapacity
	}
	c = &peerConn{a: a, relay: relay, peer: peer}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if a.peers == nil {
		a.peers = make(map[netip.AddrPort]*peerConn)
	}
	a.peers[peer] = c
	return c, 0
}

// accept takes a connection that a peer has made (RFC 6062, section 5.3).
func (r *relay) accept(conn net.Conn) {
	peer := addrPort(conn.RemoteAddr())
	id, ok := r.admit(peer, conn)
	if !ok {
		_ = conn.Close()
		return
	}
	var b wire.Builder
	b.Start(nil, stun.ClassIndication, stun.MethodConnectionAttempt, wire.NewTransaction(transaction()))
	b.AddAddress(stun.AttrXORPeerAddress, peer)
	b.AddUint32(stun.AttrConnectionID, id)
	r.a.client.send(nil, b.Bytes())
}

// admit says whether a peer may connect.
func (r *relay) admit(peer netip.AddrPort, conn net.Conn) (id uint32, ok bool) {
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	if !r.a.permits(peer, time.Now()) {
		return 0, false
	}
	c, code := r.a.enterPeer(r.addr, peer)
	if code != 0 {
		return 0, false
	}
	return c.offer(conn), true
}

// offer lets the client bind a connection that has been made. a is locked.
func (c *peerConn) offer(conn net.Conn) (id uint32) {
	c.conn = conn
	c.id = c.a.l.srv.offers.add(c)
	c.a.l.running.Add(1)
	c.timer = time.AfterFunc(bindTimeout, func() {
		defer c.a.l.running.Done()
		c.a.mu.Lock()
		defer c.a.mu.Unlock()
		if c.client == nil {
			c.drop()
		}
	})
	return c.id
}

// connect makes the connection (RFC 6062, section 5.2).
func (c *peerConn) connect() (id uint32, code int) {
	ctx, cancel := context.WithTimeout(c.ctx, connectTimeout)
	defer cancel()
	conn, err := c.a.l.srv.dialTCP(ctx, c.relay, c.peer)
	c.a.mu.Lock()
	defer c.a.mu.Unlock()
	switch {
	case err != nil:
		c.drop()
		return 0, codeUnconnected
	case c.ctx.Err() != nil:
		_ = conn.Close()
		return 0, codeUnconnected
	}
	return c.offer(conn), 0
}

// bind gives the connection to a client's; it is false if somebody was faster, or it
// has ended.
func (c *peerConn) bind(client net.Conn) bool {
	c.a.mu.Lock()
	defer c.a.mu.Unlock()
	if c.ctx.Err() != nil || c.client != nil {
		return false
	}
	c.client = client
	c.retract()
	return true
}

// retract ends the time in which the connection can be bound. a is locked.
func (c *peerConn) retract() {
	if c.id == 0 {
		return
	}
	c.a.l.srv.offers.remove(c.id)
	c.id = 0
	if c.timer.Stop() {
		c.a.l.running.Done() // otherwise it runs, and does so itself
	}
}

// end ends the connection, on both sides.
func (c *peerConn) end() {
	c.a.mu.Lock()
	defer c.a.mu.Unlock()
	c.drop()
}

// drop is end. a is locked.
func (c *peerConn) drop() {
	if c.ctx.Err() != nil {
		return
	}
	c.stop()
	delete(c.a.peers, c.peer)
	c.retract()
	if c.conn != nil {
		_ = c.conn.Close()
	}
	if c.client != nil {
		netserve.Cut(c.client)
	}
}

// dropPeers ends the connections of a relay with peers that are not any more to be
// reached. a is locked.
func (a *allocation) dropPeers(reached func(*peerConn) bool) {
	for _, c := range a.peers {
		if !reached(c) {
			c.drop()
		}
	}
}

// offers are the connections that wait for the clients who have their IDs.
type offers struct {
	mu   sync.Mutex
	byID map[uint32]*peerConn
}

// add returns an ID that nobody can guess.
func (o *offers) add(c *peerConn) uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byID == nil {
		o.byID = make(map[uint32]*peerConn)
	}
	for {
		var b [4]byte
		_, _ = rand.Read(b[:])
		id := binary.BigEndian.Uint32(b[:])
		if id != 0 && o.byID[id] == nil {
			o.byID[id] = c
			return id
		}
	}
}

func (o *offers) get(id uint32) *peerConn {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byID[id]
}

func (o *offers) remove(id uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.byID, id)
}
