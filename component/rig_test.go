package component

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream/streamtest"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRouter knows the domains of components and the virtual host house.test.
type fakeRouter struct {
	mu       sync.Mutex
	sinks    map[string]stanza.Sink
	released []string
	routed   chan *stanza.Stanza // what is for no component

	onRegister func(domain string) error
	onRelease  func(domain string)
	onRoute    func(st *stanza.Stanza) error
}

var errVirtualHost = errors.New("domain is a virtual host")

func newFakeRouter() *fakeRouter {
	return &fakeRouter{sinks: make(map[string]stanza.Sink), routed: make(chan *stanza.Stanza, 10000)}
}

func (f *fakeRouter) RegisterDomain(domain string, s stanza.Sink) (func(), error) {
	if f.onRegister != nil {
		if err := f.onRegister(domain); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if domain == "house.test" || f.sinks[domain] != nil {
		return nil, fmt.Errorf("%w: %q", errVirtualHost, domain)
	}
	f.sinks[domain] = s
	return func() {
		if f.onRelease != nil {
			f.onRelease(domain)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.sinks, domain)
		f.released = append(f.released, domain)
	}, nil
}

func (f *fakeRouter) sink(domain string) stanza.Sink {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sinks[domain]
}

func (f *fakeRouter) Route(_ context.Context, st *stanza.Stanza) error {
	if f.onRoute != nil {
		return f.onRoute(st)
	}
	if sink := f.sink(st.To.Domain()); sink != nil {
		return sink.Deliver(st)
	}
	f.routed <- st
	return nil
}

// event is a call of Events.
type event struct {
	what, domain string
	sink         stanza.Sink
}

type fakeEvents chan event

func (f fakeEvents) Connected(_ context.Context, domain string, s stanza.Sink) {
	f <- event{"connected", domain, s}
}

func (f fakeEvents) Disconnected(_ context.Context, domain string, s stanza.Sink) {
	f <- event{"disconnected", domain, s}
}

// rig is a running listener.
type rig struct {
	t      testing.TB
	router *fakeRouter
	events fakeEvents
	o      Options
	server *Server
	wrap   func(net.Listener) net.Listener
	ln     *listentest.Listener
	log    *streamtest.Recorder
	cancel context.CancelCauseFunc
	result chan error
}

// start runs a listener for any domain with the password "anchor", after prepare
// has changed what it wants.
func start(t testing.TB, prepare ...func(r *rig)) *rig {
	t.Helper()
	r := &rig{
		t: t, router: newFakeRouter(), events: make(fakeEvents, 10000), o: Defaults(), ln: listentest.NewListener(),
		log: new(streamtest.Recorder), result: make(chan error, 1),
	}
	r.o.Password = "anchor"
	for _, p := range prepare {
		p(r)
	}
	r.server = New(Host{Router: r.router, Events: r.events, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	t.Cleanup(r.wellKept) // after all listeners of the server have ended
	r.listen()
	return r
}

// another runs another listener of the server.
func (r *rig) another(prepare func(r *rig)) *rig {
	o := &rig{t: r.t, router: r.router, events: r.events, o: r.o, server: r.server, log: r.log, ln: listentest.NewListener(), result: make(chan error, 1)}
	prepare(o)
	o.listen()
	return o
}

func (r *rig) listen() {
	ctx, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	var ln net.Listener = r.ln
	if r.wrap != nil {
		ln = r.wrap(ln)
	}
	go func() { r.result <- r.server.Listen(ctx, ln, r.o) }()
	r.t.Cleanup(func() {
		r.stop(errors.New("end of test"))
	})
}

// wellKept checks that ended listeners left nothing behind.
func (r *rig) wellKept() {
	if n := len(r.server.Components()); n != 0 {
		r.t.Errorf("got %d components after the end of the listener, want none", n)
	}
	r.server.groups.mu.Lock()
	defer r.server.groups.mu.Unlock()
	for d := range r.server.groups.byDomain {
		r.t.Errorf("got a group for %q after the end of the listener, want none", d)
	}
	if n := len(r.router.sinks); n != 0 {
		r.t.Errorf("got %d domains that are registered after the end of the listener, want none", n)
	}
}

// stop cancels the listener and returns what Listen does.
func (r *rig) stop(cause error) error {
	r.cancel(cause)
	return r.wait()
}

// drain closes the listener and waits for the streams to end.
func (r *rig) drain() {
	r.t.Helper()
	_ = r.ln.Close()
	if err := r.wait(); err != nil {
		r.t.Errorf("Listen: got %v, want nil", err)
	}
}

// wait returns what Listen does, once it has.
func (r *rig) wait() error {
	err := <-r.result
	r.result <- err
	return err
}

func (r *rig) dial() *client {
	c := &client{t: r.t}
	c.use(r.ln.Dial())
	return c
}

// open dials and goes as far as the answer to the header.
func (r *rig) open(domain string) *client {
	r.t.Helper()
	c := r.dial()
	c.open(domain)
	return c
}

// connect makes a component that knows the password.
func (r *rig) connect(domain string) *client {
	r.t.Helper()
	c := r.open(domain)
	c.handshake("anchor")
	c.Expect("<handshake/>")
	return c
}

// deliver sends a stanza to a component's domain.
func (r *rig) deliver(text string) error {
	r.t.Helper()
	st, err := stanza.Parse(text)
	if err != nil {
		r.t.Fatal(err)
	}
	sink := r.router.sink(st.To.Domain())
	if sink == nil {
		r.t.Fatalf("%s is not registered", st.To.Domain())
	}
	return sink.Deliver(st)
}

// next returns what the router got for no component.
func (r *rig) next() *stanza.Stanza {
	r.t.Helper()
	return receive(r.t, "routed stanza", r.router.routed)
}

func (r *rig) expectEvent(what, domain string) stanza.Sink {
	r.t.Helper()
	e := receive(r.t, "event", r.events)
	if e.what != what || e.domain != domain {
		r.t.Errorf("event: got %s %s, want %s %s", e.what, e.domain, what, domain)
	}
	return e.sink
}

// client is a scripted component.
type client struct {
	*listentest.Client
	t    testing.TB
	conn net.Conn
	seen *streamtest.Recorder // what came by conn
	id   string               // of the stream
}

const nsStreams = "urn:ietf:params:xml:ns:xmpp-streams"

func header(to string) string {
	return "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + to + "'>"
}

func (c *client) use(conn net.Conn) {
	c.conn, c.seen = conn, new(streamtest.Recorder)
	c.Client = listentest.NewClient(c.t, c.seen.Conn(conn))
}

func (c *client) open(domain string) {
	c.t.Helper()
	c.Send(header(domain))
	c.id = c.ExpectMatch("<stream:stream[^>]* id='([^']*)'[^>]*>")[1]
}

func proof(id, secret string) string {
	sum := sha1.Sum([]byte(id + secret))
	return "<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>"
}

func (c *client) handshake(secret string) {
	c.t.Helper()
	c.Send(proof(c.id, secret))
}

// expectError waits for the end of the connection, which is to come with a stream
// error and in well-formed XML.
func (c *client) expectError(condition string) string {
	c.t.Helper()
	rest := c.ExpectEOF()
	streamtest.EndsWithError(c.t, rest, condition)
	streamtest.WellFormed(c.t, c.seen.String())
	c.Close()
	return rest
}

// end closes the stream in order.
func (c *client) end() {
	c.t.Helper()
	c.Send("</stream:stream>")
	c.ExpectEOF()
	c.Close()
}

// receive takes the next value of a channel.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(listentest.Timeout):
		t.Fatalf("got no %s", what)
	}
	panic("not reached")
}

func message(from, to, id string) string {
	return fmt.Sprintf("<message from='%s' to='%s' type='chat' id='%s'><body>x</body></message>", from, to, id)
}
