package conformance

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// peer is a server that takes the connections of the servers under test.
type peer struct {
	*client
	direct *tls.Config // TLS from the first byte; nil: none
}

// newPeer returns a server, or what it is to the servers under test, without a
// connection. Its TLS begins when the script says so.
func newPeer(space string) *client {
	return &client{space: space, secure: make(chan secured, 1)}
}

// accept takes a connection of which it returns the other end.
func (p *peer) accept() net.Conn {
	theirs, ours := pipe()
	if p.direct != nil {
		p.connect(tls.Server(ours, p.direct))
	} else {
		p.connect(ours)
	}
	return theirs
}

// pipe is a connection between servers.
func pipe() (theirs, ours net.Conn) {
	return listentest.NewConn(netip.MustParseAddrPort("203.0.113.200:40000"), netip.MustParseAddrPort("203.0.113.201:5269"))
}

// errTLS ends a stream after which TLS may begin.
var errTLS = errors.New("TLS may begin")

// secured says how a connection goes on after starttls and proceed: with TLS,
// or, without config, as it is.
type secured struct {
	config *tls.Config
	server bool
}

// startTLS does what the script says; it returns nil when nothing comes any
// more.
func (c *client) startTLS(w *wire) *wire {
	how, ok := <-c.secure
	switch {
	case !ok:
		return nil
	case how.config == nil:
		return w
	}
	base := &unread{Conn: c.connection(), r: w.r}
	t := tls.Client(base, how.config)
	if how.server {
		t = tls.Server(base, how.config)
	}
	if err := t.HandshakeContext(context.Background()); err != nil {
		c.add(mark("no TLS"), "no TLS")
		_ = base.Close()
		return nil
	}
	c.set(func() { c.conn = t })
	return &wire{r: bufio.NewReader(t)}
}

// unread is a connection with what was read of it and not used.
type unread struct {
	net.Conn
	r *bufio.Reader
}

func (u *unread) Read(b []byte) (int, error) { return u.r.Read(b) }

// dialbackFeature is the stream feature of servers with dialback.
const dialbackFeature = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"

// serverNS are the declarations of the stream headers of servers.
const serverNS = "xmlns='" + stanza.NSServer + "' xmlns:db='jabber:server:dialback' xmlns:stream='" + stanza.NSStream + "'"

// auto is a server that believes and confirms everything, if it does not do as
// the mode says with requests for verification. It has TLS if it has a
// certificate. Whatever else it gets goes to the mailbox.
func auto(mailbox *client, mode, cert string) *client {
	c := &client{space: stanza.NSServer, into: mailbox}
	features := dialbackFeature
	if cert != "" {
		c.secure = make(chan secured, 1)
		c.secure <- secured{config: config(cert), server: true}
		features = "<starttls xmlns='" + nsTLS + "'/>"
	}
	c.answer = func(e *element) (string, bool) {
		switch e.name.Local {
		case "stream":
			return fmt.Sprintf("<?xml version='1.0'?><stream:stream %s id='auto' from='%s' to='%s' version='1.0'><stream:features>%s</stream:features>",
				serverNS, e.attr("to"), e.attr("from"), features), true
		case "starttls":
			features = dialbackFeature
			return "<proceed xmlns='" + nsTLS + "'/>", true
		case "result":
			return fmt.Sprintf("<db:result from='%s' to='%s' type='valid'/>", e.attr("to"), e.attr("from")), e.attr("type") == ""
		case "verify":
			return verification(e, mode), e.attr("type") == ""
		case streamEnd:
			return streamEnd, true
		}
		return "", e.name.Local == eof || strings.HasPrefix(e.name.Local, "broken")
	}
	return c
}

// verification answers a request for verification.
func verification(e *element, mode string) string {
	how := "type='" + mode + "'/>"
	switch mode {
	case "silent":
		return ""
	case "closes":
		return streamEnd
	case "valid", "invalid":
	case "swapped": // addresses that nobody has asked about
		return fmt.Sprintf("<db:verify from='%s' to='%s' id='%s' type='valid'/>", e.attr("from"), e.attr("to"), e.attr("id"))
	case "other-id":
		return fmt.Sprintf("<db:verify from='%s' to='%s' id='other' type='valid'/>", e.attr("to"), e.attr("from"))
	default:
		how = "type='error'><error type='cancel'><" + mode + " xmlns='" + stanza.NSStanzas + "'/></error></db:verify>"
	}
	return fmt.Sprintf("<db:verify from='%s' to='%s' id='%s' %s", e.attr("to"), e.attr("from"), e.attr("id"), how)
}

// dialbackKey is the key of XEP-0185, section 2.
func dialbackKey(secret, receiving, originating, id string) string {
	hashed := sha256.Sum256([]byte(secret))
	m := hmac.New(sha256.New, []byte(hex.EncodeToString(hashed[:])))
	fmt.Fprintf(m, "%s %s %s", receiving, originating, id)
	return hex.EncodeToString(m.Sum(nil))
}
