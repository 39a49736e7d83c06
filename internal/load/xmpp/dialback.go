package xmpp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"time"
)

const (
	nsServer   = "jabber:server"
	nsDialback = "jabber:server:dialback"
)

// serverHeader is the header of a stream between servers. id is the answering
// server's, "" in the header of the other one.
func serverHeader(from, to, id string) string {
	if id != "" {
		id = " id='" + id + "'"
	}
	return "<?xml version='1.0'?><stream:stream from='" + from + "' to='" + to + "'" + id + " version='1.0' xmlns='" + nsServer +
		"' xmlns:db='" + nsDialback + "' xmlns:stream='http://etherx.jabber.org/streams'>"
}

// key is the dialback key of a domain for the stream with an id.
func (d *domains) key(name, id string) string {
	sum := sha256.Sum256([]byte(d.run + " " + name + " " + id))
	return hex.EncodeToString(sum[:])
}

// prove opens the stream of a domain and proves who it is.
// See XEP-0220, section 2.1.
func (d *domains) prove(one *remoteDomain) error {
	c := one.out
	if err := d.open(one); err != nil {
		return err
	}
	if one.cert != nil {
		if err := d.encrypt(one); err != nil {
			return err
		}
	}
	id := string(unescape(nil, attribute(c.opening, " id=")))
	if err := c.send("<db:result from='" + one.name + "' to='" + d.t.Domain + "'>" + d.key(one.name, id) + "</db:result>"); err != nil {
		return err
	}
	el, err := c.expect("db:result")
	if err == nil && string(attribute(startTag(el), " type=")) != "valid" {
		err = fmt.Errorf("dialback: %.300s", el)
	}
	return err
}

// open opens the stream of a domain and reads the server's features.
func (d *domains) open(one *remoteDomain) error {
	c := one.out
	if err := c.send(serverHeader(one.name, d.t.Domain, "")); err != nil {
		return err
	}
	if err := c.header(); err != nil {
		return err
	}
	_, err := c.expect("stream:features")
	return err
}

// encrypt does STARTTLS on the stream that we opened, and opens it anew.
func (d *domains) encrypt(one *remoteDomain) error {
	c := one.out
	if err := c.send("<starttls xmlns='" + nsTLS + "'/>"); err != nil {
		return err
	}
	if _, err := c.expect("proceed"); err != nil {
		return err
	}
	conn := tls.Client(c.conn, &tls.Config{
		InsecureSkipVerify: true, // the certificate is one made for the test
		ServerName:         d.t.Domain,
		Certificates:       []tls.Certificate{*one.cert},
		CurvePreferences:   []tls.CurveID{tls.X25519},
	})
	if err := conn.Handshake(); err != nil {
		return err
	}
	c.conn, c.r, c.w = conn, 0, 0
	return d.open(one)
}

// serve answers a stream of the server's until it ends. Whatever goes wrong with
// it is missed by the domain that it is for.
func (d *domains) serve(ctx context.Context, conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(d.t.loginTimeout()))
	c := newClient(ctx, conn, idleBuffer)
	defer c.abort()
	one, err := d.accepting(c)
	if err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	results := int32(0)
	for err == nil {
		var el []byte
		if el, err = c.next(); err != nil {
			break
		}
		switch name(el) {
		case "db:result":
			results++
			one.incoming.Add(1)
			err = c.send(dialbackAnswer(el, "valid"))
		case "db:verify":
			err = c.send(d.verify(el))
		case "iq":
			select {
			case one.answered <- struct{}{}:
			default:
			}
		}
	}
	one.incoming.Add(-results)
}

// accepting answers the header of a stream of the server's, and encrypts it if
// the domain wants that. It returns the domain.
func (d *domains) accepting(c *Client) (*remoteDomain, error) {
	one, err := d.answer(c, false)
	if err != nil || one.cert == nil {
		return one, err
	}
	if _, err := c.expect("starttls"); err != nil {
		return nil, err
	}
	if err := c.send("<proceed xmlns='" + nsTLS + "'/>"); err != nil {
		return nil, err
	}
	conn := tls.Server(c.conn, &tls.Config{
		Certificates:     []tls.Certificate{*one.cert},
		CurvePreferences: []tls.CurveID{tls.X25519},
	})
	c.conn, c.r, c.w = conn, 0, 0
	return d.answer(c, true)
}

// answer answers the header of a stream of the server's with the features of the
// domain that it is for.
func (d *domains) answer(c *Client, secure bool) (*remoteDomain, error) {
	if err := c.header(); err != nil {
		return nil, err
	}
	one := d.remote(attribute(c.opening, " to="))
	if one == nil {
		return nil, fmt.Errorf("a stream for a domain that is not ours: %.300s", c.opening)
	}
	feature := "<dialback xmlns='urn:xmpp:features:dialback'/>"
	if one.cert != nil && !secure {
		feature = "<starttls xmlns='" + nsTLS + "'><required/></starttls>"
	}
	return one, c.send(serverHeader(one.name, d.t.Domain, newRun()) + "<stream:features>" + feature + "</stream:features>")
}

// verify answers the server's question whether a key is one of ours.
// See XEP-0220, section 2.3.
func (d *domains) verify(el []byte) string {
	tag := startTag(el)
	kind := "invalid"
	if d.key(string(attribute(tag, " to=")), string(unescape(nil, attribute(tag, " id=")))) == string(bytes.TrimSpace(content(el))) {
		kind = "valid"
	}
	return dialbackAnswer(el, kind)
}

// dialbackAnswer answers a db:result or db:verify.
func dialbackAnswer(el []byte, kind string) string {
	tag := startTag(el)
	id := ""
	if v := attribute(tag, " id="); v != nil {
		id = " id='" + string(v) + "'"
	}
	return "<" + name(el) + " from='" + string(attribute(tag, " to=")) + "' to='" + string(attribute(tag, " from=")) + "'" + id + " type='" + kind + "'/>"
}
