package xmpp

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind = "urn:ietf:params:xml:ns:xmpp-bind"
	nsTLS  = "urn:ietf:params:xml:ns:xmpp-tls"

	scramSHA1 = "SCRAM-SHA-1"
	plain     = "PLAIN"
)

// stream opens a stream and returns its features.
func (c *Client) stream(domain string) ([]byte, error) {
	if err := c.send("<?xml version='1.0'?><stream:stream to='" + domain +
		"' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"); err != nil {
		return nil, err
	}
	if err := c.header(); err != nil {
		return nil, err
	}
	return c.expect("stream:features")
}

// dial connects.
func (t *Target) dial(ctx context.Context, buffer int) (net.Conn, error) {
	if t.BOSH != "" {
		return newBOSH(ctx, t.Dial, t.BOSH, t.Domain, buffer)
	}
	conn, err := t.Dial(ctx)
	if err != nil || t.WebSocket == "" {
		return conn, err
	}
	_ = conn.SetDeadline(time.Now().Add(t.loginTimeout()))
	w, err := upgrade(conn, t.WebSocket, t.Domain, buffer)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return w, nil
}

// connect connects, opens the stream and, if that is wanted, encrypts it. It
// returns the features of the last stream.
func (t *Target) connect(ctx context.Context, buffer int) (*Client, []byte, error) {
	conn, err := t.dial(ctx, buffer)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(t.loginTimeout()))
	c := newClient(ctx, conn, buffer)
	features, err := c.stream(t.Domain)
	if err == nil && t.TLS {
		features, err = t.encrypt(c, features)
	}
	if err != nil {
		c.abort()
		return nil, nil, err
	}
	return c, features, nil
}

// encrypt does STARTTLS and opens the stream anew.
func (t *Target) encrypt(c *Client, features []byte) ([]byte, error) {
	if !bytes.Contains(features, []byte("<starttls")) {
		return nil, fmt.Errorf("STARTTLS: %w", ErrNotOffered)
	}
	if err := c.send("<starttls xmlns='" + nsTLS + "'/>"); err != nil {
		return nil, err
	}
	if _, err := c.expect("proceed"); err != nil {
		return nil, err
	}
	cfg := &tls.Config{
		InsecureSkipVerify: true, // the certificate is one made for the test
		ServerName:         t.Domain,
	}
	if !t.AnyKeyExchange {
		cfg.CurvePreferences = []tls.CurveID{tls.X25519}
	}
	conn := tls.Client(c.conn, cfg)
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	state := conn.ConnectionState()
	c.tls = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite) + " " + state.CurveID.String()
	c.conn, c.r, c.w = conn, 0, 0
	return c.stream(t.Domain)
}

// login logs client i in: connection, TLS, SASL, resource, presence.
func (t *Target) login(ctx context.Context, i int, o options) (*Client, error) {
	user := t.user(i)
	c, features, err := t.connect(ctx, o.buffer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", user, err)
	}
	if err := t.establish(c, user, i, features, o); err != nil {
		c.abort()
		return nil, fmt.Errorf("%s: %w", user, err)
	}
	_ = c.conn.SetDeadline(time.Time{})
	return c, nil
}

func (t *Target) establish(c *Client, user string, i int, features []byte, o options) error {
	if err := t.authenticate(c, user, features); err != nil {
		return err
	}
	features, err := c.stream(t.Domain)
	if err != nil {
		return err
	}
	features = bytes.Clone(features)
	if err := c.bind(fmt.Sprintf("%s-%d", o.resource, i/max(t.Accounts, 1))); err != nil {
		return err
	}
	if o.managed {
		if err := c.enable(features, o.every); err != nil {
			return err
		}
	}
	if o.roster {
		if _, err := c.roster(); err != nil {
			return err
		}
	}
	if o.absent {
		return nil
	}
	return t.announce(c)
}

// authenticate runs SASL.
func (t *Target) authenticate(c *Client, user string, features []byte) error {
	offers := func(m string) bool { return bytes.Contains(features, []byte(">"+m+"<")) }
	mechanism := t.Mechanism
	if mechanism == "" {
		mechanism = plain
		if offers(scramSHA1) {
			mechanism = scramSHA1
		}
	}
	if !offers(mechanism) {
		return fmt.Errorf("mechanism %s: %w: %.500s", mechanism, ErrNotOffered, features)
	}
	switch mechanism {
	case plain:
		if err := c.auth(plain, "\x00"+user+"\x00"+t.Password); err != nil {
			return err
		}
		_, err := c.expect("success")
		return err
	case scramSHA1:
		return t.authenticateSCRAM(c, user)
	}
	return fmt.Errorf("unknown mechanism %q", mechanism)
}

func (c *Client) auth(mechanism, message string) error {
	return c.send("<auth xmlns='" + nsSASL + "' mechanism='" + mechanism + "'>" +
		base64.StdEncoding.EncodeToString([]byte(message)) + "</auth>")
}

func (t *Target) authenticateSCRAM(c *Client, user string) error {
	s := newSCRAM(user, t.Password, &t.keys)
	if err := c.auth(scramSHA1, s.first()); err != nil {
		return err
	}
	el, err := c.expect("challenge")
	if err != nil {
		return err
	}
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(content(el))))
	if err != nil {
		return err
	}
	final, err := s.final(string(challenge))
	if err != nil {
		return err
	}
	if err := c.send("<response xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>"); err != nil {
		return err
	}
	if el, err = c.expect("success"); err != nil {
		return err
	}
	return s.verify(string(content(el)))
}

// bind binds a resource.
func (c *Client) bind(resource string) error {
	if err := c.send("<iq type='set' id='bind'><bind xmlns='" + nsBind + "'><resource>" + resource + "</resource></bind></iq>"); err != nil {
		return err
	}
	el, err := c.expect("iq")
	if err != nil {
		return err
	}
	jid := child(el, "<jid", "</jid>")
	if jid == nil {
		return fmt.Errorf("the server refuses the resource: %.300s", el)
	}
	c.JID = string(unescape(nil, jid))
	return nil
}

// announce sends the first presence and waits for it to come back.
func (t *Target) announce(c *Client) error {
	if err := c.sendStanza("<presence/>"); err != nil || t.NoEcho {
		return err
	}
	for {
		el, err := c.next()
		if err != nil {
			return err
		}
		if name(el) == "presence" && string(attribute(startTag(el), " from=")) == c.JID {
			return nil
		}
	}
}

var errRequestFailed = errors.New("the request was refused")

// request makes a request and returns what the server answers; other stanzas
// that come before are dropped. The answer is valid until the next read.
func (c *Client) request(iq, id string) ([]byte, error) {
	if err := c.sendStanza(iq); err != nil {
		return nil, err
	}
	for {
		el, err := c.next()
		if err != nil {
			return nil, err
		}
		tag := startTag(el)
		if name(el) != "iq" || string(attribute(tag, " id=")) != id {
			continue
		}
		if string(attribute(tag, " type=")) == "error" {
			return el, errRequestFailed
		}
		return el, nil
	}
}

// roster returns the answer to a request for the roster.
// See RFC 6121, section 2.1.3.
func (c *Client) roster() ([]byte, error) {
	el, err := c.request("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>", "roster")
	if errors.Is(err, errRequestFailed) {
		return nil, fmt.Errorf("rosters: %w", ErrNotOffered)
	}
	return el, err
}
