package stunconformance

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// stunOnly is a server without TURN.
func stunOnly(s *setup) { s.options.UseTURN = false }

// mapped expects a Binding success response with the address of a client.
func (c *client) mapped(m *message) {
	c.w.t.Helper()
	c.w.ok(m)
	if got := m.addresses(atXORMapped); len(got) != 1 || got[0] != c.addr {
		c.w.t.Errorf("got XOR-MAPPED-ADDRESS %v, want %v", got, c.addr)
	}
}

// raw is a row about one datagram without credentials.
func raw(name string, set func(*setup), datagram func() []byte, check func(c *client, m *message)) row {
	return row{name, set, func(w *world) {
		c := w.client()
		check(c, c.exchange(datagram()))
		c.expectNothing()
		c.mapped(c.bare(binding)) // the server goes on
	}}
}

func ignored(c *client, m *message) { c.w.t.Helper(); c.w.silent(m) }

// ignoredOr400 is for what no rule of a standard decides.
func ignoredOr400(c *client, m *message) {
	c.w.t.Helper()
	if m != nil {
		c.w.code(m, 400)
	}
}

func bindingRequest(attrs ...attr) []byte { return newMessage(binding, request, attrs...).bytes() }

var bindingRows = []row{
	{"6.3.1.1 the address of the client", stunOnly, func(w *world) {
		for range 3 {
			c := w.client()
			c.mapped(c.bare(binding))
		}
	}},
	{"14.2 an IPv6 address covers itself with the transaction", func(s *setup) { s.address = server6; stunOnly(s) }, func(w *world) {
		c := w.clientAt("[2001:db8::77]:40000")
		c.mapped(c.bare(binding))
	}},
	{"6.3.1 a retransmission gets the same answer", stunOnly, func(w *world) {
		c, b := w.client(), bindingRequest()
		one, two := c.exchange(b), c.exchange(b)
		c.mapped(one)
		if two == nil || !bytes.Equal(one.raw, two.raw) {
			w.t.Errorf("got %v, want %v again", two, one)
		}
	}},
	{"14.14 SOFTWARE", stunOnly, func(w *world) {
		if s, _ := w.ok(w.client().bare(binding)).get(atSoftware); string(s) != "Tidewaiter" {
			w.t.Errorf("got SOFTWARE %q, want that of the options", s)
		}
	}},
	{"14.14 SOFTWARE of 127 characters", func(s *setup) { s.options.ServerName = strings.Repeat("\u00e9", 127) }, func(w *world) {
		if s, _ := w.ok(w.client().bare(binding)).get(atSoftware); string(s) != w.options.ServerName {
			w.t.Errorf("got SOFTWARE %q, want all 127 characters", s)
		}
		if m := w.client().bare(allocate, udp); m.has(atSoftware) { // it would be too long for a stranger
			w.t.Errorf("got %v, want no SOFTWARE", m)
		}
	}},
	{"14.14 no SOFTWARE without a name", func(s *setup) { s.options.ServerName = "" }, func(w *world) {
		if m := w.ok(w.client().bare(binding)); m.has(atSoftware) {
			w.t.Errorf("got %v, want no SOFTWARE", m)
		}
	}},
	raw("6.3.2 an indication", nil, func() []byte { return newMessage(binding, indication).bytes() }, ignored),
	raw("6.3.2 an indication with unknown attributes", nil, func() []byte {
		return newMessage(binding, indication, text(atNobodyRequired, "x")).bytes()
	}, ignored),
	raw("6.3 a success response", nil, func() []byte { return unhex(sampleResponse4) }, ignored),
	raw("6.3 an error response", nil, func() []byte {
		return newMessage(binding, failure, attr{typ: atErrorCode, val: []byte{0, 0, 4, 0}}).bytes()
	}, ignored),
	raw("6.3 the first two bits are 10", nil, func() []byte { b := bindingRequest(); b[0] |= 0x80; return b }, ignored),
	raw("6.3 the first two bits are 11", nil, func() []byte { b := bindingRequest(); b[0] |= 0xC0; return b }, ignored),
	raw("6.3 the first two bits are 01", nil, func() []byte { b := bindingRequest(); b[0] |= 0x40; return b }, ignored),
	raw("6.3 a header that is too short", nil, func() []byte { return bindingRequest()[:19] }, ignored),
	raw("6.3 an empty datagram", nil, func() []byte { return nil }, ignored),
	raw("6.3 a length above that of the datagram", nil, func() []byte { b := bindingRequest(); b[3] = 4; return b }, ignored),
	raw("6.3 a length below that of the datagram", nil, func() []byte { return append(bindingRequest(), 0, 0, 0, 0) }, ignored),
	raw("6.3 a length of 65532", nil, func() []byte { b := bindingRequest(); b[2], b[3] = 0xFF, 0xFC; return b }, ignored),
	raw("5 a length that is no multiple of four", nil, func() []byte {
		b := append(bindingRequest(), 0xFF, 0x01, 0, 0, 0)
		b[3] = 5
		return b
	}, ignored),
	raw("14 an attribute that is longer than the message", nil, func() []byte {
		b := bindingRequest(text(atNobodyOptional, "abcd"))
		b[23] = 9
		return b
	}, ignoredOr400),
	raw("14 an attribute of 65535 bytes", nil, func() []byte {
		b := bindingRequest(text(atNobodyOptional, "abcd"))
		b[22], b[23] = 0xFF, 0xFF
		return b
	}, ignoredOr400),
	raw("6.3 an indication of Allocate", nil, func() []byte { return newMessage(allocate, indication, udp).bytes() }, ignored),
	raw("6.3 a request of Send", nil, func() []byte { return newMessage(send, request).bytes() }, ignored),
	raw("6.3 a request of Data", nil, func() []byte { return newMessage(dataMethod, request).bytes() }, ignored),
}

// TestBinding is about RFC 8489, sections 5, 6.3 and 14.
func TestBinding(t *testing.T) { play(t, bindingRows) }

// unknown expects a 420 that lists exactly these attributes.
func unknown(want ...uint16) func(*client, *message) {
	return func(c *client, m *message) {
		c.w.t.Helper()
		c.w.code(m, 420)
		v, _ := m.get(atUnknown)
		var got []uint16
		for ; len(v) >= 2; v = v[2:] {
			got = append(got, binary.BigEndian.Uint16(v))
		}
		if !slices.Equal(got, want) || len(v) != 0 {
			c.w.t.Errorf("got UNKNOWN-ATTRIBUTES %#04x and %d bytes more, want %#04x", got, len(v), want)
		}
	}
}

func answered(c *client, m *message) { c.w.t.Helper(); c.mapped(m) }

var attributeRows = []row{
	raw("6.3.1 an unknown attribute that must be understood", stunOnly, func() []byte {
		return bindingRequest(text(atNobodyRequired, "x"))
	}, unknown(atNobodyRequired)),
	raw("14.13 two of them", stunOnly, func() []byte {
		return bindingRequest(text(atNobodyRequired2, ""), text(atNobodyOptional, "y"), text(atNobodyRequired, "x"))
	}, unknown(atNobodyRequired2, atNobodyRequired)),
	raw("14.13 three of them", nil, func() []byte {
		return bindingRequest(text(atNobodyRequired2, ""), text(atNobodyRequired, "y"), text(0x7F03, "x"))
	}, unknown(atNobodyRequired2, atNobodyRequired, 0x7F03)),
	raw("6.3 an unknown attribute that may be ignored", nil, func() []byte {
		return bindingRequest(text(atNobodyOptional, "anything"))
	}, answered),
	raw("6.3 a known attribute that is not expected", stunOnly, func() []byte {
		return bindingRequest(text(atRealm, realm), text(atSoftware, "me"), text(atUsername, "x"))
	}, answered),
	raw("6.3 an attribute of TURN in a Binding request", nil, func() []byte { return bindingRequest(lifetime(600)) }, answered),
	raw("14 an attribute that comes twice", nil, func() []byte {
		return bindingRequest(text(atSoftware, "one"), text(atSoftware, "two"))
	}, answered),
	raw("14 padding of any value", nil, func() []byte {
		b := bindingRequest(text(atSoftware, "x"))
		b[25], b[26], b[27] = 1, 2, 3
		return b
	}, answered),
	raw("14.5 what follows MESSAGE-INTEGRITY is ignored", stunOnly, func() []byte {
		return appendAttr(appendIntegrity(bindingRequest(), []byte("key"), false), atNobodyRequired, []byte("x"))
	}, answered),
	raw("14.6 what follows MESSAGE-INTEGRITY-SHA256 is ignored", stunOnly, func() []byte {
		return appendAttr(appendIntegrity(bindingRequest(), []byte("key"), true), atNobodyRequired, []byte("x"))
	}, answered),
	raw("12 Binding needs no credentials and checks none", nil, func() []byte {
		return appendIntegrity(bindingRequest(text(atUsername, "nobody")), []byte("key"), false)
	}, answered),
	raw("14.7 FINGERPRINT", nil, func() []byte { return appendFingerprint(bindingRequest()) }, answered),
	raw("14.7 FINGERPRINT after other attributes", nil, func() []byte {
		return appendFingerprint(appendIntegrity(bindingRequest(text(atSoftware, "x")), []byte("key"), false))
	}, answered),
	raw("6.3 a wrong FINGERPRINT", nil, func() []byte {
		b := appendFingerprint(bindingRequest())
		b[len(b)-1] ^= 1
		return b
	}, ignored),
	raw("6.3 a FINGERPRINT of the wrong message", nil, func() []byte {
		b := appendFingerprint(bindingRequest(text(atSoftware, "abcd")))
		b[24] ^= 1
		return b
	}, ignored),
	raw("RFC 5769 2.1 its PRIORITY is not for a server", nil, func() []byte { return unhex(sampleRequest) }, unknown(atPriority)),
	raw("RFC 5769 2.1 spoilt", nil, func() []byte { b := unhex(sampleRequest); b[30] ^= 1; return b }, ignored),
	raw("RFC 5769 2.4", nil, func() []byte { return unhex(sampleLongTerm) }, answered),
}

// TestAttributes is about RFC 8489, sections 6.3.1, 7, 14, and RFC 5769.
func TestAttributes(t *testing.T) { play(t, attributeRows) }

// classic is a request of RFC 3489, whose transaction has 16 bytes.
func classic(method uint16, attrs ...attr) []byte {
	b := newMessage(method, request, attrs...).bytes()
	copy(b[4:8], "tide")
	return b
}

var classicRows = []row{
	{"11 MAPPED-ADDRESS, and the transaction with its first bytes", stunOnly, func(w *world) {
		c := w.client()
		c.write(classic(binding))
		b := c.next()
		if len(b) < 20 || b[0] != 1 || b[1] != 1 || string(b[4:8]) != "tide" {
			w.t.Fatalf("got % x, want a Binding response with the 16 bytes of the request", b)
		}
		copy(b[4:8], []byte{0x21, 0x12, 0xA4, 0x42})
		m, err := decode(b)
		if err != nil {
			w.t.Fatal(err)
		}
		v, _ := m.get(atMappedAddress)
		if got, err := decodeAddress(v); err != nil || got != c.addr {
			w.t.Errorf("got MAPPED-ADDRESS %v, %v, want %v", got, err, c.addr)
		}
		if m.has(atXORMapped) {
			w.t.Errorf("got %v, want no XOR-MAPPED-ADDRESS", m)
		}
	}},
	{"11 CHANGE-REQUEST is unknown", nil, func(w *world) {
		c := w.client()
		c.write(classic(binding, attr{typ: atChangeRequest, val: []byte{0, 0, 0, 6}}))
		b := c.next()
		if len(b) < 20 || b[0] != 1 || b[1] != 0x11 || string(b[4:8]) != "tide" {
			w.t.Fatalf("got % x, want an error response with the 16 bytes of the request", b)
		}
		copy(b[4:8], []byte{0x21, 0x12, 0xA4, 0x42})
		m, err := decode(b)
		if err != nil {
			w.t.Fatal(err)
		}
		w.code(m, 420)
	}},
	raw("14 CHANGE-REQUEST of an RFC 5780 client", nil, func() []byte {
		return bindingRequest(attr{typ: atChangeRequest, val: []byte{0, 0, 0, 0}})
	}, unknown(atChangeRequest)),
	raw("RFC 8656 5 TURN is not for them", nil, func() []byte { return classic(allocate, udp) }, ignored),
	raw("11 an indication without the cookie", nil, func() []byte { b := classic(binding); b[1] |= 0x10; return b }, ignored),
}

// TestClassic is about RFC 8489, section 11.
func TestClassic(t *testing.T) { play(t, classicRows) }

func code(codes ...int) func(*client, *message) {
	return func(c *client, m *message) { c.w.t.Helper(); c.w.code(m, codes...) }
}

// without405 is a request to a server without TURN.
func without405(name string, method uint16, attrs ...attr) row {
	return raw(name, stunOnly, func() []byte { return newMessage(method, request, attrs...).bytes() }, code(405))
}

var methodRows = []row{
	without405("Allocate", allocate, udp),
	without405("Refresh", refresh),
	without405("CreatePermission", createPermission),
	without405("ChannelBind", channelBind),
	without405("Connect", connect),
	without405("ConnectionBind", connectionBind),
	without405("SharedSecret", sharedSecret),
	without405("a method that nobody has", 0x0FF),
	raw("with credentials", stunOnly, func() []byte {
		cr := credentials{user: "alice", password: "ecila", realm: realm, nonce: "x", sha1: true}
		return cr.sign(newMessage(allocate, request, udp))
	}, code(405)),
	raw("a Send indication", stunOnly, func() []byte {
		return newMessage(send, indication, peerAddress(addrPort("203.0.113.5:7000")), text(atData, "x")).bytes()
	}, ignored),
	raw("ChannelData", stunOnly, func() []byte { return channelData(0x4000, []byte("twenty bytes at least")) }, ignored),
	raw("6.3 a method that nobody has, with TURN", nil, func() []byte { return newMessage(0x0FF, request).bytes() },
		func(c *client, m *message) {
			if m != nil {
				c.w.code(m, 405, 400, 401)
			}
		}),
}

// TestMethods is about methods that a server without TURN does not have: they are
// answered with 405, as ejabberd does, where RFC 8489, section 6.3, would be silent.
func TestMethods(t *testing.T) { play(t, methodRows) }

// alternate4 sends clients elsewhere.
func alternate4(s *setup) { s.options.AlternateServer = netip.MustParseAddrPort("192.0.2.99:3479") }

var alternateRows = []row{
	{"10 Allocate is answered with 300", alternate4, func(w *world) {
		c := w.client()
		m := c.bare(allocate, udp)
		if m.code() == 401 {
			m = c.call(allocate, udp)
		}
		w.code(m, 300)
		v, _ := m.get(atAlternateServer)
		if got, err := decodeAddress(v); err != nil || got != w.options.AlternateServer {
			w.t.Errorf("got ALTERNATE-SERVER %v, %v, want %v", got, err, w.options.AlternateServer)
		}
		if w.relays.opened != 0 {
			w.t.Errorf("got %d relays opened, want none", w.relays.opened)
		}
	}},
	{"10 Binding is not", alternate4, func(w *world) { c := w.client(); c.mapped(c.bare(binding)) }},
	{"14.15 only to a server of the client's address family", func(s *setup) { alternate4(s); s.address = server6; withIPv6(s) }, func(w *world) {
		c := w.clientAt("[2001:db8::77]:40000")
		w.ok(c.call(allocate, udp))
	}},
}

// TestAlternateServer is about RFC 8489, section 10.
func TestAlternateServer(t *testing.T) { play(t, alternateRows) }
