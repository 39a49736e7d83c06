package stunconformance

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
)

// client is a client of the server.
type client struct {
	w         *world
	conn      socket
	addr      netip.AddrPort
	cr        credentials
	anonymous bool     // no request is signed
	inbox     [][]byte // what came while an answer was awaited
	relay     netip.AddrPort
}

// credentials are how requests are signed. A row takes those of a client and spoils
// them.
type credentials struct {
	user, password string
	realm, nonce   string // as the server gave them
	offered        []byte // PASSWORD-ALGORITHMS of the server

	key        []byte // nil: that of user, realm and password
	userhash   []byte // instead of USERNAME
	algorithms []byte // PASSWORD-ALGORITHMS; nil: none
	algorithm  []byte // PASSWORD-ALGORITHM; nil: none
	sha1       bool   // MESSAGE-INTEGRITY
	sha256     bool   // MESSAGE-INTEGRITY-SHA256
	omit       uint16 // an attribute that is left out
}

// client returns one with alice's credentials, at an address of its own, as an
// RFC 5389 client.
func (w *world) client() *client { return w.wrap(w.socket.Dial()) }

// clientAt is client at an address.
func (w *world) clientAt(addr string) *client {
	return w.wrap(w.socket.DialFrom(netip.MustParseAddrPort(addr)))
}

func (w *world) wrap(conn socket) *client {
	return &client{
		w: w, conn: conn, addr: netip.MustParseAddrPort(conn.LocalAddr().String()),
		anonymous: w.options.AuthType != "user" || !w.options.UseTURN,
		cr:        credentials{user: "alice", password: "ecila", sha1: true},
	}
}

// as makes the client another user.
func (c *client) as(user string) *client {
	c.cr.user, c.cr.password = user, backwards(user)
	return c
}

// modern makes the client one of RFC 8489, which chooses SHA-256.
func (c *client) modern() *client {
	c.learn()
	c.cr = c.cr.modern()
	return c
}

func (cr credentials) modern() credentials {
	cr.sha1, cr.sha256 = false, true
	cr.algorithms, cr.algorithm = cr.offered, []byte{0, 2, 0, 0}
	return cr
}

// integrityKey is the key of an algorithm.
func (cr credentials) integrityKey() []byte {
	switch {
	case cr.key != nil:
		return cr.key
	case len(cr.algorithm) > 1 && cr.algorithm[1] == 2:
		return shaKey(cr.user, cr.realm, cr.password)
	}
	return md5Key(cr.user, cr.realm, cr.password)
}

// sign encodes a request with credentials.
func (cr credentials) sign(m *message) []byte {
	s := *m
	s.attrs = append([]attr(nil), m.attrs...)
	add := func(typ uint16, v []byte) {
		if typ != cr.omit && v != nil {
			s.attrs = append(s.attrs, attr{typ: typ, val: v})
		}
	}
	if cr.userhash != nil {
		add(atUserhash, cr.userhash)
	} else {
		add(atUsername, []byte(cr.user))
	}
	add(atRealm, []byte(cr.realm))
	add(atNonce, []byte(cr.nonce))
	add(atPasswordAlgorithms, cr.algorithms)
	add(atPasswordAlgorithm, cr.algorithm)
	b := s.bytes()
	if cr.sha1 {
		b = appendIntegrity(b, cr.integrityKey(), false)
	}
	if cr.sha256 {
		b = appendIntegrity(b, cr.integrityKey(), true)
	}
	return b
}

// write sends a datagram as it is.
func (c *client) write(b []byte) {
	c.w.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.w.t.Fatalf("client: %v", err)
	}
}

// exchange sends a datagram and returns the answer to it; nil: none.
func (c *client) exchange(b []byte) *message {
	c.w.t.Helper()
	c.write(b)
	for {
		got, from, ok := receive(c.conn, c.w.patience)
		if !ok {
			return nil
		}
		if from != c.w.address {
			c.w.t.Errorf("got a datagram from %v, want it from the server", from)
		}
		if len(got) < 20 || len(b) < 20 || string(got[8:20]) != string(b[8:20]) {
			c.inbox = append(c.inbox, got)
			continue
		}
		m, err := decode(got)
		if err != nil {
			c.w.t.Fatalf("a response: %v", err)
		}
		if want := binary.BigEndian.Uint16(b)&0x3EEF | 0x100; messageType(m.method, m.class)&^0x10 != want {
			c.w.t.Errorf("got %v, want a response to %#04x", m, b[:2])
		}
		return m
	}
}

// bare sends a request without credentials.
func (c *client) bare(method uint16, attrs ...attr) *message {
	c.w.t.Helper()
	return c.exchange(newMessage(method, request, attrs...).bytes())
}

// learn gets the realm and a nonce.
func (c *client) learn() {
	c.w.t.Helper()
	if c.cr.nonce == "" {
		c.challenged(c.bare(allocate, udp))
	}
}

// challenged takes over the realm and the nonce of a response.
func (c *client) challenged(m *message) {
	c.w.t.Helper()
	if m.code() != 401 && m.code() != 438 {
		c.w.t.Fatalf("got %v, want a challenge", m)
	}
	r, _ := m.get(atRealm)
	n, _ := m.get(atNonce)
	c.cr.offered, _ = m.get(atPasswordAlgorithms)
	c.cr.realm, c.cr.nonce = string(r), string(n)
}

// call sends a request with the client's credentials, and with a new nonce if the
// old one has become stale.
func (c *client) call(method uint16, attrs ...attr) *message {
	c.w.t.Helper()
	return c.callMessage(newMessage(method, request, attrs...))
}

func (c *client) callMessage(m *message) *message {
	c.w.t.Helper()
	if c.anonymous {
		return c.exchange(m.bytes())
	}
	c.learn()
	answer := c.exchange(c.cr.sign(m))
	if answer != nil && answer.code() == 438 {
		c.challenged(answer)
		again := *m
		again.id[0]++
		answer = c.exchange(c.cr.sign(&again))
	}
	if answer != nil && answer.code() != 401 && answer.code() != 438 && !c.signed(answer) {
		c.w.t.Errorf("got %v without the right integrity, want it (RFC 8489, section 9.2.4)", answer)
	}
	return answer
}

// signed says whether a response is signed as the client signs.
func (c *client) signed(m *message) bool {
	return m.signedBy(c.cr.integrityKey(), c.cr.algorithms != nil || c.cr.algorithm != nil)
}

// allocate makes an allocation and returns the answer.
func (c *client) allocate(attrs ...attr) *message {
	c.w.t.Helper()
	m := c.w.ok(c.call(allocate, append([]attr{udp}, attrs...)...))
	relayed := m.addresses(atRelayed)
	if len(relayed) == 0 {
		c.w.t.Fatalf("got %v without XOR-RELAYED-ADDRESS", m)
	}
	c.relay = relayed[0]
	return m
}

// permit makes permissions.
func (c *client) permit(peers ...netip.AddrPort) {
	c.w.t.Helper()
	var attrs []attr
	for _, p := range peers {
		attrs = append(attrs, peerAddress(p))
	}
	c.w.ok(c.call(createPermission, attrs...))
}

// bind binds a channel.
func (c *client) bind(number uint16, p netip.AddrPort) {
	c.w.t.Helper()
	c.w.ok(c.call(channelBind, channel(number), peerAddress(p)))
}

// send sends a Send indication.
func (c *client) send(p netip.AddrPort, data []byte, attrs ...attr) {
	c.w.t.Helper()
	attrs = append([]attr{peerAddress(p), {typ: atData, val: data}}, attrs...)
	c.write(newMessage(send, indication, attrs...).bytes())
}

// sendChannel sends a ChannelData message without padding.
func (c *client) sendChannel(number uint16, data []byte) {
	c.w.t.Helper()
	c.write(channelData(number, data))
}

func channelData(number uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// next returns what came apart from answers; nil: nothing.
func (c *client) next() []byte { return c.nextWithin(c.w.patience) }

func (c *client) nextWithin(d time.Duration) []byte {
	if len(c.inbox) > 0 {
		b := c.inbox[0]
		c.inbox = c.inbox[1:]
		return b
	}
	b, _, _ := receive(c.conn, d)
	return b
}

// expectData expects a Data indication.
func (c *client) expectData(from netip.AddrPort, data []byte) *message {
	c.w.t.Helper()
	b := c.next()
	m, err := decode(b)
	if err != nil {
		c.w.t.Errorf("got %d bytes %.40x, want a Data indication with %d bytes", len(b), b, len(data))
		return nil
	}
	got, ok := m.get(atData)
	peers := m.addresses(atPeer)
	if m.method != dataMethod || m.class != indication || !ok || string(got) != string(data) {
		c.w.t.Errorf("got %v, want a Data indication with %d bytes", m, len(data))
	}
	if len(peers) != 1 || peers[0] != from {
		c.w.t.Errorf("got data from %v, want them from %v", peers, from)
	}
	return m
}

// expectChannel expects a ChannelData message, whose padding is optional.
func (c *client) expectChannel(number uint16, data []byte) {
	c.w.t.Helper()
	b := c.next()
	want := channelData(number, data)
	if len(b) < len(want) || len(b) > len(want)+3 || !strings.HasPrefix(string(b), string(want)) {
		c.w.t.Errorf("got %d bytes %.40x, want channel %#x with %d bytes", len(b), b, number, len(data))
	}
}

func (c *client) expectNothing() {
	c.w.t.Helper()
	if b := c.nextWithin(c.w.quiet); b != nil {
		c.w.t.Errorf("got %d bytes %.40x, want nothing", len(b), b)
	}
}

// Attributes of requests.
var (
	udp          = attr{typ: atRequestedTransport, val: []byte{17, 0, 0, 0}}
	tcp          = attr{typ: atRequestedTransport, val: []byte{6, 0, 0, 0}}
	dontFragment = attr{typ: atDontFragment, val: []byte{}}
)

func lifetime(seconds uint32) attr {
	return attr{typ: atLifetime, val: binary.BigEndian.AppendUint32(nil, seconds)}
}

func peerAddress(a netip.AddrPort) attr { return attr{typ: atPeer, addr: a} }

func channel(number uint16) attr {
	return attr{typ: atChannelNumber, val: binary.BigEndian.AppendUint16(nil, number)[:2:2]}.padded(4)
}

// padded fills the value of an attribute with zeros.
func (a attr) padded(n int) attr {
	a.val = append(a.val, make([]byte, n-len(a.val))...)
	return a
}

func family(f byte) attr     { return attr{typ: atRequestedFamily, val: []byte{f, 0, 0, 0}} }
func additional(f byte) attr { return attr{typ: atAdditionalFamily, val: []byte{f, 0, 0, 0}} }
func evenPort(v byte) attr   { return attr{typ: atEvenPort, val: []byte{v}} }
func text(typ uint16, s string) attr {
	return attr{typ: typ, val: []byte(s)}
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// withIPv6 gives the server relays of IPv6, too.
func withIPv6(s *setup) { s.options.IPv6Address = relay6 }
