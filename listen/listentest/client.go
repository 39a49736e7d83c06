package listentest

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Timeout is how long a Client waits for what it expects.
const Timeout = 10 * time.Second

// maxUnread bounds what a Client reads while it waits.
const maxUnread = 4 << 20

// Client plays one side of a conversation in text, such as an XMPP stream. Its
// methods end the test when the other side does not do as expected, so they
// belong into the test's own goroutine.
type Client struct {
	tb     testing.TB
	conn   net.Conn
	unread string // received and not yet taken by an Expect
}

// NewClient returns a client on c, and closes c at the end of the test.
func NewClient(tb testing.TB, c net.Conn) *Client {
	cl := &Client{tb: tb, conn: c}
	tb.Cleanup(func() { _ = cl.conn.Close() })
	return cl
}

// Conn returns the connection, which is a *tls.Conn after StartTLS.
func (c *Client) Conn() net.Conn { return c.conn }

// Send sends text.
func (c *Client) Send(text string) {
	c.tb.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(Timeout))
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.tb.Fatalf("sending %q: %v", text, err)
	}
}

// Expect reads until text has come, and returns everything since the last
// Expect up to its end.
func (c *Client) Expect(text string) string {
	c.tb.Helper()
	return c.until("text "+quote(text), func(s string) int {
		if i := strings.Index(s, text); i >= 0 {
			return i + len(text)
		}
		return -1
	})
}

// ExpectMatch reads until a regular expression matches, and returns the match
// and its groups, as regexp.FindStringSubmatch does. The pattern should end
// with what ends the element: it is tried with each piece that arrives.
func (c *Client) ExpectMatch(pattern string) []string {
	c.tb.Helper()
	re := regexp.MustCompile(pattern)
	var match []string
	c.until("a match of "+quote(pattern), func(s string) int {
		at := re.FindStringSubmatchIndex(s)
		if at == nil {
			return -1
		}
		match = re.FindStringSubmatch(s)
		return at[1]
	})
	return match
}

// until reads until end finds something in what was received. end returns its
// end, or -1.
func (c *Client) until(what string, end func(string) int) string {
	c.tb.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(Timeout))
	for {
		if n := end(c.unread); n >= 0 {
			got := c.unread[:n]
			c.unread = c.unread[n:]
			return got
		}
		if len(c.unread) > maxUnread {
			c.tb.Fatalf("want %s, got %d bytes without it", what, len(c.unread))
		}
		if err := c.read(); err != nil {
			c.tb.Fatalf("want %s, got %v after %s", what, err, quote(c.unread))
		}
	}
}

func (c *Client) read() error {
	var buf [4096]byte
	n, err := c.conn.Read(buf[:])
	c.unread += string(buf[:n])
	if n > 0 {
		return nil
	}
	return err
}

// ExpectEOF reads until the other side closes the connection, and returns
// everything since the last Expect. A connection that breaks counts as closed.
func (c *Client) ExpectEOF() string {
	c.tb.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(Timeout))
	for len(c.unread) <= maxUnread {
		err := c.read()
		if err == nil {
			continue
		}
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			c.tb.Fatalf("want the end of the connection, got none within %v after %s", Timeout, quote(c.unread))
		}
		got := c.unread
		c.unread = ""
		return got
	}
	c.tb.Fatalf("want the end of the connection, got %d bytes", len(c.unread))
	return ""
}

// ExpectNothing fails the test if anything is to be read within d, or was
// received before.
func (c *Client) ExpectNothing(d time.Duration) {
	c.tb.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	for c.unread == "" {
		if err := c.read(); err != nil {
			return
		}
	}
	c.tb.Fatalf("want nothing, got %s", quote(c.unread))
}

// StartTLS becomes a TLS client on the connection and finishes the handshake.
// What was received and not expected is an error, as RFC 6120, section 5.3.4,
// has it.
func (c *Client) StartTLS(cfg *tls.Config) tls.ConnectionState {
	c.tb.Helper()
	if c.unread != "" {
		c.tb.Fatalf("want nothing before TLS, got %s", quote(c.unread))
	}
	t := tls.Client(c.conn, cfg)
	_ = t.SetDeadline(time.Now().Add(Timeout))
	if err := t.Handshake(); err != nil {
		c.tb.Fatalf("TLS handshake: %v", err)
	}
	_ = t.SetDeadline(time.Time{})
	c.conn = t
	return t.ConnectionState()
}

// Close closes the connection.
func (c *Client) Close() { _ = c.conn.Close() }

// quote shortens what a failure shows.
func quote(s string) string {
	const most = 2000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	if s == "" {
		return "nothing"
	}
	return "`" + s + "`"
}
