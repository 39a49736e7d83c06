package websocket_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/websocket"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errEnd = errors.New("the test ends")

// backend is a host of ana@a.test, whose password is anchor.
type backend struct{ sessions sync.Map }

func (*backend) IsLocal(domain string) bool { return domain == "a.test" }
func (*backend) Default() string            { return "a.test" }

func (*backend) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if user.Local() != "ana" || password != "anchor" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (b *backend) Bind(_ context.Context, want stanza.Binding) (stanza.JID, error) {
	full, err := want.JID.WithResource(rand.Text())
	b.sessions.Store(full, want.Sink)
	return full, err
}

func (*backend) Admit(stanza.Binding) error { return nil }

func (b *backend) Release(_ context.Context, full stanza.JID, _ stanza.Sink) { b.sessions.Delete(full) }

func (b *backend) Route(_ context.Context, st *stanza.Stanza) error {
	if to, online := b.sessions.Load(st.To); online {
		return to.(stanza.Sink).Deliver(st)
	}
	return nil
}

// rig is a server in memory.
type rig struct {
	t       testing.TB
	ln      *listentest.Listener
	handler *websocket.Handler
	stop    context.CancelCauseFunc
	done    chan error
}

func newRig(t testing.TB) *rig {
	ln := listentest.NewListener()
	r := newRigOn(t, ln)
	r.ln = ln
	return r
}

// newRigOn is a server on any socket.
func newRigOn(t testing.TB, ln net.Listener) *rig {
	b := new(backend)
	clients := c2s.New(c2s.Host{Domains: b, Router: b, Password: b})
	managed := c2s.StreamManagementDefaults()
	clients.SetStreamManagement(stanza.PerHost[*c2s.StreamManagement]{Value: &managed})
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true
	r := &rig{t: t, done: make(chan error, 1)}
	r.handler = websocket.New(websocket.Host{Serve: func(ctx context.Context, t stanza.Transport) error { return clients.ServeTransport(ctx, t, o) }})
	s := httpd.New(httpd.Host{Handlers: map[string]http.Handler{"ws": r.handler}, Domains: b})
	h := httpd.Defaults()
	h.RequestHandlers = map[string]string{"/ws": "ws"}
	ctx, stop := context.WithCancelCause(context.Background())
	r.stop = stop
	go func() { r.done <- s.Listen(ctx, ln, h) }()
	return r
}

func (r *rig) end() {
	r.t.Helper()
	r.stop(errEnd)
	if err := <-r.done; err != errEnd {
		r.t.Errorf("Listen: got %v, want %v", err, errEnd)
	}
}

// client is one end of a WebSocket.
type client struct {
	t  testing.TB
	c  net.Conn
	in *bufio.Reader
}

const upgrade = "GET /ws HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// dial connects; fields are further ones of the request.
func (r *rig) dial(fields string) (*client, int) {
	r.t.Helper()
	c := &client{t: r.t, c: r.ln.Dial()}
	r.t.Cleanup(func() { _ = c.c.Close() })
	_ = c.c.SetDeadline(time.Now().Add(time.Hour))
	c.in = bufio.NewReader(c.c)
	return c, c.upgrade(fields)
}

// upgrade makes the handshake and returns the status of the answer.
func (c *client) upgrade(fields string) int {
	c.t.Helper()
	_, _ = io.WriteString(c.c, upgrade+fields+"\r\n")
	a, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return a.StatusCode
}

func (r *rig) connect() *client {
	r.t.Helper()
	c, status := r.dial("Sec-WebSocket-Protocol: xmpp\r\n")
	if status != http.StatusSwitchingProtocols {
		r.t.Fatalf("got %d, want 101", status)
	}
	return c
}

func (c *client) frame(op byte, payload string) {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, 1, 2, 3, 4)
	for i := range len(payload) {
		b = append(b, payload[i]^byte(i%4+1))
	}
	_, _ = c.c.Write(b)
}

func (c *client) send(text string) { c.frame(1, text) }

// read returns the next frame; a close frame without its reason. The opcode is 0 when
// the connection has ended.
func (c *client) read() (op byte, payload string) {
	var head [2]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, ""
	}
	n := int(head[1])
	if n == 126 {
		var size [2]byte
		_, _ = io.ReadFull(c.in, size[:])
		n = int(binary.BigEndian.Uint16(size[:]))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return 0, ""
	}
	return head[0] & 0xf, string(b)
}

// expect reads messages, each of which begins with one of the texts, in this order.
func (c *client) expect(texts ...string) {
	c.t.Helper()
	for _, want := range texts {
		if op, got := c.read(); op != 1 || !strings.HasPrefix(got, want) {
			c.t.Fatalf("got opcode %d with %q, want a text that begins with %q", op, got, want)
		}
	}
}

// expectClose reads a close frame, answers it and reads the end of the connection.
func (c *client) expectClose(code int) {
	c.t.Helper()
	op, got := c.read()
	if op != 8 || len(got) < 2 || int(binary.BigEndian.Uint16([]byte(got))) != code {
		c.t.Errorf("got opcode %d with %q, want a close frame with %d", op, got, code)
	}
	c.frame(8, got)
	_ = c.c.(interface{ CloseWrite() error }).CloseWrite()
	if op, got := c.read(); op != 0 {
		c.t.Errorf("after the close frame: got opcode %d with %q", op, got)
	}
}

const open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='a.test' version='1.0'/>"

// authenticate logs ana in, as far as the features that follow.
func (c *client) authenticate() {
	c.t.Helper()
	c.send(open)
	c.expect("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='", "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>")
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00ana\x00anchor")) + "</auth>")
	c.expect("<success ")
	c.send(open)
	c.expect("<open ", "<stream:features ")
}

// login logs ana in and returns her address.
func (c *client) login() string {
	c.t.Helper()
	c.authenticate()
	c.send("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	return c.between("<jid>", "</jid>")
}

// between reads a message and returns what is in it between two texts.
func (c *client) between(from, to string) string {
	c.t.Helper()
	_, got := c.read()
	_, rest, _ := strings.Cut(got, from)
	text, _, ok := strings.Cut(rest, to)
	if !ok {
		c.t.Fatalf("got %q, want something between %q and %q", got, from, to)
	}
	return text
}
