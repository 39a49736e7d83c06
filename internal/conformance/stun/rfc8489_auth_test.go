package stunconformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// challenge expects a response that asks for credentials, unsigned.
func (w *world) challenge(m *message, code int) {
	w.t.Helper()
	w.code(m, code)
	if m == nil {
		return
	}
	if r, _ := m.get(atRealm); string(r) != realm {
		w.t.Errorf("got REALM %q, want %q", r, realm)
	}
	n, _ := m.get(atNonce)
	if len(n) < 13 || len(n) > 509 || !strings.HasPrefix(string(n), "obMatJos2") {
		w.t.Fatalf("got NONCE %q, want it with the nonce cookie", n)
	}
	algorithms, _, ok := features(string(n))
	if !ok {
		w.t.Fatalf("got security features %q, want three bytes with unassigned bits of zero", n[9:13])
	}
	if v, ok := m.get(atPasswordAlgorithms); ok != algorithms || ok && len(v) == 0 {
		w.t.Errorf("got %v with security features %q, want PASSWORD-ALGORITHMS and its bit together", m, n[9:13])
	}
	if m.has(atUsername) || m.has(atUserhash) {
		w.t.Errorf("got %v, want no user name in it", m)
	}
}

// features reads the security features of a nonce. RFC 8489, sections 9.2 and 18.1,
// count the bits from the left, and so does the example of RFC 8656, section 20; the
// verified erratum 6290 and the vector of appendix B.1 count them from the right. A
// server may have either mind, or both at once.
func features(nonce string) (algorithms, anonymity, ok bool) {
	bits, err := base64.StdEncoding.DecodeString(nonce[9:13])
	if err != nil {
		return false, false, false
	}
	known := bits[0]&^0xC0 == 0 && bits[1] == 0 && bits[2]&^3 == 0
	return bits[0]&0x80 != 0 || bits[2]&1 != 0, bits[0]&0x40 != 0 || bits[2]&2 != 0, known
}

var challengeRows = []row{
	{"9.2.4 no integrity", nil, func(w *world) {
		m := w.client().bare(allocate, udp)
		w.challenge(m, 401)
		if m.has(atIntegrity) || m.has(atIntegrity256) {
			w.t.Errorf("got %v, want it without integrity", m)
		}
	}},
	{"18.5 SHA-256 and MD5 are offered", nil, func(w *world) {
		v, _ := w.client().bare(allocate, udp).get(atPasswordAlgorithms)
		got := make(map[uint16]bool)
		for ; len(v) >= 4 && binary.BigEndian.Uint16(v[2:]) == 0; v = v[4:] {
			got[binary.BigEndian.Uint16(v)] = true
		}
		if !got[1] || !got[2] || len(v) != 0 {
			w.t.Errorf("got algorithms %v and %d bytes more, want MD5 and SHA-256 without parameters", got, len(v))
		}
	}},
	{"9.2.4 every request of TURN needs credentials", nil, func(w *world) {
		for _, m := range []uint16{allocate, refresh, createPermission, channelBind} {
			w.challenge(w.client().bare(m), 401)
		}
	}},
	{"9.2.4 no two clients get one nonce", nil, func(w *world) {
		seen := make(map[string]bool)
		for _, a := range []string{"198.51.100.1:1000", "198.51.100.1:1001", "198.51.100.2:1000", "198.51.100.2:1001"} {
			n, _ := w.clientAt(a).bare(allocate, udp).get(atNonce)
			if seen[string(n)] {
				w.t.Errorf("got nonce %q again, for %s", n, a)
			}
			seen[string(n)] = true
		}
	}},
	{"6.3 authentication comes before unknown attributes", nil, func(w *world) {
		c := w.client()
		w.challenge(c.bare(allocate, udp, text(atNobodyRequired, "x")), 401)
		m := c.call(allocate, udp, text(atNobodyRequired, "x"))
		unknown(atNobodyRequired)(c, m)
		if !c.signed(m) {
			w.t.Errorf("got %v without the right integrity", m)
		}
	}},
	{"RFC 8656 7.2 authentication comes before the checks of Allocate", nil, func(w *world) {
		w.challenge(w.client().bare(allocate), 401)
	}},
}

// TestChallenge is about the first branch of RFC 8489, section 9.2.4.
func TestChallenge(t *testing.T) { play(t, challengeRows) }

// spoilt is a row about credentials that are not quite right.
func spoilt(name string, spoil func(*credentials), check func(*client, *message)) row {
	return row{name, nil, func(w *world) {
		c := w.client()
		c.learn()
		cr := c.cr
		spoil(&cr)
		m := c.exchange(cr.sign(newMessage(allocate, request, udp)))
		check(c, m)
		if m != nil && m.class == failure && w.relays.opened != 0 {
			w.t.Errorf("got %d relays opened for %v, want none", w.relays.opened, m)
		}
	}}
}

func bad(c *client, m *message) {
	c.w.t.Helper()
	c.w.code(m, 400)
	for _, a := range []uint16{atNonce, atRealm, atUsername, atUserhash} {
		if m != nil && m.has(a) {
			c.w.t.Errorf("got %v, want it without %#04x", m, a)
		}
	}
}

func denied(c *client, m *message) { c.w.t.Helper(); c.w.challenge(m, 401) }
func stale(c *client, m *message)  { c.w.t.Helper(); c.w.challenge(m, 438) }

// denied401 is denied, and the response is unsigned.
func denied401(c *client, m *message) {
	c.w.t.Helper()
	denied(c, m)
	if m != nil && (m.has(atIntegrity) || m.has(atIntegrity256)) {
		c.w.t.Errorf("got %v, want it without integrity", m)
	}
	if m != nil && !m.has(atPasswordAlgorithms) {
		c.w.t.Errorf("got %v, want it with PASSWORD-ALGORITHMS", m)
	}
}

// good expects success, signed by one of the two.
func good(sha bool, key func(user, realm, password string) []byte) func(*client, *message) {
	return func(c *client, m *message) {
		c.w.t.Helper()
		c.w.ok(m)
		if !m.signedBy(key("alice", realm, "ecila"), sha) || m.has(atIntegrity) && m.has(atIntegrity256) {
			c.w.t.Errorf("got %v, want it signed by one attribute (SHA-256: %t) with the key of the request", m, sha)
		}
		for _, a := range []uint16{atNonce, atRealm, atUsername, atUserhash} {
			if m.has(a) {
				c.w.t.Errorf("got %v, want it without %#04x", m, a)
			}
		}
	}
}

// refused expects anything but success and silence.
func refused(c *client, m *message) { c.w.t.Helper(); c.w.code(m, 400, 401, 438) }

var credentialRows = []row{
	spoilt("MD5 and SHA-1, as RFC 5389 has them", func(cr *credentials) {}, good(false, md5Key)),
	spoilt("SHA-256", func(cr *credentials) { *cr = cr.modern() }, good(true, shaKey)),
	spoilt("MD5 by choice, signed with SHA-256", func(cr *credentials) {
		*cr = cr.modern()
		cr.algorithm = []byte{0, 1, 0, 0}
	}, good(true, md5Key)),
	spoilt("the key of SHA-256, signed with SHA-1", func(cr *credentials) {
		*cr = cr.modern()
		cr.sha1, cr.sha256 = true, false
	}, good(true, shaKey)),
	spoilt("no choice, signed with SHA-256", func(cr *credentials) { cr.sha1, cr.sha256 = false, true }, good(false, md5Key)),
	spoilt("both integrities", func(cr *credentials) { *cr = cr.modern(); cr.sha1 = true }, good(true, shaKey)),
	spoilt("no USERNAME", func(cr *credentials) { cr.omit = atUsername }, bad),
	spoilt("no REALM", func(cr *credentials) { cr.omit = atRealm }, bad),
	spoilt("no NONCE", func(cr *credentials) { cr.omit = atNonce }, bad),
	spoilt("SHA-256, no USERNAME", func(cr *credentials) { *cr = cr.modern(); cr.omit = atUsername }, bad),
	spoilt("SHA-256, no NONCE", func(cr *credentials) { *cr = cr.modern(); cr.omit = atNonce }, bad),
	spoilt("no PASSWORD-ALGORITHMS", func(cr *credentials) { *cr = cr.modern(); cr.algorithms = nil }, code(400)),
	spoilt("no PASSWORD-ALGORITHM", func(cr *credentials) { *cr = cr.modern(); cr.algorithm = nil; cr.key = shaKey("alice", realm, "ecila") }, code(400)),
	spoilt("PASSWORD-ALGORITHMS without SHA-256", func(cr *credentials) {
		*cr = cr.modern()
		cr.algorithms, cr.algorithm = []byte{0, 1, 0, 0}, []byte{0, 1, 0, 0}
	}, code(400)),
	spoilt("PASSWORD-ALGORITHMS with more", func(cr *credentials) {
		*cr = cr.modern()
		cr.algorithms = append(append([]byte(nil), cr.algorithms...), 0, 9, 0, 0)
	}, code(400)),
	spoilt("PASSWORD-ALGORITHMS in another order", func(cr *credentials) {
		*cr = cr.modern()
		cr.algorithms = append(append([]byte(nil), cr.algorithms[4:]...), cr.algorithms[:4]...)
	}, code(400)),
	spoilt("a PASSWORD-ALGORITHM that was not offered", func(cr *credentials) { *cr = cr.modern(); cr.algorithm = []byte{0, 3, 0, 0} }, code(400)),
	spoilt("a PASSWORD-ALGORITHM with a length beyond its end", func(cr *credentials) { *cr = cr.modern(); cr.algorithm = []byte{0, 2, 0, 9} }, code(400)),
	spoilt("an unknown user", func(cr *credentials) { cr.user = "carol" }, denied401),
	spoilt("an empty user name", func(cr *credentials) { cr.user = "" }, refused),
	spoilt("an unknown user, SHA-256", func(cr *credentials) { *cr = cr.modern(); cr.user = "carol" }, denied401),
	spoilt("a wrong password", func(cr *credentials) { cr.password = "wrong" }, denied401),
	spoilt("a wrong password, SHA-256", func(cr *credentials) { *cr = cr.modern(); cr.password = "wrong" }, denied401),
	spoilt("the password of somebody else", func(cr *credentials) { cr.user = "bob" }, denied401),
	spoilt("the right SHA-1 beside a wrong SHA-256", func(cr *credentials) {
		*cr = cr.modern()
		cr.key, cr.sha1 = md5Key("alice", realm, "ecila"), true
	}, denied401),
	spoilt("another realm", func(cr *credentials) { cr.realm = "example.net" }, refused),
	spoilt("another realm, with the key of ours", func(cr *credentials) {
		cr.key = md5Key("alice", realm, "ecila")
		cr.realm = "example.net"
	}, refused),
	spoilt("an invented nonce", func(cr *credentials) { cr.nonce = "499k954d6OL34oL9FSTvy64sA" }, stale),
	spoilt("an empty nonce", func(cr *credentials) { cr.nonce = "" }, refused),
	spoilt("a nonce that is cut short", func(cr *credentials) { cr.nonce = cr.nonce[:len(cr.nonce)-1] }, stale),
	spoilt("a nonce whose last character differs", func(cr *credentials) { cr.nonce = cr.nonce[:len(cr.nonce)-1] + "!" }, stale),
	spoilt("9.2.1 a nonce without its security features", func(cr *credentials) { cr.nonce = "obMatJos2AAAA" + cr.nonce[13:] }, refused),
	spoilt("9.2.1 a nonce with more security features", func(cr *credentials) { cr.nonce = "obMatJos2////" + cr.nonce[13:] }, refused),
	spoilt("a USERHASH of nobody", func(cr *credentials) { cr.userhash = make([]byte, 32) }, refused),
	{"9.2.4 the nonce of another address", nil, func(w *world) {
		a, b := w.client(), w.clientAt("198.51.100.9:4000")
		a.learn()
		b.cr = a.cr
		w.challenge(b.exchange(b.cr.sign(newMessage(allocate, request, udp))), 438)
	}},
	{"14.4 USERHASH if the server offers it", nil, func(w *world) {
		c := w.client()
		c.learn()
		_, anonymity, _ := features(c.cr.nonce)
		cr := c.cr.modern()
		h := sha256.Sum256([]byte("alice:" + realm))
		cr.userhash = h[:]
		m := c.exchange(cr.sign(newMessage(allocate, request, udp)))
		if anonymity {
			w.ok(m)
		} else {
			w.code(m, 400, 401)
		}
	}},
}

// TestCredentials is about the other branches of RFC 8489, section 9.2.4.
func TestCredentials(t *testing.T) { play(t, credentialRows) }

// stalest waits until a nonce is too old, and answers with credentials.
func stalest(name string, spoil func(*credentials), check func(*client, *message)) row {
	return row{name, nil, func(w *world) {
		c := w.client()
		c.learn()
		w.wait(10 * time.Minute)
		cr := c.cr
		spoil(&cr)
		check(c, c.exchange(cr.sign(newMessage(allocate, request, udp))))
	}}
}

var nonceRows = []row{
	{"9.2.4 a nonce is good for half a minute", nil, func(w *world) {
		c := w.client()
		c.learn()
		w.wait(30 * time.Second)
		w.ok(c.exchange(c.cr.sign(newMessage(allocate, request, udp))))
	}},
	stalest("9.2.4 a nonce that is too old", func(cr *credentials) {}, stale),
	stalest("9.2.4 a nonce that is too old, SHA-256", func(cr *credentials) { *cr = cr.modern() }, stale),
	// The age of the nonce is checked before the user and the password, as in RFC 5389,
	// section 10.2.2: whoever sends in the name of others must not make us ask accounts.
	stalest("9.2.4 a wrong password with a nonce that is too old", func(cr *credentials) { cr.password = "wrong" }, stale),
	stalest("9.2.4 an unknown user with a nonce that is too old", func(cr *credentials) { cr.user = "carol" }, stale),
	stalest("9.2.4 missing attributes before the age of the nonce", func(cr *credentials) { cr.omit = atUsername }, bad),
	{"9.2.5 the nonce of a 438 is good", nil, func(w *world) {
		c := w.client()
		c.learn()
		w.wait(10 * time.Minute)
		m := c.exchange(c.cr.sign(newMessage(allocate, request, udp)))
		w.challenge(m, 438)
		c.challenged(m)
		w.ok(c.exchange(c.cr.sign(newMessage(allocate, request, udp))))
	}},
	{"9.2.4 the nonce of a 401 after a wrong password is good", nil, func(w *world) {
		c := w.client()
		c.learn()
		wrong := c.cr
		wrong.password = "wrong"
		for range 5 {
			m := c.exchange(wrong.sign(newMessage(allocate, request, udp)))
			w.challenge(m, 401)
			n, _ := m.get(atNonce)
			wrong.nonce, c.cr.nonce = string(n), string(n)
		}
		w.ok(c.exchange(c.cr.sign(newMessage(allocate, request, udp))))
	}},
	{"9.2.4 a client that never takes the new nonce", nil, func(w *world) {
		c := w.client()
		c.learn()
		w.wait(10 * time.Minute)
		for range 1000 {
			w.challenge(c.exchange(c.cr.sign(newMessage(allocate, request, udp))), 438)
			w.challenge(c.bare(allocate, udp), 401)
		}
		if w.relays.opened != 0 {
			w.t.Errorf("got %d relays opened, want none", w.relays.opened)
		}
	}},
	{"RFC 8656 5 one nonce is good for several requests", nil, func(w *world) {
		c := w.client()
		c.learn()
		w.ok(c.exchange(c.cr.sign(newMessage(allocate, request, udp))))
		for range 3 {
			w.ok(c.exchange(c.cr.sign(newMessage(refresh, request))))
		}
	}},
	{"RFC 8656 5 a nonce goes stale while an allocation lives", nil, func(w *world) {
		c := w.client()
		c.allocate(lifetime(3600))
		w.wait(30 * time.Minute)
		w.challenge(c.exchange(c.cr.sign(newMessage(refresh, request))), 438)
		w.ok(c.call(refresh))
	}},
}

// TestNonce is about the age of nonces.
func TestNonce(t *testing.T) { play(t, nonceRows) }

// tampered signs an Allocate request, changes its bytes, and checks the answer.
func tampered(name string, change func(b []byte) []byte, check func(*client, *message)) row {
	return row{name, nil, func(w *world) {
		c := w.client()
		c.learn()
		check(c, c.exchange(change(c.cr.sign(newMessage(allocate, request, udp, lifetime(1200))))))
	}}
}

// notGranted is for what may be refused or ignored.
func notGranted(c *client, m *message) {
	c.w.t.Helper()
	if m != nil {
		c.w.code(m, 400, 401)
	}
	if c.w.relays.opened != 0 {
		c.w.t.Errorf("got %d relays opened, want none", c.w.relays.opened)
	}
}

// resized replaces the integrity at the end by one of another length.
func resized(typ uint16, from, to int) func([]byte) []byte {
	return func(b []byte) []byte {
		v := append([]byte(nil), b[len(b)-from:]...)
		v = append(v, make([]byte, 64)...)[:to]
		return appendAttr(b[:len(b)-from-4], typ, v)
	}
}

var tamperedRows = []row{
	tampered("a bit of an attribute", func(b []byte) []byte { b[32] ^= 1; return b }, denied401),
	tampered("a bit of the integrity", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, denied401),
	tampered("14.5 an integrity of 16 bytes", resized(atIntegrity, 20, 16), notGranted),
	tampered("14.5 an integrity of no bytes", resized(atIntegrity, 20, 0), notGranted),
	tampered("14.5 an integrity of 24 bytes", resized(atIntegrity, 20, 24), notGranted),
	tampered("14.5 a FINGERPRINT after it", appendFingerprint, good(false, md5Key)),
	tampered("14.5 other attributes after it are ignored", func(b []byte) []byte {
		return appendAttr(appendAttr(b, atNobodyRequired, []byte("x")), atLifetime, []byte{0, 0, 0x0E, 0x10})
	}, func(c *client, m *message) {
		c.w.ok(m)
		if got := m.number(atLifetime); got != 1200 {
			c.w.t.Errorf("got LIFETIME %d, want that which was signed, 1200", got)
		}
	}),
	{"14.5 attributes of the method after it are ignored", nil, func(w *world) {
		c := w.client()
		c.learn()
		w.code(c.exchange(appendAttr(c.cr.sign(newMessage(allocate, request)), atRequestedTransport, udp.val)), 400)
	}},
	{"14.6 a digest that is cut to 16 bytes", nil, func(w *world) {
		c := w.client().modern()
		b := resized(atIntegrity256, 32, 16)
		notGranted(c, c.exchange(b(c.cr.sign(newMessage(allocate, request, udp)))))
	}},
	{"14.6 a right digest of 16 bytes", nil, func(w *world) {
		c := w.client().modern()
		cr := c.cr
		cr.sha256 = false
		b := cr.sign(newMessage(allocate, request, udp))
		n := len(b)
		b = appendAttr(b, atIntegrity256, make([]byte, 16))
		copy(b[n+4:], digest(b[:n], cr.integrityKey(), true))
		notGranted(c, c.exchange(b))
	}},
	{"14.6 a right digest of no bytes", nil, func(w *world) {
		c := w.client().modern()
		cr := c.cr
		cr.sha256 = false
		notGranted(c, c.exchange(appendAttr(cr.sign(newMessage(allocate, request, udp)), atIntegrity256, nil)))
	}},
	{"14.5 a spliced header: the request of another method", nil, func(w *world) {
		c := w.client()
		c.learn()
		b := c.cr.sign(newMessage(refresh, request, udp))
		binary.BigEndian.PutUint16(b, messageType(allocate, request))
		denied401(c, c.exchange(b))
	}},
	{"6.3 authentication failures of all requests, not only Allocate", nil, func(w *world) {
		c := w.client()
		c.allocate()
		wrong := c.cr
		wrong.password = "wrong"
		for _, m := range []uint16{refresh, createPermission, channelBind} {
			w.challenge(c.exchange(wrong.sign(newMessage(m, request, lifetime(0)))), 401)
		}
		w.ok(c.call(refresh))
	}},
}

// TestTampered is about requests that were changed on their way.
func TestTampered(t *testing.T) { play(t, tamperedRows) }
