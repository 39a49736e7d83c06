package stunconformance

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// binds is a row about the answer to one ChannelBind request.
func binds(name string, set func(*setup), check func(*client, *message), attrs ...attr) row {
	return row{name, set, func(w *world) {
		c := w.client()
		c.allocate()
		check(c, c.call(channelBind, attrs...))
	}}
}

// numbered are rows about channel numbers.
func numbered(check func(*client, *message), numbers ...uint16) (rows []row) {
	for _, n := range numbers {
		rows = append(rows, binds(fmt.Sprintf("12.2 channel %#04x", n), nil, check, channel(n), peerAddress(peerA)))
	}
	return rows
}

var bindRows = append(append([]row{
	binds("12.2 no CHANNEL-NUMBER", nil, code(400), peerAddress(peerA)),
	binds("12.2 no XOR-PEER-ADDRESS", nil, code(400), channel(0x4000)),
	binds("12.2 neither", nil, code(400)),
	binds("12.2 a CHANNEL-NUMBER of two bytes", nil, code(400), text(atChannelNumber, "\x40\x00"), peerAddress(peerA)),
	binds("12.2 a CHANNEL-NUMBER of no bytes", nil, code(400), text(atChannelNumber, ""), peerAddress(peerA)),
	binds("12.2 a CHANNEL-NUMBER of eight bytes", nil, code(400), text(atChannelNumber, "\x40\x00\x00\x00\x00\x00\x00\x00"), peerAddress(peerA)),
	binds("12.2 an empty XOR-PEER-ADDRESS", nil, code(400), channel(0x4000), rawPeer("")),
	binds("12.2 another family", nil, mismatch, channel(0x4000), peerAddress(peer6)),
	binds("12.2 another family, which the server has", withIPv6, mismatch, channel(0x4000), peerAddress(peer6)),
	binds("12.2 a forbidden peer", nil, code(403), channel(0x4000), peerAddress(addrPort("127.0.0.1:7000"))),
	binds("18.1 reserved bits are ignored", nil, granted, text(atChannelNumber, "\x40\x00\xFF\xFF"), peerAddress(peerA)),
	binds("6.3.1 an unknown attribute", nil, unknown(atNobodyRequired), channel(0x4000), peerAddress(peerA), text(atNobodyRequired, "")),
	{"5 no allocation", nil, func(w *world) { w.code(w.client().call(channelBind, channel(0x4000), peerAddress(peerA)), 437) }},
	{"5 no credentials", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.challenge(c.bare(channelBind, channel(0x4000), peerAddress(peerA)), 401)
	}},
	{"12.2 a number that has another peer", nil, func(w *world) {
		c := w.client()
		c.allocate()
		c.bind(0x4000, peerA)
		w.code(c.call(channelBind, channel(0x4000), peerAddress(peerB)), 400)
		w.code(c.call(channelBind, channel(0x4000), peerAddress(peerA2)), 400)
		c.cut(w.peer(peerB.String())) // the failed bind makes no permission
	}},
	{"12.2 a peer that has another number", nil, func(w *world) {
		c := w.client()
		c.allocate()
		c.bind(0x4000, peerA)
		w.code(c.call(channelBind, channel(0x4001), peerAddress(peerA)), 400)
		c.bind(0x4001, peerA2)
		c.bind(0x4000, peerA)
	}},
	{"12 numbers belong to one allocation", nil, func(w *world) {
		a, b := w.client(), w.client()
		a.allocate()
		b.allocate()
		a.bind(0x4000, peerA)
		b.bind(0x4000, peerB)
		b.bind(0x4001, peerA)
		p := w.peer(peerA.String())
		a.sendChannel(0x4000, []byte("a"))
		p.expect(a.relay, []byte("a"))
		b.sendChannel(0x4001, []byte("b"))
		p.expect(b.relay, []byte("b"))
	}},
	{"12 channels of both families", withIPv6, func(w *world) {
		c := w.client()
		c.allocate(additional(2))
		c.bind(0x4000, peerA)
		c.bind(0x4001, peer6)
		for n, a := range []string{peerA.String(), peer6.String()} {
			p := w.peer(a)
			c.sendChannel(0x4000+uint16(n), []byte("x"))
			if got, _, ok := receive(p.conn, w.patience); !ok || string(got) != "x" {
				w.t.Errorf("the peer %s got %q, want x", a, got)
			}
		}
	}},
}, numbered(granted, 0x4000, 0x4001, 0x4FFF, 0x5000, 0x7FFE)...),
	numbered(code(400), 0x0000, 0x0001, 0x3FFF, 0x7FFF, 0x8000, 0xC000, 0xFFFF)...)

// TestChannelBind is about RFC 8656, section 12.2, with the numbers of RFC 5766.
func TestChannelBind(t *testing.T) { play(t, bindRows) }

// onChannel is a row about one datagram of a client that has channel 0x4000 with
// peer A. want nil: nobody hears of it.
func onChannel(name string, datagram, want []byte) row {
	return row{name, nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		c.write(datagram)
		if want != nil {
			p.expect(c.relay, want)
		} else {
			p.expectNothing()
		}
		c.expectNothing()
	}}
}

var channelRows = []row{
	onChannel("12.6 data", channelData(0x4000, []byte("hello")), []byte("hello")),
	onChannel("12.5 data with padding", append(channelData(0x4000, []byte("hello")), 1, 2, 3), []byte("hello")),
	onChannel("12.6 no data", channelData(0x4000, nil), []byte{}),
	onChannel("12.6 one byte", channelData(0x4000, []byte("x")), []byte("x")),
	onChannel("12.6 a length beyond the datagram", []byte{0x40, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8}, nil),
	onChannel("12.6 a length of 65535", []byte{0x40, 0, 0xFF, 0xFF, 1, 2, 3, 4}, nil),
	onChannel("12.6 no length", []byte{0x40, 0}, nil),
	onChannel("12.6 half a length", []byte{0x40, 0, 0}, nil),
	onChannel("12.6 an unbound channel", channelData(0x4001, []byte("hello")), nil),
	onChannel("12.6 channel 0x7fff", channelData(0x7FFF, []byte("hello")), nil),
	onChannel("12.6 channel 0x8000", channelData(0x8000, []byte("hello")), nil),
	onChannel("12.6 channel 0xffff", channelData(0xFFFF, []byte("hello")), nil),
	{"12.6 what follows the data is no data", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		c.write(append(channelData(0x4000, []byte("hello")), make([]byte, 100)...))
		if got, _, ok := receive(p.conn, w.patience); ok && string(got) != "hello" {
			w.t.Errorf("the peer got %q, want hello or nothing", got)
		}
		c.sendChannel(0x4000, []byte("next"))
		p.expect(c.relay, []byte("next"))
	}},
	{"12.6 no allocation", nil, func(w *world) {
		c := w.client()
		c.sendChannel(0x4000, []byte("x"))
		c.expectNothing()
	}},
	{"12.5 the server uses the channel", nil, func(w *world) {
		c, p, p2 := w.client(), w.peer(peerA.String()), w.peer(peerA2.String())
		c.allocate()
		c.bind(0x4ABC, peerA)
		p.send(c.relay, []byte("by channel"))
		c.expectChannel(0x4ABC, []byte("by channel"))
		p2.send(c.relay, []byte("another port"))
		c.expectData(peerA2, []byte("another port"))
	}},
	{"12.5 data of every length", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 1199, 1200, 1201, 1472, 8000} {
			data := bytes.Repeat([]byte{0x5A}, n)
			c.sendChannel(0x4000, data)
			p.expect(c.relay, data)
			p.send(c.relay, data)
			c.expectChannel(0x4000, data)
		}
	}},
	{"12.5 Send indications beside a channel", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		c.send(peerA, []byte("indication"))
		p.expect(c.relay, []byte("indication"))
		c.sendChannel(0x4000, []byte("channel"))
		p.expect(c.relay, []byte("channel"))
	}},
	{"12 a channel lasts ten minutes", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate(lifetime(3600))
		c.bind(0x4000, peerA)
		w.wait(300 * time.Second)
		c.permit(peerA)
		w.wait(299 * time.Second)
		c.sendChannel(0x4000, []byte("x"))
		p.expect(c.relay, []byte("x"))
		p.send(c.relay, []byte("y"))
		c.expectChannel(0x4000, []byte("y"))
		c.permit(peerA)
		w.wait(2 * time.Second)
		c.sendChannel(0x4000, []byte("x"))
		p.expectNothing()
		p.send(c.relay, []byte("y"))
		c.expectData(peerA, []byte("y"))
	}},
	{"12 an expired channel can be bound anew", nil, func(w *world) {
		c := w.client()
		c.allocate(lifetime(3600))
		c.bind(0x4000, peerA)
		w.wait(901 * time.Second)
		c.bind(0x4000, peerB)
		c.bind(0x4001, peerA)
		p := w.peer(peerB.String())
		c.sendChannel(0x4000, []byte("x"))
		p.expect(c.relay, []byte("x"))
	}},
	{"12 a channel is refreshed by ChannelBind", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate(lifetime(3600))
		for range 4 {
			c.bind(0x4000, peerA)
			w.wait(299 * time.Second)
			p.send(c.relay, []byte("y"))
			c.expectChannel(0x4000, []byte("y"))
		}
	}},
	{"12.6 ChannelData refresh neither channel nor permission", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate(lifetime(3600))
		c.bind(0x4000, peerA)
		for range 3 {
			w.wait(99 * time.Second)
			c.sendChannel(0x4000, []byte("x"))
			p.expect(c.relay, []byte("x"))
			p.send(c.relay, []byte("y"))
			c.expectChannel(0x4000, []byte("y"))
		}
		w.wait(4 * time.Second)
		p.send(c.relay, []byte("y"))
		c.expectNothing()
		w.wait(300 * time.Second)
		c.sendChannel(0x4000, []byte("x"))
		p.expectNothing()
	}},
	{"12.1 a bind makes a permission of five minutes for the address", nil, func(w *world) {
		c, p2 := w.client(), w.peer(peerA2.String())
		c.allocate()
		c.bind(0x4000, peerA)
		w.wait(299 * time.Second)
		c.reached(p2)
		w.wait(2 * time.Second)
		c.cut(p2)
	}},
	{"9 a permission alone keeps no channel", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate(lifetime(3600))
		c.bind(0x4000, peerA)
		for range 3 {
			w.wait(201 * time.Second)
			c.permit(peerA)
		}
		p.send(c.relay, []byte("y"))
		c.expectData(peerA, []byte("y"))
	}},
	{"12 channels end with their allocation", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.bind(0x4000, peerA)
		w.wait(601 * time.Second)
		c.allocate()
		c.sendChannel(0x4000, []byte("x"))
		p.expectNothing()
		c.permit(peerA)
		p.send(c.relay, []byte("y"))
		c.expectData(peerA, []byte("y"))
	}},
	{"12 many channels to one address", nil, func(w *world) {
		c := w.client()
		c.allocate()
		for n := range uint16(100) {
			a := addrPort(fmt.Sprintf("203.0.113.5:%d", 8000+n))
			m := c.call(channelBind, channel(0x4000+n), peerAddress(a))
			if m == nil || m.class != success {
				w.code(m, 508) // "due to some capacity limit"
				break
			}
			p := w.peer(a.String())
			c.sendChannel(0x4000+n, []byte("x"))
			p.expect(c.relay, []byte("x"))
			p.send(c.relay, []byte("y"))
			c.expectChannel(0x4000+n, []byte("y"))
		}
	}},
}

// TestChannels is about RFC 8656, sections 12.4 to 12.7.
func TestChannels(t *testing.T) { play(t, channelRows) }
