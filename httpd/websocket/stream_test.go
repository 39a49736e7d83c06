package websocket_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/websocket"
)

const closing = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"

func TestSession(t *testing.T) {
	r := newRig(t)
	defer r.end()
	c := r.connect()
	jid := c.login()
	for _, body := range []string{"ahoy", strings.Repeat("ü", 1000)} {
		c.send("<message xmlns='jabber:client' to='" + jid + "' id='1'><body>" + body + "</body></message>")
		c.expect("<message xmlns='jabber:client' from='" + jid + "'")
	}
	c.send("<message to='" + jid + "'><body>without a namespace</body></message>")
	c.expect("<message xmlns='jabber:client' from='" + jid + "'")
	c.send(closing)
	c.expect(closing)
	c.expectClose(1000)
}

// A client that closes the connection and not the stream is gone, too.
func TestClientCloses(t *testing.T) {
	r := newRig(t)
	defer r.end()
	c := r.connect()
	c.login()
	c.frame(8, "\x03\xe8")
	c.expectClose(1000)
}

// Mistakes are told by an error, in a stream of ours if need be, and end it.
// See RFC 7395, sections 3.3.3, 3.4 and 3.5.
func TestMistakes(t *testing.T) {
	r := newRig(t)
	defer r.end()
	for _, c := range []struct {
		name      string
		op        byte
		sent      string
		condition string
		code      int
	}{
		{"another element", 1, "<iq xmlns='jabber:client'/>", "bad-format", 1008},
		{"another namespace", 1, "<open xmlns='jabber:client'/>", "invalid-namespace", 1008},
		{"stream tag", 1, "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>", "not-well-formed", 1008},
		{"declaration of another encoding", 1, "<?xml version='1.0' encoding='UTF-16'?>" + open, "not-well-formed", 1008},
		{"space", 1, " " + open, "bad-format", 1008},
		{"nothing", 1, "", "bad-format", 1008},
		{"two elements", 1, open + open, "not-well-formed", 1008},
		{"half an element", 1, open[:20], "not-well-formed", 1008},
		{"binary", 2, open, "bad-format", 1003},
		{"DTD", 1, "<!DOCTYPE a>", "restricted-xml", 1008},
		{"unknown host", 1, strings.Replace(open, "a.test", "b.test", 1), "host-unknown", 1008},
		{"large", 1, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='" + strings.Repeat("a", 20_000) + "'/>", "policy-violation", 1009},
		{"no UTF-8", 1, "<open a='\xff'/>", "unsupported-encoding", 1007},
		{"unknown opcode", 3, "", "bad-format", 1002},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := r.connect()
			conn.t = t
			conn.frame(c.op, c.sent)
			conn.expect("<open ", "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><"+c.condition+" ", closing)
			conn.send(closing)
			conn.expectClose(c.code)
		})
	}
}

// A client that is silent is asked, and is gone if it does not answer; one that answers
// is not.
func TestSilence(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       websocket.Options
		answers int // pings that the client answers
		want    time.Duration
	}{
		{"never answers", websocket.Defaults(), 0, 2 * time.Minute},
		{"answers three times", websocket.Defaults(), 3, 5 * time.Minute},
		{"is not asked", websocket.Options{Timeout: 5 * time.Minute}, 0, 5 * time.Minute},
		{"is asked too seldom", websocket.Options{PingInterval: 10 * time.Minute, Timeout: 5 * time.Minute}, 0, 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.handler.Configure(c.o)
				conn := r.connect()
				conn.login()
				began := time.Now()
				for answered := 0; ; {
					op, _ := conn.read()
					if op == 0 {
						break
					}
					if op == 9 && answered < c.answers {
						answered++
						conn.frame(10, "")
					}
				}
				if took := time.Since(began).Round(time.Second); took != c.want {
					t.Errorf("closed after %v, want %v", took, c.want)
				}
				r.end()
			})
		})
	}
}

// Clients that do not read the goodbye do not hold up the end.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var polite []*client
		for range 20 {
			c := r.connect()
			c.login()
			polite = append(polite, c)
		}
		began := time.Now()
		r.end()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v, want some 1 s", took)
		}
		for _, c := range polite {
			c.expect("<stream:error xmlns:stream='http://etherx.jabber.org/streams'><system-shutdown ", closing)
			c.expectClose(1001)
		}
	})
}

// Whoever does not read loses the session, and nobody waits for it.
func TestUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		c := r.connect()
		jid := c.login()
		message := "<message xmlns='jabber:client' to='" + jid + "'><body>" + strings.Repeat("x", 50_000) + "</body></message>"
		for range 400 {
			c.send(message)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		r.end()
	})
}
