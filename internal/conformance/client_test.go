package conformance

import (
	"bufio"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing/synctest"
)

const (
	nsSM  = "urn:xmpp:sm:3"
	nsTLS = "urn:ietf:params:xml:ns:xmpp-tls"
)

// client is a client, or another peer of the server, that a goroutine reads for.
type client struct {
	user, resource string
	domain         string // of the server; "": domain
	space          string // content namespace; "": jabber:client

	conn net.Conn
	done chan struct{} // of the reader

	secure chan secured                  // what becomes of the connection where TLS may begin; nil: it never does
	answer func(*element) (string, bool) // answers by itself; false: the element counts as got
	into   *client                       // gets the elements; nil: this one
	serves bool                          // has taken the connection

	mu    sync.Mutex
	ended sync.Once // of secure
	sni   string    // what the other side has said with TLS
	alpn  string
	got   []*element
	lost  bool   // what comes from now on has been lost on its way
	acks  bool   // answers requests for acknowledgements
	sm    bool   // the stream is managed
	id    string // of the managed stream
	h     int    // stanzas that have come on it
	asked int    // requests for acknowledgements that have come
}

// connect is the beginning of a connection.
func (c *client) connect(conn net.Conn) {
	c.set(func() { c.conn, c.done = conn, make(chan struct{}) })
	go c.read(conn, &wire{r: bufio.NewReader(conn)}, c.done)
}

func (c *client) read(conn net.Conn, w *wire, done chan struct{}) {
	defer close(done)
	for {
		err := c.readStream(w)
		switch {
		case err == nil: // a stream follows
		case errors.Is(err, errTLS):
			if w = c.startTLS(w); w == nil {
				return
			}
		case w.err == nil || errors.Is(w.err, io.ErrUnexpectedEOF) && c.secure == nil:
			c.add(mark("broken: "+err.Error()), string(w.raw))
			return
		default:
			c.add(mark(eof), eof)
			_ = conn.Close()
			return
		}
	}
}

// readStream reads one stream up to its restart.
func (c *client) readStream(w *wire) error {
	d := xml.NewDecoder(w)
	w.raw = nil
	for {
		at := d.InputOffset()
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			e := newElement(t)
			if t.Name.Local != "stream" {
				if err := e.readInto(d); err != nil {
					return err
				}
			}
			c.add(e, string(w.raw[at:d.InputOffset()]))
			switch {
			case t.Name.Local == "success":
				return nil
			case t.Name.Space == nsTLS && t.Name.Local != "failure" && c.secure != nil:
				return errTLS
			}
		case xml.EndElement:
			c.add(mark(streamEnd), streamEnd)
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); text != "" {
				return errors.New("text in the stream: " + text)
			}
		case xml.ProcInst:
		default:
			return errors.New("restricted XML")
		}
	}
}

// add takes what has come. Requests for acknowledgements are counted only: when
// a server asks is its own affair.
func (c *client) add(e *element, raw string) {
	e.raw = raw
	if c.answer != nil {
		if text, ok := c.answer(e); ok {
			c.send(text)
			return
		}
	}
	if c.into != nil {
		c.into.add(e, raw)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost && raw != eof {
		return
	}
	if e.name.Space == nsSM {
		switch e.name.Local {
		case "enabled":
			c.sm, c.id, c.h = true, e.attr("id"), 0
		case "resumed":
			c.sm = true
		case "r":
			c.asked++
			if c.acks {
				_, _ = io.WriteString(c.conn, c.ack())
			}
			return
		}
	}
	if c.sm && e.isStanza() {
		c.h++
	}
	c.got = append(c.got, e)
}

func (c *client) ack() string { return fmt.Sprintf("<a xmlns='%s' h='%d'/>", nsSM, c.h) }

// set changes what the reader looks at.
func (c *client) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// send sends text; a server that has closed the connection does not matter.
func (c *client) send(text string) {
	if conn := c.connection(); conn != nil {
		_, _ = io.WriteString(conn, text)
	}
}

// take returns what has come since it was called last, once nothing more comes.
func (c *client) take() []*element {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// close breaks the connection and waits for the reader.
func (c *client) close() {
	conn := c.connection()
	if conn == nil {
		return
	}
	_ = conn.Close()
	if c.secure != nil {
		c.ended.Do(func() { close(c.secure) })
	}
	<-c.done
}

// connection is the connection by now.
func (c *client) connection() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

const open = "<?xml version='1.0'?><stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// open is the header of a stream to the server of the client.
func (c *client) open() string {
	if c.domain == "" {
		return open
	}
	return strings.Replace(open, "'"+domain+"'", "'"+c.domain+"'", 1)
}

// authenticate goes as far as the features of the stream after the login, which
// it returns.
func (c *client) authenticate() ([]*element, error) {
	c.send(c.open())
	c.take()
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+c.user+"\x00"+password)) + "</auth>")
	if got := c.take(); len(got) != 1 || got[0].name.Local != "success" {
		return nil, fmt.Errorf("login of %s: got %s", c.user, raw(got))
	}
	c.send(c.open())
	got := c.take()
	if len(got) != 2 || got[1].name.Local != "features" {
		return nil, fmt.Errorf("login of %s: got %s", c.user, raw(got))
	}
	return got[1:], nil
}

// bind binds the resource.
func (c *client) bind() error {
	c.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + c.resource + "</resource></bind></iq>")
	if got := c.take(); len(got) != 1 || got[0].attr("type") != "result" {
		return fmt.Errorf("binding of %s: got %s", c.resource, raw(got))
	}
	return nil
}

// wire gives bytes to an XML decoder, never more than it asks for, and records
// them.
type wire struct {
	r   *bufio.Reader
	raw []byte
	err error
}

func (w *wire) ReadByte() (byte, error) {
	b, err := w.r.ReadByte()
	if err != nil {
		w.err = err
		return 0, err
	}
	w.raw = append(w.raw, b)
	return b, nil
}

func (w *wire) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := w.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}
