package stunconformance

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/stun"
)

// timed are credentials from a shared secret.
func timed(expires time.Time, name, secret string) (user, password string) {
	user = fmt.Sprintf("%d%s", expires.Unix(), name)
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(user))
	return user, base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func withSecret(s *setup) { s.host.Secret = []byte("between us") }

func timedRow(name string, in time.Duration, suffix, secret string, check func(*client, *message)) row {
	return row{name, withSecret, func(w *world) {
		c := w.client()
		c.learn()
		c.cr.user, c.cr.password = timed(time.Now().Add(in), suffix, secret)
		check(c, c.exchange(c.cr.sign(newMessage(allocate, request, udp))))
	}}
}

func granted(c *client, m *message) { c.w.t.Helper(); c.w.ok(m) }

var hostRows = []row{
	timedRow("a time-limited name", time.Hour, "", "between us", granted),
	timedRow("a time-limited name of somebody", time.Hour, ":alice", "between us", granted),
	timedRow("a time-limited name that has expired", -time.Minute, ":alice", "between us", denied),
	timedRow("a time-limited name of another secret", time.Hour, ":alice", "another", denied),
	{"a time-limited name with SHA-256", withSecret, func(w *world) {
		c := w.client().modern()
		c.cr.user, c.cr.password = timed(time.Now().Add(time.Hour), ":x", "between us")
		w.ok(c.exchange(c.cr.sign(newMessage(allocate, request, udp))))
	}},
	{"accounts beside a secret", withSecret, func(w *world) { w.client().allocate() }},
	{"time-limited names without a secret", nil, func(w *world) {
		c := w.client()
		c.learn()
		c.cr.user, c.cr.password = timed(time.Now().Add(time.Hour), "", "")
		w.challenge(c.exchange(c.cr.sign(newMessage(allocate, request, udp))), 401)
	}},
	{"no accounts at all", func(s *setup) { s.host.Accounts = nil }, func(w *world) {
		c := w.client()
		c.learn()
		w.challenge(c.exchange(c.cr.sign(newMessage(allocate, request, udp))), 401)
	}},
	{"accounts that fail: 500", nil, func(w *world) {
		w.accounts.err = errors.New("the disk is gone")
		c := w.client()
		c.learn()
		w.code(c.exchange(c.cr.sign(newMessage(allocate, request, udp))), 500)
	}},
	{"accounts that block delay nobody else", nil, func(w *world) {
		w.accounts.block = make(chan struct{})
		slow, quick := w.client().as("bob"), w.client()
		slow.learn()
		slow.write(slow.cr.sign(newMessage(allocate, request, udp)))
		synctest.Wait()
		quick.mapped(quick.bare(binding))
		quick.allocate()
		close(w.accounts.block)
		if b := slow.next(); len(b) < 2 || binary.BigEndian.Uint16(b) != messageType(allocate, success) {
			w.t.Errorf("got % .20x, want success after all", b)
		}
	}},
	{"RFC 8656 5 retransmissions while accounts block", nil, func(w *world) {
		w.accounts.block = make(chan struct{})
		c := w.client().as("bob")
		c.learn()
		b := c.cr.sign(newMessage(allocate, request, udp))
		for range 5 {
			c.write(b)
			w.wait(500 * time.Millisecond)
		}
		close(w.accounts.block)
		first, err := decode(c.next())
		if err != nil || first.class != success {
			w.t.Fatalf("got %v, %v, want success", first, err)
		}
		for b := c.nextWithin(w.quiet); b != nil; b = c.nextWithin(w.quiet) {
			if m, err := decode(b); err != nil || m.class != success || m.addresses(atRelayed)[0] != first.addresses(atRelayed)[0] {
				w.t.Errorf("got %v, %v, want %v again", m, err, first)
			}
		}
		if w.relays.opened != 1 {
			w.t.Errorf("got %d relays, want one", w.relays.opened)
		}
	}},
	{"the end does not wait for accounts", nil, func(w *world) {
		w.accounts.block = make(chan struct{}) // for ever
		c := w.client().as("bob")
		c.learn()
		c.write(c.cr.sign(newMessage(allocate, request, udp)))
	}},
	{"requests that wait for accounts are bounded", ports(1025, 65535), func(w *world) {
		w.accounts.block = make(chan struct{})
		_, before := measure()
		for i := range 3000 {
			c := w.clientAt(fmt.Sprintf("198.51.%d.%d:4000", i/250, i%250)).as("bob")
			c.learn()
			for range 4 {
				c.write(c.cr.sign(newMessage(allocate, request, udp)))
			}
			synctest.Wait()
			c.mapped(c.bare(binding))
		}
		_, after := measure()
		w.t.Logf("12,000 requests of 3,000 clients wait in %d goroutines", after-before)
		if after-before > 1500 {
			w.t.Errorf("got %d goroutines, want a bound, of 1,500 at most", after-before)
		}
		close(w.accounts.block)
		synctest.Wait()
		w.clientAt("203.0.113.200:4000").allocate()
	}},
	{"RFC 8489 9.2.4 a new password counts", nil, func(w *world) {
		c := w.client()
		c.allocate()
		w.accounts.change("changed", false)
		c.cr.password = "changed"
		w.ok(c.call(refresh))
		w.ok(c.call(createPermission, peerAddress(peerA)))
		d := w.client()
		d.cr.password = "changed"
		d.allocate()
	}},
	{"RFC 8489 9.2.4 an old password does not count for long", nil, func(w *world) {
		c, d := w.client(), w.client()
		c.allocate(lifetime(3600))
		w.accounts.change("changed", false)
		d.learn()
		w.code(d.exchange(d.cr.sign(newMessage(allocate, request, udp))), 401)
		w.wait(15 * time.Minute)
		w.code(c.call(refresh), 401)
	}},
	{"RFC 8489 9.2.4 an account that is gone does not count for long", nil, func(w *world) {
		c, d := w.client(), w.client()
		c.allocate(lifetime(3600))
		w.accounts.change("", true)
		d.learn()
		w.code(d.exchange(d.cr.sign(newMessage(allocate, request, udp))), 401)
		for range 15 {
			w.wait(time.Minute)
			c.call(refresh, lifetime(3600))
		}
		w.code(c.call(refresh), 401)
	}},
	{"anonymous: no credentials", anonymous, func(w *world) {
		m := w.client().allocate()
		if m.has(atIntegrity) || m.has(atIntegrity256) {
			w.t.Errorf("got %v, want it unsigned", m)
		}
	}},
	{"anonymous: 401 to credentials", anonymous, func(w *world) {
		c := w.client()
		c.cr.realm, c.cr.nonce = realm, "obMatJos2AAAAx"
		w.code(c.exchange(c.cr.sign(newMessage(allocate, request, udp))), 401)
		w.code(c.exchange(c.cr.sign(newMessage(refresh, request))), 401)
	}},
}

func anonymous(s *setup) { s.options.AuthType = stun.AuthAnonymous }

// TestHost is about what the host and the options say of credentials.
func TestHost(t *testing.T) { play(t, hostRows) }
