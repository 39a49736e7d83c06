package c2s_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	rfcDomain   = "one.example"
	rfcPassword = "secret"
	rfcStream   = " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	rfcOpen     = "<?xml version='1.0'?><stream:stream to='" + rfcDomain + "' version='1.0'" + rfcStream
	rfcSASL     = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
	rfcTLS      = "xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
	rfcBind     = "xmlns='urn:ietf:params:xml:ns:xmpp-bind'"
	rfcPing     = "<iq type='get' id='ping' to='" + rfcDomain + "'><ping xmlns='urn:xmpp:ping'/></iq>"
	rfcPong     = "<iq type='result' id='ping' from='" + rfcDomain + "'/>"
	rfcHeader   = "<stream:stream id='*' from='" + rfcDomain + "'/>"
)

// rfcAccounts are the accounts of romeo and juliet, whose keys take time.
var rfcAccounts = sync.OnceValues(func() ([]host.Account, error) {
	o := host.Defaults()
	o.Hosts = []string{rfcDomain}
	store := &host.MemoryAccounts{}
	accounts, err := host.NewAccounts(o, store, nil)
	if err != nil {
		return nil, err
	}
	var all []host.Account
	for _, name := range []string{"romeo", "juliet"} {
		j, err := stanza.NewJID(name, rfcDomain, "")
		if err != nil {
			return nil, err
		}
		if err := accounts.Create(context.Background(), j, rfcPassword); err != nil {
			return nil, err
		}
		a, err := store.Get(context.Background(), j)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
})

// rfcConfig is what a row may change before the server starts.
type rfcConfig struct {
	options c2s.Options
	host    host.Config
	direct  bool // TLS from the first byte
	cert    tls.Certificate
	s       *rfcServer
}

// rfcServer is a server with the default host, in memory.
type rfcServer struct {
	t      *testing.T
	ln     *listentest.Listener
	host   *host.Host
	pool   *x509.CertPool
	cancel context.CancelFunc
}

// rfcTest runs f in a bubble of its own with a new server. with may be nil.
func rfcTest(t *testing.T, name string, with func(*rfcConfig), f func(t *testing.T, s *rfcServer)) {
	t.Helper()
	if _, err := rfcAccounts(); err != nil {
		t.Fatal(err)
	}
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, rfcStart(t, with)) })
	})
}

func rfcStart(t *testing.T, with func(*rfcConfig)) *rfcServer {
	t.Helper()
	s := &rfcServer{t: t, ln: listentest.NewListener()}
	c := &rfcConfig{options: c2s.Defaults(), s: s}
	c.options.AllowPlainWithoutTLS = true
	c.host.Options = host.Defaults()
	c.host.Options.Hosts = []string{rfcDomain, "two.example"}
	store := &host.MemoryAccounts{}
	c.host.Stores.Accounts = store
	accounts, _ := rfcAccounts()
	for _, a := range accounts {
		if err := store.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if with != nil {
		with(c)
	}
	h, err := host.New(c.host)
	if err != nil {
		t.Fatal(err)
	}
	s.host = h
	var ln net.Listener = s.ln
	if c.direct {
		ln = tls.NewListener(ln, c.options.TLS)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	done := make(chan error, 1)
	go func() { done <- c2s.New(all.C2S(h, nil)).Listen(ctx, ln, c.options) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Listen: got %v, want context.Canceled", err)
		}
	})
	return s
}

// rfcWithTLS offers STARTTLS; PLAIN needs it.
func rfcWithTLS(c *rfcConfig) {
	cert, pool := listentest.Certificate(c.s.t, rfcDomain, "two.example")
	c.cert, c.s.pool = cert, pool
	c.options.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	c.options.StartTLS = true
	c.options.AllowPlainWithoutTLS = false
}

// rfcClient is a client that a goroutine reads for.
type rfcClient struct {
	t     *testing.T
	s     *rfcServer
	conn  net.Conn
	state *tls.ConnectionState
	jid   string
	done  chan struct{} // of the reader

	mu  sync.Mutex
	got []*rfcElement
}

func (s *rfcServer) dial() *rfcClient { return s.client(s.ln.Dial()) }

// client returns a client on a connection.
func (s *rfcServer) client(conn net.Conn) *rfcClient {
	c := &rfcClient{t: s.t, s: s, conn: conn}
	c.start()
	s.t.Cleanup(func() {
		_ = c.conn.Close()
		<-c.done
	})
	return c
}

func (c *rfcClient) start() {
	c.done = make(chan struct{})
	go c.read(&rfcWire{r: bufio.NewReader(c.conn)}, c.done)
}

// read reads until the connection ends or becomes one of TLS.
func (c *rfcClient) read(w *rfcWire, done chan struct{}) {
	defer close(done)
	for {
		last, err := c.readStream(w)
		switch {
		case err != nil && (w.err == nil || errors.Is(w.err, io.ErrUnexpectedEOF)):
			c.add(rfcMark("broken: "+err.Error()), string(w.raw))
			return
		case err != nil:
			c.add(rfcMark(rfcEOF), rfcEOF)
			return
		case last == "proceed":
			return
		}
	}
}

// readStream reads one stream up to a restart, and returns the local name of
// the element before it.
func (c *rfcClient) readStream(w *rfcWire) (string, error) {
	d := xml.NewDecoder(w)
	w.raw = nil
	for {
		at := d.InputOffset()
		t, err := d.Token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			e := newRFCElement(t)
			if t.Name.Local != "stream" {
				if err := e.readInto(d); err != nil {
					return "", err
				}
			}
			c.add(e, string(w.raw[at:d.InputOffset()]))
			if t.Name.Local == "proceed" || t.Name.Local == "success" {
				return t.Name.Local, nil
			}
		case xml.EndElement:
			c.add(rfcMark(rfcEnd), rfcEnd)
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); text != "" {
				return "", errors.New("text in the stream: " + text)
			}
		case xml.ProcInst:
		default:
			return "", errors.New("restricted XML")
		}
	}
}

func (c *rfcClient) add(e *rfcElement, raw string) {
	e.raw = raw
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, e)
}

// send sends text; a server that has closed the connection does not matter.
func (c *rfcClient) send(text string) {
	_, _ = io.WriteString(c.conn, text)
}

// take returns what has come since it was called last, once nothing more
// comes.
func (c *rfcClient) take() []*rfcElement {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// ask sends text and returns what comes back.
func (c *rfcClient) ask(text string) []*rfcElement {
	c.send(text)
	return c.take()
}

// must sends text and ends the test unless exactly this comes back.
func (c *rfcClient) must(text string, want ...string) []*rfcElement {
	c.t.Helper()
	got := c.ask(text)
	if !rfcSame(c.t, got, want) {
		c.t.Fatalf("sent %q\ngot\n\t%s\nwant\n\t%s", rfcShort(text), rfcRaw(got), strings.Join(want, "\n\t"))
	}
	return got
}

// open opens a stream and returns the features.
func (c *rfcClient) open() *rfcElement {
	c.t.Helper()
	return c.must(rfcOpen, rfcHeader, "<stream:features/>")[1]
}

// startTLS negotiates TLS on an open stream.
func (c *rfcClient) startTLS(certs ...tls.Certificate) {
	c.t.Helper()
	c.must("<starttls "+rfcTLS+"/>", "<proceed "+rfcTLS+"/>")
	c.handshake(certs...)
}

// handshake becomes a TLS client.
func (c *rfcClient) handshake(certs ...tls.Certificate) {
	c.t.Helper()
	<-c.done
	t := tls.Client(c.conn, &tls.Config{ServerName: rfcDomain, RootCAs: c.s.pool, Certificates: certs})
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	state := t.ConnectionState()
	c.conn, c.state = t, &state
	c.start()
}

func rfcBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func rfcAuth(mechanism, data string) string {
	return "<auth " + rfcSASL + " mechanism='" + mechanism + "'>" + data + "</auth>"
}

func rfcPlain(user, password string) string {
	return rfcAuth("PLAIN", rfcBase64("\x00"+user+"\x00"+password))
}

func rfcBindIQ(resource string) string {
	return "<iq type='set' id='bind'><bind " + rfcBind + "><resource>" + resource + "</resource></bind></iq>"
}

// login brings a client to a stage.
func (c *rfcClient) login(user, resource string, stage rfcStage) *rfcClient {
	c.t.Helper()
	if stage >= rfcOpened {
		c.open()
	}
	if stage >= rfcAuthenticated {
		c.must(rfcPlain(user, rfcPassword), "<success "+rfcSASL+"/>")
		c.open()
	}
	if stage >= rfcBound {
		c.jid = user + "@" + rfcDomain + "/" + resource
		c.must(rfcBindIQ(resource), "<iq type='result' id='bind'><bind "+rfcBind+"><jid>"+c.jid+"</jid></bind></iq>")
	}
	return c
}

// rfcStage says how far a stream has come.
type rfcStage int

const (
	rfcDialled rfcStage = iota
	rfcOpened
	rfcAuthenticated
	rfcBound
)

// rfcTurn is what a client sends and what comes back: all of want, in order, or
// all of or.
type rfcTurn struct {
	send     string
	want, or []string
}

// rfcRow is what one client does. Its name begins with a section.
type rfcRow struct {
	name     string
	send     string
	want, or []string
	then     []rfcTurn
	with     func(*rfcConfig)
}

// rfcRows runs rows, with a new server for each. The client is romeo/orchard.
func rfcRows(t *testing.T, stage rfcStage, with func(*rfcConfig), rows []rfcRow) {
	t.Helper()
	for _, row := range rows {
		if row.with == nil {
			row.with = with
		}
		rfcTest(t, row.name, row.with, func(t *testing.T, s *rfcServer) {
			c := s.dial().login("romeo", "orchard", stage)
			for _, turn := range append([]rfcTurn{{row.send, row.want, row.or}}, row.then...) {
				lists := [][]string{turn.want}
				if turn.or != nil {
					lists = append(lists, turn.or)
				}
				rfcCheck(t, turn.send, c.ask(turn.send), lists...)
			}
		})
	}
}

// rfcWant is what each client gets, by the names of the scene.
type rfcWant map[string][]string

// rfcStep is what one client of a scene does and what all of them get; those
// without an entry get nothing.
type rfcStep struct {
	by, send string
	want     rfcWant
}

// rfcScene is a play of several clients, "user/resource", or "user/resource
// priority" for those that are available.
type rfcScene struct {
	name    string
	clients []string
	steps   []rfcStep
}

func rfcScenes(t *testing.T, with func(*rfcConfig), scenes []rfcScene) {
	t.Helper()
	for _, scene := range scenes {
		rfcTest(t, scene.name, with, func(t *testing.T, s *rfcServer) { scene.play(t, s) })
	}
}

func (scene rfcScene) play(t *testing.T, s *rfcServer) {
	clients := map[string]*rfcClient{}
	for _, name := range scene.clients {
		name, priority, available := strings.Cut(name, " ")
		user, resource, _ := strings.Cut(name, "/")
		c := s.dial().login(user, resource, rfcBound)
		if available {
			c.send("<presence><priority>" + priority + "</priority></presence>")
			c.take()
		}
		clients[name] = c
	}
	for _, c := range clients {
		c.take()
	}
	for _, step := range scene.steps {
		clients[step.by].send(step.send)
		for _, name := range rfcSorted(clients) {
			got := clients[name].take()
			if !rfcSame(t, got, step.want[name]) {
				t.Errorf("%s sent %q\n%s got\n\t%s\nwant\n\t%s", step.by, rfcShort(step.send), name, rfcRaw(got), strings.Join(step.want[name], "\n\t"))
			}
		}
	}
}

// pass lets time pass.
func (c *rfcClient) pass(d time.Duration) []*rfcElement {
	<-time.After(d)
	return c.take()
}
