package stunconformance

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// model is what RFC 8656 says of one client: what it has, and until when.
type model struct {
	c           *client
	allocation  time.Time
	permissions map[netip.Addr]time.Time
	channels    map[uint16]*channelBinding
}

// channelBinding is a channel binding.
type channelBinding struct {
	peer  netip.AddrPort
	until time.Time
}

// alive says whether something has not ended, and near whether it is about to: then
// nothing can be said.
func alive(until time.Time) bool { return time.Now().Before(until) }
func near(until time.Time) bool  { return time.Until(until).Abs() < 2*time.Second }

// settle waits until nothing is about to end.
func (m *model) settle() {
	for again := true; again; {
		again = near(m.allocation)
		for _, t := range m.permissions {
			again = again || near(t)
		}
		for _, ch := range m.channels {
			again = again || near(ch.until)
		}
		if again {
			m.c.w.wait(time.Second)
		}
	}
	if !alive(m.allocation) {
		m.permissions, m.channels = make(map[netip.Addr]time.Time), make(map[uint16]*channelBinding)
	}
}

// channelOf returns the channel of a peer.
func (m *model) channelOf(p netip.AddrPort) (uint16, bool) {
	for n, ch := range m.channels {
		if ch.peer == p && alive(ch.until) {
			return n, true
		}
	}
	return 0, false
}

// walk is a random walk of clients and peers.
type walk struct {
	*world
	rng    *rand.Rand
	models []*model
	peers  []*peer
	log    []string
}

func (k *walk) note(format string, args ...any) {
	k.log = append(k.log, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
}

// step has one client, or one peer, do one thing.
func (k *walk) step() {
	m, p := k.models[k.rng.IntN(len(k.models))], k.peers[k.rng.IntN(len(k.peers))]
	for _, each := range k.models {
		each.settle()
	}
	n := 0x4000 + uint16(k.rng.IntN(3))
	switch k.rng.IntN(9) {
	case 0:
		k.allocate(m)
	case 1:
		k.refresh(m)
	case 2:
		k.permit(m, p)
	case 3:
		k.bind(m, n, p)
	case 4, 5:
		k.send(m, n, p)
	case 6, 7:
		k.receive(m, p)
	case 8:
		d := time.Duration(k.rng.IntN(200)) * time.Second
		k.note("wait %v", d)
		k.wait(d)
	}
}

func (k *walk) allocate(m *model) {
	life := []uint32{0, 600, 900, 3600}[k.rng.IntN(4)]
	answer := m.c.call(allocate, udp, lifetime(life))
	k.note("%v Allocate %d: %v", m.c.addr, life, answer)
	if alive(m.allocation) {
		k.code(answer, 437)
		return
	}
	m.c.relay = k.ok(answer).addresses(atRelayed)[0]
	m.allocation = time.Now().Add(time.Duration(max(life, 600)) * time.Second)
}

func (k *walk) refresh(m *model) {
	life := []uint32{0, 300, 600, 1200}[k.rng.IntN(4)]
	answer := m.c.call(refresh, lifetime(life))
	k.note("%v Refresh %d: %v", m.c.addr, life, answer)
	if !alive(m.allocation) {
		k.code(answer, 437)
		return
	}
	k.ok(answer)
	m.allocation = time.Time{}
	if life > 0 {
		m.allocation = time.Now().Add(time.Duration(max(life, 600)) * time.Second)
	}
}

func (k *walk) permit(m *model, p *peer) {
	answer := m.c.call(createPermission, peerAddress(p.addr))
	k.note("%v CreatePermission %v: %v", m.c.addr, p.addr, answer)
	if !alive(m.allocation) {
		k.code(answer, 437)
		return
	}
	k.ok(answer)
	m.permissions[p.addr.Addr()] = time.Now().Add(5 * time.Minute)
}

func (k *walk) bind(m *model, n uint16, p *peer) {
	answer := m.c.call(channelBind, channel(n), peerAddress(p.addr))
	k.note("%v ChannelBind %#x %v: %v", m.c.addr, n, p.addr, answer)
	if !alive(m.allocation) {
		k.code(answer, 437)
		return
	}
	ch := m.channels[n]
	if other, ok := m.channelOf(p.addr); ok && other != n || ch != nil && alive(ch.until) && ch.peer != p.addr {
		k.code(answer, 400)
		return
	}
	k.ok(answer)
	m.channels[n] = &channelBinding{p.addr, time.Now().Add(10 * time.Minute)}
	m.permissions[p.addr.Addr()] = time.Now().Add(5 * time.Minute)
}

// send sends by indication, and by channel.
func (k *walk) send(m *model, n uint16, p *peer) {
	data := fmt.Appendf(nil, "%d", k.rng.Uint64())
	m.c.send(p.addr, data)
	k.note("%v Send to %v", m.c.addr, p.addr)
	permitted := alive(m.allocation) && alive(m.permissions[p.addr.Addr()])
	if permitted {
		p.expect(m.c.relay, data)
	} else {
		p.expectNothing()
	}
	m.c.sendChannel(n, data)
	k.note("%v ChannelData %#x", m.c.addr, n)
	ch := m.channels[n]
	bound := ch != nil && alive(ch.until)
	for _, q := range k.peers {
		switch {
		case bound && ch.peer == q.addr && alive(m.permissions[q.addr.Addr()]):
			q.expect(m.c.relay, data)
		case bound && ch.peer == q.addr:
			receiveAny(q) // no rule says that a permission is needed in this direction
		default:
			q.expectNothing()
		}
	}
}

// receive has a peer send to the relay of a client.
func (k *walk) receive(m *model, p *peer) {
	if !m.c.relay.IsValid() {
		return
	}
	data := fmt.Appendf(nil, "%d", k.rng.Uint64())
	p.send(m.c.relay, data)
	k.note("%v sends to %v", p.addr, m.c.relay)
	owner := m
	for _, each := range k.models { // the port may have a new owner
		if each.c.relay == m.c.relay && alive(each.allocation) {
			owner = each
		}
	}
	n, bound := owner.channelOf(p.addr)
	switch {
	case !alive(owner.allocation) || !alive(owner.permissions[p.addr.Addr()]):
		owner.c.expectNothing()
	case bound:
		owner.c.expectChannel(n, data)
	default:
		owner.c.expectData(p.addr, data)
	}
}

// TestRandomWalks holds the server to the model.
func TestRandomWalks(t *testing.T) {
	walks := 60
	if testing.Short() {
		walks = 10
	}
	for seed := range walks {
		synctest.Test(t, func(t *testing.T) {
			k := &walk{world: newWorld(t, nil), rng: rand.New(rand.NewPCG(uint64(seed), 8656))}
			for range 3 {
				k.models = append(k.models, &model{c: k.client()})
			}
			for _, a := range []netip.AddrPort{peerA, peerA2, peerB} {
				k.peers = append(k.peers, k.peer(a.String()))
			}
			for range 400 {
				k.step()
				if t.Failed() {
					for _, l := range k.log[max(0, len(k.log)-40):] {
						t.Log(l)
					}
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}
