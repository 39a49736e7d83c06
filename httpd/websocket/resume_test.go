package websocket_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// A session that can be resumed outlives its connection, however that ends: a page that
// is loaded again closes it, and not the stream.
// See RFC 7395, section 3.6, and XEP-0198, section 5.
func TestResume(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(c *client)
	}{
		{"cut off", func(c *client) { _ = c.c.Close() }},
		{"close frame of a page that is left", func(c *client) {
			c.frame(8, "\x03\xe9")
			c.expectClose(1001)
		}},
		{"silent", func(*client) { time.Sleep(3 * time.Minute) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.end()
				conn := r.connect()
				jid := conn.login()
				conn.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
				id := conn.between("id='", "'")
				c.leave(conn)
				synctest.Wait()
				again := r.connect()
				again.authenticate()
				again.send("<resume xmlns='urn:xmpp:sm:3' previd='" + id + "' h='0'/>")
				again.expect("<resumed xmlns='urn:xmpp:sm:3' previd='" + id + "'")
				again.send("<message to='" + jid + "'><body>still here</body></message>")
				again.expect("<message xmlns='jabber:client' from='" + jid + "'")
			})
		})
	}
}

// A client that closes its stream in order has no session any more.
func TestNoResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.end()
		c := r.connect()
		c.login()
		c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		id := c.between("id='", "'")
		c.send(closing)
		c.expect("<a ", closing)
		c.expectClose(1000)
		c = r.connect()
		c.authenticate()
		c.send("<resume xmlns='urn:xmpp:sm:3' previd='" + id + "' h='0'/>")
		c.expect("<failed ")
	})
}
