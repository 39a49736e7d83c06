package stun

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// relay is where peers reach the client of an allocation. It is the receiver of its
// socket.
type relay struct {
	a        *allocation
	socket   *datagram.Socket // nil: it is one of TCP
	listener net.Listener
	ctx      context.Context // of listener: it may fail in any way when it is closed
	stop     context.CancelFunc
	addr     netip.AddrPort
	expires  time.Time // guarded by a.mu
}

// own gives the allocation a socket, before it starts.
func (a *allocation) own(s relaySocket) {
	f := familyOf(s.addr.Addr())
	a.relays[f] = &relay{a: a, socket: s.socket, addr: s.addr}
	a.answer.relays[f] = s.addr
	a.l.srv.live.add(s.addr)
}

// Receive passes datagrams of peers on to the client (RFC 8656, section 11.3).
func (r *relay) Receive(batch []datagram.Packet, out *datagram.Outbox) {
	now := time.Now()
	var count tally
	for i := 0; i < len(batch); i++ {
		err := netserve.Guard(func() error {
			for ; i < len(batch); i++ {
				if !r.a.fromPeer(&batch[i], out, now) {
					count.dropped++
					continue
				}
				count.relay(len(batch[i].Data))
			}
			return nil
		})
		if err != nil {
			r.a.l.failed(err, batch[i].Addr)
		}
	}
	r.a.l.srv.stats.add(&count)
}

// fromPeer passes a datagram on, and says whether it did.
func (a *allocation) fromPeer(in *datagram.Packet, out *datagram.Outbox, now time.Time) bool {
	a.mu.Lock()
	permitted := a.permits(in.Addr, now)
	number := uint16(0)
	if c := a.byPeer[in.Addr]; c != nil && now.Before(c.expires) {
		number = c.number
	}
	a.mu.Unlock()
	if !permitted || !a.allows(len(in.Data)) {
		return false
	}
	var message []byte
	if number != 0 {
		message = inChannel(in, number, a.client.isStream())
	} else {
		message = inIndication(in)
	}
	if message == nil {
		return false
	}
	return a.client.send(out, message)
}

// inChannel returns a datagram as ChannelData, in its own memory.
func inChannel(in *datagram.Packet, number uint16, isStream bool) []byte {
	b, pad := inFront(in, isStream)
	n := len(in.Data)
	header, _ := wire.ChannelHeader(b[:len(b)-n-pad], number, n)
	return message(b, header, n+pad)
}

// inIndication returns a datagram in a Data indication, in its own memory.
func inIndication(in *datagram.Packet) []byte {
	b, pad := inFront(in, true)
	n := len(in.Data)
	header, _ := wire.DataHeader(b[:len(b)-n-pad], in.Addr, n, transaction())
	return message(b, header, n+pad)
}

// message returns the end of b: a header and what follows it; nil if there is no
// header.
func message(b, header []byte, n int) []byte {
	if header == nil {
		return nil
	}
	return b[len(b)-n-len(header):]
}

// inFront returns the memory of a datagram with the room in front of it. Data that is
// padded to a multiple of four moves into that: there is none behind it.
func inFront(in *datagram.Packet, padded bool) (b []byte, pad int) {
	b = in.Grow(datagram.Headroom)
	if padded {
		pad = -len(in.Data) & 3
	}
	if pad > 0 {
		copy(b[datagram.Headroom-pad:], in.Data)
		clear(b[len(b)-pad:])
	}
	return b, pad
}

// transaction returns an ID for an indication, which nobody answers.
func transaction() (id [12]byte) {
	binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	binary.NativeEndian.PutUint32(id[8:], rand.Uint32())
	return id
}

// ICMP tells the client what the network says of a datagram to a peer (RFC 8656,
// section 11.5).
func (r *relay) ICMP(e datagram.ICMP) {
	err := netserve.Guard(func() error {
		r.a.undelivered(e)
		return nil
	})
	if err != nil {
		r.a.l.failed(err, e.Peer)
	}
}

func (a *allocation) undelivered(e datagram.ICMP) {
	a.mu.Lock()
	permitted := a.permits(e.Peer, time.Now())
	a.mu.Unlock()
	if !permitted || !isReported(e) {
		return
	}
	var b wire.Builder
	b.Start(nil, stun.ClassIndication, stun.MethodData, wire.NewTransaction(transaction()))
	b.AddAddress(stun.AttrXORPeerAddress, e.Peer)
	b.AddICMP(e.Type, e.Code, e.Data)
	a.client.send(nil, b.Bytes())
}

// isReported says whether clients hear of an ICMP message.
func isReported(e datagram.ICMP) bool {
	if e.Peer.Addr().Is4() {
		return e.Type == 3 || e.Type == 11
	}
	return e.Type >= 1 && e.Type <= 3
}

// liveRelays are the relays that there are.
type liveRelays struct {
	mu    sync.RWMutex
	addrs map[netip.AddrPort]struct{}
}

func (l *liveRelays) add(a netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addrs == nil {
		l.addrs = make(map[netip.AddrPort]struct{})
	}
	l.addrs[a] = struct{}{}
}

func (l *liveRelays) remove(a netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.addrs, a)
}

// has says whether there is a relay at an address.
func (l *liveRelays) has(a netip.AddrPort) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, ok := l.addrs[a]
	return ok
}
