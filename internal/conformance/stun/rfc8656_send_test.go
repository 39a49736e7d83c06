package stunconformance

import (
	"bytes"
	"fmt"
	"testing"
)

// sending is a row about one datagram of a client with a permission for peer A, of
// which nobody hears.
func sending(name string, datagram func() []byte) row {
	return row{name, nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		c.write(datagram())
		p.expectNothing()
		c.expectNothing()
		c.reached(p)
	}}
}

func sendIndication(attrs ...attr) func() []byte {
	return func() []byte { return newMessage(send, indication, attrs...).bytes() }
}

var sendRows = []row{
	{"11.2, 11.3 there and back", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		c.reached(p)
	}},
	{"11.2, 11.3 data of every length", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 500, 1199, 1200, 1201, 1202, 1400, 1472, 8000} {
			data := bytes.Repeat([]byte{0xA5}, n)
			c.send(peerA, data)
			p.expect(c.relay, data)
			p.send(c.relay, data)
			c.expectData(peerA, data)
		}
	}},
	{"11.3 data that fit no indication", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		for _, n := range []int{65507, 65500, 65480} {
			p.send(c.relay, make([]byte, n))
			c.expectNothing() // with its header it is too long for UDP
		}
		c.reached(p)
		c.bind(0x4000, peerA)
		p.send(c.relay, make([]byte, 65507))
		c.expectNothing()
		p.send(c.relay, make([]byte, 65503))
		c.expectChannel(0x4000, make([]byte, 65503))
	}},
	{"11.3 transactions of Data indications", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		seen := make(map[[12]byte]bool)
		for range 50 {
			p.send(c.relay, []byte("same"))
			m := c.expectData(peerA, []byte("same"))
			if m == nil {
				return
			}
			if seen[m.id] {
				w.t.Errorf("got transaction %x again, want a new one", m.id)
			}
			seen[m.id] = true
			if m.has(atIntegrity) || m.has(atIntegrity256) || m.has(atICMP) {
				w.t.Errorf("got %v, want no integrity and no ICMP", m)
			}
		}
	}},
	{"11.3 data that look like STUN", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		for _, data := range [][]byte{bindingRequest(), unhex(sampleRequest), channelData(0x4000, []byte("x"))} {
			p.send(c.relay, data)
			c.expectData(peerA, data)
			c.send(peerA, data)
			p.expect(c.relay, data)
			p.expectNothing()
		}
	}},
	{"11.2 attributes in another order", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		c.write(newMessage(send, indication, text(atData, "x"), text(atSoftware, "me"), peerAddress(peerA)).bytes())
		p.expect(c.relay, []byte("x"))
		c.write(appendFingerprint(newMessage(send, indication, peerAddress(peerA), text(atData, "y")).bytes()))
		p.expect(c.relay, []byte("y"))
	}},
	{"14 the first of two attributes counts", nil, func(w *world) {
		c, p := w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		c.write(sendIndication(peerAddress(peerA), peerAddress(peerB), text(atData, "one"), text(atData, "two"))())
		p.expect(c.relay, []byte("one"))
	}},
	{"5 another 5-tuple has no allocation", nil, func(w *world) {
		c, d, p := w.client(), w.client(), w.peer(peerA.String())
		c.allocate()
		c.permit(peerA)
		d.send(peerA, []byte("x"))
		p.expectNothing()
		d.expectNothing()
	}},
	sending("11.2 no XOR-PEER-ADDRESS", sendIndication(text(atData, "x"))),
	sending("11.2 an empty XOR-PEER-ADDRESS", sendIndication(text(atData, "x"), rawPeer(""))),
	sending("11.2 an empty XOR-PEER-ADDRESS before the data", sendIndication(rawPeer(""), text(atData, "x"))),
	sending("11.2 an XOR-PEER-ADDRESS of five bytes", sendIndication(rawPeer("\x00\x01000"), text(atData, "x"))),
	sending("11.2 an XOR-PEER-ADDRESS of another family", sendIndication(peerAddress(peer6), text(atData, "x"))),
	sending("11.2 no DATA", sendIndication(peerAddress(peerA))),
	sending("11.2 a peer without a permission", sendIndication(peerAddress(peerB), text(atData, "x"))),
	sending("11.2 a forbidden peer", sendIndication(peerAddress(addrPort("127.0.0.1:7000")), text(atData, "x"))),
	sending("6.3.2 an unknown attribute", sendIndication(peerAddress(peerA), text(atData, "x"), text(atNobodyRequired, ""))),
	sending("6.3 a request", func() []byte {
		return newMessage(send, success, peerAddress(peerA), text(atData, "x")).bytes()
	}),
	sending("6.3 a wrong FINGERPRINT", func() []byte {
		b := appendFingerprint(sendIndication(peerAddress(peerA), text(atData, "x"))())
		b[len(b)-1] ^= 1
		return b
	}),
	sending("17 a Data indication of a client", func() []byte {
		return newMessage(dataMethod, indication, peerAddress(peerA), text(atData, "x")).bytes()
	}),
	sending("14 DATA longer than the message", func() []byte {
		b := sendIndication(peerAddress(peerA), text(atData, "x"))()
		b[len(b)-5] = 40
		return b
	}),
	{"9 of all peers only those with a permission", nil, func(w *world) {
		c := w.client()
		c.allocate()
		c.permit(peerA)
		for n := range 20 {
			w.peer(fmt.Sprintf("203.0.113.%d:7000", 100+n)).send(c.relay, []byte("x"))
		}
		c.expectNothing()
		c.reached(w.peer(peerA.String()))
	}},
}

// TestSendAndData is about RFC 8656, section 11.
func TestSendAndData(t *testing.T) { play(t, sendRows) }
