package c2s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream/streamtest"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHost is a host in memory: every user of its domains has the password
// "anchor", and its router connects the sessions.
type fakeHost struct {
	domains []string

	mu       sync.Mutex
	sinks    map[stanza.JID]stanza.Sink
	binding  stanza.Binding // the last
	released []stanza.JID

	routed   chan *stanza.Stanza // what no session here takes
	bound    chan stanza.SessionInfo
	detached chan stanza.SessionInfo
	resumed  chan stanza.SessionInfo
	ended    chan ending
	arrived  []uint64 // keys, as they came

	onBind    func(b stanza.Binding) (stanza.JID, error)
	onRelease func()
	onRoute   func(ctx context.Context, s *stanza.Stanza) error
	onAdmit   func(b stanza.Binding) error
	onKeep    func(waiting []stanza.Queued) []*stanza.Stanza
	onBound   func(s stanza.SessionInfo)
	onArrived func()
	onEnded   func()
}

type ending struct {
	info        stanza.SessionInfo
	undelivered []stanza.Queued
	reason      error
}

func newFakeHost() *fakeHost {
	return &fakeHost{
		domains:  []string{"one.test", "two.test"},
		sinks:    make(map[stanza.JID]stanza.Sink),
		routed:   make(chan *stanza.Stanza, 1000),
		bound:    make(chan stanza.SessionInfo, 1000),
		detached: make(chan stanza.SessionInfo, 1000),
		resumed:  make(chan stanza.SessionInfo, 1000),
		ended:    make(chan ending, 1000),
	}
}

func (f *fakeHost) IsLocal(domain string) bool {
	for _, d := range f.domains {
		if d == domain {
			return true
		}
	}
	return false
}

func (f *fakeHost) Bind(_ context.Context, b stanza.Binding) (stanza.JID, error) {
	full := b.JID
	if full.IsBare() {
		full, _ = full.WithResource("made-up")
	}
	f.mu.Lock()
	f.binding = b
	f.sinks[full] = b.Sink
	f.mu.Unlock()
	if f.onBind != nil {
		return f.onBind(b)
	}
	return full, nil
}

func (f *fakeHost) Admit(b stanza.Binding) error {
	if f.onAdmit != nil {
		return f.onAdmit(b)
	}
	return nil
}

func (f *fakeHost) Release(_ context.Context, jid stanza.JID, s stanza.Sink) {
	if f.onRelease != nil {
		f.onRelease()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released = append(f.released, jid)
	if f.sinks[jid] == s {
		delete(f.sinks, jid)
	}
}

func (f *fakeHost) sink(jid string) stanza.Sink {
	f.mu.Lock()
	defer f.mu.Unlock()
	for j, s := range f.sinks {
		if j.String() == jid {
			return s
		}
	}
	return nil
}

func (f *fakeHost) Route(ctx context.Context, s *stanza.Stanza) error {
	if f.onRoute != nil {
		return f.onRoute(ctx, s)
	}
	if sink := f.sink(s.To.String()); sink != nil {
		err := sink.Deliver(s)
		if err == nil {
			stanza.ReceiptOf(ctx).Via(sink)
		}
		return err
	}
	f.routed <- s
	return nil
}

func (f *fakeHost) Bound(_ context.Context, s stanza.SessionInfo) {
	if f.onBound != nil {
		f.onBound(s)
	}
	f.bound <- s
}

func (f *fakeHost) Detached(_ context.Context, s stanza.SessionInfo) { f.detached <- s }

func (f *fakeHost) Keep(_ context.Context, _ stanza.SessionInfo, waiting []stanza.Queued) []*stanza.Stanza {
	if f.onKeep != nil {
		return f.onKeep(waiting)
	}
	return stanzasOf(waiting)
}

func stanzasOf(queued []stanza.Queued) []*stanza.Stanza {
	var list []*stanza.Stanza
	for _, q := range queued {
		list = append(list, q.Stanza)
	}
	return list
}

func (f *fakeHost) Resumed(_ context.Context, s stanza.SessionInfo) { f.resumed <- s }

func (f *fakeHost) Arrived(_ stanza.SessionInfo, kept []uint64) {
	if f.onArrived != nil {
		f.onArrived()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived = append(f.arrived, kept...)
}

func (f *fakeHost) Ended(_ context.Context, s stanza.SessionInfo, undelivered []stanza.Queued, reason error) {
	if f.onEnded != nil {
		f.onEnded()
	}
	f.ended <- ending{s, undelivered, reason}
}

func (f *fakeHost) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	switch {
	case user.Local() == "off":
		return stanza.ErrAccountDisabled
	case user.Local() == "slow":
		return errors.New("the store is down")
	case password != "anchor":
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (f *fakeHost) SCRAMKeys(_ context.Context, hash string, user stanza.JID) (stanza.SCRAMKeys, error) {
	if user.Local() == "nobody" {
		return stanza.SCRAMKeys{}, stanza.ErrNoAccount
	}
	return sasl.DeriveKeys(hash, "anchor", []byte("a salt of sixteen"), 10)
}

func (f *fakeHost) VerifyToken(_ context.Context, _ stanza.JID, token string) error {
	if token != "token" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (f *fakeHost) Anonymous(_ context.Context, domain string) (stanza.JID, error) {
	return stanza.NewJID("stranger", domain, "")
}

func (f *fakeHost) OffersTokens(domain string) bool { return domain == "one.test" }

func (f *fakeHost) OffersAnonymous(domain string) bool { return domain == "one.test" }

// iqFunc is an IQHandler.
type iqFunc func(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error)

func (f iqFunc) HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
	return f(ctx, iq, p)
}

// rig is a running listener.
type rig struct {
	t      testing.TB
	fake   *fakeHost
	host   Host
	o      Options
	sm     *StreamManagement // nil: off
	server *Server
	wrap   func(net.Listener) net.Listener
	pool   *x509.CertPool // that trusts the server's certificate
	ln     *listentest.Listener
	log    *streamtest.Recorder
	cancel context.CancelCauseFunc
	result chan error

	feeding sync.WaitGroup // what a test sends in other goroutines
}

// start runs a listener that offers SCRAM and PLAIN, after prepare has changed
// what it wants.
func start(t testing.TB, prepare ...func(r *rig)) *rig {
	t.Helper()
	r := newRig(t)
	f := newFakeHost()
	r.fake = f
	r.host = Host{Domains: f, Router: f, SCRAM: f, Password: f, Session: f, Log: slog.New(slog.NewTextHandler(r.log, nil))}
	r.o.AllowPlainWithoutTLS = true
	for _, p := range prepare {
		p(r)
	}
	r.server = New(r.host)
	if r.sm != nil {
		r.server.SetStreamManagement(stanza.PerHost[*StreamManagement]{Value: r.sm})
	}
	r.listen()
	return r
}

func newRig(t testing.TB) *rig {
	return &rig{t: t, o: Defaults(), ln: listentest.NewListener(), log: new(streamtest.Recorder), result: make(chan error, 1)}
}

// listen runs the listener until the end of the test.
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

// stop cancels the listener and returns what Listen does.
func (r *rig) stop(cause error) error {
	r.cancel(cause)
	return r.wait()
}

// drain closes the listener and waits for the sessions to end.
func (r *rig) drain() {
	r.t.Helper()
	_ = r.ln.Close()
	if err := r.wait(); err != nil {
		r.t.Errorf("got %v from Listen, want nil", err)
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

// use goes on with another connection.
func (c *client) use(conn net.Conn) {
	c.conn, c.seen = conn, new(streamtest.Recorder)
	c.Client = listentest.NewClient(c.t, c.seen.Conn(conn))
}

// startTLS becomes a TLS client.
func (c *client) startTLS(cfg *tls.Config) tls.ConnectionState {
	c.t.Helper()
	conn := tls.Client(c.conn, cfg)
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("TLS handshake: %v", err)
	}
	c.use(conn)
	return conn.ConnectionState()
}

// open dials and goes as far as the features of one.test.
func (r *rig) open() *client {
	r.t.Helper()
	c := r.dial()
	c.open("one.test")
	return c
}

// login makes a session of a user of one.test.
func (r *rig) login(user, resource string) *client {
	r.t.Helper()
	c := r.open()
	c.plain(user)
	c.bind(user, resource)
	return c
}

// client is a scripted client that knows XMPP.
type client struct {
	*listentest.Client
	t    testing.TB
	conn net.Conn
	seen *streamtest.Recorder // what came by conn
}

const (
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	nsBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	nsStreams = "urn:ietf:params:xml:ns:xmpp-streams"
)

func header(to string) string {
	return "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='" + to + "'>"
}

// open sends a header and returns the features.
func (c *client) open(to string) string {
	c.t.Helper()
	c.Send(header(to))
	c.Expect("<stream:stream")
	return c.Expect("</stream:features>")
}

func auth(mechanism, data string) string {
	return "<auth xmlns='" + nsSASL + "' mechanism='" + mechanism + "'>" + base64.StdEncoding.EncodeToString([]byte(data)) + "</auth>"
}

// plain logs in and opens the next stream.
func (c *client) plain(user string) {
	c.t.Helper()
	c.Send(auth("PLAIN", "\x00"+user+"\x00anchor"))
	c.Expect("<success")
	c.Expect(">")
	c.open("one.test")
}

func bindRequest(resource string) string {
	return "<iq id='b' type='set'><bind xmlns='" + nsBind + "'><resource>" + resource + "</resource></bind></iq>"
}

func (c *client) bind(user, resource string) {
	c.t.Helper()
	c.Send(bindRequest(resource))
	c.Expect("<jid>" + user + "@one.test/" + resource + "</jid></bind></iq>")
}

// expectError waits for the end of the connection, which is to come with a
// stream error and in well-formed XML.
func (c *client) expectError(condition string) string {
	c.t.Helper()
	rest := c.ExpectEOF()
	streamtest.EndsWithError(c.t, rest, condition)
	c.wellFormed()
	c.Close()
	return rest
}

// wellFormed checks everything that the server has sent.
func (c *client) wellFormed() {
	c.t.Helper()
	streamtest.WellFormed(c.t, c.seen.String())
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

func message(to, body string) string {
	return fmt.Sprintf("<message to='%s'><body>%s</body></message>", to, body)
}
