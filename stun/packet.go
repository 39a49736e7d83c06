package stun

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// packetListener reads the clients of a datagram socket.
type packetListener struct {
	*listener
	lookups lookups

	// What follows is of the goroutine that reads.
	m       wire.Message
	r       request
	unknown []stun.AttrType
	answers []byte // of a batch
	now     time.Time
	count   tally
}

// socketBuffer is what the kernel may hold of datagrams for a server's socket while
// others are handled, in bytes.
const socketBuffer = 1 << 20

// packetClient is the client of a datagram socket.
type packetClient struct {
	socket *datagram.Socket
	addr   netip.AddrPort
	local  netip.Addr // which the client knows, if the socket has many
}

func (c *packetClient) address() netip.AddrPort { return c.addr }
func (c *packetClient) key() netip.AddrPort     { return c.addr }
func (c *packetClient) isStream() bool          { return false }

func (c *packetClient) send(out *datagram.Outbox, message []byte) bool {
	if out == nil {
		_ = c.socket.WriteFrom(message, c.addr, c.local) // what is lost is asked for again
		return true
	}
	out.AddFrom(c.socket, message, c.addr, c.local)
	return true
}

func (s *Server) packetListener(ctx context.Context, pc net.PacketConn, o Options) (*packetListener, error) {
	l, err := s.newListener(pc.LocalAddr(), datagram.NewSocket(pc), o)
	if err != nil {
		return nil, err
	}
	p := &packetListener{listener: l}
	p.socket.Raise(socketBuffer)
	p.lookups.begin(ctx)
	return p, nil
}

// serve reads the socket until it is closed, which it is when ctx is cancelled.
func (p *packetListener) serve(ctx context.Context) error {
	wait := netserve.Heed(ctx, func() { _ = p.socket.Close() })
	err := p.group.Serve(p.socket, p.receive)
	wait()
	p.lookups.end()
	p.close()
	return err
}

// receive takes a batch of datagrams.
func (p *packetListener) receive(batch []datagram.Packet, out *datagram.Outbox) {
	p.now, p.answers = time.Now(), p.answers[:0]
	for i := 0; i < len(batch); i++ {
		err := netserve.Guard(func() error {
			for ; i < len(batch); i++ {
				p.packet(&batch[i], out)
			}
			return nil
		})
		if err != nil {
			p.failed(err, batch[i].Addr)
		}
	}
	p.srv.stats.add(&p.count)
}

// packet takes one datagram.
func (p *packetListener) packet(in *datagram.Packet, out *datagram.Outbox) {
	switch wire.KindOf(in.Data) {
	case wire.ChannelData:
		if a := p.allocation(in.Addr); a != nil {
			a.fromChannel(in.Data, out, p.now, &p.count)
			return
		}
	case wire.STUN:
		if p.m.Parse(in.Data) == nil && p.message(in, out) {
			return
		}
	}
	p.count.dropped++
}

// message takes the STUN message that was parsed last. It returns false for what is not
// answered, and does not have any other effect.
func (p *packetListener) message(in *datagram.Packet, out *datagram.Outbox) bool {
	switch t := p.m.Type(); {
	case t == stun.BindingRequest:
		p.answers = p.binding(in, out)
	case t.Class == stun.ClassRequest:
		return p.request(in, out)
	case t.Class == stun.ClassIndication && t.Method == stun.MethodSend:
		if p.unknown = p.m.Unknown(knownInSend, p.unknown[:0]); len(p.unknown) > 0 {
			return false
		}
		a := p.allocation(in.Addr)
		if a == nil {
			return false
		}
		a.fromSend(&p.m, out, p.now, &p.count)
	default:
		return t == stun.NewType(stun.MethodBinding, stun.ClassIndication) // keeps a NAT's binding alive
	}
	return true
}

// binding answers a Binding request. It returns p.answers with the answer behind it.
func (p *packetListener) binding(in *datagram.Packet, out *datagram.Outbox) []byte {
	end := len(p.answers)
	answers := p.answers
	if p.unknown = p.m.Unknown(known, p.unknown[:0]); len(p.unknown) > 0 {
		p.r.begin(p.listener, &p.m, nil, p.now, answers)
		p.r.failUnknown(p.unknown)
		p.count.refused++
		answers = p.r.b.Bytes()
	} else {
		answers = wire.AppendBinding(answers, &p.m, in.Addr, p.set.Load().ServerName)
	}
	out.AddFrom(p.socket, answers[end:], in.Addr, in.Local)
	return answers
}

// request takes a request that is about relays. It returns false when there is no
// room for it.
func (p *packetListener) request(in *datagram.Packet, out *datagram.Outbox) bool {
	if p.m.Type().Method == stun.MethodRefresh {
		out.Flush() // it may close the relay that has something to send
	}
	r := &p.r
	r.begin(p.listener, &p.m, &packetClient{p.socket, in.Addr, in.Local}, p.now, p.answers)
	if claim, ok := r.admit(); ok {
		return p.lookups.begins(p.listener, r, claim)
	}
	if !r.answered {
		return false
	}
	end := len(p.answers)
	p.answers = r.b.Bytes()
	if r.refused {
		p.count.refused++
	}
	out.AddFrom(p.socket, p.answers[end:], in.Addr, in.Local)
	return true
}
