package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"net"
	"sync"
)

// server forwards.
type server struct {
	tls     *tls.Config // nil: STARTTLS is not offered
	clients sync.Map    // *client by full JID, of components by domain
	conns   sync.WaitGroup
}

// client is one connection.
type client struct {
	s    *server
	user string
	jid  string

	// buf[:n] is what was read and not used. It grows while it is read into
	// faster than it is used.
	buf []byte
	n   int

	mu   sync.Mutex // held while writing
	conn net.Conn
	out  []byte // waits to be written
}

const (
	startBuffer = 2 << 10
	fastBuffer  = 64 << 10 // up to which it grows to read more at once
	maxBuffer   = 16 << 20 // up to which it grows for one message
)

const (
	header   = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' from='localhost' version='1.0'>"
	startTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	accepted = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='x'>"
	proceed  = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	plain    = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
	success  = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
	bind     = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
)

func (s *server) serve(conn net.Conn) {
	c := &client{s: s, conn: conn, buf: make([]byte, startBuffer)}
	defer func() {
		_ = c.conn.Close()
		s.clients.CompareAndDelete(c.jid, c)
	}()
	for c.jid == "" {
		if !c.handshake() {
			return
		}
	}
	s.clients.Store(c.jid, c)
	c.forward()
}

// handshake reads one step of a client that sends one thing at a time, and
// answers it. It reports false when there is no more to come.
func (c *client) handshake() bool {
	m, err := c.conn.Read(c.buf[c.n:])
	if err != nil {
		return false
	}
	c.n += m
	b := c.buf[:c.n]
	if b[c.n-1] != '>' {
		return c.n < len(c.buf)
	}
	c.n = 0
	switch {
	case bytes.Contains(b, []byte("'jabber:component:accept'")):
		c.user = between(b, "to='", "'") // the secret is not looked at
		c.write(accepted)
	case bytes.HasPrefix(b, []byte("<handshake")):
		c.jid = c.user
		c.write("<handshake/>")
	case bytes.Contains(b, []byte("<stream:stream")):
		c.write(header + "<stream:features>" + c.features() + "</stream:features>")
	case bytes.HasPrefix(b, []byte("<starttls")) && c.s.tls != nil:
		c.write(proceed)
		c.conn = tls.Server(c.conn, c.s.tls)
	case bytes.HasPrefix(b, []byte("<auth")):
		message, _ := base64.StdEncoding.DecodeString(between(b, ">", "<"))
		if parts := bytes.Split(message, []byte{0}); len(parts) == 3 {
			c.user = string(parts[1])
		}
		c.write(success)
	case bytes.HasPrefix(b, []byte("<iq")):
		c.jid = c.user + "@localhost/" + between(b, "<resource>", "</resource>")
		c.write("<iq type='result' id='" + between(b, "id='", "'") + "'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>" + c.jid + "</jid></bind></iq>")
	}
	return true
}

func (c *client) features() string {
	switch {
	case c.user != "":
		return bind
	case c.s.tls != nil:
		return startTLS + plain
	}
	return plain
}

func (c *client) write(text string) { _, _ = c.conn.Write([]byte(text)) }

func between(b []byte, start, end string) string {
	_, after, _ := bytes.Cut(b, []byte(start))
	found, _, ok := bytes.Cut(after, []byte(end))
	if !ok {
		return ""
	}
	return string(found)
}

var messageEnd = []byte("</message>")

// forward passes messages on until the client leaves. What was read at once is
// written at once. An idle connection waits here, so its frames are kept small.
func (c *client) forward() {
	var peer *client // of the last message
	var touched []*client
	for {
		m, err := c.conn.Read(c.buf[c.n:])
		if err != nil {
			return
		}
		c.n += m
		rest := c.buf[:c.n]
		for len(rest) > 0 {
			el, ok := next(rest)
			if !ok {
				return
			}
			if el == nil {
				break
			}
			rest = rest[len(el):]
			if el[1] == 'p' { // presence goes back to where it came from
				peer, el = c, []byte("<presence from='"+c.jid+"'/>")
			} else {
				peer = c.peer(el, peer)
			}
			if peer != nil && peer.add(el) {
				touched = append(touched, peer)
			}
		}
		for _, p := range touched {
			p.flush()
		}
		touched = touched[:0]
		if !c.keep(rest, m) {
			return
		}
	}
}

// next returns the element that b begins with, nil if it is not complete; ok is
// false at the end of the stream.
func next(b []byte) (el []byte, ok bool) {
	switch {
	case bytes.HasPrefix(b, []byte("</")):
		return nil, false
	case bytes.HasPrefix(b, []byte("<presence")):
		end := bytes.IndexByte(b, '>')
		if end < 0 {
			return nil, true
		}
		return b[:end+1], true
	}
	end := bytes.Index(b, messageEnd)
	if end < 0 {
		return nil, true
	}
	return b[:end+len(messageEnd)], true
}

// peer returns who gets an element; last is who got the one before.
func (c *client) peer(el []byte, last *client) *client {
	_, to, ok := bytes.Cut(el, []byte(" to='"))
	end := bytes.IndexByte(to, '\'')
	if !ok || end < 0 {
		return nil
	}
	if last != nil && string(to[:end]) == last.jid {
		return last
	}
	to = to[:end]
	if last != nil && bytes.HasSuffix(to, []byte("@"+last.jid)) {
		return last
	}
	v, ok := c.s.clients.Load(string(to))
	if !ok {
		_, domain, _ := bytes.Cut(to, []byte("@"))
		v, ok = c.s.clients.Load(string(domain))
	}
	if !ok {
		return nil
	}
	return v.(*client)
}

// add puts an element into the queue and reports whether it is the first.
func (c *client) add(el []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, el...)
	return len(c.out) == len(el)
}

func (c *client) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.conn.Write(c.out)
	c.out = c.out[:0]
}

// keep moves what was not used to the front of the buffer, and makes a larger
// one if the last read of m bytes has filled much of it. It reports false when
// the peer sends more at once than it may.
func (c *client) keep(rest []byte, m int) bool {
	to := c.buf
	if len(rest) == len(c.buf) || m > len(c.buf)/2 && len(c.buf) < fastBuffer {
		if len(c.buf) >= maxBuffer {
			return false
		}
		to = make([]byte, 4*len(c.buf))
	}
	c.n = copy(to, rest)
	c.buf = to
	return true
}
