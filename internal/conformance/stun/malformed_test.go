package stunconformance

import (
	"bytes"
	"testing"
	"testing/synctest"
)

// TestMalformedAttributes gives every attribute every length, in requests with good
// credentials. Whatever the answer is, the server goes on, the client keeps its
// allocation, and nothing is left behind.
func TestMalformedAttributes(t *testing.T) {
	types := []uint16{
		atMappedAddress, atUsername, atErrorCode, atUnknown, atChannelNumber, atLifetime, atPeer, atData, atRealm, atNonce,
		atRelayed, atRequestedFamily, atEvenPort, atRequestedTransport, atDontFragment, atPasswordAlgorithm, atUserhash,
		atXORMapped, atReservation, atConnectionID, atAdditionalFamily, atPasswordAlgorithms, atICMP, atSoftware,
		atAlternateServer, atFingerprint, atIntegrity, atIntegrity256,
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withIPv6)
		c, p := w.client(), w.peer(peerA.String())
		c.allocate(lifetime(3600))
		c.bind(0x4000, peerA)
		bare := w.client().as("bob")
		bare.learn()
		for _, typ := range types {
			for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 19, 20, 21, 24, 32, 33, 255, 800} {
				for _, fill := range []byte{0x00, 0x01, 0x02, 0xFF} {
					a := attr{typ: typ, val: bytes.Repeat([]byte{fill}, n)}
					if fill == 0 && typ == atLifetime {
						continue
					}
					c.ask(bare, a)
				}
			}
			synctest.Wait()
			drain(c)
			drain(bare)
			c.reachedOnChannel(p)
		}
		w.ok(c.call(refresh))
	})
}

// ask sends an attribute in requests and indications of every method, from a client
// with an allocation and from one without.
func (c *client) ask(bare *client, a attr) {
	for _, m := range []*message{
		newMessage(binding, request, a),
		newMessage(refresh, request, a),
		newMessage(createPermission, request, a, peerAddress(peerA)),
		newMessage(createPermission, request, a),
		newMessage(channelBind, request, channel(0x4000), a),
		newMessage(channelBind, request, a, peerAddress(peerA)),
		newMessage(connect, request, a),
		newMessage(connectionBind, request, a),
	} {
		c.write(c.cr.sign(m))
	}
	for _, m := range []*message{
		newMessage(send, indication, a, text(atData, "x")),
		newMessage(send, indication, text(atData, "x"), a),
		newMessage(send, indication, peerAddress(peerB), a),
	} {
		c.write(m.bytes())
	}
	b := bare.cr.sign(newMessage(allocate, request, udp, a))
	if m := bare.exchange(b); m != nil && m.class == success {
		bare.w.ok(bare.call(refresh, lifetime(0)))
	}
	bare.write(bare.cr.sign(newMessage(allocate, request, a)))
	synctest.Wait()
	drainQuick(c)
	drainQuick(bare)
}

// drainQuick takes what has come without waiting for more.
func drainQuick(c *client) {
	c.inbox = nil
	for {
		if b, _, ok := receive(c.conn, 1); !ok || b == nil {
			return
		}
	}
}
